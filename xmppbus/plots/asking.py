"""What somebody wants to see as a curve, from whichever door; and the words that stand with it. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from xmppbus.errors import Code, Refused
from xmppbus.plots.chart import PICTURE, Look
from xmppbus.plots.series import Curve, Series, Wanted, check_by, path_of
from xmppbus.plots.sparkline import figure, sparkline
from xmppbus.route import Match

SINCE = "24h"
"""Where a plot begins that does not say."""

SCALE = 1.5
"""Pixels of a picture for each of its chart: sharp on a phone, and 60 kB."""

_PATTERN = re.compile(r"(?:[A-Za-z0-9_-]+|\*|#)(?:\.(?:[A-Za-z0-9_-]+|\*|#))*")
_UNITS = {
    **dict.fromkeys(("ms", "milliseconds", "duration_ms"), "ms"),
    **dict.fromkeys(("s", "sec", "seconds", "duration"), "s"),
    **dict.fromkeys(("percent", "pct"), "%"),
    **dict.fromkeys(("bytes", "size"), "B"),
}
"""Fields whose name says in what they count."""


@dataclass(frozen=True)
class Question:
    """A pattern and a field, and how it is to look. Raises `Refused` (usage) when it is made of what can't be."""

    pattern: str
    field: str
    since: str = SINCE  # as it was said
    by: str = ""
    title: str = ""
    unit: str | None = None  # None: what the field's name says
    theme: str = "light"
    width: int = PICTURE.width or 0
    height: int = PICTURE.height or 0

    def __post_init__(self) -> None:
        if len(self.pattern) > 512 or not _PATTERN.fullmatch(self.pattern):
            message = (
                f"{self.pattern[:80]!r} is no pattern; write words joined by dots, * for one word, # for any number"
            )
            raise Refused(Code.USAGE, message)
        path_of(self.field)
        check_by(self.by)
        self.look(Series([])).checked()

    @property
    def counted_in(self) -> str:
        """The unit."""
        return _UNITS.get(self.field.rpartition(".")[2], "") if self.unit is None else self.unit

    def wanted(self, beginning: int | datetime, after: int) -> Wanted:
        """What to look for; `after` is the sequence of that beginning."""
        since = beginning if isinstance(beginning, datetime) else None
        return Wanted((Match(self.pattern),), path_of(self.field), self.by, after, since)

    def look(self, series: Series) -> Look:
        """Of the chart, with what was found as its subtitle."""
        subtitle = [self.field, span(self.since), *figures(series, self.counted_in), *left_out(series)]
        return Look(
            title=self.title or self.pattern,
            subtitle=" · ".join(filter(None, subtitle)),
            unit=self.counted_in,
            theme=self.theme,
            by=self.by,
            width=self.width,
            height=self.height,
        )


def span(since: str) -> str:
    """`24h`; what is no length of time is said as it is."""
    if since == "all":
        return "all there is"
    return f"the last {since}" if since[-1:].isalpha() else f"since {since}"


def with_unit(value: float, unit: str) -> str:
    """`312 ms`, `91 %`."""
    return f"{figure(value)} {unit}".rstrip()


def figures(series: Series, unit: str) -> list[str]:
    """`min 39 ms`, `mean 87 ms`, `max 315 ms`, `last 63 ms` of the only curve; else how many there are."""
    if len(series.curves) != 1:
        return [f"{len(series.curves)} curves"] if series.curves else []
    return curve_figures(series.curves[0], unit)


def curve_figures(curve: Curve, unit: str) -> list[str]:
    """The same, of any."""
    named = (("min", curve.low), ("mean", curve.mean), ("max", curve.high), ("last", curve.last))
    return [f"{name} {with_unit(value, unit)}" for name, value in named]


def left_out(series: Series) -> list[str]:
    """What could not be drawn, as far as there is any."""
    found = []
    if series.missing:
        found.append(f"{series.missing:,} without the field")
    if series.not_numbers:
        found.append(f"{series.not_numbers:,} not a number")
    if series.not_shown:
        found.append(f"{series.not_shown:,} more not shown")
    return found


def spark_lines(series: Series, unit: str, width: int = 24) -> Sequence[str]:
    """A line for each curve: `linux-amd64 ▁▃▅█▆ min 196 s · ...`."""
    return [
        " ".join(
            filter(
                None,
                (
                    curve.name,
                    sparkline([point.value for point in curve.points], width),
                    " · ".join(curve_figures(curve, unit)),
                ),
            )
        )
        for curve in series.curves
    ]


def nothing_found(question: Question, series: Series) -> str:
    """Why there is no curve, and what to do about it."""
    if series.missing or series.not_numbers:
        where = "without that field" if series.missing else "where it is no number"
        count = series.missing + series.not_numbers
        return (
            f"no number at {question.field}: {count:,} events of {question.pattern} ({span(question.since)}) are "
            f"{where}; `xmppbus listen '{question.pattern}' --since {question.since} -n 1 --json` shows what one has"
        )
    return f"no event of {question.pattern}, {span(question.since)}; begin earlier, or name other types"
