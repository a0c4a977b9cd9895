"""A house for the tests of what people are told: journal, stream, bot and the outputs `people`, `chat` and `digest`."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.servers.outputs import SOON, account_options, now, options
from tests.servers.talking import bare
from tests.support.raw import RawStream
from tests.support.raw_xml import Stanza
from tests.support.server import Server
from tests.support.waiting import until
from xmppbus.bus import Bus
from xmppbus.deliver import Deliverer
from xmppbus.interfaces import Accepted
from xmppbus.journal import Fate, State
from xmppbus.options import BotOptions
from xmppbus.outputs.chat import Chat
from xmppbus.outputs.digest import Digest
from xmppbus.outputs.excess import Excess
from xmppbus.outputs.people import ForPeople, people_work
from xmppbus.people.audience import CHAT, DIGEST, Audience
from xmppbus.people.budget import Budget
from xmppbus.people.handing_over import ManyDeliverer
from xmppbus.people.ledger import Ledger
from xmppbus.people.model import Message, Subscription
from xmppbus.retry import Retry
from xmppbus.route import Address, Match, Route, Routes
from xmppbus.stores.sqlite import SqliteJournal
from xmppbus.xmpp.component import Stream
from xmppbus.xmpp.stanzas import check_size
from xmppbus.xmpp.talk import Talk

PROMPT = Retry(0.05, 0.2)
PEOPLE = Route("people", Match(), (), (Address("people", "all"),))


class House:
    """The parts, and short forms of what the tests say all the time."""

    def __init__(self, journal: SqliteJournal, stream: Stream, talk: Talk, audience: Audience, bus: Bus) -> None:
        self.journal = journal
        self.stream = stream
        self.talk = talk
        self.audience = audience
        self.bus = bus
        self.chat: Chat
        self.digest: Digest
        self.ledger: Ledger

    async def accept(self, *events: dict[str, Any]) -> list[Accepted]:
        """Take events; each has a type and a source of this test's unless it says otherwise."""
        found = await self.bus.accept(
            [{"id": uuid4().hex, "type": "disk.full", "source": "test", **each} for each in events], is_ours=True
        )
        assert all(isinstance(each, Accepted) for each in found), found
        return [each for each in found if isinstance(each, Accepted)]

    async def subscribe(self, *people: RawStream | str, **wanted: Any) -> None:
        """Let people hear of everything, or of what is wanted."""
        for person in people:
            jid = person if isinstance(person, str) else bare(person)
            await self.audience.subscribe(
                Subscription(owner=jid, created=datetime(2026, 1, 31, tzinfo=UTC), **{"pattern": "#", **wanted})
            )

    async def settled(self, timeout: float = SOON) -> None:
        """Wait until nothing waits, and everything that came back is written down."""

        async def done() -> bool:
            return (await self.journal.status()).waiting == 0 and self.ledger.is_idle

        await until(done, timeout, "nothing waits")

    async def fates(self, of: Accepted) -> list[Fate]:
        """What became of an event on its way to people."""
        return [each for each in await self.journal.fates(of.sequence) if each.output in (CHAT, DIGEST)]

    async def states(self, of: Accepted) -> dict[str, State]:
        """By place, once it has come by."""
        return {each.place: each.state for each in await self.fates(of)}

    async def messages(self, of: Accepted) -> list[Message]:
        """The ledger's rows about an event."""
        return await self.journal.people.messages_of(of.sequence)


@asynccontextmanager
async def chatting(
    server: Server,
    directory: Path,
    *,
    account: str = "",
    port: int = 0,
    routes: Sequence[Route] = (),
    clock: Callable[[], datetime] = now,
    per_minute: int = 6_000,
    is_room: Callable[[str], bool] = lambda _: False,
    dice: float = 0.0,
) -> AsyncIterator[House]:
    """A house in session. What it keeps is in `directory`; people are told `per_minute` messages at most."""
    given = account_options(server, account=account) if account else options(server)
    if port:
        given = options(server, port=port)
    secret = server.accounts[account] if account else server.secret
    async with AsyncExitStack() as stack:
        journal = await stack.enter_async_context(SqliteJournal(directory / "journal.db", clock=clock))
        stream = Stream(given, secret, dice=lambda: 0.0)
        of = Routes([PEOPLE, *routes])
        audience = Audience(journal.people, of, clock)
        await audience.open()
        talk = Talk(stream, BotOptions(), audience, clock=clock)
        bus = Bus(journal, of, source="test", check_size=check_size, clock=clock)
        house = House(journal, stream, talk, audience, bus)
        house.ledger = Ledger(
            journal.people, audience, accept=partial(bus.accept, is_ours=True), clock=clock, dice=lambda: dice
        )
        deliverers = _deliverers(house, per_minute, clock, is_room)
        await stack.enter_async_context(stream)
        await stack.enter_async_context(talk)
        await asyncio.wait_for(talk.ready(), SOON)
        await stack.enter_async_context(house.chat)
        await stack.enter_async_context(house.digest)
        for each in deliverers:
            await stack.enter_async_context(_running(each))
        yield house


def _deliverers(
    house: House, per_minute: int, clock: Callable[[], datetime], is_room: Callable[[str], bool]
) -> list[Deliverer]:
    journal, talk, audience = house.journal, house.talk, house.audience
    budget = Budget(per_minute)
    people = ForPeople(
        journal,
        journal.people,
        audience,
        budget=budget,
        presence_of=lambda jid: talk.presence_of(jid).show,
        is_room=is_room,
        corrects=lambda jid: talk.is_component and talk.shows_corrections(jid),
        is_awaited=lambda jid: house.ledger.seconds(jid) > 0,
        zone=UTC,
        clock=clock,
    )
    house.chat = Chat(
        talk,
        journal,
        journal.people,
        audience,
        house.ledger,
        excess=Excess(CHAT, journal.people, audience, budget),
        folded=people.folded,
        zone=UTC,
        clock=clock,
    )
    house.digest = Digest(
        talk,
        journal,
        journal.people,
        audience,
        house.ledger,
        budget=budget,
        room=lambda _: None,
        folded=people.folded,
        zone=UTC,
        clock=clock,
        last=house.chat.last,
    )
    return [
        Deliverer("people", people_work(people), journal, ready=people.ready, dice=lambda: 0.0, retry=PROMPT),
        ManyDeliverer(CHAT, house.chat, journal, dice=lambda: 0.0, retry=PROMPT),
        ManyDeliverer(DIGEST, house.digest, journal, dice=lambda: 0.0, retry=PROMPT),
    ]


@asynccontextmanager
async def _running(deliverer: Deliverer) -> AsyncIterator[None]:
    task = asyncio.create_task(deliverer.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def said(to: RawStream) -> list[Stanza]:
    """The messages with a body that somebody got."""
    return [each for each in to.stanzas if each.name == "message" and body(each)]


def body(stanza: Stanza) -> str:
    """What a message says."""
    return stanza.element.findtext("{*}body") or ""


def bodies(to: RawStream) -> list[str]:
    """What somebody was told, first lines only."""
    return [body(each).splitlines()[0] for each in said(to)]


def replaced(stanza: Stanza) -> str:
    """The id of what a message corrects."""
    found = stanza.find("urn:xmpp:message-correct:0", "replace")
    return "" if found is None else found.get("id", "")


def firing(key: str = "db1", **fields: Any) -> dict[str, Any]:
    """An event of an incident."""
    return {"key": key, "status": "firing", "severity": "warning", "summary": f"{key} is full", **fields}
