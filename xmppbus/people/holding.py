"""Why something for a JID is held for now, and until when. Pure: clock, presence and time zone are passed in."""

from __future__ import annotations

import enum
from datetime import UTC, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from xmppbus.people.incidents import RANK
from xmppbus.people.model import Mute, Person, Quiet, Subscription
from xmppbus.route import topic_matches

AWAY = ("dnd", "xa", "offline", "awaited")
"""Presences in which a person may want to be left alone, or will be known to in a moment: after a restart nobody is
woken because we have not heard of him yet. Of one that is `unknown` nothing is held."""


class Why(enum.StrEnum):
    """What holds it."""

    DIGEST = "digest"
    QUIET = "quiet hours"
    PRESENCE = "presence"
    BUDGET = "budget"


class Hold(NamedTuple):
    """`until` is None when it is not a matter of time: until the person is back."""

    why: Why
    until: datetime | None


def held(
    subscription: Subscription,
    person: Person,
    severity: str,
    *,
    show: str,
    now: datetime,
    zone: tzinfo,
    since: datetime | None = None,
    gathered: int = 0,
) -> Hold | None:
    """What holds an event of that severity, which the subscription wants; None: it may be said now.

    `since` is when the first of what is being gathered with it was accepted, and `gathered` how much that is.
    Of several reasons it is the one that ends last.
    """
    holds = [
        window(subscription, since or now, gathered, now),
        quiet_hold(subscription.quiet, severity, now, zone),
        Hold(Why.PRESENCE, None) if is_away(person, show, severity) else None,
    ]
    return max(filter(None, holds), key=_lasts, default=None)


def window(subscription: Subscription, since: datetime, gathered: int, now: datetime) -> Hold | None:
    """A digest is gathered for `digest_seconds` from its first event, or until `digest_events` are together."""
    seconds, events = subscription.digest_seconds, subscription.digest_events
    if not seconds and not events:
        return None
    if events and gathered >= events:
        return None
    if not seconds:
        return Hold(Why.DIGEST, None)
    until = since + timedelta(seconds=seconds)
    # What is said to come from the future came before the clock was set back: nobody knows when, so it is due.
    return Hold(Why.DIGEST, until) if since <= now < until else None


def quiet_hold(quiet: Quiet | None, severity: str, now: datetime, zone: tzinfo) -> Hold | None:
    """Quiet hours hold what is less severe than what breaks through them."""
    if quiet is None or RANK[severity] >= RANK[quiet.breaks_through]:
        return None
    until = quiet_until(quiet, now, zone)
    return Hold(Why.QUIET, until) if until else None


def quiet_until(quiet: Quiet, now: datetime, zone: tzinfo) -> datetime | None:
    """When the quiet hours end in which `now` (UTC) is; None outside of them.

    They are moments, from a local start to a local end, so that each night has one of each. A local time that a change
    of the clocks skips or repeats is read as RFC 5545 §3.3.5 says: with the offset before it, and the first one.
    """
    if quiet.start == quiet.end:
        return None
    local = zone_named(quiet.zone) or zone
    today = now.astimezone(local).date()
    for day in (today - timedelta(days=1), today):
        last = day + timedelta(days=1) if quiet.start > quiet.end else day
        end = _moment(last.toordinal(), quiet.end, local)
        if _moment(day.toordinal(), quiet.start, local) <= now < end:
            return end
    return None


def is_away(person: Person, show: str, severity: str) -> bool:
    """Whether a person who is not there wants what is so harmless to wait until it is back."""
    return bool(person.hold_below) and show in AWAY and RANK[severity] < RANK[person.hold_below]


def muted(person: Person, types: tuple[str, ...], key: str, now: datetime) -> Mute | None:
    """The mute that keeps something of these types, or of the incident `key`, from a person; None: it may be told.

    Of several the one that lasts longest.
    """
    if not person.mutes:
        return None
    found = [
        each
        for each in person.mutes
        if (each.until is None or now < each.until)
        and (
            (each.key and each.key == key)
            or (each.pattern and any(topic_matches(each.pattern, type_) for type_ in types))
        )
    ]
    return max(found, key=_lasts, default=None)


@lru_cache(maxsize=1024)
def zone_named(name: str) -> tzinfo | None:
    """A time zone by its name in the time zone database; None when it has none of that name."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name) if name else None
    except (OSError, ValueError, KeyError):  # a directory; not a name; ZoneInfoNotFoundError
        return None


def _lasts(held_by: Hold | Mute) -> datetime:
    return held_by.until or datetime.max.replace(tzinfo=UTC)


def _moment(day: int, minutes: int, zone: tzinfo) -> datetime:
    wall = datetime.combine(datetime.fromordinal(day).date(), time(minutes // 60 % 24, minutes % 60), zone)
    return wall.astimezone(UTC)
