"""What Converse.js shows of the chat plane, and what it sends: `docs/reference/clients.md` tells it in words.

The bot is a bare component here, so these are facts about the client: version 14.0.0, in Debian's Chromium, over
Prosody's websocket. Where another version fails a test, the page wants a line about it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import pytest_asyncio

from tests.support.browser_client import PING, BrowserClient, Websocket, add_contact, converse, websocket
from tests.support.chat_message import ChatMessage, receipts, said
from tests.support.raw import RawStream, component
from tests.support.server import Server, ServerFactory

BOT = "bot@bus.localhost"
DISK, LOAD = f"{BOT}/a1b2c3", f"{BOT}/d4e5f6"  # an incident each
PERSON = "listener@localhost"
MARKERS = "urn:xmpp:chat-markers:0"
RETRACTION = (
    "<retract xmlns='urn:xmpp:message-retract:1' id='load-1'/>"
    "<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:message-retract:1'/>"
)


@dataclass
class Scene:
    """A bot that writes to one person, who has it as a contact and looks at their chat in Converse."""

    server: Server
    socket: Websocket
    bus: RawStream

    def client(self) -> BrowserClient:
        """The person's client, not started yet."""
        return converse(self.socket, PERSON, self.server.accounts[PERSON], BOT)

    def says(self, sender: str, message_id: str, body: str, *, replaces: str = "") -> None:
        """A message of the bot's."""
        self.bus.write(ChatMessage(sender=sender, to=PERSON, id=message_id, body=body, replaces=replaces).xml())

    async def arrived(self, namespace: str, name: str) -> tuple[str, Element]:
        """Wait for a message with such an element; return the JID that the last one went to, and the element."""

        def found() -> list[tuple[str, Element]]:
            elements = [(stanza.get("to"), stanza.find(namespace, name)) for stanza in self.bus.stanzas]
            return [(to, element) for to, element in elements if element is not None]

        await self.bus.until(lambda: bool(found()))
        return found()[-1]


@pytest_asyncio.fixture
async def scene(own_server: ServerFactory) -> AsyncIterator[Scene]:
    """The bot is online and a contact of the person's, who is not online yet."""
    socket = websocket()
    server = await own_server("prosody", **socket.options)
    async with await component(server.host, server.component_port, server.component_jid, server.secret) as bus:
        await add_contact(server, PERSON, BOT, "xmppbus")
        for kind in ("subscribed", "subscribe"):
            bus.write(f"<presence from='{BOT}' to='{PERSON}' type='{kind}'/>")
        await bus.iq("get", server.domain, PING)
        yield Scene(server, socket, bus)


async def test_two_incidents_corrected_in_turn_stay_one_message_each(scene: Scene) -> None:
    """Corrections name the first id, as XEP-0308 has it, with the other incident in between."""
    async with scene.client() as client:
        scene.says(DISK, "disk-1", "🔴 disk full [firing]")
        scene.says(LOAD, "load-1", "🟡 load high [firing]")
        await client.until_messages(["🔴 disk full [firing]", "🟡 load high [firing]"])
        scene.says(DISK, "disk-2", "🔴 disk full [acknowledged]", replaces="disk-1")
        await client.until_messages(["🔴 disk full [acknowledged]", "🟡 load high [firing]"])
        scene.says(LOAD, "load-2", "🟢 load high [resolved]", replaces="load-1")
        scene.says(DISK, "disk-3", "🟢 disk full [resolved]", replaces="disk-1")
        await client.until_messages(["🟢 disk full [resolved]", "🟢 load high [resolved]"])
        assert [one.edited for one in await client.shown()] == [True, True]


async def test_a_correction_of_the_last_correction_is_a_new_line(scene: Scene) -> None:
    """What Profanity wants instead, Converse does not take for the same message."""
    async with scene.client() as client:
        scene.says(DISK, "disk-1", "disk full [firing]")
        scene.says(DISK, "disk-2", "disk full [acknowledged]", replaces="disk-1")
        scene.says(DISK, "disk-3", "disk full [resolved]", replaces="disk-2")
        await client.until_messages(["disk full [acknowledged]", "disk full [resolved]"])


