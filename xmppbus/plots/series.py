"""From the journal to the points of a numeric field: read in slices, bounded, drawn together where there are many.

Nothing is held up by it: between two slices everybody else has a turn, and the sums are made in a thread.
"""

from __future__ import annotations

import asyncio
import math
import re
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.event import Event
from xmppbus.journal import Entry, Journal
from xmppbus.route import Match

BY = ("key", "subject", "source", "type")
"""What can tell one curve from another."""

_PATH = re.compile(r"[a-z0-9]{1,20}(\.[^.\x00-\x1f]{1,64}){0,16}")


@dataclass(frozen=True, slots=True)
class Point:
    """A value at a moment, or what several came to: their mean, and the least and the greatest of them."""

    time: datetime
    value: float
    low: float
    high: float
    count: int = 1


@dataclass(frozen=True, slots=True)
class Curve:
    """The points of one key, subject or source, oldest first; `name` is empty where they are not told apart. The
    figures are those of the values themselves, however many of them were drawn together."""

    name: str
    points: Sequence[Point]
    count: int
    low: float
    high: float
    mean: float
    last: float


class Series(NamedTuple):
    """What was found: curves, those with the most values first, and what could not be drawn."""

    curves: Sequence[Curve]
    values: int = 0  # in all curves
    missing: int = 0  # events without such a field
    not_numbers: int = 0  # it is there, but is text, true, null, or no finite number
    not_shown: int = 0  # curves beyond limits.PLOT_SERIES


@dataclass(frozen=True)
class Wanted:
    """Which values: a field of the events that match, as a path into their CloudEvents JSON (`data.ms`).

    `after` is the sequence after which to read; `since` leaves out what happened before that moment.
    """

    match: Sequence[Match]
    path: tuple[str, ...]
    by: str = ""
    after: int = 0
    since: datetime | None = None
    until: datetime | None = None


def path_of(text: str) -> tuple[str, ...]:
    """`data.ms` as a path. Raises `Refused` (usage)."""
    if not _PATH.fullmatch(text):
        message = f"{text[:80]!r} is no field; write where the number is in the event's JSON, such as `data.ms`"
        raise Refused(Code.USAGE, message)
    return tuple(text.split("."))


def check_by(text: str) -> str:
    """What tells curves apart. Raises `Refused` (usage)."""
    if text and text not in BY:
        raise Refused(Code.USAGE, f"{text[:80]!r} can't tell curves apart; one of {', '.join(BY)} can")
    return text


MISSING = object()
"""The event has no such field."""


def found_at(fields: Mapping[str, Any], path: Sequence[str]) -> Any:
    """Whatever is there; a step into a list is a number. `MISSING` where there is nothing."""
    found: Any = fields
    for step in path:
        if isinstance(found, Mapping):
            found = found.get(step, MISSING)
        elif isinstance(found, list) and step.isascii() and step.isdecimal() and int(step) < len(found):
            found = found[int(step)]
        else:
            return MISSING
    return found


def number_of(found: Any) -> float | None:
    """A finite number; true and false are none, nor is text that looks like one."""
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    try:
        value = float(found)
    except OverflowError:
        return None
    return value if math.isfinite(value) else None


def moment_of(entry: Entry) -> datetime:
    """When it happened, as its sender says; else when it was accepted."""
    try:
        moment = datetime.fromisoformat(entry.event.time)
        return moment.astimezone(UTC) if moment.tzinfo else entry.accepted
    except (ValueError, OverflowError):  # RFC 3339 has leap seconds, and its first and last days begin in other years
        return entry.accepted


def name_of(event: Event, by: str) -> str:
    """Which curve an event is of."""
    return str(event.get(by) or "") if by else ""


