"""`xmppbus plot`: a number in events, over time, as a picture or in the terminal."""

from __future__ import annotations

import json as json_module
import os
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import PurePath
from typing import Any

import click

from xmppbus import limits
from xmppbus.cli.desk import Action, Desk
from xmppbus.cli.lines import Progress
from xmppbus.cli.patterns import Pattern
from xmppbus.cli.showing import json_line
from xmppbus.cli.since import HELP, check_since
from xmppbus.errors import Code, Exit, Refused
from xmppbus.plots.asking import SCALE, SINCE, Question, curve_figures, left_out, span, with_unit
from xmppbus.plots.chart import PICTURE, THEMES, chart
from xmppbus.plots.series import BY, Curve, Series
from xmppbus.plots.sparkline import clock, drawn, sparkline, spread
from xmppbus.render import plain

FORMS = ("png", "svg", "json")
_HEIGHT = 10
_COLOURS = ("cyan", "yellow", "green", "red", "bold")


def check_out(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:  # noqa: ARG001  # click's
    """A callback of the option."""
    if value is not None and value != "-" and form_of(value) not in FORMS:
        raise click.BadParameter(f"{value!r} ends with none of .png, .svg and .json, by which the form is chosen")
    return value


def form_of(out: str) -> str:
    """`png`, `svg` or `json`: what the file's name ends with; a picture to standard output is a PNG."""
    return "png" if out == "-" else PurePath(out).suffix.lower().removeprefix(".")


_PIXELS = click.IntRange(limits.PLOT_LEAST_PIXELS, limits.PLOT_MOST_PIXELS)


@click.command()
@click.argument("pattern", type=Pattern())
@click.option("--field", required=True, metavar="PATH", help="Where the number is in the event's JSON: data.ms.")
@click.option("--since", metavar="SEQUENCE|TIME|all", callback=check_since, default=SINCE, show_default=True, help=HELP)
@click.option("--by", type=click.Choice(BY), help="A curve for each; the eight with the most values are shown.")
@click.option(
    "--out",
    metavar="FILE",
    callback=check_out,
    help="A picture, .png or .svg, or its Vega-Lite .json; - is a PNG.",
)
@click.option("--title", metavar="TEXT", help="Stands above it; else the pattern.")
@click.option("--unit", metavar="TEXT", help="Behind each number; else what the field's name says (ms, s, %, B).")
@click.option("--theme", type=click.Choice(THEMES), default="light", show_default=True, help="Of the picture.")
@click.option("--width", type=_PIXELS, default=PICTURE.width, show_default=True, help="Of the picture.")
@click.option("--height", type=_PIXELS, default=PICTURE.height, show_default=True, help="Of the picture.")
@click.option("--json", is_flag=True, help="The points and figures, as one JSON object.")
def plot(pattern: str, field: str, since: str, out: str | None, json: bool, **look: Any) -> Action:
    """Draw a numeric field of the events whose type matches PATTERN, over the time at which they happened.

    Without --out it is drawn in the terminal. Where there are more values than can be seen, neighbours are drawn
    together: the line is their mean, the shade goes from the least to the greatest. Exits with 1 when there is nothing
    to draw.

    \b
    Example:
      xmppbus plot http.latency --field data.ms --out latency.png
      xmppbus plot build.finished --field data.seconds --since 180d --by key
    """

    async def action(desk: Desk) -> int:
        from xmppbus.house import series_of  # half a second of imports, which the daemon has behind it

        desk.need_listen()
        if out == "-" and desk.facts.terminals[1]:
            raise Refused(Code.USAGE, "a picture is nothing for a terminal; write `--out plot.png`, or `> plot.png`")
        given = {name: value for name, value in look.items() if value is not None}
        question = Question(pattern, field, since, **given)
        progress = Progress(desk)
        try:
            series = await series_of(desk.house, question, desk.zone, progress.show)
        finally:
            await progress.clear()
        if out is not None:
            await _write(desk, question, series, out)
        if json:
            await desk.terminal.write(json_line(as_json(question, series)))
        elif out is None:
            await desk.out("\n".join(_lines(desk, question, series)))
        return Exit.OK

    return action


async def _write(desk: Desk, question: Question, series: Series, out: str) -> None:
    spec = chart(question.look(series), series)
    form = form_of(out)
    if form == "json":
        content = json_module.dumps(spec, ensure_ascii=False).encode() + b"\n"
    else:
        content = await desk.house.drawing.picture(spec, form, SCALE)
    if out == "-":
        await desk.terminal.write(content)
    else:
        await desk.terminal.save(os.fsencode(out), content)
    await desk.err(f"{question.pattern} {question.field}, {span(question.since)}: {_found(series)}")


def as_json(question: Question, series: Series) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "pattern": question.pattern,
        "field": question.field,
        "since": question.since,
        "unit": question.counted_in,
        "values": series.values,
        "missing": series.missing,
        "not_numbers": series.not_numbers,
        "not_shown": series.not_shown,
        "curves": [
            {
                "name": curve.name,
                **{name: getattr(curve, name) for name in ("count", "low", "mean", "high", "last")},
                "points": [
                    {"time": each.time.isoformat(), "value": each.value, "low": each.low, "high": each.high}
                    for each in curve.points
                ],
            }
            for curve in series.curves
        ],
    }


