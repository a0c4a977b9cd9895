"""The deliverer, between a real journal and outputs that fail on demand."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from xmppbus import limits
from xmppbus.bus import Bus
from xmppbus.deliver import Deliverer, Work, stations_work
from xmppbus.event import Event, parse
from xmppbus.journal import DELIVERED, UNSENT, Outcome, Routed, Run, Settled, State, Verdict
from xmppbus.retry import Retry
from xmppbus.route import Address, Match, Route, Routes, Target
from xmppbus.stores.sqlite import SqliteJournal

DEADLINE = 20
FAST = Retry(0.01, 0.02)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    async with SqliteJournal(tmp_path / "journal.db") as opened:
        yield opened


def routed(number: int, *targets: Target) -> Routed:
    named = parse({"type": "a", "id": str(number)}, {"source": "host", "time": "2026-01-31T12:00:00Z"})
    return Routed(*named, targets)


async def fill(journal: SqliteJournal, count: int, place: str = "a", output: str = "out", first: int = 0) -> None:
    await journal.append([routed(number, Target(output, place)) for number in range(first, first + count)])


async def until(journal: SqliteJournal, condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await journal.changed(timedelta(seconds=0.05))


def noon() -> datetime:
    return datetime(2026, 1, 31, 12, tzinfo=UTC)


async def ready() -> None:
    """Always."""


@asynccontextmanager
async def running(journal: SqliteJournal, work: Work, output: str = "out") -> AsyncIterator[Deliverer]:
    deliverer = Deliverer(output, work, journal, ready=ready, dice=lambda: 0.5, retry=FAST)
    task = asyncio.create_task(deliverer.run())
    try:
        yield deliverer
    finally:
        task.cancel()
        await asyncio.wait([task])


class Recorder:
    """Delivers, unless `say` has another answer for an event's id; notes what it was given."""

    def __init__(self) -> None:
        self.got: dict[str, list[int]] = {}
        self.attempts: Counter[int] = Counter()
        self.say: Callable[[int], Outcome] = lambda _: DELIVERED

    async def __call__(self, run: Run) -> AsyncGenerator[Settled, None]:
        failed = False
        for delivery in run.deliveries:
            number = int(delivery.event.id)
            if failed:
                yield Settled(delivery.id, UNSENT)
                continue
            self.attempts[number] += 1
            outcome = self.say(number)
            failed = outcome.verdict in (Verdict.STOPPED, Verdict.UNKNOWN)
            if outcome.verdict is Verdict.DELIVERED:
                self.got.setdefault(run.place, []).append(number)
            yield Settled(delivery.id, outcome)


async def test_what_waits_is_delivered_in_acceptance_order(journal: SqliteJournal) -> None:
    """Over many runs, and while more comes."""
    out = Recorder()
    await fill(journal, limits.RUN_EVENTS + 10)
    async with running(journal, out):
        await fill(journal, 500, first=10_000)
        await until(journal, lambda: len(out.got.get("a", [])) == limits.RUN_EVENTS + 510)
    assert out.got["a"] == [*range(limits.RUN_EVENTS + 10), *range(10_000, 10_500)]
    assert (await journal.status()).waiting == 0


async def test_an_answer_about_the_place_kills_nothing_and_loses_no_order(journal: SqliteJournal) -> None:
    """However often it is given; the next place is not held up."""
    out = Recorder()
    refusals = iter(range(20))
    out.say = lambda n: (
        Outcome(Verdict.STOPPED, "forbidden") if n == 3 and next(refusals, None) is not None else DELIVERED
    )
    await fill(journal, 10)
    await fill(journal, 1, place="b", first=100)
    async with running(journal, out):
        await until(journal, lambda: len(out.got.get("a", [])) == 10)
    assert out.got == {"a": list(range(10)), "b": [100]}
    assert out.attempts[3] == 21
    assert out.attempts[4] == 1
    assert (await journal.status()).dead == 0


async def test_a_stopped_place_shows_why_and_how_often(journal: SqliteJournal) -> None:
    """In `status`, with the condition in the protocol's words."""
    out = Recorder()
    out.say = lambda _: Outcome(Verdict.STOPPED, "forbidden", retry_after=60)
    await fill(journal, 2)
    async with running(journal, out):
        await until(journal, lambda: out.attempts[0] == 1)
        place = (await journal.places())[0]
        async with asyncio.timeout(DEADLINE):
            while not place.stop:
                await journal.changed(timedelta(seconds=0.05))
                place = (await journal.places())[0]
    assert (place.place, place.waiting, place.stop.condition, place.stop.attempts) == ("a", 2, "forbidden", 1)
    assert 0 < place.stop.seconds <= 60
    assert place.stop.text


