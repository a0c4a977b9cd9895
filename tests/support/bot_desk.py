"""The bot's desk on a real journal, with the output that folds; and people who write to it without a server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.support.folding import folding
from tests.support.journals import MovingClock
from xmppbus.bot import commands
from xmppbus.bot.command import Asker, Place
from xmppbus.bot.conversation import answer_to, said
from xmppbus.bot.desk import Desk, open_desk
from xmppbus.bus import Bus
from xmppbus.config import load
from xmppbus.errors import Refused
from xmppbus.house import House
from xmppbus.interfaces import Accepted
from xmppbus.people.model import Copy, Message, message_id
from xmppbus.plugins import Registry
from xmppbus.stores.sqlite import SqliteJournal

OWNER, PUBLISHER, MEMBER = "nurse@example.org", "romeo@example.org", "juliet@example.org"
STRANGER, OUTCAST = "paris@example.net", "tybalt@example.org"
BOT: dict[str, Any] = {
    "affiliations": {
        OWNER: "owner",
        PUBLISHER: "publisher",
        "example.org": "member",
        OUTCAST: "outcast",
    },
    "rooms": [{"jid": "ops@rooms.example.org", "affiliations": {"member": "member"}}],
}
WORD = re.compile(r"send this word: (\w+)")
ROOM = "ops@rooms.example.org"


class Scene:
    """The desk, and what people say at it."""

    def __init__(self, desk: Desk, journal: SqliteJournal, clock: MovingClock) -> None:
        self.desk = desk
        self.journal = journal
        self.clock = clock

    async def says(self, jid: str, text: str, **more: Any) -> str:
        """What the bot answers in a chat, or elsewhere (`place`, `room`, `replies_to`...)."""
        asker = Asker(jid, more.pop("place", Place.CHAT), full=more.pop("full", f"{jid}/phone"), **more)
        return said(self.desk, asker, await answer_to(self.desk, asker, text))

    async def event(self, type_: str = "disk.full", **fields: Any) -> Accepted:
        """An event that is accepted, and folded if it is an incident's."""
        (answer,) = await self.desk.accept([{"type": type_, "source": "db1", **fields}])
        assert not isinstance(answer, Refused), answer
        people: Any = self.desk.house.outputs["people"]
        await people.folded(answer.sequence)
        return answer

    async def fires(self, key: str, **fields: Any) -> Accepted:
        """An incident."""
        return await self.event(key=key, status="firing", severity="error", summary=f"{key} is full", **fields)

    async def told(self, accepted: Accepted, jid: str) -> str:
        """A message about an event is with the server; its id."""
        made = message_id(accepted.item_id, jid, 0)
        entry = await self.journal.find(accepted.item_id)
        assert entry is not None
        key = entry.event.get("key", "")
        copies = []
        if key:
            incident = await self.desk.people.incident(key)
            assert incident is not None
            copies.append(Copy(key, jid, incident.episode, made, incident.sequence, incident.severity))
        message = Message(made, accepted.sequence, jid, 0, key, self.clock())
        await self.desk.people.handed_over([message], copies)
        return made


async def confirmed(bot: Scene, jid: str, text: str, **more: Any) -> str:
    """The answer after the one-time word was sent back."""
    found = WORD.search(await bot.says(jid, text, **more))
    assert found
    return await bot.says(jid, found[1], **more)


@asynccontextmanager
async def scene(directory: Path, **bot: Any) -> AsyncIterator[Scene]:
    """Opens it; `bot` is put over the bot's options."""
    (directory / "secret").write_text("secret")
    config_file = directory / "xmppbus.yaml"
    xmpp = {"component": "bus.example.org", "secret_file": "secret"}
    config_file.write_text(yaml.safe_dump({"xmpp": xmpp, "http": None, "bot": {**BOT, **bot}}))
    config = load(config_file, {"XMPPBUS_STATE": str(directory)})
    clock, registry = MovingClock(), Registry()
    commands.register(registry)
    async with SqliteJournal(directory / "journal.db", clock=clock) as journal:
        bus = Bus(journal, config.routes, source="test", check_size=lambda _: None, clock=clock)
        async with folding(journal, config.routes, clock) as (output, audience):
            house = House(config, clock, clock(), journal, registry, bus, people=journal.people, audience=audience)
            people: Any = output
            house.outputs["people"] = people
            assert config.options.bot is not None
            yield Scene(open_desk(house, bus.accept, config.options.bot), journal, clock)
            await asyncio.sleep(0)