def _found(series: Series) -> str:
    return ", ".join([f"{series.values:,} value{'s' if series.values != 1 else ''}", *left_out(series)])


def _lines(desk: Desk, question: Question, series: Series) -> Iterator[str]:
    title = plain(question.title or question.pattern)
    yield f"{desk.style(title, 'bold')}  {plain(question.field)}, {span(question.since)}: {_found(series)}"
    yield ""
    if len(series.curves) == 1:
        yield from _chart(desk, series.curves[0], question.counted_in)
    else:
        yield from _sparks(desk, series.curves, question.counted_in)


def _chart(desk: Desk, curve: Curve, unit: str) -> Iterator[str]:
    """Several lines of blocks, with the numbers at the left and the time below."""
    labels = [with_unit(value, unit) for value in (curve.high, (curve.high + curve.low) / 2, curve.low)]
    margin = max(map(len, labels))
    width = max(16, min(desk.width, 120) - margin - 2)
    times = [point.time for point in curve.points]
    columns = spread(times, [point.value for point in curve.points], width)
    known = [value for value in columns if value is not None]
    labels = [with_unit(value, unit) for value in (max(known), (max(known) + min(known)) / 2, min(known))]
    margin = max(map(len, labels))
    for label, blocks in drawn(columns, _HEIGHT, labels):
        yield f"{desk.style(label.rjust(margin), 'dim')} {desk.style('┤' if label else '│', 'dim')}" + desk.style(
            blocks.rstrip(), "cyan"
        )
    length = times[-1] - times[0]
    begin, end = clock(times[0], length, desk.zone), clock(times[-1], length, desk.zone)
    yield desk.style(" " * margin + " └" + "─" * width, "dim")
    room = width - len(begin) - len(end)
    yield desk.style(" " * (margin + 2) + begin + (" " * room + end if length > timedelta() else ""), "dim")
    yield ""
    yield " " * (margin + 2) + " · ".join(curve_figures(curve, unit))


def _sparks(desk: Desk, curves: Sequence[Curve], unit: str) -> Iterator[str]:
    """A line for each of many."""
    names = [" ".join(plain(curve.name).split()) or "(none)" for curve in curves]
    margin = min(24, max(map(len, names)))
    figures = [" · ".join(curve_figures(curve, unit)) for curve in curves]
    width = max(12, min(48, desk.width - margin - max(map(len, figures)) - 4))
    for index, (name, curve, words) in enumerate(zip(names, curves, figures, strict=True)):
        line = sparkline([point.value for point in curve.points], width)
        shown = name if len(name) <= margin else name[: margin - 1] + "…"
        yield f"{shown:<{margin}}  {desk.style(line.ljust(width), _COLOURS[index % len(_COLOURS)])}  {words}"
