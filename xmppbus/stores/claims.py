"""Who works where: places that wait, claims on them, and who is told when something changes. All of it in memory."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from xmppbus.journal import Delivery, Run, Settled, Stop
from xmppbus.route import Target
from xmppbus.stores.changes import Changes
from xmppbus.stores.figures import JournalFigures
from xmppbus.stores.ledger import Effects
from xmppbus.stores.operations import Claim, Settlement
from xmppbus.stores.places import Place, Schedule
from xmppbus.stores.settling import claim_of, sort_out

UNCLAIMED = -1
"""The number of the claim that stands for a backlog's holder: it holds by being the only one."""


class Claims:
    """Belongs to the event loop's thread. Void on open: the number of a claim from before a restart means nothing."""

    def __init__(self, places: Mapping[Target, int], waiting: Mapping[int, int]) -> None:
        self.schedule = Schedule()
        self.changes = Changes()
        self.figures = JournalFigures()
        self.on_settled: Callable[[Settlement], None] | None = None
        self._loop = asyncio.get_running_loop()
        self._numbers = itertools.count(secrets.randbits(48))
        self._claims: dict[int, Claim] = {}
        self._timer: asyncio.TimerHandle | None = None
        for target, place in places.items():
            self.schedule.create(place, target)
        for place, deliveries in waiting.items():
            self.schedule.add(place, deliveries)

    def close(self) -> None:
        """Wake nobody any more."""
        if self._timer:
            self._timer.cancel()

    def take(self, output: str, most: int) -> list[Place]:
        """Places of an output that wait, are due and are not claimed: now they are."""
        self.changes.look()
        return self.schedule.take(output, most, self._loop.time())

    def give(self, taken: Sequence[Place], heads: Sequence[tuple[Delivery, ...]]) -> list[Run]:
        """The runs of claimed places; places beyond the heads that were found are first in line again."""
        for place in reversed(taken[len(heads) :]):
            self.schedule.put_back(place)
        runs = []
        for place, deliveries in zip(taken, heads, strict=False):
            claimed = Run(next(self._numbers), *place.target, deliveries)
            self._claims[claimed.claim] = claim_of(claimed, place)
            runs.append(claimed)
        return runs

    def holds(self, run: Run) -> Claim | None:
        """The claim that a run stands for; None when it is void."""
        return self._claims.get(run.claim)

    def sort_out(self, claim: Claim, settled: Sequence[Settled], *, last: bool, stop: Stop | None) -> Settlement:
        """What is to be written; the claim ends when it is the `last`."""
        settlement = sort_out(claim, settled, last=last, stop=stop)
        if last:
            self._claims.pop(claim.number, None)
        return settlement

    def committed(self, effects: Effects) -> None:
        """What a commit has changed."""
        for id_, target in effects.places:
            self.schedule.create(id_, target)
        for id_, waiting in effects.waiting.items():
            self.schedule.add(id_, waiting)
        for id_, _ in effects.forgotten:
            self.schedule.forget(id_)

    def settled(self, settlement: Settlement, result: Any, moment: int) -> None:
        """What was to be written is written, at a moment (milliseconds), or (an exception) is not."""
        claim, place = settlement.claim, settlement.claim.place
        if isinstance(result, Exception):
            claim.unsettled.update(settlement.taken)
            if claim.number != UNCLAIMED:
                self._claims[claim.number] = claim
            return
        delivered, dead = result
        self.figures.settled(settlement, delivered, dead, moment)
        if self.on_settled:
            self.on_settled(settlement)
        if delivered or dead:
            self.schedule.answered(place)
        if settlement.stop:
            self.schedule.stop(place, settlement.stop, self._loop.time())
        elif settlement.last:
            self.schedule.due_now(place)
        if settlement.last:
            self.schedule.release(place)

    def place_of(self, target: Target) -> Place | None:
        """The place of a target, if anything was ever delivered there."""
        return self.schedule.find(target)

    def wake(self, target: Target) -> None:
        """Let a place that is stopped be due now."""
        place = self.schedule.find(target)
        if place is not None:
            self.schedule.wake(place)
            self.changed()

    def changed(self) -> None:
        """Tell whoever waits, and look when the next stopped place will be due."""
        due = self.schedule.next_due(self._loop.time())
        if self._timer and self._timer.when() != due:
            self._timer.cancel()
            self._timer = None
        if due is not None and self._timer is None:
            self._timer = self._loop.call_at(due, self._due)
        self.changes.tell()

    def _due(self) -> None:
        self._timer = None
        self.changed()
