"""Ten thousand subscribers, a thousand rooms, a hundred people who type rubbish as fast as they are read, and ten
thousand strangers that nobody has ever heard of: nothing that the bot holds grows with them.

What it holds is every container of every object of the product, the resident memory and the journal. The bounds on
those that are remembered are smaller here than in a real house, so that they are reached before the first look.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.support.administrator import ROOMS
from tests.support.conversation import PING, connect
from tests.support.living_house import config_file
from tests.support.raw import RawStream
from tests.support.server import Server, ServerFactory
from tests.support.talk_person import COMMANDS, DATA
from xmppbus import limits
from xmppbus.people.model import Subscription
from xmppbus.stores.sqlite import SqliteJournal

MIB = 1024 * 1024
SUBSCRIBERS = 10_000
ROOMS_WANTED = 1_000
TYPISTS = 100
LOWERED = {"ASKERS": 250, "UNKNOWN_CONTACTS": 200, "PERSONS": 250, "FORMS": 100, "BUDGETS": 250, "WISHES": 50}
"""Limits of what is remembered of whom."""

PARTS = 4
STRANGERS = 2_500  # in each part
RUBBISH = 2_000  # messages of typists in each part: what a hundred people send in a second
BATCH = 1_000  # stanzas, after which the bot is asked whether it has read them

MOST_MORE_RESIDENT = 16 * MIB
MOST_MORE_JOURNAL = 2 * MIB
MOST_MORE_HELD = 300
"""In any container: less than a tenth of those who came meanwhile, and more than any of the limits above, or what
happens to be under way at the moment of the look (256 answers)."""


class House:
    """The other end of the pipes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, line: str) -> Any:
        """One line there, one line back."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        return json.loads(await self.line())

    async def line(self) -> str:
        """What it says next."""
        assert self._process.stdout is not None
        return (await asyncio.wait_for(self._process.stdout.readline(), 60)).decode().strip()


@asynccontextmanager
async def house(server: Server, directory: Path) -> AsyncIterator[House]:
    """With all its subscribers and rooms."""
    bot = {
        "strangers": "queued",
        "affiliations": {f"typist{number}@{server.component_jids[1]}": "member" for number in range(TYPISTS // 2)},
        "rooms": [{"jid": f"bound{number}@{ROOMS}"} for number in range(ROOMS_WANTED)],
    }
    path = config_file(server, directory, bot)
    await subscribe(directory / "journal.db", server.component_jids[1])
    lowered = [f"{name}={value}" for name, value in LOWERED.items()]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.bot_sizes", str(path), str(directory), *lowered),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=16 * MIB,
    )
    opened = House(process)
    try:
        assert await opened.line() == "up"
        yield opened
        assert process.stdin is not None
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def subscribe(journal: Path, domain: str) -> None:
    """As ten thousand people would."""
    now = datetime.now(UTC)
    async with SqliteJournal(journal) as opened:
        wanted = [
            Subscription(owner=f"user{number}@{domain}", pattern="bound.event", created=now)
            for number in range(SUBSCRIBERS)
        ]
        for start in range(0, SUBSCRIBERS, 1_000):
            await asyncio.gather(*map(opened.people.subscribe, wanted[start : start + 1_000]))


def rubbish(dice: random.Random, bot: str, domain: str, part: int) -> Iterator[str]:
    """What typists send, one after the other."""
    words = [
        "help",
        "last",
        "status",
        "list",
        "subscribe",
        "ack",
        "mute",
        "show",
        "search",
        "more",
        "whoami",
        "publish",
    ]
    for number in range(RUBBISH):
        sender = f"typist{number % TYPISTS}@{domain}/{dice.randrange(4)}"
        made = f"{part}-{number}"
        text = " ".join(dice.choice([*words, str(dice.random()), "x" * dice.randrange(2_000)]) for _ in range(4))
        kind = dice.randrange(10)
        if kind < 6:
            inner = f"<body>{text}</body><request xmlns='urn:xmpp:receipts'/><thread>{made}</thread>"
            yield f"<message type='chat' id='{made}' from='{sender}' to='{bot}'>{inner}</message>"
        elif kind == 6:
            inner = f"<received xmlns='urn:xmpp:receipts' id='{made}'/>"
            yield f"<message type='chat' id='{made}' from='{sender}' to='{bot}/{made}'>{inner}</message>"
        elif kind == 7:
            inner = "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
            yield f"<message type='error' id='{made}' from='{sender}' to='{bot}'>{inner}</message>"
        elif kind == 8:
            yield f"<presence from='{sender}{number}' to='{bot}'><show>dnd</show><status>{text}</status></presence>"
        else:
            yield executing(made, sender, bot, dice.choice(words), f"no{made}")


def strangers(bot: str, domain: str, part: int) -> Iterator[str]:
    """What somebody sends whom nobody knows, each under a name of his own."""
    for number in range(STRANGERS):
        sender = f"stranger{part}x{number}@{domain}/x"
        yield f"<message type='chat' id='s{number}' from='{sender}' to='{bot}'><body>subscribe #</body></message>"
        if number % 2:
            yield executing(f"f{number}", sender, bot, "subscribe", "")
        else:
            yield f"<presence type='subscribe' from='{sender.partition('/')[0]}' to='{bot}'/>"
        if number % 10 == 0:
            yield f"<presence from='{sender}' to='{bot}'/>"
            yield f"<message type='groupchat' from='{sender}' to='{bot}'><body>!help</body></message>"


def executing(made: str, sender: str, bot: str, command: str, session: str) -> str:
    """An ad-hoc command: a form that stays open, or one that was never opened."""
    given = f" sessionid='{session}'" if session else ""
    form = f"<x xmlns='{DATA}' type='submit'><field var='a'><value>b</value></field></x>" if session else ""
    command = f"<command xmlns='{COMMANDS}' node='{command}'{given}>{form}</command>"
    return f"<iq type='set' id='{made}' from='{sender}' to='{bot}'>{command}</iq>"


async def send(stream: RawStream, bot: str, stanzas: Iterator[str]) -> None:
    """All of them, and the bot has read them."""
    batch: list[str] = []
    for each in stanzas:
        batch.append(each)
        if len(batch) == BATCH:
            await heard(stream, bot, batch)
            batch.clear()
    await heard(stream, bot, batch)


async def heard(stream: RawStream, bot: str, batch: list[str]) -> None:
    """The server works a stream in order, and so does the bot."""
    stream.write("".join(batch))
    await stream.iq("get", bot, PING, 60)
    stream.stanzas.clear()


async def test_nothing_grows_without_bound(own_server: ServerFactory, tmp_path: Path) -> None:
    """On one server: what is looked at is ours. ejabberd makes a thousand rooms in a second, but lets nobody into more
    than a hundred unless it is told to."""
    rooms = {"host": ROOMS, "max_user_conferences": ROOMS_WANTED}
    server = await own_server("ejabberd", modules={"mod_muc": rooms})
    bot, domain = f"bot@{server.component_jid}", server.component_jids[1]
    dice = random.Random(7)
    async with await connect(server, domain) as stream, house(server, tmp_path / "house") as opened:
        assert await opened.ask("rooms") == ROOMS_WANTED
        assert await opened.ask("event bound.event") == "told"
        looks = []
        for part in range(PARTS):
            await send(stream, bot, rubbish(dice, bot, domain, part))
            await send(stream, bot, strangers(bot, domain, part))
            looks.append(await opened.ask("sizes"))
        first, last = looks[0], looks[-1]
        grown = {
            name: (first["holds"].get(name, 0), held)
            for name, held in last["holds"].items()
            if held > first["holds"].get(name, 0) + MOST_MORE_HELD
        }
        assert not grown
        assert last["holds"]["Conversations._waiting"] <= limits.ANSWERS_AT_ONCE
        assert 0 < last["holds"]["Contacts._known"] <= LOWERED["UNKNOWN_CONTACTS"]
        assert last["resident"] - first["resident"] <= MOST_MORE_RESIDENT
        assert last["journal"] - first["journal"] <= MOST_MORE_JOURNAL
        talked = (await opened.ask("status"))["inputs"]["bot"]
        assert talked["answered"] > 0
        assert talked["dropped"] > 0  # more came at once than is answered side by side