class Collector:
    """Takes entries, and makes the series of them. `points` is how many a curve may have before they are drawn
    together."""

    def __init__(self, wanted: Wanted, points: int = limits.PLOT_POINTS) -> None:
        self._wanted = wanted
        self._points = points
        self._found: dict[str, _Values] = {}
        self._dropped: set[int] = set()
        self.values = self.missing = self.not_numbers = 0

    def take(self, entry: Entry) -> None:
        """One more. Raises `Refused` (too-big) beyond limits.PLOT_EVENTS."""
        moment = moment_of(entry)
        wanted = self._wanted
        if (wanted.since and moment < wanted.since) or (wanted.until and moment > wanted.until):
            return
        found = found_at(entry.event.fields, wanted.path)
        value = None if found is MISSING else number_of(found)
        if value is None:
            self.missing += found is MISSING
            self.not_numbers += found is not MISSING
            return
        values = self._of(name_of(entry.event, wanted.by))
        if values is None:
            return
        self.values += 1
        if self.values > limits.PLOT_EVENTS:
            message = f"more than {limits.PLOT_EVENTS:,} values; begin later (`since`), or ask for fewer types"
            raise Refused(Code.TOO_BIG, message)
        values.times.append(moment.timestamp())
        values.values.append(value)

    def _of(self, name: str) -> _Values | None:
        values = self._found.get(name)
        if values is None:
            if len(self._found) >= limits.PLOT_SERIES_SEEN:
                if len(self._dropped) < limits.PLOT_SERIES_SEEN:
                    self._dropped.add(hash(name))
                return None
            values = self._found[name] = _Values()
        return values

    def series(self) -> Series:
        """Of all that was taken."""
        ranked = sorted(self._found.items(), key=lambda each: (-len(each[1].values), each[0]))
        shown = ranked[: limits.PLOT_SERIES]
        begin = min((min(values.times) for _, values in shown), default=0.0)
        end = max((max(values.times) for _, values in shown), default=0.0)
        curves = [values.curve(name, begin, end, self._points) for name, values in shown]
        not_shown = len(ranked) - len(shown) + len(self._dropped)
        return Series(curves, self.values, self.missing, self.not_numbers, not_shown)


@dataclass
class _Values:
    """Sixteen bytes a value."""

    times: array[float] = field(default_factory=lambda: array("d"))
    values: array[float] = field(default_factory=lambda: array("d"))

    def curve(self, name: str, begin: float, end: float, most: int) -> Curve:
        pairs = sorted(zip(self.times, self.values, strict=True), key=lambda each: each[0])
        few = len(pairs) <= most
        points = [Point(_moment(at), value, value, value) for at, value in pairs] if few else []
        points = points or _together(pairs, begin, end, most)
        low, high, mean = _figures(self.values)
        return Curve(name, points, len(pairs), low, high, mean, pairs[-1][1])


def _together(pairs: Sequence[tuple[float, float]], begin: float, end: float, most: int) -> list[Point]:
    """One point for each of so many equal parts of the time, where there is a value in it."""
    width = (end - begin) / most or 1.0
    parts: dict[int, list[float]] = {}
    for at, value in pairs:
        parts.setdefault(min(int((at - begin) / width), most - 1), []).append(value)
    points = []
    for part, values in parts.items():
        low, high, mean = _figures(values)
        points.append(Point(_moment(begin + (part + 0.5) * width), mean, low, high, len(values)))
    return points


def _figures(values: Sequence[float]) -> tuple[float, float, float]:
    """Least, greatest and mean. Each is divided before it is added: the sum of large ones would be infinite."""
    count = len(values)
    low, high = min(values), max(values)
    mean = math.fsum(value / count for value in values)
    return low, high, min(max(mean, low), high)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


async def entries_of(journal: Journal, wanted: Wanted) -> AsyncIterator[Sequence[Entry]]:
    """What matches and is in the journal by now, a slice at a time."""
    after, newest = wanted.after, (await journal.status()).newest
    while after < newest:
        entries = await journal.read(after, limits.PLOT_SLICE_EVENTS, wanted.match)
        if not entries:
            return
        after = entries[-1].sequence
        yield [entry for entry in entries if entry.sequence <= newest]
        await asyncio.sleep(0)  # everybody else has a turn


Told = Callable[[int], Awaitable[None]]
"""Is told how many events were looked at by now."""


async def collect(
    journal: Journal, wanted: Wanted, points: int = limits.PLOT_POINTS, told: Told | None = None
) -> Series:
    """The series that is wanted. Raises `Refused` (payload-too-big) where there are too many values."""
    collector = Collector(wanted, points)
    count = 0
    async for entries in entries_of(journal, wanted):
        for entry in entries:
            collector.take(entry)
        count += len(entries)
        if told:
            await told(count)
    return await asyncio.to_thread(collector.series)
