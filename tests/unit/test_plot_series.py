"""From the journal to the points of a field: what counts as a number, what is told apart, what is drawn together."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.journals import routed
from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.event import Event
from xmppbus.journal import Entry
from xmppbus.plots.series import Collector, Series, Wanted, check_by, collect, found_at, number_of, path_of
from xmppbus.route import Match
from xmppbus.stores.sqlite import SqliteJournal

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
MS = ("data", "ms")


def entry(number: int, data: Any, **fields: Any) -> Entry:
    time = (NOON + timedelta(seconds=number)).isoformat()
    event = Event({"id": str(number), "source": "test", "type": "http.latency", "time": time, "data": data, **fields})
    return Entry(number, str(number), NOON, event)


def series_of(*entries: Entry, points: int = limits.PLOT_POINTS, **wanted: Any) -> Series:
    collector = Collector(Wanted((), MS, **wanted), points)
    for each in entries:
        collector.take(each)
    return collector.series()


def test_a_field_is_a_path_into_the_events_json() -> None:
    """Through objects and lists; what is not there is missing."""
    fields = {"data": {"ms": 7, "of": [{"a.b": 1}, {"n": 2}]}, "severity": "info"}
    assert found_at(fields, path_of("data.ms")) == 7
    assert found_at(fields, path_of("data.of.1.n")) == 2
    missing = found_at(fields, path_of("data.of.9.n"))
    assert missing is found_at(fields, path_of("data.ms.deeper")) is found_at(fields, path_of("nothing"))
    for wrong in ("", ".", "data.", "data..ms", "Data", "x" * 21, "data." + "y" * 65, "data" + ".a" * 17):
        with pytest.raises(Refused, match=r"such as `data\.ms`") as refused:
            path_of(wrong)
        assert refused.value.code is Code.USAGE
    with pytest.raises(Refused, match="key, subject, source, type"):
        check_by("colour")


def test_a_number_is_finite_and_no_word_for_it() -> None:
    """True is not one, nor is text that looks like a number, nor one too large to be drawn."""
    assert [number_of(each) for each in (3, 2.5, -0.0, 10**300)] == [3.0, 2.5, 0.0, 1e300]
    wrong: list[Any] = [True, False, None, "3", [3], {}, float("nan"), float("inf"), 10**400]
    assert [number_of(each) for each in wrong] == [None] * len(wrong)


def test_what_can_not_be_drawn_is_counted() -> None:
    """Gaps are not bridged with zeros: they are simply no points."""
    found = series_of(
        entry(1, {"ms": 4}), entry(2, {"ms": "4"}), entry(3, {}), entry(4, {"ms": True}), entry(5, "text")
    )
    (curve,) = found.curves
    assert [(each.time, each.value) for each in curve.points] == [(NOON + timedelta(seconds=1), 4.0)]
    assert (found.values, found.missing, found.not_numbers) == (1, 2, 2)
    assert series_of(entry(1, {})) == Series([], missing=1)


def test_curves_are_told_apart_and_those_with_the_most_values_are_shown() -> None:
    """So many as there are colours; the others are counted, also where there are too many to count them one by one."""
    curves = limits.PLOT_SERIES + 3
    entries = [entry(n, {"ms": n}, key=f"k{n % curves}") for n in range(5 * curves)]
    entries += [entry(1_000 + n, {"ms": 1}, key="k10") for n in range(3)]
    found = series_of(*entries, by="key")
    assert found.curves[0].name == "k10"
    assert (len(found.curves), found.not_shown, found.values) == (limits.PLOT_SERIES, 3, 5 * curves + 3)
    many = [entry(n, {"ms": n}, subject=f"s{n}") for n in range(limits.PLOT_SERIES_SEEN + 5)]
    assert series_of(*many, by="subject").not_shown == limits.PLOT_SERIES_SEEN + 5 - limits.PLOT_SERIES
    assert [each.name for each in series_of(entry(1, {"ms": 1}), by="key").curves] == [""]


def test_neighbours_are_drawn_together_where_there_are_many() -> None:
    """As mean, least and greatest of equal parts of the time; the figures are those of all values."""
    found = series_of(*(entry(n, {"ms": n % 10}) for n in range(1_000)), points=100)
    (curve,) = found.curves
    assert len(curve.points) == 100
    assert sum(point.count for point in curve.points) == curve.count == 1_000
    assert {(point.low, point.high) for point in curve.points[:-1]} == {(0.0, 9.0)}
    assert (curve.low, curve.high, curve.last) == (0.0, 9.0, 9.0)
    assert curve.mean == pytest.approx(4.5)
    assert [point.time for point in curve.points] == sorted(point.time for point in curve.points)
    huge = series_of(entry(1, {"ms": 1.7e308}), entry(2, {"ms": 1.7e308}), points=1).curves[0]
    assert huge.mean == huge.points[0].value == 1.7e308


def test_time_is_when_it_happened() -> None:
    """Events that came late are put in their place; those outside the span are left out."""
    late, leap = entry(3, {"ms": 3}), entry(2, {"ms": 2}, time="2016-12-31T23:59:60Z")
    found = series_of(entry(9, {"ms": 9}), late, leap)
    assert [point.value for point in found.curves[0].points] == [2.0, 3.0, 9.0]  # a leap second: when it was accepted
    for edge in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):  # in UTC there is no such year
        assert series_of(entry(1, {"ms": 1}, time=edge)).curves[0].points[0].time == NOON
    span: dict[str, Any] = {"since": NOON + timedelta(seconds=3), "until": NOON + timedelta(seconds=5)}
    assert series_of(entry(9, {"ms": 9}), late, entry(1, {"ms": 1}), **span).values == 1


def test_there_is_a_bound_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin later, or ask for less."""
    monkeypatch.setattr(limits, "PLOT_EVENTS", 2)
    with pytest.raises(Refused, match="begin later") as refused:
        series_of(*(entry(n, {"ms": n}) for n in range(3)))
    assert refused.value.code is Code.TOO_BIG


async def test_the_journal_is_read_in_slices_up_to_what_is_there(tmp_path: Path) -> None:
    """Only what matches, and only behind the sequence that is asked for."""
    async with SqliteJournal(tmp_path / "journal.db") as journal:
        values = [routed(n, type="http.latency", data={"ms": n}) for n in range(2 * limits.PLOT_SLICE_EVENTS)]
        for begin in range(0, len(values), limits.BATCH_EVENTS):
            await journal.append(values[begin : begin + limits.BATCH_EVENTS])
        await journal.append([routed("other", type="disk.full", data={"ms": 1})])
        found = await collect(journal, Wanted((Match("http.#"),), MS, after=10))
        (curve,) = found.curves
        assert (curve.count, curve.low, curve.high) == (len(values) - 10, 10.0, len(values) - 1.0)
        assert (await collect(journal, Wanted((Match("none"),), MS))).curves == []


def test_values_survive_as_json_gives_them() -> None:
    """What a sender wrote as 1e2 or 100 is the same point."""
    points = series_of(entry(1, json.loads('{"ms": 1e2}')), entry(2, json.loads('{"ms": 100}'))).curves[0].points
    assert [point.value for point in points] == [100.0, 100.0]
