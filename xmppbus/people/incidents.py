"""Events with one key and a status, folded into an incident: what state it is in, since when, and who has it.

Pure. Events are folded in the order in which they were accepted; one that was folded before changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from msgspec.structs import replace

from xmppbus import limits
from xmppbus.event import OUR_TYPES, Event
from xmppbus.fields import SEVERITIES
from xmppbus.people.model import Incident, Status

ACKNOWLEDGED, UNACKNOWLEDGED, RESOLVED, RETRACTED = OUR_TYPES
"""What is published for people who act; the source is `event.OURS`."""

RANK = {severity: rank for rank, severity in enumerate(SEVERITIES)}


class Happened(NamedTuple):
    """One accepted event of an incident. `moment` is when it happened, in UTC."""

    sequence: int
    item_id: str
    event: Event
    moment: datetime


def is_of_incident(event: Event) -> bool:
    """Whether an event belongs to an incident: it has a key and a status."""
    return event.get("status") is not None and event.get("key") is not None


def moment_of(event: Event, now: datetime) -> datetime:
    """When an event happened, as it says; one that says it is still to come has happened now."""
    try:
        return min(datetime.fromisoformat(event.time.upper()).astimezone(UTC), now)
    except (ValueError, OverflowError):  # the year 1 or 9999, some hours from UTC
        return now


def worse(severity: str, than: str) -> bool:
    """Whether a severity is above another one."""
    return RANK[severity] > RANK[than]


def is_work(incident: Incident) -> bool:
    """Whether it is nothing to be alarmed at, but something that goes on and ends, like a job: it was never so severe
    as a warning. How it ended may be."""
    return RANK[incident.worst] < RANK["warning"]


def has_risen(incident: Incident, above: str) -> bool:
    """Whether those have to notice it who believe it to be as severe as `above`. What is resolved is not worse than it
    was, but work can end badly."""
    is_told = incident.status is not Status.RESOLVED or is_work(incident)
    return is_told and worse(incident.severity, than=above)


def fold(incident: Incident | None, happened: Happened) -> Incident | None:
    """The incident after an event: itself, the same object, when the event changes nothing.

    None when there is no incident and the event opens none (`resolved` of what nobody knows): it is an event like any.
    """
    sequence, item_id, event, moment = happened
    if incident is None:
        opens = event.get("status") == Status.FIRING and event.type != UNACKNOWLEDGED
        return _opened(item_id, sequence, event, moment, ()) if opens else None
    if sequence <= incident.sequence:
        return incident
    moment = max(moment, _last(incident))  # clocks differ: nothing lasts less than no time
    match event.get("status"):
        case Status.ACKNOWLEDGED:
            return _acknowledged(incident, sequence, event, moment)
        case Status.RESOLVED:
            return _resolved(incident, sequence, event, moment)
        case _ if event.type == UNACKNOWLEDGED:
            return _unacknowledged(incident, sequence)
        case _:
            return _fires(incident, item_id, sequence, event, moment)


def by_whom(event: Event) -> str:
    """Who did what the event tells of, if it says so."""
    data = event.get("data")
    by = data.get("by") if isinstance(data, dict) else None
    return by[: limits.NAME_CHARACTERS] if isinstance(by, str) else ""


def is_flapping(incident: Incident, now: datetime) -> bool:
    """Whether it still comes and goes, or has been calm for long enough since."""
    return incident.flapping and not _is_calm(incident, now)


def _opened(item_id: str, sequence: int, event: Event, moment: datetime, changes: Sequence[datetime]) -> Incident:
    return Incident(
        key=event.get("key"),
        episode=item_id,
        sequence=sequence,
        status=Status.FIRING,
        severity=event.severity,
        worst=event.severity,
        type=event.type,
        summary=event.summary,
        link=event.get("link", ""),
        source=event.source,
        opened=moment,
        changes=_counted(changes, moment),
    )


def _fires(incident: Incident, item_id: str, sequence: int, event: Event, moment: datetime) -> Incident:
    """Once more; or anew, after it was resolved, unless it has come and gone too often in a while."""
    calm = _calm(incident, moment)
    if incident.status is not Status.RESOLVED:
        return _fired(calm, sequence, event)
    changes = _counted(incident.changes, moment)
    if not calm.flapping and len(changes) < limits.FLAPPING_CHANGES:
        return _opened(item_id, sequence, event, moment, incident.changes)
    cleared = replace(calm, status=Status.FIRING, resolved=None, acknowledged=None, by="")
    return replace(_fired(cleared, sequence, event), changes=changes, flapping=True)


def _fired(incident: Incident, sequence: int, event: Event) -> Incident:
    return replace(
        incident,
        sequence=sequence,
        severity=event.severity,
        worst=event.severity if worse(event.severity, incident.worst) else incident.worst,
        type=event.type,
        summary=event.summary,
        link=event.get("link", ""),
        source=event.source,
        count=incident.count + 1,
    )


def _acknowledged(incident: Incident, sequence: int, event: Event, moment: datetime) -> Incident:
    if incident.status is not Status.FIRING:
        return incident  # the first wins
    return replace(
        _calm(incident, moment),
        sequence=sequence,
        status=Status.ACKNOWLEDGED,
        by=by_whom(event) or event.source,
        acknowledged=moment,
        acknowledgements=incident.acknowledgements + 1,
    )


def _unacknowledged(incident: Incident, sequence: int) -> Incident:
    if incident.status is not Status.ACKNOWLEDGED:
        return incident
    return replace(incident, sequence=sequence, status=Status.FIRING, by="", acknowledged=None)


def _resolved(incident: Incident, sequence: int, event: Event, moment: datetime) -> Incident:
    if incident.status is Status.RESOLVED:
        return incident
    # `by` is one person: whoever resolved it by hand, and then no acknowledgement beside it; else who had acknowledged.
    by = by_whom(event)
    # Of an alarm people know what it was about; of work they want to know what came of it.
    known = replace(incident, severity=event.severity, summary=event.summary) if is_work(incident) else incident
    return replace(
        _calm(known, moment),
        sequence=sequence,
        status=Status.RESOLVED,
        by=by or incident.by,
        acknowledged=None if by else incident.acknowledged,
        resolved=moment,
        changes=_counted(incident.changes, moment),
    )


def _calm(incident: Incident, moment: datetime) -> Incident:
    """Without flapping, once it has stayed as it is for long enough."""
    return replace(incident, flapping=False) if incident.flapping and _is_calm(incident, moment) else incident


def _is_calm(incident: Incident, moment: datetime) -> bool:
    return moment - max(incident.changes, default=incident.opened) >= timedelta(seconds=limits.FLAPPING_SECONDS)


def _counted(changes: Sequence[datetime], moment: datetime) -> tuple[datetime, ...]:
    """The changes of the last while, this one included; never more than it takes to call it flapping."""
    since = moment - timedelta(seconds=limits.FLAPPING_SECONDS)
    return tuple([*(each for each in changes if each > since), moment][-limits.FLAPPING_CHANGES :])


def _last(incident: Incident) -> datetime:
    return max(filter(None, (incident.opened, incident.acknowledged, incident.resolved, *incident.changes)))
