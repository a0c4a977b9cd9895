"""The bot on a stream whose other end is the test: elements go in as if they had arrived, bytes come out as written.

Everything between is the product's: talk, contacts, conversations, commands, a journal. Only there is no server, which
would not let through half of what is tried here.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from xml.etree.ElementTree import Element, fromstring

from tests.support.bot_desk import Scene, scene
from tests.support.waiting import until
from xmppbus.bot.bot import Bot
from xmppbus.house import House
from xmppbus.xmpp.component import Stream
from xmppbus.xmpp.rooms import Rooms
from xmppbus.xmpp.talk import Talk

BOT = "bot@bus.example.org"
_REQUEST = re.compile(rb"<iq type='get' id='([^']+)'")


class Wire:
    """The stream, and who listens on it."""

    def __init__(self, desk: Scene, stream: Stream, bot: Bot) -> None:
        self.desk = desk
        self.bot = bot
        self._stream = stream
        self._written: list[bytes] = []
        self._life: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Let the bot run."""
        self._life = asyncio.create_task(self.bot.run(self.desk.desk.accept))
        await until(lambda: self.bot.status()["state"] == "up", 20, "the bot to listen")

    async def stop(self) -> None:
        """End it; the stream stays."""
        if self._life is not None:
            self._life.cancel()
            await asyncio.wait([self._life])

    def take(self, data: bytes) -> None:
        """What the stream writes. A request of its own (the fence's ping) is answered at once."""
        self._written.append(data)
        for found in _REQUEST.finditer(data):
            reply = Element("{jabber:component:accept}iq", {"type": "result", "id": found[1].decode()})
            asyncio.get_running_loop().call_soon(self._stream.pipeline.take, reply)

    async def give(self, *stanzas: Element) -> list[Element]:
        """Let them arrive; all that is written because of them."""
        self._written.clear()
        self.arrive(*stanzas)
        return await self.written()

    async def written(self) -> list[Element]:
        """What was written, once everybody is answered."""
        await until(lambda: not self.is_busy, 20, "everybody to be answered", poll=0)
        await asyncio.sleep(0)  # what is written is gathered for one turn of the loop
        self._stream.pipeline.flush()
        return list(fromstring(b"<stream>" + b"".join(self._written) + b"</stream>"))  # noqa: S314  # the product's own

    def arrive(self, *stanzas: Element) -> None:
        """Let them arrive, and wait for nothing."""
        hooks = self._stream.hooks
        for each in stanzas:
            if each.tag.endswith("}iq"):
                hooks.answer(each)
            else:
                errors, others = hooks.errors, hooks.messages if each.tag.endswith("}message") else hooks.presences
                hooks.hear(errors if each.get("type") == "error" else others, each, is_up=True)

    @property
    def is_busy(self) -> bool:
        """Whether somebody is being answered."""
        talk = self.desk.desk.house.talk
        return bool(self.bot.status().get("talking") or (talk and talk.status()["answering"]))


@asynccontextmanager
async def wire(directory: Path) -> AsyncIterator[Wire]:
    """In session, and listening."""
    async with scene(directory) as desk:
        house: House = desk.desk.house
        options = desk.desk.options
        assert house.audience is not None
        assert house.options.xmpp is not None
        stream = house.xmpp = Stream(house.options.xmpp, "secret", dice=lambda: 0.5)
        talk = house.talk = Talk(stream, options, house.audience, clock=desk.clock)
        affiliations = desk.desk.affiliations
        rooms = house.rooms = Rooms(
            stream, talk, house.audience, options, named=(), is_owner=affiliations.is_owner, dice=lambda: 0.5
        )
        opened = Wire(desk, stream, Bot(house, talk, rooms, options))
        stream.pipeline.open(opened.take)
        stream.session = 1
        async with talk:
            await opened.start()
            try:
                yield opened
            finally:
                await opened.stop()
        stream.pipeline.close()
