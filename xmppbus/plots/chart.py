"""One Vega-Lite specification a chart, drawn by the browser and, as a picture, by the server. Pure.

Text from events is data, never part of an expression: a series called `datum` is a series called `datum`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.plots.series import Point, Series

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
"""A name, not an address that anybody asks."""

POINTS = "points"
"""The data's name: a page adds points to it with `view.change`."""

FONT = "'Liberation Sans', 'Helvetica Neue', Arial, sans-serif"
"""The first is within vl-convert, so that a picture looks the same on every server; the others are as wide."""

THEMES = ("light", "dark")

_PALETTES = {
    # Okabe and Ito's colours, which nearly everybody can tell apart; here those that stand out from the ground.
    "light": ("#0072b2", "#d55e00", "#009e73", "#b4578f", "#a67c00", "#1f9bd1", "#5f4bb6", "#4a4f57"),
    "dark": ("#56b4e9", "#e69f00", "#2ec4a0", "#e58fc0", "#f0e442", "#ff8a5c", "#a99cf0", "#c3c8d0"),
}


class Theme(NamedTuple):
    """Colours of what is no curve."""

    ground: str
    text: str
    faint: str
    grid: str


_COLOURS = {
    "light": Theme("#ffffff", "#1a1f27", "#5b6472", "#e4e7ec"),
    "dark": Theme("#12161c", "#eef1f5", "#9aa4b2", "#29313b"),
}

# What one tick of the time says: each as much as tells it from its neighbour, hours as on a 24-hour clock.
_TIME = {
    "year": "%Y",
    "quarter": "%b %Y",
    "month": "%b %Y",
    "week": "%d %b",
    "date": "%d %b",
    "hours": "%H:%M",
    "minutes": "%H:%M",
    "seconds": "%H:%M:%S",
    "milliseconds": "%H:%M:%S.%L",
}


class Look(NamedTuple):
    """How a chart looks. Without a width (or height) it fills what it stands in: for pages only."""

    title: str = ""
    subtitle: str = ""
    unit: str = ""  # stands behind each number of the axis: `ms`, `%`, `B`
    theme: str = "light"
    by: str = ""  # what the legend is titled: key, subject, source
    width: int | None = None
    height: int | None = None
    from_zero: bool = True  # whether the axis begins at zero where no value is below it

    def checked(self) -> Look:
        """Itself. Raises `Refused` (usage)."""
        if self.theme not in THEMES:
            raise Refused(Code.USAGE, f"{self.theme[:40]!r} is no theme; `light` and `dark` are")
        if len(self.unit) > limits.PLOT_UNIT_CHARACTERS:
            raise Refused(Code.USAGE, f"a unit has at most {limits.PLOT_UNIT_CHARACTERS} characters")
        for name, given in (("width", self.width), ("height", self.height)):
            if given is not None and not limits.PLOT_LEAST_PIXELS <= given <= limits.PLOT_MOST_PIXELS:
                bounds = f"{limits.PLOT_LEAST_PIXELS} to {limits.PLOT_MOST_PIXELS}"
                raise Refused(Code.USAGE, f"the {name} is {given}; it can be {bounds} pixels")
        return self


PICTURE = Look(width=960, height=480)
"""A picture's size: wide enough for a phone on its side, small enough to be looked at in a chat."""


def chart(look: Look, series: Series | None = None) -> dict[str, Any]:
    """The specification, with the points of `series` in it; a page that has none yet adds them to `POINTS`.

    A row is `{"t": milliseconds, "v": value, "s": name of the curve}`, with `low` and `high` where it stands for
    several values; a page may add rows without them.
    """
    look.checked()
    curves = series.curves if series else ()
    rows = [row(curve.name, point) for curve in curves for point in curve.points]
    many = max((len(curve.points) for curve in curves), default=0) > limits.PLOT_DOTS
    spec: dict[str, Any] = {
        "$schema": SCHEMA,
        "description": look.title,
        "data": {"name": POINTS, "values": rows},
        "layer": _layers(dots=not many),
        "encoding": {"x": _time_axis(), "color": _colour(look, [curve.name for curve in curves])},
        "config": _config(look),
        "autosize": {"type": "fit", "contains": "padding"},
        "width": look.width or "container",
        "height": look.height or "container",
    }
    spec["layer"] = [_with_values(layer, look) for layer in spec["layer"]]
    if look.title or look.subtitle:
        text = look.title[: limits.PLOT_TITLE_CHARACTERS]
        spec["title"] = {"text": text, **({"subtitle": look.subtitle} if look.subtitle else {})}
    return spec


