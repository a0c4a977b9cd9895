"""Claim places, work their runs, settle: one deliverer for each output, and one for all stations.

A run's outcomes are settled in slices while it goes on (`settling.py`). One that is not yes stops its place, never the
others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from datetime import timedelta

from xmppbus import limits
from xmppbus.bus import Bus
from xmppbus.errors import About, JournalFailed, condition
from xmppbus.interfaces import Analyzer, Output
from xmppbus.journal import Delivery, Journal, Outcome, Run, Settled, Stop, Verdict
from xmppbus.retry import Dice, Retry
from xmppbus.settling import Settling

log = logging.getLogger("xmppbus.deliver")

_IDLE = timedelta(seconds=30)

GONE = Outcome(Verdict.STOPPED, "gone", "its route is not in the config any more; bring it back, or drop what waits")

Work = Callable[[Run], AsyncGenerator[Settled, None]]
"""Works a run: yields what settles each of its deliveries as soon as it is known."""


class Deliverer:
    """Brings what waits for one output to its places, as many places at once as are allowed."""

    def __init__(
        self,
        output: str,
        work: Work,
        journal: Journal,
        *,
        ready: Callable[[], Awaitable[None]],
        dice: Dice,
        retry: Retry = Retry(),  # noqa: B008  # a tuple: immutable
        places: int = limits.PLACES_AT_ONCE,
        run_events: int = limits.RUN_EVENTS,
    ) -> None:
        self.output = output
        self._work = work
        self._journal = journal
        self._ready = ready
        self._dice = dice
        self._retry = retry
        self._places = places
        self._run_events = run_events
        self._attempts: dict[str, int] = {}
        self._active: dict[asyncio.Task[None], int] = {}  # and how many bytes of events each holds
        self._finishing: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Deliver until cancelled. What is being settled is settled all the same."""
        failures = 0
        try:
            while True:
                try:
                    await self._ready()
                    await self._turn()
                    failures = 0
                except Exception:  # the house is kept alive: an output's bug, or a damaged entry, is not the others'
                    failures += 1
                    log.exception("%s: can't look for work; trying again", self.output, extra={"output": self.output})
                    await asyncio.sleep(self._retry.decide(failures, self._dice))
        finally:
            await self._leave()

    async def _leave(self) -> None:
        """Claim nothing more, give what is in flight the grace period, and write down what came of it."""
        if self._active:
            await asyncio.wait(self._active, timeout=limits.GRACE_SECONDS)
        for task in self._active:
            task.cancel()
        if rest := {*self._active, *self._finishing}:
            await asyncio.wait(rest, timeout=limits.GRACE_SECONDS)  # a full disk may never take what came of it

    async def _turn(self) -> None:
        changed = asyncio.create_task(self._journal.changed(_IDLE))
        try:
            await asyncio.sleep(0)  # let it start listening, or a commit during the claim would go unheard
            runs = await self._claim()
            self._begin(runs)
            if not runs:
                # A place that is done may wait again at once: its own end wakes us as a commit does.
                await asyncio.wait({changed, *self._active}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()

    async def _claim(self) -> list[Run]:
        free = self._places - len(self._active)
        if free <= 0 or sum(self._active.values()) >= limits.CLAIM_BYTES:
            return []
        return await self._journal.claim(self.output, free, self._run_events)

    def _begin(self, runs: Sequence[Run]) -> None:
        for run in runs:
            self._start(self._run(run), (run,))

    def _start(self, work: Coroutine[None, None, None], runs: Sequence[Run]) -> None:
        task = asyncio.create_task(work, name=f"{self.output} {runs[0].place}")
        self._active[task] = sum(len(each.event.encoded) for run in runs for each in run.deliveries)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._active.pop(task, None)
        if not task.cancelled() and (error := task.exception()) and not isinstance(error, JournalFailed):
            log.error("%s: a run failed", self.output, exc_info=error, extra={"output": self.output})

    async def _run(self, run: Run) -> None:
        settling = Settling(self._journal, run)
        stop: Stop | None = None
        count = 0
        try:
            async with aclosing(self._work(run)) as outcomes:
                async for one in outcomes:
                    count += 1
                    stop = stop or self._stop(run, one.outcome)
                    settling.add(one)
                    if settling.failure:
                        raise settling.failure
            if not stop and count < len(run.deliveries):
                raise RuntimeError(f"{count} outcomes for {len(run.deliveries)} deliveries")
        except Exception as error:  # the house is kept alive: an output's bug stops its place and shows
            log.exception("%s: the output failed at %s", self.output, run.place, extra=self._where(run))
            stop = self._stop(run, bug(error))
        finally:
            # Also when cancelled: what the other side has said is written down before the claim ends.
            finish = asyncio.create_task(self._finish(run, settling, stop))
            self._finishing.add(finish)
            finish.add_done_callback(self._finishing.discard)
            await asyncio.shield(finish)

    async def _finish(self, run: Run, settling: Settling, stop: Stop | None) -> None:
        try:
            await settling.finish(stop)
        except JournalFailed:
            raise
        except Exception as error:  # nothing may leave a place claimed for ever
            log.exception("%s: no way to write down what became of %s", self.output, run.place, extra=self._where(run))
            await self._journal.settle(run, (), stop=self._stop(run, bug(error)))

    def _where(self, run: Run) -> dict[str, object]:
        return {"output": self.output, "place": run.place, "event_id": run.deliveries[0].item_id}

    def _stop(self, run: Run, outcome: Outcome) -> Stop | None:
        if outcome.verdict in (Verdict.DELIVERED, Verdict.DEAD):
            self._attempts.pop(run.place, None)
            return None
        if outcome.verdict is Verdict.UNSENT:
            return None
        what = condition(outcome.condition)
        text = outcome.text or what.advice
        if what.about is About.US and outcome.condition != "bug":
            # The connection has a backoff of its own, and the output says when it is ready again.
            seconds = outcome.retry_after or self._retry.first * self._dice()
            return Stop(what.name, text, self._attempts.get(run.place, 0), seconds)
        attempts = self._attempts[run.place] = self._attempts.get(run.place, 0) + 1
        seconds = self._retry.decide(attempts, self._dice, outcome.retry_after)
        about = {**self._where(run), "condition": outcome.condition, "attempts": attempts}
        log.warning("%s: %s is stopped: %s %s", self.output, run.place, about["condition"], outcome.text, extra=about)
        return Stop(what.name, text, attempts, seconds)


def bug(error: Exception) -> Outcome:
    """An exception as an outcome; its text may hold anything, and has to fit into the journal."""
    text = f"{type(error).__name__}: {error}".encode("utf-8", "replace").decode()
    return Outcome(Verdict.STOPPED, "bug", text)


def output_work(output: Output) -> Work:
    """Work runs with an output."""

    async def work(run: Run) -> AsyncGenerator[Settled, None]:
        deliveries = iter(run.deliveries)
        async for outcome in output.deliver_run(run.place, run.deliveries):
            yield Settled(next(deliveries).id, outcome)

    return work


def stations_work(stations: Mapping[str, Analyzer], bus: Bus, jobs: int = limits.ANALYZER_JOBS) -> Work:
    """Work runs with analyzers, by the station's name `ROUTE/STEP`: `jobs` events of a station side by side, each
    settled as soon as it is done, so that a slow one does not hold up its neighbours."""

    async def one(station: str, delivery: Delivery, turn: asyncio.Semaphore) -> Settled:
        analyzer = stations.get(station)
        if analyzer is None:
            return Settled(delivery.id, GONE)
        async with turn:
            try:
                async with asyncio.timeout(limits.ANALYZER_SECONDS):
                    passed = await analyzer.analyze(delivery.event)
                if station not in stations:  # a new config has no such step any more: there is no way on
                    return Settled(delivery.id, GONE)
                return bus.onward(station, delivery.id, delivery.event, passed)
            except Exception as error:  # the house is kept alive: a bug stops the station, and the event stays
                log.exception(
                    "analyzer %s failed at %s", station, delivery.item_id, extra={"event_id": delivery.item_id}
                )
                return Settled(delivery.id, bug(error))

    async def work(run: Run) -> AsyncGenerator[Settled, None]:
        turn = asyncio.Semaphore(jobs)
        tasks = [asyncio.create_task(one(run.place, delivery, turn)) for delivery in run.deliveries]
        try:
            for done in asyncio.as_completed(tasks):
                yield await done
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    return work
