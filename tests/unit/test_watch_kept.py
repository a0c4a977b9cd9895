"""What the board in a terminal keeps: bounded, however long it runs."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

from xmppbus import limits
from xmppbus.cli.board.kept import Day, Line, Lines, Rate, line_of, sparkline, waiting, with_days

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def line(sequence: int, severity: str = "info", accepted: datetime = NOW) -> Line:
    return Line(sequence, "id", accepted, severity, "text")


def test_a_line_of_listen_becomes_a_line_of_the_board() -> None:
    """Its mark is drawn apart, in its colour; what takes no column is left out."""
    event = {
        "type": "disk.full",
        "summary": "is\u200b \x1b[31mfull",
        "severity": "error",
        "key": "db1",
        "status": "firing",
    }
    content = json.dumps({"sequence": 7, "id": "x", "accepted": "2026-01-31T12:00:00+00:00", "event": event}).encode()
    assert line_of(content) == Line(7, "x", NOW, "error", "disk.full  is full  (firing)", "db1")


def test_a_storm_of_the_harmless_pushes_out_nothing_that_matters() -> None:
    """A bound for each severity, and one for what is shown."""
    kept = Lines()
    kept.add(line(1, "critical"))
    for sequence in range(2, 3 * limits.WATCH_LINES):
        kept.add(line(sequence, "debug"))
    assert [each.sequence for each in kept.at_least("warning")] == [1]
    shown = kept.at_least("debug")
    assert len(shown) == limits.WATCH_LINES
    assert [each.sequence for each in shown] == sorted(each.sequence for each in shown)
    assert kept.newest == 3 * limits.WATCH_LINES - 1
    kept.clear()
    assert (kept.at_least("debug"), kept.newest) == ([], 0)


def test_the_rate_forgets_what_is_long_ago() -> None:
    """Two counters for each column at most."""
    rate = Rate()
    for second in range(0, 100_000, limits.WATCH_INTERVAL_SECONDS):
        rate.add(NOW + timedelta(seconds=second))
    assert len(rate._counts) <= 2 * limits.WATCH_INTERVALS
    counts = rate.counts(NOW + timedelta(seconds=99_990))
    assert counts == [1] * limits.WATCH_INTERVALS
    assert rate.a_minute(NOW + timedelta(seconds=99_990)) == 60 // limits.WATCH_INTERVAL_SECONDS


def test_one_is_seen_beside_a_thousand() -> None:
    """The lowest bar is nothing."""
    assert sparkline([0, 1, 500, 1000]) == "▁▂▅█"
    assert sparkline([0, 0]) == "▁▁"


def test_a_day_that_is_not_today_has_a_heading() -> None:
    """And so has today after it."""
    yesterday = NOW - timedelta(days=1)
    found = with_days([line(1, accepted=yesterday), line(2, accepted=yesterday), line(3)], NOW.date(), UTC)
    assert found == [
        Day(date(2026, 1, 30)),
        line(1, accepted=yesterday),
        line(2, accepted=yesterday),
        Day(NOW.date()),
        line(3),
    ]


def test_every_way_out_and_the_stream_say_how_they_are() -> None:
    """In a few words each."""
    status = {
        "xmpp": {"state": "backoff", "reason": "no connection"},
        "outputs": {"pubsub": {"state": "down", "waiting": 1200, "reason": "x"}, "people": {"state": "up"}},
    }
    assert waiting(status) == [
        ("xmpp", "backoff", "no connection"),
        ("pubsub", "down", "1,200 waiting; x"),
        ("people", "up", ""),
    ]
