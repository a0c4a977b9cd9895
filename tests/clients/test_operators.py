"""Operators at Profanity and Poezio, and the bot as it is installed: what stands on their screens.

What the two clients do with messages in general is in `test_corrections.py`. `docs/reference/clients.md` tells both in
words.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.clients.conftest import OpenClient
from tests.support.daemon import Daemon
from tests.support.server import Server
from tests.support.terminal_clients import TerminalClient
from tests.support.waiting import until

BOT = "bot@bus.localhost"
SOON = 10.0
LINE = re.compile(r"\d\d:\d\d:\d\d \S? ?.*?[:>] ")  # time, mark, who
CLOCK = re.compile(r"\b\d\d:\d\d\b")
SPAN = re.compile(r"after \d+ s")

DISK = ("disk.full", "/ is 91 % full", "--key", "db1:/", "--severity", "warning", "--status")
LOAD = ("disk.slow", "sda waits", "--key", "db1:sda", "--severity", "error", "--status")


@pytest_asyncio.fixture
async def bus(prosody: Server, tmp_path: Path, person: str) -> AsyncIterator[Daemon]:
    """The daemon, with a bot that the person owns."""
    bot = {"affiliations": {person: "owner"}, "messages_per_minute": 100}
    async with Daemon(tmp_path / "bus", prosody, config={"bot": bot, "source": "db1"}) as daemon:
        yield daemon


class Operator:
    """A person at a client, with the chat with the bot at the front."""

    def __init__(self, client: TerminalClient, person: str) -> None:
        self.client = client
        self._person = person

    async def until_said(self, *bodies: str, either_first: bool = False) -> None:
        """Wait until the chat ends with these, oldest first, or in any order; times of day are left out."""
        seen: list[str] = []

        def there() -> bool:
            seen[:] = self.chat()[-len(bodies) :]
            return sorted(seen) == sorted(bodies) if either_first else seen == list(bodies)

        try:
            await until(there, SOON, f"{bodies} in {self.client.program}")
        except AssertionError as error:
            raise AssertionError(f"{error}; there is {seen}\n{self.client.screen()}") from None

    def chat(self) -> list[str]:
        """Every message of the chat: `me` for the person, `H:MM` for a time of day, `after N s` for a span."""
        found: list[str] = []
        for row in self.client.conversation():
            if LINE.match(row):
                found.append(LINE.sub("", row, count=1))
            elif found:
                found[-1] += f"\n{row.strip()}"
        return [SPAN.sub("after N s", CLOCK.sub("H:MM", each)).replace(self._person, "me") for each in found]


async def operator(open_client: OpenClient, name: str, server: Server, person: str) -> Operator:
    """Logged in, and in the chat with the bot, who is a contact. The greeting is said."""
    client = await open_client(name, server, person)
    await client.add(BOT)
    await client.talk_to(BOT)
    found = Operator(client, person)
    await client.type(GREETING[0])
    await found.until_said(*GREETING)
    return found


GREETING = ("subscribe disk.#", "You get `disk.#` from now on. `unsubscribe disk.#` ends it.")
FIRING = "▲ *firing* / is 91 % full\ndisk.full · db1 · db1:/"
TWICE = "▲ *firing* / is 91 % full (×2)\ndisk.full · db1 · db1:/"
TAKEN = "▲ *acknowledged* / is 91 % full (×2)\nacknowledged by me H:MM\ndisk.full · db1 · db1:/"
OVER = "✔ *resolved* after N s: / is 91 % full (×2)\nacknowledged by me H:MM\ndisk.full · db1 · db1:/"
ACK = ("ack", "Acknowledged: / is 91 % full · db1:/")
SLOW = "✖ *firing* sda waits\ndisk.slow · db1 · db1:sda"


async def test_the_status_text_says_how_things_stand(
    open_client: OpenClient, client_name: str, prosody: Server, bus: Daemon, person: str
) -> None:
    """Profanity shows it in its console when the bot is added, Poezio above and below the chat."""
    await bus.command("publish", *DISK, "firing")
    await bus.until_nothing_waits(SOON)
    await bus.stop()
    await bus.start()  # and counts at once, which it else does now and then
    client = await open_client(client_name, prosody, person)
    await client.add(BOT)
    if client_name == "poezio":
        await client.talk_to(BOT)
    await client.until_shown("1 firing, 1 unacknowledged, last event")


async def test_poezio_shows_an_incident_as_one_message_from_firing_to_resolved(
    open_client: OpenClient, prosody: Server, bus: Daemon, person: str
) -> None:
    """Corrected in place three times, though other messages came behind it."""
    romeo = await operator(open_client, "poezio", prosody, person)
    await bus.command("publish", *DISK, "firing")
    await romeo.until_said(*GREETING, FIRING)
    await bus.command("publish", *DISK, "firing")
    await romeo.until_said(*GREETING, TWICE)
    await romeo.client.type("ack")
    await romeo.until_said(*GREETING, TAKEN, *ACK)
    await bus.command("publish", *LOAD, "firing")
    await romeo.until_said(*GREETING, TAKEN, *ACK, SLOW)
    await bus.command("publish", *DISK, "resolved")
    await romeo.until_said(*GREETING, OVER, *ACK, SLOW)


async def test_profanity_is_told_each_change_in_a_line_of_its_own(
    open_client: OpenClient, prosody: Server, bus: Daemon, person: str
) -> None:
    """COMPAT(profanity 0.13.1): it would drop a second correction. That it fires once more is no line of its own."""
    romeo = await operator(open_client, "profanity", prosody, person)
    await bus.command("publish", *DISK, "firing")
    await romeo.until_said(*GREETING, FIRING)
    await bus.command("publish", *DISK, "firing")
    await bus.command("publish", *LOAD, "firing")
    await romeo.until_said(*GREETING, FIRING, SLOW)
    await romeo.client.type("ack db1:/")
    await romeo.until_said(ACK[1], TAKEN, either_first=True)
    assert romeo.chat()[:-2] == [*GREETING, FIRING, SLOW, "ack db1:/"]
    await bus.command("publish", *DISK, "resolved")
    await romeo.until_said(OVER)


async def test_profanity_corrects_in_place_once_where_the_bot_may_not_see_it(
    open_client: OpenClient, prosody: Server, bus: Daemon, person: str
) -> None:
    """Who has not added the bot is not known to have Profanity: the second correction is lost on them."""
    client = await open_client("profanity", prosody, person)
    await client.talk_to(BOT)
    romeo = Operator(client, person)
    await client.type(GREETING[0])
    await romeo.until_said(*GREETING)
    await bus.command("publish", *DISK, "firing")
    await romeo.until_said(*GREETING, FIRING)
    await client.type("ack")
    taken = TAKEN.replace(" (×2)", "")
    await romeo.until_said(*GREETING, taken, *ACK)
    await bus.command("publish", *DISK, "resolved")
    await bus.command("publish", *LOAD, "firing")
    await romeo.until_said(*GREETING, taken, *ACK, SLOW)


async def test_profanity_acknowledges_by_an_ad_hoc_command(
    open_client: OpenClient, prosody: Server, bus: Daemon, person: str
) -> None:
    """`/cmd exec` opens a window with the form; its fields are named by number."""
    romeo = await operator(open_client, "profanity", prosody, person)
    client = romeo.client
    await bus.command("publish", *LOAD, "firing")
    await romeo.until_said(*GREETING, SLOW)
    await client.type("/cmd list")
    await client.until_shown("!   whoami")
    await client.type("/cmd exec ack")
    await client.until_shown("[field1] its key, or an event's id; else the last you were told of:")
    await client.type("/field1 db1:sda")
    await client.until_shown("Field updated")
    await client.type("/form submit")
    await client.type("/win 2")
    await client.until_shown("! Acknowledged: sda waits")
    await client.until_shown("✖ *acknowledged* sda waits")


@pytest.mark.usefixtures("bus")
async def test_profanity_shows_a_list_of_choices(open_client: OpenClient, prosody: Server, person: str) -> None:
    """COMPAT(profanity 0.13.1): an option without a value ends it. Nothing chosen is a choice, too."""
    client = await open_client("profanity", prosody, person)
    await client.talk_to(BOT)
    await client.type("/cmd exec subscribe")
    await client.until_shown("Use '/form submit' to save changes.")
    assert all(each in client.screen() for each in ("[-] —", "[warning] warning", "[critical] critical"))
    await client.type("/field1 disk.#")
    await client.until_shown("Field updated")
    await client.type("/form submit")
    await client.type("/win 2")
    await client.until_shown("! You get `disk.#` from now on.")


async def test_profanity_survives_a_sentence_that_looks_like_a_format(
    open_client: OpenClient, prosody: Server, bus: Daemon, person: str
) -> None:
    """COMPAT(profanity 0.13.1): in a command's note `%n` ends it, whoever it comes from."""
    romeo = await operator(open_client, "profanity", prosody, person)
    client = romeo.client
    await bus.command("publish", "disk.full", "100 %n of %s", "--key", "db1:/", "--status", "firing")
    await client.until_shown("100 %n of %s")
    await client.type("/cmd exec ack")
    await client.until_shown("Use '/form submit' to save changes.")
    await client.type("/field1 db1:/")
    await client.until_shown("Field updated")
    await client.type("/form submit")
    await client.until_shown("Acknowledged: 100 %n of %s · db1:/")


