"""What the panels of a board hold: each takes entries as they come, keeps a bounded sum of them, and tells it.

`static/panels/` folds the events of the stream in the same way, so that a page that reloads shows what it showed.
Times are milliseconds since 1970.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Protocol

from xmppbus import limits
from xmppbus.displays.shown import Value, line_of, milliseconds, name_of, value_of
from xmppbus.journal import Entry
from xmppbus.options import MatchOptions, PanelOptions
from xmppbus.people.durations import duration
from xmppbus.plots.series import found_at, number_of
from xmppbus.route import Match

USUAL_WINDOW = {"feed": "24h", "counter": "24h", "rate": "5m", "chart": "1h"}
_LONG_WINDOW = "30d"
COLUMNS = ("summary", "time")
"""Of a table, unless it says otherwise."""


def window_of(panel: PanelOptions) -> int:
    """How far a panel looks back."""
    found = duration(panel.window or USUAL_WINDOW.get(panel.kind, _LONG_WINDOW)) or timedelta(days=1)
    return round(found.total_seconds() * 1000)


def match_of(panel: PanelOptions) -> Match:
    """Which events a panel is about."""
    match = panel.match if isinstance(panel.match, MatchOptions) else MatchOptions(type=panel.match)
    severity = (match.severity or "").replace(" ", "")
    return Match(match.type, severity, match.source or "", match.subject or "", match.key or "")


def path_of(field: str) -> tuple[str, ...]:
    """`data.ms` as the steps into an event's JSON."""
    return tuple(field.split("."))


class Fold(Protocol):
    """What all of them are. `span` is how far back it has to read; `newest` whether the last few entries are enough."""

    span: int
    newest: int

    def take(self, entry: Entry) -> None:
        """One more entry, in order."""

    def values(self, now: int) -> dict[str, Any]:
        """What the page begins with."""


class Counted:
    """How many in each part of the window, and of the window before (counter, rate)."""

    newest = 0

    def __init__(self, panel: PanelOptions) -> None:
        self._bucket = max(1, window_of(panel) * 2 // limits.BOARD_BUCKETS)
        self.span = self._bucket * limits.BOARD_BUCKETS
        self._counts: dict[int, int] = {}
        self._latest = 0

    def take(self, entry: Entry) -> None:
        """Counted where it happened."""
        index = milliseconds(entry) // self._bucket
        if index > self._latest:
            self._latest = index
            self._forget(index)
        if index > self._latest - limits.BOARD_BUCKETS:
            self._counts[index] = self._counts.get(index, 0) + 1

    def values(self, now: int) -> dict[str, Any]:
        """`counts`: the parts in which there was something, as (number of the part since 1970, how many)."""
        self._forget(now // self._bucket)
        return {"bucket": self._bucket, "counts": sorted(self._counts.items())}

    def _forget(self, index: int) -> None:
        for each in [each for each in self._counts if each <= index - limits.BOARD_BUCKETS]:
            del self._counts[each]


class Newest:
    """The last few, as they came (feed)."""

    newest = limits.BOARD_FEED_EVENTS

    def __init__(self, panel: PanelOptions) -> None:
        self.span = window_of(panel)
        self._lines: deque[dict[str, Value]] = deque(maxlen=limits.BOARD_FEED_EVENTS)

    def take(self, entry: Entry) -> None:
        """At the end."""
        self._lines.append(line_of(entry, milliseconds(entry)))

    def values(self, now: int) -> dict[str, Any]:
        """`lines`, oldest first."""
        return {"lines": [line for line in self._lines if (line["at"] or 0) > now - self.span]}  # type: ignore[operator]  # at is a number


class Latest:
    """The latest of each name (table, lights), or of all (text)."""

    def __init__(self, panel: PanelOptions) -> None:
        self.span = window_of(panel)
        self._by = None if panel.kind == "text" else path_of(panel.by or "key")
        self.newest = 1 if self._by is None else 0
        fields = {"text": (panel.field or "summary",), "table": panel.columns or COLUMNS}.get(panel.kind, ())
        self._fields = [path_of(field) for field in fields]
        self._rows: dict[str, dict[str, Any]] = {}

    def take(self, entry: Entry) -> None:
        """In the place of an older one; beyond the limit the one that was silent for longest goes."""
        event, at = entry.event, milliseconds(entry)
        name = "" if self._by is None else name_of(event, self._by)
        if name in self._rows and self._rows[name]["at"] > at:
            return
        self._rows.pop(name, None)
        cells = [value_of(event, path) for path in self._fields]
        line = {"name": name, "at": at, "severity": event.severity, "status": event.get("status"), "cells": cells}
        self._rows[name] = line
        if len(self._rows) > limits.BOARD_KEYS:
            del self._rows[next(iter(self._rows))]

    def values(self, now: int) -> dict[str, Any]:
        """`rows`, in the order in which they were told of."""
        self._rows = {name: row for name, row in self._rows.items() if row["at"] > now - self.span}
        return {"rows": list(self._rows.values())}


class Points:
    """A numeric field, in each part of the window: how many, sum, least, greatest, and when the last was (chart)."""

    newest = 0

    def __init__(self, panel: PanelOptions) -> None:
        self._bucket = max(1, window_of(panel) // limits.BOARD_POINTS)
        self.span = self._bucket * limits.BOARD_POINTS
        self._path = path_of(panel.field or "")
        self._by = path_of(panel.by) if panel.by else None
        self._lines: dict[str, dict[int, list[float]]] = {}

    def take(self, entry: Entry) -> None:
        """Into its part, if there is a number; a line that would be too many is left out."""
        value = number_of(found_at(entry.event.fields, self._path))
        if value is None:
            return
        at = milliseconds(entry)
        name = name_of(entry.event, self._by) if self._by else ""
        if name not in self._lines:
            self._forget(milliseconds(entry) // self._bucket)
            if len(self._lines) >= limits.BOARD_SERIES:
                return
        parts = self._lines.setdefault(name, {})
        part = parts.setdefault(at // self._bucket, [0, 0.0, value, value, at])
        part[0] += 1
        part[1] += value
        part[2:] = [min(part[2], value), max(part[3], value), max(part[4], at)]
        if len(parts) > 2 * limits.BOARD_POINTS:
            self._forget(max(parts))

    def values(self, now: int) -> dict[str, Any]:
        """`lines`: of each name its parts, oldest first: number, how many, sum, least, greatest, time of the last."""
        self._forget(now // self._bucket)
        lines = [
            [name, [[index, *part] for index, part in sorted(parts.items())]] for name, parts in self._lines.items()
        ]
        return {"bucket": self._bucket, "lines": lines}

    def _forget(self, index: int) -> None:
        for name, parts in list(self._lines.items()):
            for each in [each for each in parts if each <= index - limits.BOARD_POINTS]:
                del parts[each]
            if not parts:
                del self._lines[name]


FOLDS: dict[str, Callable[[PanelOptions], Fold]] = {
    "feed": Newest,
    "counter": Counted,
    "rate": Counted,
    "chart": Points,
    "table": Latest,
    "lights": Latest,
    "text": Latest,
}
"""What holds the values of a panel of each kind."""
