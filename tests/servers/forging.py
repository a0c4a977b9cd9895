"""What the tests of forgery share: a house whose bot has owners, a member and a stranger, and all that it keeps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from tests.support.living_house import living
from tests.support.raw import RawStream
from tests.support.server import Server
from tests.support.talk_person import Person
from tests.support.waiting import until
from xmppbus.errors import Refused
from xmppbus.event import OURS
from xmppbus.house import House, people_of
from xmppbus.people.model import Status
from xmppbus.route import Match

PING = "<ping xmlns='urn:xmpp:ping'/>"
OWNERS, MEMBERS, STRANGERS = ("romeo", "nurse"), ("juliet",), ("mercutio",)


class Kept(NamedTuple):
    """Everything that anybody could have changed."""

    events: list[tuple[str, str]]
    incidents: list[tuple[str, Status, str]]
    subscriptions: list[tuple[str, str]]
    persons: list[Any]
    ledger: list[Any]


class Scene:
    """The house, and its people by name."""

    def __init__(self, house: House, server: Server, people: dict[str, Person]) -> None:
        self.house = house
        self.server = server
        self.people = people
        self.bot = f"bot@{server.component_jid}"

    def __getitem__(self, name: str) -> Person:
        return self.people[name]

    async def kept(self) -> Kept:
        """All of it, once whatever is on its way has been written down."""
        people, audience = people_of(self.house), self.house.audience
        assert audience is not None
        await self.settled()
        entries = await people.last(200, Match())
        ledger = [each for entry in entries for each in await people.messages_of(entry.sequence)]
        return Kept(
            sorted((each.event.source, each.event.type) for each in entries),
            sorted((each.key, each.status, each.by) for each in await people.incidents(tuple(Status), 100)),
            sorted((each.owner, each.pattern) for each in await people.subscriptions()),
            sorted(audience.persons(), key=lambda each: each.jid),
            sorted(ledger),
        )

    async def settled(self) -> None:
        """Nothing waits, nobody is being answered, and what came back is in the ledger."""
        chat: Any = self.house.outputs["chat"]

        async def calm() -> bool:
            waiting = any(each.waiting for each in await self.house.journal.places() if each.output != "pubsub")
            return not waiting and not self.house.inputs["bot"].status()["talking"] and chat.ledger.is_idle

        await until(calm, 15, "the house to be calm")

    async def heard(self, stream: RawStream) -> None:
        """What was written to a stream has been dealt with, and what the bot had to say to it has come."""
        for _ in range(2):
            await stream.iq("get", self.bot, PING)
            await self.settled()

    async def event(self, **fields: str) -> str:
        """An event that somebody else makes; its item id."""
        (answer,) = await self.house.bus.accept([{"id": uuid4().hex, "source": "db1", **fields}])
        assert not isinstance(answer, Refused), answer
        return answer.item_id

    def ours(self, kept: Kept) -> list[tuple[str, str]]:
        """What the house said itself about incidents: that somebody acknowledged, resolved, retracted."""
        return [each for each in kept.events if each[0] == OURS]


@asynccontextmanager
async def scene(server: Server, directory: Path, **more: str) -> AsyncIterator[Scene]:
    """`more` are affiliations of others, by JID (with `.` for `_`)."""
    mark = uuid4().hex[:8]
    names = (*OWNERS, *MEMBERS, *STRANGERS)
    people = {
        name: Person(server, f"{name}.{mark}@{server.domain}", "pw", f"bot@{server.component_jid}") for name in names
    }
    affiliations = {people[name].jid: "owner" for name in OWNERS} | {people[name].jid: "member" for name in MEMBERS}
    async with living(server, directory, {"affiliations": affiliations | more}) as house:
        for person in people.values():
            await server.create_account(person.jid, "pw")
        await asyncio.gather(*(person.log_in() for person in people.values()))
        try:
            yield Scene(house, server, people)
        finally:
            await asyncio.gather(*(person.leave() for person in people.values()))