async def test_poezio_acknowledges_by_an_ad_hoc_command(
    open_client: OpenClient, prosody: Server, bus: Daemon, person: str
) -> None:
    """`/ad-hoc` lists them; the form is sent with Ctrl+Y, as `next` where only `complete` is offered."""
    romeo = await operator(open_client, "poezio", prosody, person)
    client = romeo.client
    await bus.command("publish", *LOAD, "firing")
    await romeo.until_said(*GREETING, SLOW)
    await client.type(f"/ad-hoc {BOT}")
    await client.until_shown("ack: Say that you take care of it")
    nodes = [row.split()[0] for row in client.conversation()[1:]]
    for _ in range(nodes.index("ack")):
        await client.step("Down")
    client.press("Enter")
    await client.until_shown("its key, or an event's id; else the last you were told of")
    client.press("C-y")
    await client.until_shown("Adhoc command completed: Acknowledged: sda waits")
    client.press("C-p")
    await romeo.until_said(
        *GREETING, SLOW.replace("firing*", "acknowledged*").replace("\n", "\nacknowledged by me H:MM\n")
    )


async def test_a_table_of_an_ad_hoc_command_is_shown_as_lines(
    open_client: OpenClient, client_name: str, prosody: Server, bus: Daemon, person: str
) -> None:
    """COMPAT(profanity 0.13.1, poezio 0.14): a form with a table (XEP-0004 §3.4) is an empty one there."""
    romeo = await operator(open_client, client_name, prosody, person)
    client = romeo.client
    await bus.command("publish", *LOAD, "firing")
    await romeo.until_said(*GREETING, SLOW)
    if client_name == "profanity":
        await client.type("/cmd exec list")
    else:
        await client.type(f"/ad-hoc {BOT}")
        await client.until_shown("list: Types of events")
        nodes = [row.split()[0] for row in client.conversation()[1:]]
        for _ in range(nodes.index("list")):
            await client.step("Down")
        client.press("Enter")
    await client.until_shown("disk.slow · 1 time")


