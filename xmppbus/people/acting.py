"""What people do about incidents and events: acknowledge, take that back, resolve, retract. One place for all doors.

Each is an event of our own that goes along the routes like any other, and through the fold to everybody's copies. Its
name says what it is about, so of two who do the same at once one is first, and the other is told who.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, NamedTuple

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.event import OURS, Event
from xmppbus.interfaces import Accept, Accepted, Clock
from xmppbus.journal import Entry, Journal, Result
from xmppbus.people.durations import ago
from xmppbus.people.incidents import ACKNOWLEDGED, RESOLVED, RETRACTED, UNACKNOWLEDGED, by_whom
from xmppbus.people.model import Incident, Status
from xmppbus.people.store import People
from xmppbus.people.telling import key_of
from xmppbus.render import plain

OPEN = (Status.FIRING, Status.ACKNOWLEDGED)


class Acted(NamedTuple):
    """What came of it. `first` is False when somebody else had done the same before: then it is `by` them."""

    incident: Incident  # as it stands now
    by: str
    moment: datetime
    first: bool


class Retracted(NamedTuple):
    """What was taken back, by whom, and whether that was just now."""

    entry: Entry
    by: str
    moment: datetime
    first: bool


class _Act(NamedTuple):
    """One of the things that can be done about an incident."""

    verb: str  # as it is said
    type: str
    status: Status  # of its event
    from_: tuple[Status, ...]  # how the incident must stand
    number: Callable[[Incident], int]  # which time it is, in one episode


_ACKNOWLEDGE = _Act(
    "acknowledge", ACKNOWLEDGED, Status.ACKNOWLEDGED, (Status.FIRING,), lambda each: each.acknowledgements + 1
)
_UNACKNOWLEDGE = _Act(
    "unacknowledge", UNACKNOWLEDGED, Status.FIRING, (Status.ACKNOWLEDGED,), lambda each: each.acknowledgements
)
_RESOLVE = _Act("resolve", RESOLVED, Status.RESOLVED, OPEN, lambda each: each.count)

_TRIES = 3
"""How often an act is tried whose name was taken in vain: it came when the incident was over, and now fires again."""


class Acting:
    """Acts for people. `by` is who (a bare JID, or a user's name), `via` by which door."""

    def __init__(
        self,
        accept: Accept,
        journal: Journal,
        people: People,
        clock: Clock,
        folded: Callable[[int], Awaitable[None]],
    ) -> None:
        """`folded` returns once the event of a sequence is folded into its incident (`outputs.people`)."""
        self._accept = accept
        self._journal = journal
        self._people = people
        self._clock = clock
        self._folded = folded

    async def acknowledge(self, which: str = "", *, by: str, via: str) -> Acted:
        """Take an incident on, by its key, or the item id of one of its events; the only one that fires without either.

        The first wins. `Refused`: item-not-found; conflict when it is over, or several fire.
        """
        return await self._act(_ACKNOWLEDGE, which, by, via)

    async def unacknowledge(self, which: str = "", *, by: str, via: str) -> Acted:
        """Give it back: it fires, and whoever is called next is called. As `acknowledge`."""
        return await self._act(_UNACKNOWLEDGE, which, by, via)

    async def resolve(self, which: str = "", *, by: str, via: str) -> Acted:
        """End it by hand; if it fires again that is another episode. As `acknowledge`."""
        return await self._act(_RESOLVE, which, by, via)

    async def retract(self, item_id: str, *, by: str, via: str) -> Retracted:
        """Take an event back that was published by mistake, from everybody who was told. `Refused`: item-not-found;
        conflict for a retraction, which can't be taken back."""
        entry = await self._journal.find(item_id)
        if entry is None:
            raise Refused(Code.NOT_FOUND, f"no event {item_id} in the journal; it never was, or has been pruned")
        if entry.event.type == RETRACTED:
            raise Refused(Code.CONFLICT, "this is a retraction; publish the event again under another id instead")
        event = {
            "type": RETRACTED,
            "source": OURS,
            "id": f"{entry.item_id}/retracted",
            "summary": f"taken back: an event of type {entry.event.type}",
            "data": {"item": entry.item_id, "by": by, "via": via},
        }
        told = await self._tell(event, by)
        return Retracted(entry, told.by, told.moment, first=told.by == by)

    # --- which incident -----------------------------------------------------------------------------------------------

    async def find(self, which: str, statuses: tuple[Status, ...] = OPEN) -> Incident:
        """The incident with that key, or of the event with that item id; with an empty `which` the only one that stands
        so. `Refused`: item-not-found, or conflict, which lists them, when there are several."""
        if not which:
            return await self._only(statuses)
        incident = await self._people.incident(which)
        if incident is not None:
            return incident
        entry = await self._journal.find(which)
        if entry is None:
            raise Refused(
                Code.NOT_FOUND, f"no incident has the key {which!r}, and no event that id; `incidents` lists them"
            )
        key = key_of(entry.event)
        incident = await self._people.incident(key) if key else None
        if incident is None:
            raise Refused(Code.NOT_FOUND, "this event is no incident's: it has no key and status, or opened none")
        return incident

    async def _only(self, statuses: tuple[Status, ...]) -> Incident:
        found = await self._people.incidents(statuses, limits.LISTED + 1)
        said = " or ".join(statuses)
        if not found:
            raise Refused(Code.NOT_FOUND, f"no incident is {said}: there is nothing to do")
        if len(found) == 1:
            return found[0]
        named = ", ".join(f"{plain(each.key)} ({plain(each.summary)[:40]})" for each in found[: limits.LISTED])
        more = ", and more" if len(found) > limits.LISTED else ""
        raise Refused(Code.CONFLICT, f"several incidents are {said}; say which: {named}{more}")

    # --- doing it -----------------------------------------------------------------------------------------------------

    async def _act(self, act: _Act, which: str, by: str, via: str) -> Acted:
        incident = await self.find(which, act.from_)
        for attempt in range(_TRIES):
            if incident.status not in act.from_:
                break
            event = _event(act, incident, attempt, by, via)
            told = await self._tell(event, by)
            await self._folded(told.sequence)
            incident = await self._people.incident(incident.key) or incident
            if told.is_new and incident.sequence < told.sequence and incident.status in act.from_:
                return Acted(incident, by, told.moment, first=True)  # on disk; that it is folded takes a little longer
            if told.is_new or incident.status not in act.from_:
                return self._outcome(act, incident, told.by, by, told.moment)
            # Its name was taken in vain, when the incident had just ended: it fires again in the same episode.
        return self._outcome(act, incident, "", by, None)

    def _outcome(self, act: _Act, incident: Incident, who: str, by: str, moment: datetime | None) -> Acted:
        """What an incident, as it stands now, says of an act of `who`, which `by` asked for."""
        if incident.status is not act.status:
            raise Refused(Code.CONFLICT, self._too_late(act, incident))
        if incident.status is Status.ACKNOWLEDGED:
            who, moment = incident.by, incident.acknowledged
        elif incident.status is Status.RESOLVED:
            # With an acknowledgement beside it, `by` is who acknowledged: then it ended by itself.
            who, moment = incident.by if incident.acknowledged is None else "", incident.resolved
        elif not who:
            raise Refused(Code.CONFLICT, self._too_late(act, incident))
        return Acted(incident, who, moment or self._clock(), first=who == by)

    def _too_late(self, act: _Act, incident: Incident) -> str:
        if incident.status is Status.RESOLVED:
            long = ago(incident.resolved, self._clock())
            return f"it was resolved {long} ago: there is nothing to {act.verb}"
        if incident.status is Status.ACKNOWLEDGED:
            return f"{plain(incident.by)} has acknowledged it {ago(incident.acknowledged, self._clock())} ago"
        return f"it fires, and nobody has acknowledged it: there is nothing to {act.verb}"

    async def _tell(self, event: dict[str, Any], by: str) -> _Said:
        """Publish it; or, when its name is taken, find out who was first."""
        (answer,) = await self._accept([event])
        if isinstance(answer, Accepted) and answer.result is Result.NEW:
            return _Said(answer.sequence, by, self._clock(), is_new=True)
        if isinstance(answer, Refused) and answer.code is not Code.CONFLICT:
            raise answer
        entry = await self._journal.find(Event(event).item_id)
        if entry is None:  # pruned: its name alone is kept
            return _Said(0, "", self._clock(), is_new=False)
        return _Said(entry.sequence, by_whom(entry.event), entry.accepted, is_new=False)


class _Said(NamedTuple):
    """The event of an act, of whoever was first."""

    sequence: int
    by: str
    moment: datetime
    is_new: bool


def _event(act: _Act, incident: Incident, attempt: int, by: str, via: str) -> dict[str, Any]:
    number = f"{act.number(incident)}-{attempt}" if attempt else act.number(incident)
    event = {
        "type": act.type,
        "source": OURS,
        "id": f"{incident.episode}/{act.type.rpartition('.')[2]}/{number}",
        "key": incident.key,
        "status": str(act.status),
        "severity": incident.severity,
        "summary": incident.summary,
        "link": incident.link,
        "data": {"by": by, "via": via},
    }
    return {field: value for field, value in event.items() if value}