def row(name: str, point: Point) -> dict[str, Any]:
    """A point as the data has it."""
    found: dict[str, Any] = {"t": round(point.time.timestamp() * 1000), "v": point.value}
    if point.count > 1:
        found |= {"low": point.low, "high": point.high}
    return {**found, "s": name} if name else found


def _layers(*, dots: bool) -> list[dict[str, Any]]:
    """The span of what was drawn together, the line, and, where they are few, the values themselves."""
    span = {
        "mark": {"type": "area", "opacity": 0.22, "line": False},
        "transform": [{"filter": "isValid(datum.low)"}],
        "encoding": {"y": {"field": "low"}, "y2": {"field": "high"}},
    }
    point: Any = {"size": 42, "filled": True} if dots else False
    line = {
        "mark": {"type": "line", "strokeWidth": 2.2, "strokeJoin": "round", "strokeCap": "round", "point": point},
        "encoding": {"y": {"field": "v"}},
    }
    return [span, line]


def _with_values(layer: Mapping[str, Any], look: Look) -> dict[str, Any]:
    axis = {"title": None, "labelExpr": _number(look.unit), "tickCount": {"expr": "ceil(height / 56)"}}
    scale = {"zero": look.from_zero, "nice": True}
    y = {**layer["encoding"]["y"], "type": "quantitative", "axis": axis, "scale": scale}
    return {**layer, "encoding": {**layer["encoding"], "y": y}}


def _number(unit: str) -> str:
    """A number of the axis: thousands set apart, millions as `2.5M`, bytes as `2.5GB`; the unit behind it.

    The unit is written into an expression, as JSON, which in it is a text and nothing else.
    """
    small = "format(datum.value, ',.6~f')"
    if unit == "B":
        # `4G` becomes `4 GB`: the letter stands with the unit.
        large, shown = "1000", "replace(format(datum.value, '.3~s'), /([A-Za-z])$/, '\u2009$1') + 'B'"
        small += " + '\u2009B'"
    else:
        suffix = json.dumps(unit if unit in ("", "%") else f"\u2009{unit}")
        large, shown = "1000000", f"format(datum.value, '.3~s') + {suffix}"
        small += f" + {suffix}"
    return f"abs(datum.value) >= {large} ? {shown} : {small}"


def _time_axis() -> dict[str, Any]:
    axis = {"title": None, "format": _TIME, "tickCount": {"expr": "ceil(width / 110)"}, "labelOverlap": "greedy"}
    return {"field": "t", "type": "temporal", "axis": axis}


def _colour(look: Look, names: Sequence[str]) -> dict[str, Any]:
    palette = list(_PALETTES[look.theme])
    if not look.by:
        return {"value": palette[0]}
    legend = {"title": None, "orient": "bottom", "columns": 4, "labelLimit": 200}
    legend |= {"symbolType": "circle", "symbolOpacity": 1}
    scale: dict[str, Any] = {"range": palette}
    if names:
        scale = {"domain": list(names), "range": palette[: len(names)]}
    return {"field": "s", "type": "nominal", "legend": legend, "scale": scale}


def _config(look: Look) -> dict[str, Any]:
    ground, text, faint, grid = _COLOURS[look.theme]
    axis = {
        "domainColor": grid,
        "gridColor": grid,
        "tickColor": grid,
        "labelColor": faint,
        "labelFont": FONT,
        "labelFontSize": 13,
        "labelPadding": 8,
    }
    return {
        "background": ground,
        "font": FONT,
        "padding": {"left": 20, "top": 18, "right": 28, "bottom": 16},
        "view": {"stroke": None},
        "axis": axis,
        "axisX": {"grid": False, "tickSize": 6},
        "axisY": {"domain": False, "ticks": False},
        "legend": {"labelColor": text, "labelFont": FONT, "labelFontSize": 13, "symbolSize": 110, "offset": 14},
        "title": {
            "anchor": "start",
            "frame": "group",
            "color": text,
            "font": FONT,
            "fontSize": 20,
            "fontWeight": "bold",
            "subtitleColor": faint,
            "subtitleFont": FONT,
            "subtitleFontSize": 13.5,
            "subtitlePadding": 6,
            "offset": 18,
            "limit": {"expr": "width"},
        },
    }