async def test_what_was_published_by_mistake_is_taken_back_in_a_line_of_its_own(
    open_client: OpenClient, client_name: str, prosody: Server, bus: Daemon, person: str
) -> None:
    """Neither knows retractions (XEP-0424): the message stays, and below it stands what the fallback says. The ledger
    has their receipts; neither says what is seen (XEP-0333)."""
    romeo = await operator(open_client, client_name, prosody, person)
    item = (await bus.command("publish", *DISK, "firing")).out.strip()
    await romeo.until_said(*GREETING, FIRING)

    async def received() -> bool:
        (message,) = (await bus.show(item))["messages"]
        return message["received"] is not None and message["displayed"] is None

    await until(received, SOON, "the receipt in the ledger")
    await bus.command("retract", "--yes", item)
    await romeo.client.until_shown("taken back: ")
    assert romeo.chat()[:-1] == [*GREETING, FIRING]


async def test_profanity_is_told_when_it_comes_back_what_became_of_an_incident(
    open_client: OpenClient, prosody: Server, bus: Daemon, person: str
) -> None:
    """COMPAT(profanity 0.13.1): it would drop a correction of what it has not seen since it started."""
    romeo = await operator(open_client, "profanity", prosody, person)
    await bus.command("publish", *DISK, "firing")
    await romeo.until_said(*GREETING, FIRING)
    await romeo.client.type("/disconnect")
    await romeo.client.until_shown("logged out successfully")
    romeo.client.close()
    await bus.command("publish", *DISK, "resolved")
    await bus.until_nothing_waits(SOON)
    client = await open_client("profanity", prosody, person)
    await client.talk_to(BOT)
    await Operator(client, person).until_said("✔ *resolved* after N s: / is 91 % full\ndisk.full · db1 · db1:/")
