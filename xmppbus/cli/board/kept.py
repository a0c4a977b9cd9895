"""What the board keeps of what it has seen: lines, how fast they came, and where it goes on. Pure, and bounded."""

from __future__ import annotations

import heapq
import re
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from datetime import date, datetime, tzinfo
from typing import Any, NamedTuple

import msgspec

from xmppbus import limits
from xmppbus.event import Event
from xmppbus.fields import SEVERITIES
from xmppbus.render import MARKS, one_line

BARS = "▁▂▃▄▅▆▇█"
_INVISIBLE = re.compile(r"[\u200b-\u200f\u2028\u2029\u2060-\u2064\ufeff\ufe00-\ufe0f\U000e0000-\U000e01ef]")
"""What takes no column of its own, or another number of them in each terminal."""


class Line(NamedTuple):
    """An event, as much of it as a line shows."""

    sequence: int
    id: str
    accepted: datetime
    severity: str
    text: str  # without the mark
    key: str = ""


class Day(NamedTuple):
    """What stands above the first event of a day."""

    day: date


class _Sent(msgspec.Struct):
    """A line of `listen --json`."""

    sequence: int
    id: str
    accepted: datetime
    event: dict[str, Any]


_DECODER = msgspec.json.Decoder(_Sent)


def line_of(content: bytes) -> Line:
    """Of a line of `listen --json`."""
    sent = _DECODER.decode(content)
    event = Event(sent.event)
    severity = event.severity
    text = shown(one_line(event))[len(MARKS[severity]) :].strip()
    key = str(event.get("key", "")) if event.get("status") else ""
    return Line(sent.sequence, sent.id, sent.accepted, severity, text, key)


def shown(text: str) -> str:
    """A text without what a terminal can't lay out in columns, and no longer than any screen is wide."""
    return _INVISIBLE.sub("", text)[: limits.WATCH_LINE_CHARACTERS]


class Lines:
    """The newest of each severity, so that a storm of the harmless does not push out the one that matters."""

    def __init__(self) -> None:
        self._by_severity = {each: deque[Line](maxlen=limits.WATCH_LINES) for each in SEVERITIES}
        self._shown: tuple[str, list[Line]] | None = None
        self.newest = 0  # the sequence after which to go on

    def add(self, line: Line) -> None:
        """The next one."""
        self._by_severity[line.severity].append(line)
        self.newest = line.sequence
        self._shown = None

    def clear(self) -> None:
        """It is another journal, with sequences of its own."""
        for lines in self._by_severity.values():
            lines.clear()
        self.newest = 0
        self._shown = None

    def at_least(self, severity: str) -> list[Line]:
        """Those of a severity or worse, in order."""
        if self._shown is None or self._shown[0] != severity:
            chosen = SEVERITIES[SEVERITIES.index(severity) :]
            found = list(heapq.merge(*(self._by_severity[each] for each in chosen)))
            self._shown = (severity, found[-limits.WATCH_LINES :])
        return self._shown[1]


def with_days(lines: Sequence[Line], today: date, zone: tzinfo | None) -> list[Line | Day]:
    """A line of its own above the first of each day but today."""
    found: list[Line | Day] = []
    day = today
    for line in lines:
        its_day = line.accepted.astimezone(zone).date()
        if its_day != day:
            found.append(Day(its_day))
            day = its_day
        found.append(line)
    return found


class Rate:
    """How many came in each of the last so many intervals."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def add(self, moment: datetime) -> None:
        """One was accepted then."""
        self._counts[_interval(moment)] += 1
        if len(self._counts) > 2 * limits.WATCH_INTERVALS:
            for old in sorted(self._counts)[: -limits.WATCH_INTERVALS]:
                del self._counts[old]

    def counts(self, now: datetime) -> list[int]:
        """One number an interval, oldest first; the last one is not over yet."""
        last = _interval(now)
        return [self._counts.get(each, 0) for each in range(last - limits.WATCH_INTERVALS + 1, last + 1)]

    def a_minute(self, now: datetime) -> int:
        """How many came in the last minute, give or take an interval."""
        return sum(self.counts(now)[-60 // limits.WATCH_INTERVAL_SECONDS :])


def sparkline(counts: Sequence[int]) -> str:
    """Bars between nothing and the most."""
    most = max(counts, default=0) or 1
    return "".join(BARS[-(-each * (len(BARS) - 1) // most)] for each in counts)


def waiting(status: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Name, state and words of each way out that is not simply well; the stream to the server is one of them."""
    parts = {"xmpp": status["xmpp"]} if status.get("xmpp") else {}
    found = []
    for name, part in {**parts, **status.get("outputs", {})}.items():
        words = [f"{part['waiting']:,} waiting"] if part.get("waiting") else []
        words += [str(part["reason"])] if part.get("reason") else []
        found.append((name, str(part.get("state", "")), "; ".join(words)))
    return found


def _interval(moment: datetime) -> int:
    return int(moment.timestamp()) // limits.WATCH_INTERVAL_SECONDS
