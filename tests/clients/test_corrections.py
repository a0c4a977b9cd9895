"""What Profanity and Poezio show of incidents that are corrected: `docs/reference/clients.md` tells it in words.

The bot is a bare component here, so these are facts about the clients. They are those of Debian 12: Profanity 0.13.1
and Poezio 0.14. Where another version fails a test, the page wants a line about it.
"""

from tests.clients.conftest import OpenClient
from tests.support.chat_message import ChatMessage, receipts, said
from tests.support.raw import RawStream
from tests.support.server import Server
from tests.support.terminal_clients import TerminalClient

BOT = "bot@bus.localhost"
DISK, LOAD, LATER = f"{BOT}/a1b2c3", f"{BOT}/d4e5f6", f"{BOT}/ffffff"  # an incident each

GREETING = "subscribe"


class Scene:
    """A bot that writes to one person, whose client has its conversation with the bot at the front."""

    def __init__(self, bus: RawStream, client: TerminalClient, person: str) -> None:
        self.bus = bus
        self.client = client
        self.person = person

    async def says(self, sender: str, message_id: str, body: str, *, replaces: str = "") -> None:
        """The bot's message; return when the client shows its text."""
        self.writes(sender, message_id, body, replaces=replaces)
        await self.client.until_shown(body)

    def writes(self, sender: str, message_id: str, body: str, *, replaces: str = "") -> None:
        """The bot's message, which may be shown or not."""
        self.bus.write(ChatMessage(sender=sender, to=self.person, id=message_id, body=body, replaces=replaces).xml())

    async def answer(self, text: str) -> str:
        """The person types `text`; return the JID at which it arrives."""
        before = len(said(self.bus.stanzas))
        await self.client.type(text)
        await self.bus.until(lambda: len(said(self.bus.stanzas)) > before)
        to, body = said(self.bus.stanzas)[-1]
        assert body == text
        return to

    def texts(self) -> list[str]:
        """What the conversation shows after the greeting, without time and sender."""
        between = ": " if self.client.program == "profanity" else "> "
        shown = [line.split(between, 1)[1] for line in self.client.conversation()]
        return shown[shown.index(GREETING) + 1 :]


async def scene(
    open_client: OpenClient,
    name: str,
    server: Server,
    bus: RawStream,
    person: str,
    settings: dict[str, str] | None = None,
) -> Scene:
    """The person has greeted the bot, as people do who subscribe.

    COMPAT(poezio 0.14): a tab reads its log after opening, and shows again what arrives meanwhile. What is typed waits
    for that.
    """
    client = await open_client(name, server, person, settings)
    await client.talk_to(BOT)
    play = Scene(bus, client, person)
    await play.answer(GREETING)
    await client.until_screen(lambda _: any(GREETING in line for line in client.conversation()), "the greeting")
    return play


async def test_an_incident_is_corrected_in_place_though_another_came_after_it(
    open_client: OpenClient, client_name: str, prosody: Server, bus: RawStream, person: str
) -> None:
    """In one window, whatever the resources; marks outside ASCII are shown."""
    play = await scene(open_client, client_name, prosody, bus, person)
    await play.says(DISK, "disk-1", "🔴 disk full [firing]")
    await play.says(LOAD, "load-1", "🟡 load high ▲ é [firing]")
    await play.says(DISK, "disk-2", "🟠 disk full [acknowledged]", replaces="disk-1")
    assert play.texts() == ["🟠 disk full [acknowledged]", "🟡 load high ▲ é [firing]"]


async def test_poezio_shows_every_correction_of_the_first_id(
    open_client: OpenClient, prosody: Server, bus: RawStream, person: str
) -> None:
    """As XEP-0308 has it: a later correction names the original, too."""
    play = await scene(open_client, "poezio", prosody, bus, person)
    await play.says(DISK, "disk-1", "disk full [firing]")
    await play.says(LOAD, "load-1", "load high [firing]")
    await play.says(DISK, "disk-2", "disk full [acknowledged]", replaces="disk-1")
    await play.says(DISK, "disk-3", "disk full [resolved]", replaces="disk-1")
    assert play.texts() == ["disk full [resolved]", "load high [firing]"]


async def test_profanity_drops_the_second_correction_of_the_first_id_and_sends_a_receipt(
    open_client: OpenClient, prosody: Server, bus: RawStream, person: str
) -> None:
    """COMPAT(profanity 0.13.1): the id that can be corrected is that of the last correction."""
    play = await scene(open_client, "profanity", prosody, bus, person)
    await play.says(DISK, "disk-1", "disk full [firing]")
    await play.says(DISK, "disk-2", "disk full [acknowledged]", replaces="disk-1")
    play.writes(DISK, "disk-3", "disk full [resolved]", replaces="disk-1")
    await play.says(LATER, "later-1", "what came later")
    assert play.texts() == ["disk full [acknowledged]", "what came later"]
    await bus.until(lambda: (DISK, "disk-3") in receipts(bus.stanzas))