async def test_an_answer_about_the_event_makes_it_dead_and_the_rest_goes_on(journal: SqliteJournal) -> None:
    """With the reason, kept for a person to decide."""
    out = Recorder()
    out.say = lambda n: Outcome(Verdict.DEAD, "payload-too-big", "300000 bytes") if n == 1 else DELIVERED
    await fill(journal, 3)
    async with running(journal, out):
        await until(journal, lambda: out.got.get("a") == [0, 2])
    ((fate, entry),) = await journal.dead((), 10)
    assert (fate.state, fate.condition, fate.text, entry.event.id) == (
        State.DEAD,
        "payload-too-big",
        "300000 bytes",
        "1",
    )


async def test_an_outputs_bug_stops_its_place_and_no_other(journal: SqliteJournal) -> None:
    """And what it had delivered before is settled."""
    out = Recorder()

    def say(number: int) -> Outcome:
        if number == 2 and out.attempts[2] < 3:
            raise ZeroDivisionError("a bug")
        return DELIVERED

    out.say = say
    await fill(journal, 5)
    await fill(journal, 1, place="b", first=100)
    async with running(journal, out):
        await until(journal, lambda: len(out.got.get("a", [])) == 5)
    assert out.got == {"a": [0, 1, 2, 3, 4], "b": [100]}
    assert out.attempts[0] == 1


async def test_an_output_that_forgets_an_outcome_does_not_spin(journal: SqliteJournal) -> None:
    """It is a bug like another: the place stops with backoff."""
    calls = 0

    async def silent(run: Run) -> AsyncGenerator[Settled, None]:
        nonlocal calls
        calls += 1
        for delivery in run.deliveries[1:0]:
            yield Settled(delivery.id, DELIVERED)

    await fill(journal, 1)
    async with running(journal, silent):
        await until(journal, lambda: calls >= 2)
        assert (await journal.places())[0].waiting == 1


async def test_nothing_is_claimed_while_the_output_is_not_ready(journal: SqliteJournal) -> None:
    """However much waits."""
    out = Recorder()
    door = asyncio.Event()

    async def closed() -> None:
        await door.wait()

    await fill(journal, 5)
    task = asyncio.create_task(Deliverer("out", out, journal, ready=closed, dice=lambda: 0.5).run())
    await fill(journal, 5, first=5)
    assert not out.attempts
    door.set()
    await until(journal, lambda: len(out.got.get("a", [])) == 10)
    task.cancel()
    await asyncio.wait([task])


async def test_leaving_writes_down_what_the_other_side_has_said(journal: SqliteJournal) -> None:
    """A run in flight gets the grace period; its yes is not forgotten."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(run: Run) -> AsyncGenerator[Settled, None]:
        for delivery in run.deliveries:
            begun.set()
            await go_on.wait()
            yield Settled(delivery.id, DELIVERED)

    await fill(journal, 3)
    task = asyncio.create_task(Deliverer("out", slow, journal, ready=ready, dice=lambda: 0.5).run())
    await begun.wait()
    task.cancel()
    go_on.set()
    await asyncio.wait([task])
    assert (await journal.status()).waiting == 0


class Doubler:
    """Lets the event pass and adds one beside it; fails on demand."""

    def __init__(self) -> None:
        self.failures = 0
        self.side_by_side = 0
        self.most = 0

    async def analyze(self, event: Event) -> Sequence[Event]:
        self.side_by_side += 1
        self.most = max(self.most, self.side_by_side)
        await asyncio.sleep(0)
        self.side_by_side -= 1
        if event.id == "1" and self.failures < 2:
            self.failures += 1
            raise RuntimeError("a bug")
        return [event, event.evolve(type="a.copy")]


async def test_analyzers_run_side_by_side_and_pass_on_what_they_answer(journal: SqliteJournal) -> None:
    """The event and a new one beside it, each once, although the analyzer failed on the way."""
    doubler = Doubler()
    routes = Routes([Route("r", Match(), ("doubler",), (Address("out"),))])
    bus = Bus(journal, routes, source="host", check_size=lambda _: None, clock=noon)
    await journal.append([routed(number, Target("via", "r/0")) for number in range(20)])
    out = Recorder()
    copies: list[str] = []

    async def work(run: Run) -> AsyncGenerator[Settled, None]:
        for delivery in run.deliveries:
            copies.append(f"{run.place} {delivery.event.get('causedby', delivery.item_id)}")
            yield Settled(delivery.id, DELIVERED)

    async with running(journal, stations_work({"r/0": doubler}, bus), "via"), running(journal, work):
        await until(journal, lambda: len(copies) == 40)
    assert len(set(copies)) == 40
    assert 1 < doubler.most <= limits.ANALYZER_JOBS
    assert not out.got


async def test_what_waits_for_a_station_that_has_gone_is_held_and_shown(journal: SqliteJournal) -> None:
    """Not dead: the route may come back."""
    await journal.append([routed(1, Target("via", "gone/0"))])
    bus = Bus(journal, Routes([]), source="host", check_size=lambda _: None, clock=noon)
    async with running(journal, stations_work({}, bus), "via"):
        async with asyncio.timeout(DEADLINE):
            while not (place := (await journal.places())[0]).stop:
                await journal.changed(timedelta(seconds=0.05))
    assert (place.waiting, place.stop.condition) == (1, "gone")
    assert (await journal.status()).dead == 0


class Slow:
    """Lets every event pass but one, which it never answers."""

    async def analyze(self, event: Event) -> Sequence[Event]:
        if event.id == "0":
            await asyncio.Event().wait()
        return [event]


async def test_an_event_that_an_analyzer_does_not_answer_holds_up_no_neighbour(journal: SqliteJournal) -> None:
    """What is done goes on at once, however long the rest of the run takes."""
    routes = Routes([Route("r", Match(), ("slow",), (Address("out"),))])
    bus = Bus(journal, routes, source="host", check_size=lambda _: None, clock=noon)
    await journal.append([routed(number, Target("via", "r/0")) for number in range(10)])
    out = Recorder()
    async with running(journal, stations_work({"r/0": Slow()}, bus), "via"), running(journal, out):
        await until(journal, lambda: len(out.got.get("a", [])) == 9)
    assert sorted(out.got["a"]) == list(range(1, 10))


class Once:
    """Remembers what it has seen, and holds a repeat: an analyzer that must not be asked twice."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    async def analyze(self, event: Event) -> Sequence[Event]:
        again = event.id in self.seen
        self.seen.add(event.id)
        return [] if again else [event]


