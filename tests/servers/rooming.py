"""What the tests of rooms share: a bot in rooms, and people who own them."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from tests.servers.chatting import PEOPLE, PROMPT
from tests.servers.chatting import _running as running
from tests.servers.outputs import SOON, account_options, now, options
from tests.support.server import Server
from tests.support.waiting import until
from xmppbus.bus import Bus
from xmppbus.deliver import Deliverer, output_work
from xmppbus.interfaces import Accepted
from xmppbus.journal import PlaceStatus
from xmppbus.journal import State as Fate
from xmppbus.options import BotOptions, RoomOptions
from xmppbus.outputs.excess import Excess
from xmppbus.outputs.people import ForPeople, people_work
from xmppbus.outputs.room import Room
from xmppbus.people.audience import ROOM, Audience
from xmppbus.people.budget import Budget
from xmppbus.people.model import Message
from xmppbus.route import Address, Match, Route, Routes
from xmppbus.stores.sqlite import SqliteJournal
from xmppbus.xmpp.component import Stream
from xmppbus.xmpp.rooms import Rooms
from xmppbus.xmpp.standing import State
from xmppbus.xmpp.stanzas import check_size
from xmppbus.xmpp.talk import Talk

BOT = "bot@bus.localhost"


class Bot(NamedTuple):
    """The parts."""

    journal: SqliteJournal
    stream: Stream
    talk: Talk
    rooms: Rooms
    audience: Audience

    async def until(self, room: str, state: State, timeout: float = SOON) -> str:
        """Wait until it stands so with a room; the words for it."""
        await until(lambda: self.state(room) is state, timeout, f"{state} in {room}, and not {self.state(room)}")
        standing = self.rooms.standing(room)
        assert standing is not None
        return standing.words

    def state(self, room: str) -> State | None:
        """How it stands with a room."""
        standing = self.rooms.standing(room)
        return standing and standing.state


@asynccontextmanager
async def roaming(
    server: Server,
    directory: Path,
    *rooms: RoomOptions | str,
    named: Iterable[str] = (),
    owners: Iterable[str] = (),
    account: str = "",
    port: int = 0,
    routes: Sequence[Route] = (),
) -> AsyncIterator[Bot]:
    """A bot in session, on its way into rooms. What it keeps is in `directory`."""
    given = account_options(server, account=account) if account else options(server)
    if port:
        given = options(server, port=port)
    secret = server.accounts[account] if account else server.secret
    wanted = [RoomOptions(jid=each) if isinstance(each, str) else each for each in rooms]
    bot = BotOptions(rooms=wanted)
    known = frozenset(owners)
    async with SqliteJournal(directory / "journal.db") as journal, Stream(given, secret, dice=random.random) as stream:
        audience = Audience(journal.people, Routes(routes), now)
        await audience.open()
        talk = Talk(stream, bot, audience, clock=now)
        inside = Rooms(
            stream,
            talk,
            audience,
            bot,
            named=named,
            is_owner=known.__contains__,
            owners=sorted(known),
            dice=random.random,
        )
        async with talk, inside:
            await asyncio.wait_for(talk.ready(), SOON)
            yield Bot(journal, stream, talk, inside, audience)


class Telling(NamedTuple):
    """A bot that tells rooms: whatever is routed there, and whatever rooms have subscribed to."""

    bot: Bot
    bus: Bus
    room: Room

    async def accept(self, **event: Any) -> Accepted:
        """Take an event of this test's."""
        given = {"id": uuid4().hex, "type": "disk.full", "source": "test", **event}
        (found,) = await self.bus.accept([given], is_ours=True)
        assert isinstance(found, Accepted), found
        return found

    async def stopped(self, room: str, condition: str) -> PlaceStatus:
        """Wait until a room's place is stopped because of that."""

        async def found() -> PlaceStatus | None:
            places = await self.bot.journal.places()
            return next((each for each in places if each.place == room and each.stop), None)

        async def is_so() -> bool:
            place = await found()
            return place is not None and place.stop is not None and place.stop.condition == condition

        await until(is_so, SOON, f"{room} stopped: {condition}, and not {await found()}")
        place = await found()
        assert place is not None
        return place

    async def settled(self) -> None:
        """Wait until nothing waits."""

        async def done() -> bool:
            return (await self.bot.journal.status()).waiting == 0

        await until(done, SOON, "nothing waits")

    async def state(self, of: Accepted) -> Fate:
        """What became of an event on its way to a room."""
        (fate,) = [each for each in await self.bot.journal.fates(of.sequence) if each.output == ROOM]
        return fate.state

    async def messages(self, of: Accepted) -> list[Message]:
        """The ledger's rows about an event."""
        return await self.bot.journal.people.messages_of(of.sequence)


@asynccontextmanager
async def telling(
    server: Server, directory: Path, room: str, *, routed: bool = True, types: str = "#", port: int = 0
) -> AsyncIterator[Telling]:
    """In that room, to which every event of these types is sent."""
    routes = [PEOPLE, *([Route("ops", Match(type=types), (), (Address(ROOM, room),))] if routed else [])]
    async with roaming(server, directory, room, routes=routes, port=port) as bot, AsyncExitStack() as stack:
        journal, people = bot.journal, bot.journal.people
        bus = Bus(journal, Routes(routes), source="test", check_size=check_size, clock=now)
        budget = Budget(6_000)
        everybody = ForPeople(
            journal,
            people,
            bot.audience,
            budget=budget,
            presence_of=lambda jid: bot.talk.presence_of(jid).show,
            is_room=bot.rooms.is_room,
            corrects=bot.talk.shows_corrections,
            zone=UTC,
            clock=now,
        )
        output = Room(
            bot.rooms,
            bot.talk,
            journal,
            people,
            bot.audience,
            excess=Excess(ROOM, people, bot.audience, budget),
            folded=everybody.folded,
            zone=UTC,
            clock=now,
        )
        for name, work, ready in (
            ("people", people_work(everybody), everybody.ready),
            (ROOM, output_work(output), output.ready),
        ):
            deliverer = Deliverer(name, work, journal, ready=ready, dice=lambda: 0.0, retry=PROMPT)
            await stack.enter_async_context(running(deliverer))
        await bot.until(room, State.IN)
        yield Telling(bot, bus, output)
