"""Delivers to many places at once: one delivery for each of thousands of people costs little only in company."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any, Protocol

from xmppbus import limits
from xmppbus.deliver import Deliverer, Work, bug
from xmppbus.errors import JournalFailed
from xmppbus.journal import Journal, Outcome, Run, Settled, Stop
from xmppbus.retry import Dice, Retry

log = logging.getLogger("xmppbus.deliver")

SettledRun = tuple[Run, Sequence[Settled], Stop | None]
"""What became of a run, and why its place stops, if it does."""


class ManyOutput(Protocol):
    """A way out that works the runs of many places in one go. Entered before the first, left after the last."""

    async def __aenter__(self) -> ManyOutput: ...

    async def __aexit__(self, *exc_info: object) -> None: ...

    async def ready(self) -> None:
        """Return when deliveries make sense: while it waits, nothing is claimed."""

    def deliver_many(self, runs: Sequence[Run]) -> AsyncIterator[tuple[Run, list[Outcome]]]:
        """Deliver runs of different places, each in order. Yields every run once, in any order, as soon as it is
        known what became of it: one outcome for each of its deliveries, in order, as in `Output.deliver_run`.

        A run that is never yielded is a bug, which stops its place. May be called again while it works.
        Called twice with the same event it must do no harm.
        """

    def status(self) -> Mapping[str, Any]:
        """What `xmppbus status` shows of it; `state` is one word."""


def many_work(output: ManyOutput) -> Work:
    """Work a run that is alone."""

    async def work(run: Run) -> AsyncGenerator[Settled, None]:
        async for _, outcomes in output.deliver_many([run]):
            for delivery, outcome in zip(run.deliveries, outcomes, strict=True):
                yield Settled(delivery.id, outcome)

    return work


class ManyDeliverer(Deliverer):
    """Brings what waits for one output to its places, a thousand places in one go, two such batches side by side.

    When the output fails at a batch, each of its runs is worked alone: a bug stops the place where it shows, and no
    other.
    """

    def __init__(
        self,
        name: str,
        output: ManyOutput,
        journal: Journal,
        *,
        dice: Dice,
        retry: Retry = Retry(),  # noqa: B008  # a tuple: immutable
        places: int = limits.BATCH_PLACES,
        run_events: int = limits.RUN_EVENTS,
    ) -> None:
        super().__init__(
            name,
            many_work(output),
            journal,
            ready=output.ready,
            dice=dice,
            retry=retry,
            places=places,
            run_events=run_events,
        )
        self._many = output

    async def _claim(self) -> list[Run]:
        if len(self._active) >= limits.BATCHES_AT_ONCE:
            return []
        return await self._journal.claim(self.output, self._places, self._run_events)

    def _begin(self, runs: Sequence[Run]) -> None:
        if runs:
            self._start(self._batch(runs), runs)

    async def _batch(self, runs: Sequence[Run]) -> None:
        left = {run.claim: run for run in runs}
        settling = _SettlingMany(self._journal)
        failed = False
        try:
            async for run, outcomes in self._many.deliver_many(runs):
                if left.pop(run.claim, None) is not None:
                    settling.add(self._sort_out(run, outcomes))
            if left:
                raise RuntimeError(f"no outcome for {len(left)} of {len(runs)} runs")
        except Exception:  # the house is kept alive: an output's bug stops its place and shows
            about = {"output": self.output, "places": len(left)}
            log.exception("%s: the output failed at %d places; each is tried alone", *about.values(), extra=about)
            failed = True
        finally:
            # Also when cancelled: what the other side has said is written down before the claims end.
            rest = () if failed else [(run, (), None) for run in left.values()]
            finish = asyncio.create_task(self._settle(settling, rest))
            self._finishing.add(finish)
            finish.add_done_callback(self._finishing.discard)
            await asyncio.shield(finish)
        if failed:
            await asyncio.gather(*(self._run(run) for run in left.values()))

    def _sort_out(self, run: Run, outcomes: Sequence[Outcome]) -> SettledRun:
        stop: Stop | None = None
        settled = []
        for delivery, outcome in zip(run.deliveries, outcomes, strict=False):
            stop = stop or self._stop(run, outcome)
            settled.append(Settled(delivery.id, outcome))
        if not stop and len(outcomes) != len(run.deliveries):
            stop = self._stop(run, bug(RuntimeError(f"{len(outcomes)} outcomes for {len(run.deliveries)} deliveries")))
        return run, settled, stop

    async def _settle(self, settling: _SettlingMany, rest: Sequence[SettledRun]) -> None:
        for run, settled, _ in await settling.finish(rest):
            # Nothing may leave a place claimed for ever: the one that can't be written down stops.
            try:
                await self._journal.settle(run, settled, stop=None)
            except JournalFailed:
                raise
            except Exception as error:
                log.exception(
                    "%s: no way to write down what became of %s", self.output, run.place, extra=self._where(run)
                )
                await self._journal.settle(run, (), stop=self._stop(run, bug(error)))


class _SettlingMany:
    """What became of runs, on its way into the journal: in slices, and soon, however long the others take."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._gathered: list[SettledRun] = []
        self._writes: list[asyncio.Task[None]] = []
        self._failed: list[SettledRun] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, settled: SettledRun) -> None:
        """One more."""
        self._gathered.append(settled)
        if len(self._gathered) >= limits.BATCH_PLACES:
            self._write()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(limits.SETTLE_SECONDS, self._write)

    async def finish(self, rest: Sequence[SettledRun]) -> list[SettledRun]:
        """Write what is left and end the claims; those that could not be written."""
        self._gathered += rest
        self._write()
        await asyncio.gather(*self._writes)
        return self._failed

    def _write(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._gathered:
            gathered, self._gathered = self._gathered, []
            self._writes.append(asyncio.create_task(self._settle(gathered)))

    async def _settle(self, gathered: Sequence[SettledRun]) -> None:
        try:
            await self._journal.settle_many(gathered)
        except JournalFailed:
            raise
        except Exception:  # one of them is at fault: each is tried alone
            log.exception("could not write down what became of %d runs", len(gathered))
            self._failed += gathered
