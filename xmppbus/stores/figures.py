"""What the journal counts of its own work since it was opened: plain numbers, for whoever watches the house."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence

from xmppbus.errors import CONDITIONS
from xmppbus.stores.operations import Settlement

COMMIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Of a commit, which is little more than an fsync: half a millisecond on a good disk, 20 ms on one that turns."""

DELIVERY_SECONDS = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
    *(10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 86_400.0),
)
"""From a server that is near to one that was away for a day."""

GROUP_OPERATIONS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)
"""Up to `limits.COMMIT_OPERATIONS`."""

OTHER = "other"
"""The label of a condition that is not in the house's table: a server can invent names, and no label may grow."""


class Histogram:
    """How many values there were up to each bound, and their sum."""

    __slots__ = ("_counts", "bounds", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self._counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """A value, which came so many times."""
        self._counts[bisect_left(self.bounds, value)] += times
        self.sum += value * times

    def observe_all(self, values: Sequence[float]) -> None:
        """Some values; what is settled together is mostly alike, and then costs no more than one."""
        first = bisect_left(self.bounds, min(values))
        if first == bisect_left(self.bounds, max(values)):
            self._counts[first] += len(values)
            self.sum += sum(values)
        else:
            for value in values:
                self.observe(value)

    def buckets(self) -> Iterator[tuple[float, int]]:
        """Each bound, and how many values were not above it; the last bound is infinity."""
        total = 0
        for bound, count in zip((*self.bounds, float("inf")), self._counts, strict=True):
            total += count
            yield bound, total


class OutputFigures:
    """What became of the deliveries of one output."""

    __slots__ = ("dead", "delivered", "retries", "seconds", "stops")

    def __init__(self) -> None:
        self.delivered = 0
        self.dead = 0
        self.retries = 0  # attempts after which a delivery still waits
        self.stops: Counter[str] = Counter()  # of a place, by condition
        self.seconds = Histogram(DELIVERY_SECONDS)  # from its acceptance until it was settled as delivered


class JournalFigures:
    """All of them. The writer's thread counts commits, the event loop the rest."""

    def __init__(self) -> None:
        self.commit_seconds = Histogram(COMMIT_SECONDS)
        self.commit_operations = Histogram(GROUP_OPERATIONS)
        self.outputs: dict[str, OutputFigures] = {}

    def of(self, output: str) -> OutputFigures:
        """Those of one output."""
        found = self.outputs.get(output)
        if found is None:
            found = self.outputs[output] = OutputFigures()
        return found

    def settled(self, settlement: Settlement, delivered: int, dead: int, moment: int) -> None:
        """What became of a run, or of a part of it; `moment` is now (milliseconds)."""
        figures = self.of(settlement.claim.place.target.output)
        figures.delivered += delivered
        figures.dead += dead
        if settlement.stopped:
            figures.retries += len(settlement.stopped)
        if settlement.stop:
            condition = settlement.stop.condition
            figures.stops[condition if condition in CONDITIONS else OTHER] += 1
        if settlement.taken:
            died = {each[0] for each in settlement.dead}
            seconds = [
                max(0, moment - accepted) / 1000
                for delivery, (_, _, accepted) in settlement.taken.items()
                if delivery not in died
            ]
            if seconds:
                figures.seconds.observe_all(seconds)
