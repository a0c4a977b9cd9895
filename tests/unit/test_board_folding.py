"""What a panel keeps of the events in its window: the right sum of them, and no more than a bounded one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from xmppbus import limits
from xmppbus.displays.folding import FOLDS, Fold, match_of, window_of
from xmppbus.displays.shown import cut, value_of
from xmppbus.event import Event
from xmppbus.journal import Entry
from xmppbus.options import MatchOptions, PanelOptions

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def entry(sequence: int, seconds_ago: float = 0.0, **fields: Any) -> Entry:
    """One that was accepted when it happened."""
    moment = NOON - timedelta(seconds=seconds_ago)
    event = Event({"type": "a.b", "id": str(sequence), "source": "s", "time": moment.isoformat(), **fields})
    return Entry(sequence, event.item_id, moment, event)


def fold(**options: Any) -> Fold:
    """What holds the values of a panel with these options."""
    panel = PanelOptions(**options)
    return FOLDS[panel.kind](panel)


def values(of: Fold, after_seconds: float = 0.0) -> dict[str, Any]:
    """At noon, or later."""
    return of.values(round((NOON.timestamp() + after_seconds) * 1000))


def total(of: Fold, after_seconds: float = 0.0) -> int:
    """All that is counted."""
    return sum(count for _, count in values(of, after_seconds)["counts"])


def test_a_counter_knows_its_window_and_the_one_before_and_forgets_what_is_older() -> None:
    """However many events: the parts of the windows are so many."""
    counted = fold(kind="counter", window="1h")
    for sequence in range(20_000):
        counted.take(entry(sequence, seconds_ago=20_000 - sequence))
    found = values(counted)
    assert len(found["counts"]) <= limits.BOARD_BUCKETS
    assert found["bucket"] == 60_000
    assert 7_100 <= total(counted) <= 7_200
    assert total(counted, after_seconds=3_600) == pytest.approx(3_600, abs=60)
    assert total(counted, after_seconds=3 * 3_600) == 0


def test_events_from_before_the_window_and_from_the_future_harm_nothing() -> None:
    """The first are not counted; the others happened when they were accepted."""
    counted = fold(kind="counter", window="1h")
    counted.take(entry(1))
    counted.take(entry(2, seconds_ago=9_000))
    late = entry(3)
    counted.take(late._replace(event=Event({**late.event.fields, "time": "2199-01-01T00:00:00Z"})))
    assert total(counted) == 2


def test_a_feed_keeps_the_newest_as_harmless_lines() -> None:
    """Each of them of a bounded length."""
    lines = fold(kind="feed")
    for sequence in range(500):
        lines.take(entry(sequence, summary="\u202eevil\x1b[31m " + "x" * 900))
    found = values(lines)["lines"]
    assert [line["sequence"] for line in found] == list(range(500 - limits.BOARD_FEED_EVENTS, 500))
    assert {len(line["summary"]) for line in found} == {limits.BOARD_TEXT_CHARACTERS}
    assert found[0]["summary"].startswith("evil xxx")
    assert values(lines, after_seconds=86_401)["lines"] == []


def test_a_table_has_the_latest_row_of_each_and_of_so_many() -> None:
    """By key, or by whatever it says; those that were silent for longest go, and those that are too old."""
    rows = fold(kind="table", by="data.host", columns=["data.percent", "data.nothing", "data.list"])
    rows.take(entry(1, 60, data={"host": "db1", "percent": 91, "list": [1, "a"]}))
    rows.take(entry(2, 30, data={"host": "db1", "percent": 92.5}))
    rows.take(entry(3, 90, data={"host": "db1", "percent": 1}))  # older than what is there, and came late
    rows.take(entry(4))
    assert [(row["name"], row["cells"]) for row in values(rows)["rows"]] == [
        ("db1", [92.5, None, None]),
        ("a.b", [None, None, None]),
    ]
    for number in range(2 * limits.BOARD_KEYS):
        rows.take(entry(5 + number, data={"host": f"h{number}"}))
    names = [row["name"] for row in values(rows)["rows"]]
    assert names == [f"h{number}" for number in range(limits.BOARD_KEYS, 2 * limits.BOARD_KEYS)]
    assert values(rows, after_seconds=31 * 86_400)["rows"] == []


def test_a_text_and_lamps_are_the_latest_too() -> None:
    """With what is needed for their colour and shape."""
    big = fold(kind="text", field="data.stage")
    lamps = fold(kind="lights")
    for sequence, status in enumerate(("firing", "resolved")):
        each = entry(sequence, key="web1", status=status, severity="error", data={"stage": f"step {sequence}"})
        big.take(each)
        lamps.take(each)
    (shown,) = values(big)["rows"]
    assert shown["cells"] == ["step 1"]
    (lamp,) = values(lamps)["rows"]
    assert (lamp["name"], lamp["status"], lamp["severity"]) == ("web1", "resolved", "error")


def test_a_chart_keeps_sums_of_numbers_and_nothing_else() -> None:
    """So many parts of the window, and so many lines."""
    points = fold(kind="chart", field="data.ms", by="source", window="4m")
    for sequence, value in enumerate((5, 7.0, True, "9", None, float("inf"), [1])):
        points.take(entry(sequence, data={"ms": value}))
    found = values(points)
    assert found["bucket"] == 1_000
    ((name, parts),) = found["lines"]
    assert name == "s"
    assert parts == [[NOON.timestamp(), 2, 12.0, 5, 7.0, NOON.timestamp() * 1000]]
    for number in range(3 * limits.BOARD_SERIES):
        points.take(entry(number, source=f"s{number}", data={"ms": number}))
    assert len(values(points)["lines"]) == limits.BOARD_SERIES
    for sequence in range(5_000):
        points.take(entry(sequence, seconds_ago=5_000 - sequence, data={"ms": 1}))
    assert max(len(parts) for _, parts in values(points)["lines"]) <= limits.BOARD_POINTS
    assert values(points, after_seconds=300)["lines"] == []


def test_a_panel_is_about_what_it_matches_and_looks_back_as_far_as_is_usual() -> None:
    """Unless it says how far."""
    panel = PanelOptions(kind="rate", match=MatchOptions(type="disk.#", severity=">= warning"))
    assert match_of(panel)._asdict() == {
        "type": "disk.#", "severity": ">=warning", "source": "", "subject": "", "key": ""
    }  # fmt: skip
    assert window_of(panel) == 300_000
    assert window_of(PanelOptions(kind="lights", window="2w")) == 14 * 86_400_000


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("summary", "the first line"),
        ("severity", "info"),
        ("data.text", "the first line second"),
        ("data.deep.0.on", "true"),
        ("data.deep", '[{"on":true}]'),
        ("data.nothing", None),
        ("key", None),
        ("data.number", 3.5),
    ],
)
def test_a_field_is_a_text_or_a_number_or_nothing(field: str, value: object) -> None:
    """What is made of more is shown as JSON."""
    data = {"text": "the first line\nsecond", "deep": [{"on": True}], "nothing": None, "number": 3.5}
    event = Event({"type": "a", "id": "1", "source": "s", "time": NOON.isoformat(), "data": data})
    assert value_of(event, field.split(".")) == value


def test_a_text_is_cut_where_nobody_reads_on() -> None:
    """At a character, with a sign that there was more."""
    assert cut("\U0001f600" * 1_000) == "\U0001f600" * (limits.BOARD_TEXT_CHARACTERS - 1) + "…"
    assert cut(" a\r\n\tb\u2028 c ") == "a b c"
