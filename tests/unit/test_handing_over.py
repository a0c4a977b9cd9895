"""Deliveries to many places in one go: each place keeps its order and its fate."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.journals import routed
from tests.support.waiting import until
from xmppbus import limits
from xmppbus.journal import DELIVERED, HELD, UNSENT, Outcome, PlaceStatus, Run, State, Verdict
from xmppbus.people.handing_over import ManyDeliverer
from xmppbus.retry import Retry
from xmppbus.route import Target
from xmppbus.stores.sqlite import SqliteJournal

FAST = Retry(0.01, 0.02)
DEADLINE = 20


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    async with SqliteJournal(tmp_path / "journal.db") as opened:
        yield opened


async def fill(journal: SqliteJournal, events: int, places: int) -> None:
    """So many events, each to so many people."""
    targets = [Target("chat", f"p{number}") for number in range(places)]
    await journal.append([routed(number, *targets) for number in range(events)])


class Recorder:
    """A `ManyOutput` that delivers, unless `say` has another answer for a place and an event's id."""

    def __init__(self) -> None:
        self.got: dict[str, list[int]] = {}
        self.attempts: Counter[tuple[str, int]] = Counter()
        self.batches: list[int] = []
        self.at_once = self.most = 0
        self.say: Callable[[str, int], Outcome] = lambda *_: DELIVERED
        self.pause: Callable[[Run], AsyncIterator[None]] | None = None

    async def __aenter__(self) -> Recorder:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Nothing is held."""

    async def ready(self) -> None:
        """Always."""

    def status(self) -> Mapping[str, Any]:
        return {"state": "up"}

    async def deliver_many(self, runs: Sequence[Run]) -> AsyncIterator[tuple[Run, list[Outcome]]]:
        self.batches.append(len(runs))
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            for run in reversed(runs):
                await asyncio.sleep(0)
                yield run, [outcome async for outcome in self._deliver(run)]
        finally:
            self.at_once -= 1

    async def _deliver(self, run: Run) -> AsyncIterator[Outcome]:
        if self.pause:
            async for _ in self.pause(run):
                pass
        goes_on = True
        for delivery in run.deliveries:
            number = int(delivery.event.id)
            if not goes_on:
                yield UNSENT
                continue
            self.attempts[run.place, number] += 1
            outcome = self.say(run.place, number)
            goes_on = outcome.verdict in (Verdict.DELIVERED, Verdict.DEAD)
            if outcome.verdict is Verdict.DELIVERED:
                self.got.setdefault(run.place, []).append(number)
            yield outcome


@asynccontextmanager
async def running(journal: SqliteJournal, out: Recorder, **settings: Any) -> AsyncIterator[None]:
    deliverer = ManyDeliverer("chat", out, journal, dice=lambda: 0.5, retry=FAST, **settings)
    task = asyncio.create_task(deliverer.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def none_waits(journal: SqliteJournal, left: int = 0) -> None:
    async def looks() -> bool:
        return (await journal.status()).waiting == left

    await until(looks, DEADLINE, "everything to be delivered")


async def only_place(journal: SqliteJournal) -> PlaceStatus:
    """The one place that is stopped."""

    async def looks() -> bool:
        return any(place.stop for place in await journal.places())

    await until(looks, DEADLINE, "a place to be stopped")
    (place,) = [place for place in await journal.places() if place.stop]
    return place


async def test_everybody_gets_everything_in_order(journal: SqliteJournal) -> None:
    """A thousand places in one go, and the rest side by side with them."""
    await fill(journal, 3, 2_500)
    out = Recorder()
    async with running(journal, out):
        await none_waits(journal)
    assert len(out.got) == 2_500
    assert all(got == [0, 1, 2] for got in out.got.values())
    assert max(out.batches) == limits.BATCH_PLACES
    assert out.most <= limits.BATCHES_AT_ONCE
    assert (await journal.status()).dead == 0


async def test_each_place_has_a_fate_of_its_own(journal: SqliteJournal) -> None:
    """One is stopped, one has a dead delivery, the others know nothing of it."""
    await fill(journal, 3, 50)
    out = Recorder()
    refusals = iter(range(5))

    def say(place: str, number: int) -> Outcome:
        if (place, number) == ("p7", 1) and next(refusals, None) is not None:
            return Outcome(Verdict.STOPPED, "forbidden")
        return Outcome(Verdict.DEAD, "not-acceptable") if (place, number) == ("p8", 1) else DELIVERED

    out.say = say
    async with running(journal, out):
        await none_waits(journal)
    assert out.got["p8"] == [0, 2]
    assert all(got == [0, 1, 2] for place, got in out.got.items() if place != "p8")
    assert out.attempts["p7", 1] == 6
    assert set(out.attempts.values()) == {1, 6}
    ((fate, _),) = await journal.dead((), 10)
    assert (fate.place, fate.state, fate.condition) == ("p8", State.DEAD, "not-acceptable")


async def test_a_bug_stops_the_place_where_it_shows_and_no_other(journal: SqliteJournal) -> None:
    """Those of its batch are tried alone."""
    await fill(journal, 2, 20)
    out = Recorder()

    def say(place: str, number: int) -> Outcome:
        if (place, number) == ("p7", 0) and out.attempts[place, number] < 4:
            raise ZeroDivisionError("a bug")
        return DELIVERED

    out.say = say
    async with running(journal, out):
        await none_waits(journal)
    assert all(got == [0, 1] for got in out.got.values())
    assert len(out.got) == 20


async def test_a_run_that_is_forgotten_stops_its_place(journal: SqliteJournal) -> None:
    """It shows, and does not spin."""

    class Forgetful(Recorder):
        async def deliver_many(self, runs: Sequence[Run]) -> AsyncIterator[tuple[Run, list[Outcome]]]:
            async for run, outcomes in super().deliver_many(runs):
                if run.place == "p1":
                    yield run, outcomes[:1]
                elif run.place != "p2":
                    yield run, outcomes

    await fill(journal, 2, 4)
    async with running(journal, Forgetful(), run_events=2):
        await none_waits(journal, left=2)
        await only_place(journal)
    assert {place.place for place in await journal.places()} == {"p2"}


async def test_a_place_that_is_held_is_no_failure(journal: SqliteJournal, caplog: pytest.LogCaptureFixture) -> None:
    """It waits exactly as long as it was told to, without a warning, and is due when it is woken."""
    out = Recorder()
    out.say = lambda *_: Outcome(Verdict.STOPPED, HELD, "quiet hours", retry_after=3_600)
    await fill(journal, 2, 1)
    async with running(journal, out):
        for _ in range(3):
            place = await only_place(journal)
            assert place.stop
            assert (place.stop.condition, place.stop.text, place.stop.attempts) == (HELD, "quiet hours", 0)
            assert 3_500 < place.stop.seconds <= 3_600
            out.attempts.clear()
            journal.people.wake(Target("chat", "p0"))
            await until(lambda: out.attempts, DEADLINE, "another look")
        out.say = lambda *_: DELIVERED
        await only_place(journal)
        journal.people.wake(Target("chat", "p0"))
        await none_waits(journal)
    assert not caplog.records


async def test_leaving_writes_down_what_is_known_and_sends_the_rest_later(journal: SqliteJournal) -> None:
    """A batch in flight has the grace period."""
    await fill(journal, 1, 10)
    out = Recorder()
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def pause(_: Run) -> AsyncIterator[None]:
        begun.set()
        await go_on.wait()
        yield

    out.pause = pause
    deliverer = ManyDeliverer("chat", out, journal, dice=lambda: 0.5)
    task = asyncio.create_task(deliverer.run())
    await begun.wait()
    task.cancel()
    go_on.set()
    await asyncio.wait([task])
    assert (await journal.status()).waiting == 0


async def test_a_batch_that_never_ends_is_given_up_and_goes_on_at_the_next_start(
    journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was known of it stays settled; no claim is left behind."""
    monkeypatch.setattr(limits, "GRACE_SECONDS", 0.2)
    await fill(journal, 1, 10)
    out = Recorder()
    stuck = asyncio.Event()

    async def pause(run: Run) -> AsyncIterator[None]:
        if run.place == "p3":
            stuck.set()
            await asyncio.Event().wait()
        yield

    out.pause = pause
    async with running(journal, out):
        await stuck.wait()
    assert (await journal.status()).waiting == 4  # they are told from the last to the first
    out.pause = None
    async with running(journal, out):
        await none_waits(journal)
    assert all(got == [0] for got in out.got.values())


async def test_what_is_known_is_written_down_while_the_rest_goes_on(journal: SqliteJournal) -> None:
    """However slow one of them is."""
    await fill(journal, 1, 10)
    out = Recorder()
    go_on = asyncio.Event()

    async def pause(run: Run) -> AsyncIterator[None]:
        if run.place == "p0":
            await go_on.wait()
        yield

    out.pause = pause
    async with running(journal, out):
        await none_waits(journal, left=1)
        go_on.set()
        await none_waits(journal)
