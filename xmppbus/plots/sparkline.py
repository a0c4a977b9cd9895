"""A curve as text: one line of blocks for a chat, several lines for a terminal. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from itertools import pairwise

BLOCKS = "▁▂▃▄▅▆▇█"
_EIGHTHS = " " + BLOCKS


def sparkline(values: Sequence[float], width: int = 24) -> str:
    """`▁▂▅█▃`: a block for each value, or for the mean of neighbours where they are more than `width`."""
    shown = narrowed(values, width)
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    if low == high:
        return BLOCKS[3] * len(shown)
    return "".join(BLOCKS[min(7, int(share(value, low, high) * 8))] for value in shown)


def share(value: float, low: float, high: float) -> float:
    """How far it is from `low` to `high`, 0 to 1; halves, as the span of two large numbers may be infinite."""
    return (value / 2 - low / 2) / (high / 2 - low / 2) if high / 2 > low / 2 else 0.5


def narrowed(values: Sequence[float], width: int) -> list[float]:
    """At most `width` of them: means of neighbours."""
    count = len(values)
    if count <= width:
        return list(values)
    edges = [round(index * count / width) for index in range(width + 1)]
    return [sum(value / (end - begin) for value in values[begin:end]) for begin, end in pairwise(edges) if end > begin]


def spread(times: Sequence[datetime], values: Sequence[float], width: int) -> list[float | None]:
    """A value for each of `width` equal parts of the time: the mean of what is in it, None where nothing is."""
    if not times:
        return []
    begin, end = min(times), max(times)
    span = (end - begin) / timedelta(seconds=1) or 1.0
    parts: list[list[float]] = [[] for _ in range(width)]
    for at, value in zip(times, values, strict=True):
        parts[min(int((at - begin) / timedelta(seconds=1) / span * width), width - 1)].append(value)
    return [sum(value / len(part) for value in part) if part else None for part in parts]


def drawn(columns: Sequence[float | None], height: int, labels: Sequence[str]) -> list[tuple[str, str]]:
    """Rows of blocks, from the top; the labels are spread over them, the first at the top, the last at the bottom."""
    known = [value for value in columns if value is not None]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    eighths = [None if value is None else 1 + round(share(value, low, high) * (height * 8 - 1)) for value in columns]
    rows = []
    for row in range(height):
        below = (height - 1 - row) * 8
        line = "".join(" " if each is None else _EIGHTHS[min(8, max(0, each - below))] for each in eighths)
        rows.append((_label(labels, row, height), line))
    return rows


def _label(labels: Sequence[str], row: int, height: int) -> str:
    """Which label stands at a row, if one does."""
    for index, label in enumerate(labels):
        place = round(index * (height - 1) / (len(labels) - 1)) if len(labels) > 1 else 0
        if place == row:
            return label
    return ""


def clock(moment: datetime, span: timedelta, zone: tzinfo | None) -> str:
    """A moment at the end of an axis: as much of it as tells it from the other end."""
    local = moment.astimezone(zone)
    if span < timedelta(minutes=10):
        return local.strftime("%H:%M:%S")
    if span < timedelta(hours=20):
        return local.strftime("%H:%M")
    if span < timedelta(days=8):
        return local.strftime("%a %d %b %H:%M")
    return local.strftime("%Y-%m-%d")


def figure(value: float) -> str:
    """A number for people: at most four digits that matter, thousands set apart."""
    if value == 0 or 1e-4 <= abs(value) < 1e15:
        whole = abs(value) >= 1000
        text = f"{value:,.0f}" if whole else f"{value:.4g}"
        return f"{float(text):g}" if "e" in text else text
    return f"{value:.3e}"
