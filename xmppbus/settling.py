"""Writes down what becomes of a run while it goes on: in slices, and soon, however slow the rest of the run is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from xmppbus import limits
from xmppbus.errors import Refused
from xmppbus.journal import Journal, Outcome, Run, Settled, Stop, Verdict


class Settling:
    """The outcomes of one run on their way into the journal. `failure` is set when they could not be written."""

    def __init__(self, journal: Journal, run: Run) -> None:
        self._journal = journal
        self._run = run
        self._gathered: list[Settled] = []
        self._writes: list[asyncio.Task[None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self.failure: Exception | None = None

    def add(self, settled: Settled) -> None:
        """One more. It is written with its neighbours once they are a slice, or have waited for a moment."""
        self._gathered.append(settled)
        if len(self._gathered) >= limits.SETTLE_EVENTS:
            self._write_slice()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(limits.SETTLE_SECONDS, self._write_slice)

    async def finish(self, stop: Stop | None) -> None:
        """Write the rest and end the claim, with `stop` for its place. Raises what kept a slice from being written."""
        if self._timer:
            self._timer.cancel()
        await asyncio.gather(*self._writes)
        if self.failure:
            raise self.failure
        await self._settle(self._gathered, more=False, stop=stop)

    def _write_slice(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        gathered, self._gathered = self._gathered, []
        self._writes = [each for each in self._writes if not each.done()]
        self._writes.append(asyncio.create_task(self._try(gathered)))

    async def _try(self, gathered: Sequence[Settled]) -> None:
        try:
            await self._settle(gathered, more=True)
        except Exception as error:  # told to whoever works the run, and raised again at its end
            self.failure = self.failure or error

    async def _settle(self, gathered: Sequence[Settled], *, more: bool, stop: Stop | None = None) -> None:
        try:
            await self._journal.settle(self._run, gathered, more=more, stop=stop)
        except Refused as refusal:
            # There is no room for what goes on from one of them (too many nodes). Analyzing again would tell a
            # stateful analyzer a lie, so that one is dead, with the reason, and a person decides.
            for each in gathered:
                await self._settle_one(each, refusal)
            await self._journal.settle(self._run, (), more=more, stop=stop)

    async def _settle_one(self, settled: Settled, refusal: Refused) -> None:
        try:
            await self._journal.settle(self._run, [settled], more=True)
        except Refused:
            outcome = Outcome(Verdict.DEAD, "resource-constraint", f"it could not go on: {refusal.message}")
            await self._journal.settle(self._run, [Settled(settled.delivery, outcome)], more=True)
