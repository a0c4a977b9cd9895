"""Curves as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from xmppbus.plots.sparkline import clock, drawn, figure, narrowed, sparkline, spread

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_a_sparkline_goes_from_the_least_to_the_greatest() -> None:
    """One block a value; a level curve stays in the middle; of many, neighbours share a block."""
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([5.0, 5.0, 5.0]) == "▄▄▄"
    assert sparkline([]) == ""
    assert sparkline([0.0] * 50 + [1.0] * 50, 10) == "▁▁▁▁▁█████"
    assert sparkline([-1.7e308, 0.0, 1.7e308]) == "▁▅█"
    assert narrowed([1, 2, 3, 4, 5, 6], 3) == [1.5, 3.5, 5.5]


def test_a_chart_of_blocks_has_labels_at_its_ends_and_gaps_where_nothing_was() -> None:
    """Several lines high."""
    times = [NOON + timedelta(hours=hours) for hours in (0, 1, 3)]
    columns = spread(times, [1.0, 2.0, 4.0], 4)
    assert columns == [1.0, 2.0, None, 4.0]
    assert drawn(columns, 3, ["4", "1"]) == [("4", "   █"), ("", " ▁ █"), ("1", "▁█ █")]
    assert spread([NOON], [3.0], 2) == [3.0, None]
    assert spread([], [], 4) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (3.14159, "3.142"), (91, "91"), (1234567, "1,234,567"), (0.00001, "1.000e-05"), (-2.5, "-2.5")],
)
def test_a_figure_has_four_digits_that_matter(value: float, text: str) -> None:
    """And no more."""
    assert figure(value) == text


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(minutes=1), "12:00:00"),
        (timedelta(hours=3), "12:00"),
        (timedelta(days=2), "Sat 31 Jan 12:00"),
        (timedelta(days=90), "2026-01-31"),
    ],
)
def test_the_ends_of_the_time_say_as_much_as_tells_them_apart(span: timedelta, text: str) -> None:
    """A clock for an hour, a date for months."""
    assert clock(NOON, span, UTC) == text