async def test_a_correction_of_the_last_correction_is_shown_in_place(
    open_client: OpenClient, client_name: str, prosody: Server, bus: RawStream, person: str
) -> None:
    """Against XEP-0308, but both take it, with another incident in between."""
    play = await scene(open_client, client_name, prosody, bus, person)
    await play.says(DISK, "disk-1", "disk full [firing]")
    await play.says(LOAD, "load-1", "load high [firing]")
    await play.says(DISK, "disk-2", "disk full [acknowledged]", replaces="disk-1")
    await play.says(DISK, "disk-3", "disk full [resolved]", replaces="disk-2")
    assert play.texts() == ["disk full [resolved]", "load high [firing]"]


async def test_a_correction_of_what_the_client_never_saw_is_a_new_line_in_poezio_and_nothing_in_profanity(
    open_client: OpenClient, client_name: str, prosody: Server, bus: RawStream, person: str
) -> None:
    """As after a restart of the client, or when another device got the original."""
    play = await scene(open_client, client_name, prosody, bus, person)
    play.writes(DISK, "disk-2", "disk full [resolved]", replaces="disk-1")
    await play.says(LATER, "later-1", "what came later")
    shown = {"poezio": ["disk full [resolved]", "what came later"], "profanity": ["what came later"]}
    assert play.texts() == shown[client_name]


async def test_poezio_takes_a_correction_from_the_same_resource_only(
    open_client: OpenClient, prosody: Server, bus: RawStream, person: str
) -> None:
    """Another resource's is a line of its own. So an incident keeps its resource for life."""
    play = await scene(open_client, "poezio", prosody, bus, person)
    await play.says(DISK, "disk-1", "disk full [firing]")
    await play.says(LOAD, "disk-2", "disk full [acknowledged]", replaces="disk-1")
    await play.says(BOT, "disk-3", "disk full [resolved]", replaces="disk-1")
    assert play.texts() == ["disk full [firing]", "disk full [acknowledged]", "disk full [resolved]"]


async def test_profanity_without_correction_shows_each_state_as_a_line(
    open_client: OpenClient, prosody: Server, bus: RawStream, person: str
) -> None:
    """Its setting `/correction off`; on is what it comes with."""
    play = await scene(open_client, "profanity", prosody, bus, person, {"connection/correction.allow": "false"})
    await play.says(DISK, "disk-1", "disk full [firing]")
    await play.says(DISK, "disk-2", "disk full [acknowledged]", replaces="disk-1")
    await play.says(DISK, "disk-3", "disk full [resolved]", replaces="disk-1")
    assert play.texts() == ["disk full [firing]", "disk full [acknowledged]", "disk full [resolved]"]


async def test_receipts_name_each_message_and_correction_and_go_to_its_resource(
    open_client: OpenClient, client_name: str, prosody: Server, bus: RawStream, person: str
) -> None:
    """COMPAT(profanity 0.13.1): it sends none for a message from a bare JID."""
    play = await scene(open_client, client_name, prosody, bus, person)
    await play.says(DISK, "disk-1", "disk full [firing]")
    await play.says(BOT, "plain-1", "from the bare JID")
    await play.says(DISK, "disk-2", "disk full [acknowledged]", replaces="disk-1")
    await bus.until(lambda: (DISK, "disk-2") in receipts(bus.stanzas))
    of_bare = {"poezio": [(BOT, "plain-1")], "profanity": []}
    assert receipts(bus.stanzas) == [(DISK, "disk-1"), *of_bare[client_name], (DISK, "disk-2")]


async def test_poezio_answers_the_bare_jid(
    open_client: OpenClient, prosody: Server, bus: RawStream, person: str
) -> None:
    """So the resource says nothing of the incident that is meant."""
    play = await scene(open_client, "poezio", prosody, bus, person)
    await play.says(DISK, "disk-1", "disk full [firing]")
    assert await play.answer("ack") == BOT


async def test_profanity_answers_the_resource_of_the_last_message_even_of_a_correction_above(
    open_client: OpenClient, prosody: Server, bus: RawStream, person: str
) -> None:
    """The last line is LOAD's, the answer goes to DISK; and after any presence of the bot, to the bare JID."""
    play = await scene(open_client, "profanity", prosody, bus, person)
    await play.says(DISK, "disk-1", "disk full [firing]")
    await play.says(LOAD, "load-1", "load high [firing]")
    assert await play.answer("ack one") == LOAD
    await play.says(DISK, "disk-2", "disk full [again]", replaces="disk-1")
    assert await play.answer("ack two") == DISK
    bus.write(f"<presence from='{BOT}/bot' to='{person}'><status>3 firing</status></presence>")
    await play.says(BOT, "plain-1", "after the presence")
    assert await play.answer("ack three") == BOT
