"""What the tests of rooms share: a bot in rooms, and people who own them."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from tests.servers.outputs import SOON, account_options, now, options
from tests.support.server import Server
from tests.support.waiting import until
from xmppbus.options import BotOptions, RoomOptions
from xmppbus.people.audience import Audience
from xmppbus.route import Routes
from xmppbus.stores.sqlite import SqliteJournal
from xmppbus.xmpp.component import Stream
from xmppbus.xmpp.rooms import Rooms
from xmppbus.xmpp.standing import State
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
        audience = Audience(journal.people, Routes([]), now)
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
