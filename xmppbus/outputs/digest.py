"""What is held for a person, told in one message when it is due: at the end of quiet hours or of a digest's window,
when the person is back, when there is room in its budget again.

A place is a bare JID, of a person or of a room. The hold is the place's, never a delivery's, and nothing of it is
written: after a restart it is worked out anew from what the person wants.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from msgspec.structs import replace

from xmppbus import limits
from xmppbus.interfaces import Clock
from xmppbus.journal import HELD, Delivery, Journal, Outcome, Run, Verdict
from xmppbus.outputs.chat import CAME_BACK
from xmppbus.outputs.digesting import Digesting
from xmppbus.outputs.handing import HandingOver
from xmppbus.outputs.known import Folded, Known, look_up
from xmppbus.outputs.room import Room
from xmppbus.outputs.running import in_turn, one_run, stopped
from xmppbus.outputs.speaking import LastMessages, Speaking
from xmppbus.outputs.wording import Wording
from xmppbus.people.audience import DIGEST, Audience
from xmppbus.people.budget import Budget
from xmppbus.people.holding import AWAY, Hold, held
from xmppbus.people.incidents import has_risen
from xmppbus.people.ledger import Ledger
from xmppbus.people.model import Incident, Subscription
from xmppbus.people.store import People
from xmppbus.people.telling import key_of
from xmppbus.route import Target
from xmppbus.xmpp.presence import Presence
from xmppbus.xmpp.talk import Talk


class Digest:
    """An `Output` and a `ManyOutput`: holds, gathers, and tells."""

    def __init__(
        self,
        talk: Talk,
        journal: Journal,
        people: People,
        audience: Audience,
        ledger: Ledger,
        *,
        budget: Budget,
        room: Callable[[str], Room | None],
        folded: Folded,
        zone: tzinfo,
        clock: Clock,
        last: LastMessages | None = None,
    ) -> None:
        """`room` is what tells a place, if that is a room. `last` is that of the output `chat`."""
        self._talk = talk
        self._journal = journal
        self._people = people
        self._audience = audience
        self._budget = budget
        self._room = room
        self._folded = folded
        self.zone = zone  # of the config that holds now
        self._clock = clock
        self._last = last
        self._ledger = ledger
        self._handing = HandingOver(talk, people, ledger)
        talk.on_presence.append(self._seen)

    async def __aenter__(self) -> Digest:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """The stream is somebody else's to close."""

    async def ready(self) -> None:
        """While a session is up."""
        await self._talk.ready()

    def status(self) -> Mapping[str, Any]:
        """See `docs/reference/status.md`."""
        up = bool(self._talk.session)
        return {"state": "up" if up else "down", "reason": "" if up else "no session with the XMPP server; see `xmpp`"}

    def _seen(self, jid: str, presence: Presence) -> None:
        if presence.show not in AWAY:
            self._people.wake(Target(DIGEST, jid))

    # --- telling ------------------------------------------------------------------------------------------------------

    def deliver_run(self, place: str, deliveries: Sequence[Delivery]) -> AsyncIterator[Outcome]:
        """As `interfaces.Output` says."""
        return one_run(self, Run(0, DIGEST, place, tuple(deliveries)))

    def deliver_many(self, runs: Sequence[Run]) -> AsyncIterator[tuple[Run, list[Outcome]]]:
        """As `handing_over.ManyOutput` says."""
        return in_turn(self._ledger.turns, DIGEST, runs, lambda _: None, self._work)

    async def _work(self, runs: Sequence[Run]) -> AsyncIterator[tuple[Run, list[Outcome]]]:
        known = await look_up(runs, self._journal, self._people, self._folded)
        since = await self._since(runs)
        now = self._clock()
        due: list[Run] = []
        rooms: list[asyncio.Task[tuple[Run, list[Outcome]]]] = []
        try:
            for run in runs:
                why = self._why_not(run, known, since.get(run.place, now), now)
                room = self._room(run.place)
                if why is not None:
                    yield run, stopped(run, why)
                elif room is None:
                    due.append(run)
                else:
                    rooms.append(asyncio.create_task(self._tell_room(room, run, known, now), name="digest of a room"))
            wording = Wording(self._talk, self.zone, now)
            speaking = Speaking(known, wording, now, self._last)
            digesting = Digesting(known, wording, speaking, self._audience, is_room=False, now=now)
            async for result in self._handing.hand_over((run, digesting.letters(run)) for run in due):
                yield result
            for told in asyncio.as_completed(rooms):
                yield await told
        finally:
            for each in rooms:
                each.cancel()

    async def _tell_room(self, room: Room, run: Run, known: Known, now: datetime) -> tuple[Run, list[Outcome]]:
        """In a room the yes is that it comes back, so each is told by itself."""
        wording = room.wording(now)
        speaking = Speaking(known, wording, now, room.last)
        digesting = Digesting(known, wording, speaking, self._audience, is_room=True, now=now)
        return run, await room.tell(run.place, digesting.letters(run))

    # --- holding ------------------------------------------------------------------------------------------------------

    def _why_not(self, run: Run, known: Known, since: datetime, now: datetime) -> Outcome | None:
        """Why the place has to wait; None, and one message taken from its budget, when it is due."""
        jid = run.place
        if suspended := self._audience.person(jid).suspended:
            return Outcome(Verdict.STOPPED, HELD, suspended, limits.SUSPENDED_SECONDS)
        if seconds := self._ledger.seconds(jid):
            return Outcome(Verdict.STOPPED, HELD, CAME_BACK, seconds)
        hold = self._hold(run, known, since, now)
        if hold is not None:
            seconds = (hold.until - now).total_seconds() if hold.until else limits.HELD_SECONDS
            # What comes meanwhile may be due sooner, and nobody says so.
            return Outcome(Verdict.STOPPED, HELD, hold.why, min(seconds, limits.HELD_SECONDS))
        room = self._room(jid)
        if room is not None and (why := room.why_not(jid)):
            return why
        if not self._budget.take(jid, now):
            return Outcome(Verdict.STOPPED, HELD, "budget", self._budget.seconds(jid, now))
        return None

    def _hold(self, run: Run, known: Known, since: datetime, now: datetime) -> Hold | None:
        """The hold that ends first: one thing that may be said takes all others along."""
        jid = run.place
        gathered = self._people.count_waiting(Target(DIGEST, jid))  # a run may be less than all that waits
        person, show = self._audience.person(jid), self._talk.presence_of(jid).show
        if gathered >= limits.HELD_EVENTS or now - since >= timedelta(days=limits.HELD_DAYS):
            person = replace(person, hold_below="")
        found: Hold | None = None
        is_silent = True
        for each in run.deliveries:
            incident = known.incidents.get(key_of(each.event))
            if not self._is_heard(jid, each, incident, known, now):
                continue
            is_silent = False
            subscription = self._audience.most_urgent(jid, each.event, incident)
            if subscription is None:
                return None  # a route sent it, and the budget alone had to be waited for
            # As severe as it was: what the incident has come to since was told then, or waits here for itself.
            severity = each.event.severity
            hold = held(
                subscription, person, severity, show=show, now=now, zone=self.zone, since=since, gathered=gathered
            )
            if hold is None:
                return None
            if found is None or _ends(hold) < _ends(found):
                found = hold
        return None if is_silent else found

    def _is_heard(self, jid: str, each: Delivery, incident: Incident | None, known: Known, now: datetime) -> bool:
        """Whether anybody would notice it: what is not told, or mends what is there, makes nothing due."""
        if incident is not None and known.has_copy(jid, incident) and self._is_silent(jid, incident, known):
            return False
        return self._audience.is_wanted(Target(DIGEST, jid), each.event, incident) and not self._audience.muted(
            jid, each.event, incident, now
        )

    def _is_silent(self, jid: str, incident: Incident, known: Known) -> bool:
        """Whether what the JID has of it is corrected, and nothing else is said."""
        copy = known.copies[incident.key, jid]
        if self._room(jid) is not None or has_risen(incident, above=copy.severity):
            return False
        is_last = self._last is None or self._last.is_last(jid, copy.message_id)
        return is_last and self._talk.shows_corrections(jid)

    async def _since(self, runs: Sequence[Run]) -> dict[str, datetime]:
        """When the first of what waits for whom was accepted; of those for whom it is held because of that."""
        jids = [
            each.place
            for each in runs
            if self._audience.person(each.place).hold_below
            or any(map(_is_digest, self._audience.interests.of(each.place)))
        ]
        heads = await asyncio.gather(*(self._people.waiting(Target(DIGEST, jid), 1) for jid in jids))
        return {jid: head[0].accepted for jid, head in zip(jids, heads, strict=True) if head}


def _is_digest(subscription: Subscription) -> bool:
    return bool(subscription.digest_seconds or subscription.digest_events)


def _ends(hold: Hold) -> datetime:
    return hold.until or datetime.max.replace(tzinfo=UTC)