async def test_an_event_that_has_no_room_to_go_on_is_dead_and_its_neighbours_go_on(
    journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is analyzed twice for its sake, and a person decides what becomes of it."""
    await fill(journal, 2, place="a")
    await fill(journal, 1, place="b", first=10)
    monkeypatch.setattr(limits, "NODES", 2)
    bus = Bus(
        journal,
        Routes([Route("r", Match(), ("once",), (Address("out"),))]),
        source="host",
        check_size=lambda _: None,
        clock=noon,
    )
    events = []
    for number, type_ in ((20, "a"), (21, "new.type"), (22, "b")):
        named = parse({"type": type_, "id": str(number)}, {"source": "host", "time": "2026-01-31T12:00:00Z"})
        events.append(Routed(*named, (Target("via", "r/0"),)))
    await journal.append(events)
    out = Recorder()
    async with running(journal, stations_work({"r/0": Once()}, bus), "via"), running(journal, out):
        await until(journal, lambda: sum(len(each) for each in out.got.values()) == 5)
        async with asyncio.timeout(DEADLINE):
            while not (dead := await journal.dead((), 10)):
                await journal.changed(timedelta(seconds=0.05))
    assert sorted(out.got["a"]) == [0, 1, 20]
    assert sorted(out.got["b"]) == [10, 22]
    assert [(fate.condition, entry.event.type) for fate, entry in dead] == [("resource-constraint", "new.type")]


async def test_a_reason_that_is_no_text_leaves_no_place_claimed_for_ever(journal: SqliteJournal) -> None:
    """Whatever an exception says, the place stops with it, and goes on later."""
    out = Recorder()
    failures = iter(range(2))

    def say(_: int) -> Outcome:
        if next(failures, None) is not None:
            raise ValueError("a lone surrogate: \ud800")
        return DELIVERED

    out.say = say
    await fill(journal, 3)
    async with running(journal, out):
        await until(journal, lambda: len(out.got.get("a", [])) == 3)


async def test_an_output_that_can_not_say_whether_it_is_ready_does_not_end_the_house(journal: SqliteJournal) -> None:
    """It is asked again."""
    out = Recorder()
    failures = iter(range(2))

    async def broken() -> None:
        if next(failures, None) is not None:
            raise OSError("not now")

    await fill(journal, 3)
    task = asyncio.create_task(Deliverer("out", out, journal, ready=broken, dice=lambda: 0.5, retry=FAST).run())
    await until(journal, lambda: len(out.got.get("a", [])) == 3)
    task.cancel()
    await asyncio.wait([task])


async def test_what_runs_hold_in_memory_is_bounded(journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over all places of an output: the others keep their turn."""
    monkeypatch.setattr(limits, "CLAIM_BYTES", 4_000)
    big = {"type": "a", "data": "x" * 1_000}
    for place in range(20):
        named = parse({**big, "id": str(place)}, {"source": "host", "time": "2026-01-31T12:00:00Z"})
        await journal.append([Routed(*named, (Target("out", f"p{place}"),))])
    go_on = asyncio.Event()
    at_work: set[str] = set()
    most = 0

    async def slow(run: Run) -> AsyncGenerator[Settled, None]:
        nonlocal most
        at_work.add(run.place)
        most = max(most, len(at_work))
        await go_on.wait()
        for delivery in run.deliveries:
            yield Settled(delivery.id, DELIVERED)
        at_work.discard(run.place)

    async with running(journal, slow):
        await until(journal, lambda: most >= 3)
        go_on.set()
        async with asyncio.timeout(DEADLINE):
            while (await journal.status()).waiting:
                await journal.changed(timedelta(seconds=0.05))
    assert most <= 5
