"""Everybody who listens: subscriptions and what we know of persons, in memory for each event, and kept in the journal.

The whole house shares one (`house.audience`): whatever changes here counts for the next event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.event import OURS, Event
from xmppbus.interfaces import Clock
from xmppbus.journal import Entry
from xmppbus.people.holding import muted
from xmppbus.people.interests import Interests
from xmppbus.people.model import Incident, Mute, Person, Subscription
from xmppbus.people.store import People
from xmppbus.people.telling import is_retraction, key_of
from xmppbus.route import Routes, Target

CHAT, ROOM, DIGEST = "chat", "room", "digest"
"""The outputs that reach people; a place of theirs is a bare JID."""


class Audience:
    """Loaded with `open()`; then looking costs nothing, and changing returns after the commit."""

    def __init__(self, store: People, routes: Routes, clock: Clock) -> None:
        self._store = store
        self.routes = routes  # of the config that holds now
        self._clock = clock
        self._persons: dict[str, Person] = {}
        self._turn = asyncio.Lock()  # each change is in memory in the order in which it is on disk
        self.interests = Interests()

    async def open(self) -> None:
        """Read what is kept."""
        self.interests = Interests(await self._store.subscriptions())
        self._persons = {each.jid: each for each in await self._store.persons()}

    # --- who wants what -----------------------------------------------------------------------------------------------

    async def subscribe(self, subscription: Subscription) -> Subscription:
        """Keep it, with an id; one of the same owner and pattern is replaced. `Refused` beyond the limits."""
        async with self._turn:
            kept = await self._store.subscribe(subscription)
            self.interests.add(kept)
        self._wake(kept.owner)
        return kept

    async def unsubscribe(self, owner: str, pattern: str | None = None) -> list[Subscription]:
        """Forget an owner's subscription to that pattern (to everything, without one), and what waits because of it.
        Returns those that there were."""
        async with self._turn:
            found = [each for each in self.interests.of(owner) if pattern is None or each.pattern == pattern]
            if not found:
                return []
            await self._store.unsubscribe([each.id for each in found])
            for each in found:
                self.interests.remove(owner, each.pattern)
        for output in (CHAT, ROOM, DIGEST):
            await self._drop_unwanted(Target(output, owner))
        return found

    async def _drop_unwanted(self, target: Target) -> None:
        """What waits there, and neither another subscription wants, nor a route sends, nor mends a copy."""
        kept = 0
        while waiting := await self._store.waiting(target, limits.WAITING_LOOKED_AT, kept):
            unwanted = [each.sequence for each in waiting if not await self._is_due(target, each)]
            if unwanted:
                await self._store.drop_waiting(target, unwanted)
            kept += len(waiting) - len(unwanted)

    async def _is_due(self, target: Target, entry: Entry) -> bool:
        """Whether it is told, whoever unsubscribes: what mends a copy, too."""
        event, jid = entry.event, target.place
        key = key_of(event)
        incident = await self._store.incident(key) if key else None
        if incident is not None:
            copy = (await self._store.copies([(key, jid)])).get((key, jid))
            if copy is not None and copy.episode == incident.episode:
                return True
        return self.is_wanted(target, event, incident)

    def is_wanted(self, target: Target, event: Event, incident: Incident | None = None) -> bool:
        """Whether a subscription wants it there, or a route sends it, or it takes back what was told."""
        if is_retraction(event) or self.most_urgent(target.place, event, incident) is not None:
            return True
        names = {target} if target.output != DIGEST else {Target(CHAT, target.place), Target(ROOM, target.place)}
        return bool(names & self.routed(event))

    def routed(self, event: Event) -> frozenset[Target]:
        """Where the config sends it, also by and by, whatever anybody has subscribed to."""
        return frozenset(
            Target(address.output, address.place or event.type)
            for route in self.routes
            if route.match.matches(event)
            for addresses in (route.to, *route.escalate)
            for address in addresses
        )

    def matching(self, event: Event, incident: Incident | None = None) -> list[Subscription]:
        """The most urgent of each owner's subscriptions that want an event."""
        return self.interests.matching_any(*concerning(event, incident))

    def most_urgent(self, jid: str, event: Event, incident: Incident | None = None) -> Subscription | None:
        """The most urgent of one owner's; None when none wants it."""
        return self.interests.most_urgent_any(jid, *concerning(event, incident))

    # --- persons ------------------------------------------------------------------------------------------------------

    def person(self, jid: str) -> Person:
        """What we know of a bare JID."""
        return self._persons.get(jid) or Person(jid=jid)

    def known(self, jid: str) -> Person | None:
        """The same, or None where nothing is kept."""
        return self._persons.get(jid)

    def persons(self) -> list[Person]:
        """Everybody of whom something is kept."""
        return list(self._persons.values())

    async def keep(self, person: Person) -> None:
        """Keep it in the place of what was kept of the same JID. `Refused` beyond `limits.PERSONS`.

        To change a part of what is known, and nothing that is being changed meanwhile, use `alter`."""
        async with self._turn:
            await self._keep(person)
        self._wake(person.jid)

    async def alter(self, jid: str, **changes: Any) -> Person:
        """Change some fields of what is known of a JID."""
        async with self._turn:
            person = replace(self.person(jid), **changes)
            if person != self.person(jid):
                await self._keep(person)
        self._wake(jid)
        return person

    async def forget(self, jid: str) -> None:
        """Forget a person, but not its subscriptions."""
        async with self._turn:
            await self._keep(Person(jid=jid))

    async def _keep(self, person: Person) -> None:
        if person != Person(jid=person.jid):
            await self._store.keep_person(person)
            self._persons[person.jid] = person
        elif person.jid in self._persons:
            await self._store.forget_person(person.jid)
            del self._persons[person.jid]

    async def suspend(self, jid: str, why: str) -> Person:
        """Send it nothing until `resume`."""
        return await self.alter(jid, suspended=why)

    async def resume(self, jid: str) -> Person:
        """Send it again what it has subscribed to, from now on."""
        return await self.alter(jid, suspended="", bounces=0)

    # --- mutes --------------------------------------------------------------------------------------------------------

    async def mute(self, jid: str, mute: Mute) -> Person:
        """Keep something from a person for a while; a mute of the same pattern or key is replaced."""
        async with self._turn:
            kept = [each for each in self._mutes(jid) if (each.pattern, each.key) != (mute.pattern, mute.key)]
            if len(kept) >= limits.MUTES_OF_ONE:
                raise Refused(Code.TOO_MANY, f"{len(kept)} mutes are the most; take one back with `unmute`")
            person = replace(self.person(jid), mutes=(*kept, mute))
            await self._keep(person)
        return person

    async def unmute(self, jid: str, pattern: str = "", key: str = "") -> list[Mute]:
        """Take back the mute of a pattern or a key; without either, all. Returns those that there were."""
        async with self._turn:
            mutes = self._mutes(jid)
            gone = [each for each in mutes if (each.pattern, each.key) == (pattern, key) or not (pattern or key)]
            if gone:
                left = tuple(each for each in mutes if each not in gone)
                await self._keep(replace(self.person(jid), mutes=left))
        self._wake(jid)
        return gone

    def _mutes(self, jid: str) -> Sequence[Mute]:
        """Those that are not over."""
        now = self._clock()
        return [each for each in self.person(jid).mutes if each.until is None or now < each.until]

    def muted(
        self, jid: str, event: Event, incident: Incident | None = None, now: datetime | None = None
    ) -> Mute | None:
        """The mute that keeps an event from a JID; None: it may be told."""
        person = self._persons.get(jid)
        if person is None or not person.mutes:
            return None
        types = (event.type, incident.type) if incident else (event.type,)
        return muted(person, types, event.get("key") or "", now or self._clock())

    def _wake(self, jid: str) -> None:
        """What was held is looked at anew: the reason may be gone."""
        self._store.wake(Target(DIGEST, jid))


def concerning(event: Event, incident: Incident | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The types and severities of which a subscription has to want one.

    What becomes of an incident concerns whoever wanted to hear of it: its end has no severity to speak of, and that it
    was acknowledged is an event of another type.
    """
    if incident is None:
        return (event.type,), (event.severity,)
    types = (event.type, incident.type) if event.source == OURS else (event.type,)
    return types, tuple(dict.fromkeys((event.severity, incident.severity, incident.worst)))