async def test_a_correction_with_the_id_of_the_message_itself_is_not_shown(scene: Scene) -> None:
    """It is taken for a duplicate."""
    async with scene.client() as client:
        scene.says(DISK, "disk-1", "disk full [firing]")
        scene.says(DISK, "disk-1", "disk full [resolved]", replaces="disk-1")
        scene.says(LOAD, "load-1", "load high [firing]")
        await client.until_messages(["disk full [firing]", "load high [firing]"])


async def test_a_correction_from_another_resource_is_a_new_line(scene: Scene) -> None:
    """So an incident keeps its resource for life."""
    async with scene.client() as client:
        scene.says(DISK, "disk-1", "disk full [firing]")
        scene.says(LOAD, "disk-2", "disk full [resolved]", replaces="disk-1")
        await client.until_messages(["disk full [firing]", "disk full [resolved]"])


async def test_another_browser_finds_the_newest_state_of_each_incident(scene: Scene) -> None:
    """The archive has every correction; the chat shows one message each."""
    newest = ["disk full [resolved]", "load high [firing]"]
    async with scene.client() as first:
        scene.says(DISK, "disk-1", "disk full [firing]")
        scene.says(LOAD, "load-1", "load high [firing]")
        scene.says(DISK, "disk-2", "disk full [acknowledged]", replaces="disk-1")
        scene.says(DISK, "disk-3", "disk full [resolved]", replaces="disk-1")
        await first.until_messages(newest)
    async with scene.client() as second:
        await second.until_messages(newest)


async def test_a_retraction_from_the_incidents_resource_takes_the_message_away(scene: Scene) -> None:
    """Its fallback body is not shown."""
    async with scene.client() as client:
        scene.says(LOAD, "load-1", "load high [firing]")
        body = "<body>This message was retracted.</body>"
        scene.bus.write(f"<message type='chat' from='{LOAD}' to='{PERSON}' id='load-2'>{body}{RETRACTION}</message>")
        await client.until_messages(["xmppbus has removed a message"])
        assert [one.retracted for one in await client.shown()] == [True]


async def test_a_receipt_names_the_correction_and_a_marker_the_first_message(scene: Scene) -> None:
    """The receipt goes to the incident's resource, the marker to the bare JID."""
    async with scene.client() as client:
        scene.says(DISK, "disk-1", "disk full [firing]")
        await client.until_message("firing")
        scene.says(DISK, "disk-2", "disk full [resolved]", replaces="disk-1")
        await client.until_message("resolved")
        await scene.bus.until(lambda: receipts(scene.bus.stanzas) == [(DISK, "disk-1"), (DISK, "disk-2")])
        to, displayed = await scene.arrived(MARKERS, "displayed")
        assert (to, displayed.get("id")) == (BOT, "disk-1")


async def test_a_reaction_and_a_reply_name_the_first_message_of_a_corrected_incident(scene: Scene) -> None:
    """Both go to the bare JID; a reply says the incident's resource in `to`, and quotes the message in its body."""
    async with scene.client() as client:
        scene.says(DISK, "disk-1", "disk full [firing]")
        scene.says(LOAD, "load-1", "load high [firing]")
        scene.says(DISK, "disk-2", "disk full [again]", replaces="disk-1")
        await client.until_messages(["disk full [again]", "load high [firing]"])
        await client.react("disk full", "👍")
        to, reactions = await scene.arrived("urn:xmpp:reactions:0", "reactions")
        assert (to, reactions.get("id"), [one.text for one in reactions]) == (BOT, "disk-1", ["👍"])
        await client.reply("disk full", "ack")
        to, reply = await scene.arrived("urn:xmpp:reply:0", "reply")
        assert (to, reply.get("id"), reply.get("to")) == (BOT, "disk-1", DISK)
        last = (await client.shown())[-1]
        assert (last.text, last.mine, last.reply_to) == ("ack", True, "disk full [again]")
        bodies = [body for _, body in said(scene.bus.stanzas)]
        assert bodies == ["> xmppbus:\n> disk full [again]\nack"]


async def test_a_slash_in_front_reaches_the_bot_except_for_converses_own_words(scene: Scene) -> None:
    """Its own are /help, /clear, /close and /me: so the words without a slash must always work."""
    async with scene.client() as client:
        await client.send("/help")
        await client.send("/list")
        await client.send("help")
        await scene.bus.until(lambda: said(scene.bus.stanzas)[-1:] == [(BOT, "help")])
        assert said(scene.bus.stanzas) == [(BOT, "/list"), (BOT, "help")]
