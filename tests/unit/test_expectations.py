"""What is expected, and when it is missed: seconds are given, nobody waits."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from xmppbus.errors import Refused
from xmppbus.event import Event
from xmppbus.inputs.expectations import MISSED, Expectation, Expectations, checked
from xmppbus.journal import Entry

MOMENT = datetime(2026, 1, 2, tzinfo=UTC)


def came(type_: str, sequence: int = 1, **fields: str) -> Entry:
    event = Event({"type": type_, "source": "db1", "id": str(sequence), "time": "2026-01-02T00:00:00Z", **fields})
    return Entry(sequence, str(uuid.UUID(int=sequence)), MOMENT, event)


def expected(type_: str = "job.backup", every: float = 60.0, **more: Any) -> Expectation:
    return Expectation(**{"name": type_, "type": type_, "every": every, "made": "2026-01-01T00:00:00.000Z", **more})


def test_it_is_missed_after_its_time_and_its_grace() -> None:
    """Not before."""
    known = Expectations()
    known.put(expected(grace=5.0), 100.0)
    assert known.next_due(100.0) == 65.0
    assert known.due(164.9) == []
    ((missed, silent),) = known.due(165.0)
    assert (missed.name, silent) == ("job.backup", 65.0)


def test_one_that_came_is_awaited_anew() -> None:
    """And what it came with is remembered."""
    known = Expectations()
    known.put(expected(), 100.0)
    assert known.hear(came("job.backup", 7), 150.0) == []
    assert known.due(209.0) == []
    (kept,) = known.to_keep()
    assert (kept.heard, kept.item) == ("2026-01-02T00:00:00.000+00:00", str(uuid.UUID(int=7)))
    assert list(known.to_keep()) == []


def test_one_that_is_missed_is_said_once_and_is_back_with_the_next() -> None:
    """With how long it was silent."""
    known = Expectations()
    known.put(expected(missed="2026-01-01T00:02:00Z"), 0.0)
    assert known.due(1e9) == []
    assert known.next_due(0.0) == float("inf")
    ((back, silent),) = known.hear(came("job.backup"), 500.0)
    assert (back.name, silent) == ("job.backup", 500.0)


def test_after_a_start_nobody_is_missed_for_a_while() -> None:
    """What they said meanwhile may be on its way."""
    known = Expectations()
    known.put(expected(), -1000.0, 45.0)
    assert known.due(44.0) == []
    assert known.due(45.0)


@pytest.mark.parametrize(
    ("pattern", "type_", "more", "heard"),
    [
        ("job.*", "job.backup", {}, True),
        ("job.*", "jobs.backup", {}, False),
        ("#", "anything", {}, True),
        ("*.backup", "job.backup", {}, True),
        ("job.backup", "job.backup", {"key": "other"}, False),
        ("job.backup", "job.backup", {"source": "db1"}, True),
        ("job.backup", "job.backup", {"source": "db2"}, False),
    ],
)
def test_the_pattern_the_key_and_the_source_say_what_is_meant(
    pattern: str, type_: str, more: dict[str, str], heard: bool
) -> None:
    """All of them."""
    known = Expectations()
    known.put(expected(pattern, 60.0, **more), 0.0)
    known.hear(came(type_, key="k"), 30.0)
    assert bool(known.due(60.0)) is not heard


def test_its_own_words_are_no_sign_of_life() -> None:
    """Who expects anything at all is not soothed by hearing that nothing came."""
    known = Expectations()
    known.put(expected("#"), 0.0)
    known.hear(came(MISSED, source="xmppbus"), 30.0)
    assert known.due(60.0)


def test_what_is_said_has_one_name_however_often_it_is_said() -> None:
    """A crash between saying it and writing that down makes no second event."""
    one = expected()
    assert one.told("firing", 60.0)["id"] == one.told("firing", 70.0)["id"]
    assert one.told("firing", 60.0)["key"] == one.told("resolved", 60.0)["key"] == "expect:job.backup"


def test_a_name_that_can_t_be_told_is_refused() -> None:
    """At the door."""
    with pytest.raises(Refused):
        checked(expected(name="x" * 10_000))


def test_many_expectations_cost_little_for_an_event_that_none_of_them_means() -> None:
    """Those with another first word are not looked at."""
    known = Expectations()
    for number in range(10_000):
        known.put(expected(f"job{number}.backup"), 0.0)
    for sequence in range(5_000):
        assert known.hear(came("other.type", sequence), 1.0) == []
    assert len(list(known.to_keep())) == 0
