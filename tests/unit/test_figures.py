"""What the house counts of itself: cheap, bounded, and right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.reference import metrics_page
from tests.support.journals import FORBIDDEN, TOO_BIG, MovingClock, OpenJournal, outcomes, routed, stop, take
from xmppbus.bus import Bus
from xmppbus.errors import Code, Refused
from xmppbus.journal import DELIVERED, Outcome, Verdict
from xmppbus.route import Routes
from xmppbus.running.counting import CountedBus, door_of
from xmppbus.running.measures import MEASURES, Kind
from xmppbus.stores.figures import Histogram
from xmppbus.stores.sqlite import SqliteJournal


@pytest.fixture
def open_journal(tmp_path: Path) -> OpenJournal:
    return partial(SqliteJournal, tmp_path / "journal.db")


def test_a_histogram_counts_what_is_not_above_each_bound() -> None:
    """As Prometheus has it: a value on a bound belongs to it."""
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 9.0):
        histogram.observe(value)
    assert list(histogram.buckets()) == [(1.0, 2), (2.0, 3), (float("inf"), 4)]
    assert histogram.sum == 12.0


@pytest.mark.parametrize("values", [[0.1, 0.2], [0.5, 1.5, 99.0], [2.0]])
def test_many_values_at_once_come_to_the_same(values: Sequence[float]) -> None:
    """Alike or not."""
    one_by_one, at_once = Histogram((1.0, 2.0)), Histogram((1.0, 2.0))
    for value in values:
        one_by_one.observe(value)
    at_once.observe_all(values)
    assert list(at_once.buckets()) == list(one_by_one.buckets())
    assert at_once.sum == pytest.approx(one_by_one.sum)


def test_every_label_is_described() -> None:
    """On the page, with the values that it can have."""
    assert {label for measure in MEASURES for label in measure.labels} == set(metrics_page.LABELS)


def test_every_metric_is_named_as_prometheus_wants_it() -> None:
    """One name each; counters get their `_total` when they are written."""
    names = [measure.name for measure in MEASURES]
    assert len(set(names)) == len(names)
    for measure in MEASURES:
        assert measure.name.startswith("xmppbus_")
        assert not measure.name.endswith("_total")
        assert measure.kind is not Kind.HISTOGRAM or measure.name.endswith(("_seconds", "_operations"))
        assert measure.help.endswith(".")


async def test_the_journal_counts_what_becomes_of_deliveries(open_journal: OpenJournal) -> None:
    """By output; how long it took is from acceptance on, whatever was tried in between."""
    clock = MovingClock()
    async with open_journal(clock=clock) as journal:
        await journal.append([routed(number) for number in range(4)])
        clock.move(seconds=3)
        run = await take(journal)
        await journal.settle(run, outcomes(run, DELIVERED, TOO_BIG, FORBIDDEN), stop=stop(0.0))
        figures = journal.figures.outputs["pubsub"]
        assert (figures.delivered, figures.dead, figures.retries) == (1, 1, 2)
        assert figures.stops == {"forbidden": 1}
        assert figures.seconds.sum == 3.0
        clock.move(seconds=60)
        run = await take(journal)
        await journal.settle_many([(run, outcomes(run, DELIVERED), None)])
        assert (figures.delivered, figures.dead) == (3, 1)
        assert figures.seconds.sum == 3.0 + 2 * 63.0
        assert [count for bound, count in figures.seconds.buckets() if bound in (2.5, 5.0, 300.0)] == [0, 1, 3]
        commits = [count for _, count in journal.figures.commit_seconds.buckets()][-1]
        assert commits >= 3
        assert journal.figures.commit_operations.sum >= commits


async def test_a_condition_that_only_a_server_knows_is_no_label(open_journal: OpenJournal) -> None:
    """Or it could invent as many as it likes."""
    async with open_journal() as journal:
        for number in range(20):
            await journal.append([routed(number, f"node{number}")])
            run = await take(journal)
            strange = Outcome(Verdict.STOPPED, f"invented-{number}")
            await journal.settle(run, outcomes(run, strange), stop=stop(60, f"invented-{number}"))
        assert journal.figures.outputs["pubsub"].stops == {"other": 20}


def _bus(journal: SqliteJournal) -> CountedBus:
    clock = MovingClock()
    return CountedBus(journal, Routes([]), source="here", check_size=lambda _: None, clock=clock)


def _fields(name: str, **more: Any) -> Mapping[str, Any]:
    return {"id": name, "source": "test", "type": "user.signup", **more}


async def test_the_door_counts_by_input_and_reason(open_journal: OpenJournal) -> None:
    """What is new, what is known, what is refused; the bus's own and the command line's by names of their own."""
    async with open_journal() as journal:
        bus = _bus(journal)
        events = door_of(bus, "events")
        await events([_fields("a"), _fields("b"), _fields("a"), {"type": "no type"}, _fields("a", data="other")])
        await bus.accept([_fields("c")])
        await bus.accept([_fields("d")], is_ours=True)
        assert bus.figures.new == {"events": 2, "command": 1, "house": 1}
        assert bus.figures.known == {"events": 1}
        assert bus.figures.refused == {("events", "invalid-event"): 1, ("events", "conflict"): 1}
        assert [count for _, count in bus.figures.seconds.buckets()][-1] == 5


async def test_what_is_refused_as_a_whole_counts_for_each_event(open_journal: OpenJournal) -> None:
    """And is raised all the same."""
    async with open_journal() as journal:
        bus = _bus(journal)
        bus.close()
        with pytest.raises(Refused) as refused:
            await door_of(bus, "unix")([_fields("a"), _fields("b")])
        assert refused.value.code is Code.CLOSING
        assert bus.figures.refused == {("unix", "closing"): 2}


async def test_a_bus_that_does_not_count_has_a_door_as_well(open_journal: OpenJournal) -> None:
    """The parts of a house need not know which they have."""
    async with open_journal() as journal:
        bus = Bus(journal, Routes([]), source="here", check_size=lambda _: None, clock=MovingClock())
        (answer,) = await door_of(bus, "unix")([_fields("a")])
        assert not isinstance(answer, Refused)
