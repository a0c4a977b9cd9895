"""What the types of the boards' options can't say: which panel takes what, and that the panels fit into the grid."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from xmppbus import limits
from xmppbus.config.shape import Difference, did_you_mean, listed
from xmppbus.fields import FIELDS
from xmppbus.options import DisplayOptions, Options, PanelOptions
from xmppbus.people.durations import duration

Position = tuple[str | int, ...]

TAKES: dict[str, tuple[str, ...]] = {
    "feed": (),
    "counter": (),
    "rate": (),
    "chart": ("field", "by", "unit"),
    "table": ("by", "columns"),
    "lights": ("by",),
    "text": ("field", "unit"),
}
"""The options that only some kinds of panels take."""

_SOME = ("field", "by", "columns", "unit")


def display_rules(options: Options) -> Iterator[Difference]:
    """Everything that makes `displays:` unusable although each option is well-formed."""
    if options.displays and options.http is None:
        sentence = "boards are pages, and `http: null` switches their listener off; take one of them out"
        yield Difference(("displays",), sentence, at_key=True)
    if len(options.displays) > limits.BOARDS:
        yield Difference(("displays",), f"{len(options.displays)} boards of at most {limits.BOARDS}", at_key=True)
    seen: set[str] = set()
    for index, display in enumerate(options.displays):
        path: Position = ("displays", index)
        if display.name in seen:
            yield Difference((*path, "name"), f"a board called `{display.name}` is here a second time")
        seen.add(display.name)
        yield from _display(display, path)


def doubts_of_displays(options: Options) -> Iterator[Difference]:
    """What works, but is hardly meant: a field that is called nearly as one that events have, a window that is longer
    than anything is kept.
    """
    for index, display in enumerate(options.displays):
        for number, panel in enumerate(display.panels):
            path = ("displays", index, "panels", number)
            window = duration(panel.window) if panel.window else None
            if window and window > timedelta(days=options.journal.keep.days):
                sentence = f"the journal keeps {options.journal.keep.days:g} days, and this looks back {panel.window}: "
                yield Difference((*path, "window"), sentence + "write `journal: {keep: {days: ...}}`")
            for place, name in _fields(panel, path):
                advice = did_you_mean(name, (*FIELDS, "data"))
                if "." not in name and name not in FIELDS and "did you mean" in advice:
                    yield Difference(place, f"events have no field `{name}` unless their senders invent it{advice}")


def _fields(panel: PanelOptions, path: Position) -> Iterator[tuple[Position, str]]:
    for option in ("field", "by"):
        if given := getattr(panel, option):
            yield (*path, option), given
    for number, column in enumerate(panel.columns or ()):
        yield (*path, "columns", number), column


def _display(display: DisplayOptions, path: Position) -> Iterator[Difference]:
    if len(display.panels) > limits.PANELS:
        sentence = f"{len(display.panels)} panels of at most {limits.PANELS}; make a second board"
        yield Difference((*path, "panels"), sentence, at_key=True)
        return
    taken: dict[tuple[int, int], int] = {}
    placed = [panel.at is not None for panel in display.panels]
    for number, panel in enumerate(display.panels):
        place = (*path, "panels", number)
        yield from _panel(panel, place)
        if panel.at is not None:
            yield from _at(panel.at, display.columns, number, taken, (*place, "at"))
        elif any(placed):
            yield Difference(place, "this panel has no `at`, and others of the board have; give it to all, or to none")


def _panel(panel: PanelOptions, path: Position) -> Iterator[Difference]:
    takes = TAKES[panel.kind]
    for option in _SOME:
        if getattr(panel, option) is not None and option not in takes:
            sentence = f"a `{panel.kind}` takes no `{option}`"
            sentence += f"; of such options it takes {listed(takes)}" if takes else ""
            yield Difference((*path, option), sentence, at_key=True)
    if panel.kind == "chart" and panel.field is None:
        yield Difference(path, "a `chart` needs the `field` that it draws, such as `data.ms`")
    if panel.window is not None:
        window = duration(panel.window)
        shortest, longest = timedelta(seconds=limits.BOARD_WINDOW_SECONDS), timedelta(days=limits.BOARD_WINDOW_DAYS)
        if window is None or not shortest <= window <= longest:
            bounds = f"from `{limits.BOARD_WINDOW_SECONDS}s` to `{limits.BOARD_WINDOW_DAYS}d`"
            yield Difference((*path, "window"), f"`window` is {bounds}, not `{panel.window}`")


def _at(
    at: list[int], columns: int, number: int, taken: dict[tuple[int, int], int], path: Position
) -> Iterator[Difference]:
    """Whether it is four numbers, within the grid, and where no panel before it is. Notes in `taken` where it is."""
    if len(at) != 4:
        sentence = f"`at` is four numbers, `[column, row, columns, rows]`, not {len(at)}"
        yield Difference(path, sentence)
        return
    column, row, wide, high = at
    if column + wide - 1 > columns:
        sentence = f"this panel reaches to column {column + wide - 1} of a board that has {columns}"
        yield Difference(path, f"{sentence}; the board's `columns` says how many")
        return
    if row + high - 1 > limits.BOARD_CELLS:
        yield Difference(path, f"this panel reaches to row {row + high - 1} of at most {limits.BOARD_CELLS}")
        return
    cells = [(x, y) for x in range(column, column + wide) for y in range(row, row + high)]
    if under := next((taken[cell] for cell in cells if cell in taken), None):
        yield Difference(path, f"this panel lies over the board's panel {under}")
        return
    taken.update(dict.fromkeys(cells, number + 1))
