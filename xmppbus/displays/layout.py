"""Where the panels of a board are: as the config says, or one after the other; and once more for a screen on its side.

A board fills its screen: no gap is left where panels are placed for somebody.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from xmppbus.options import DisplayOptions

_USUAL = {"feed": (4, 4), "counter": (3, 2), "rate": (3, 2), "chart": (8, 4), "table": (6, 4), "lights": (6, 3)}
"""Columns of twelve, and rows, of a panel that has no `at`; text is like counter."""


class Place(NamedTuple):
    """Column and row of the upper left corner, from 1; columns and rows."""

    column: int
    row: int
    columns: int
    rows: int


def landscape(display: DisplayOptions) -> list[Place]:
    """The place of each panel, in order."""
    given = [Place(*panel.at) for panel in display.panels if panel.at is not None]
    if given:
        return given
    usual = [_USUAL.get(panel.kind, (3, 2)) for panel in display.panels]
    return _shelves([(max(1, round(columns * display.columns / 12)), rows) for columns, rows in usual], display.columns)


def portrait(places: Sequence[Place], columns: int) -> list[Place]:
    """The same panels twice as wide, as they are read: line by line, from the left to the right."""
    order = sorted(range(len(places)), key=lambda index: (places[index].row, places[index].column))
    sizes = [(min(columns, 2 * places[index].columns), places[index].rows) for index in order]
    found = dict(zip(order, _shelves(sizes, columns), strict=True))
    return [found[index] for index in range(len(places))]


def rows_of(places: Sequence[Place]) -> int:
    """How many rows the grid has."""
    return max(place.row + place.rows - 1 for place in places)


def _shelves(sizes: Sequence[tuple[int, int]], columns: int) -> list[Place]:
    """Side by side while there is room, then below; what is left of a line is given to its panels."""
    lines: list[list[tuple[int, int]]] = []
    for wide, high in sizes:
        if not lines or sum(each for each, _ in lines[-1]) + wide > columns:
            lines.append([])
        lines[-1].append((min(wide, columns), high))
    places, row = [], 1
    for line in lines:
        height = max(high for _, high in line)
        edges = _edges([wide for wide, _ in line], columns)
        places += [Place(left + 1, row, right - left, height) for left, right in edges]
        row += height
    return places


def _edges(widths: Sequence[int], columns: int) -> list[tuple[int, int]]:
    """Where each begins and ends when together they fill all columns, in proportion."""
    total, done, edges = sum(widths), 0, []
    for wide in widths:
        edges.append((round(done * columns / total), round((done + wide) * columns / total)))
        done += wide
    return edges
