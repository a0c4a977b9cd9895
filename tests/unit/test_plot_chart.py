"""One specification a chart: what is in it, and that text from events is never more than text."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from xmppbus import limits
from xmppbus.errors import Refused
from xmppbus.plots.chart import POINTS, Look, chart
from xmppbus.plots.series import Curve, Point, Series

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def series(*names: str, count: int = 3) -> Series:
    points = [Point(NOON + timedelta(seconds=n), float(n), n - 1.0, n + 1.0, n + 1) for n in range(count)]
    return Series([Curve(name, points, count, 0.0, count - 1.0, 1.0, 1.0) for name in names], count * len(names))


def marks(spec: dict[str, Any]) -> list[str]:
    return [layer["mark"]["type"] for layer in spec["layer"]]


def test_a_chart_holds_its_points_under_a_name_that_a_page_adds_to() -> None:
    """The mean, and the span of what was drawn together; a page without points yet gets the same chart, empty."""
    spec = chart(Look("Latency", unit="ms"), series(""))
    assert spec["data"]["name"] == POINTS
    noon = 1_769_860_800_000
    assert spec["data"]["values"][:2] == [
        {"t": noon, "v": 0.0},
        {"t": noon + 1000, "v": 1.0, "low": 0.0, "high": 2.0},
    ]
    assert marks(spec) == ["area", "line"]
    empty = chart(Look("Latency", unit="ms"))
    assert {**spec, "data": None} == {**empty, "data": None}
    assert (empty["width"], empty["height"]) == ("container", "container")
    assert "url" not in json.dumps(spec)


def test_few_values_are_dots_and_many_are_a_line() -> None:
    """A dot for each build; no string of pearls for a day of latencies."""
    assert chart(Look(), series("", count=3))["layer"][1]["mark"]["point"]
    assert not chart(Look(), series("", count=limits.PLOT_DOTS + 1))["layer"][1]["mark"]["point"]


def test_curves_have_colours_of_their_own_and_a_legend() -> None:
    """In the order of the curves."""
    colour = chart(Look(by="key"), series("db1", "db2"))["encoding"]["color"]
    assert colour["scale"]["domain"] == ["db1", "db2"]
    assert len(set(chart(Look(by="key", theme="dark"))["encoding"]["color"]["scale"]["range"])) == limits.PLOT_SERIES
    assert "field" not in chart(Look(), series(""))["encoding"]["color"]


def test_text_is_never_part_of_an_expression() -> None:
    """A unit is the only one that stands in one, as a text in quotes."""
    evil = "' + datum.x + \"\\"
    spec = chart(Look(title=evil, subtitle=evil, unit=evil, by="key"), series(evil))
    (expression,) = {layer["encoding"]["y"]["axis"]["labelExpr"] for layer in spec["layer"]}
    assert json.dumps(f"\u2009{evil}") in expression
    assert (spec["title"]["text"], spec["encoding"]["color"]["scale"]["domain"]) == (evil, [evil])
    assert len(chart(Look(title="x" * 999))["title"]["text"]) == limits.PLOT_TITLE_CHARACTERS


@pytest.mark.parametrize(
    ("look", "said"),
    [
        (Look(theme="pink"), "`light` and `dark`"),
        (Look(unit="x" * (limits.PLOT_UNIT_CHARACTERS + 1)), "16 characters"),
        (Look(width=limits.PLOT_LEAST_PIXELS - 1), "160 to 2400 pixels"),
        (Look(height=limits.PLOT_MOST_PIXELS + 1), "160 to 2400 pixels"),
    ],
)
def test_a_look_that_can_not_be_is_refused(look: Look, said: str) -> None:
    """With what could be."""
    with pytest.raises(Refused, match=said):
        chart(look)
