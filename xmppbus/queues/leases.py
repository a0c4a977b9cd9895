"""What is ready in a queue, who has what, and what waits for another try: in memory. Pure: the time is a parameter
(monotonic, seconds).

Nothing here is durable. On open everything that waits in a queue is nobody's, and may be handed out at once.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from xmppbus import limits
from xmppbus.errors import BusError
from xmppbus.event import Event
from xmppbus.journal import Delivery


class LeaseLost(BusError):
    """The lease ran out, or is another's: somebody else has the event, or it is done."""


class Leased(NamedTuple):
    """An event that a consumer has; `attempt` counts from 1 how often it was handed out and given back for a fault."""

    id: int
    sequence: int
    item_id: str
    event: Event
    attempt: int


class Lease:
    """Who has a delivery, and until when."""

    __slots__ = ("delivery", "holder", "until")

    def __init__(self, delivery: Delivery, holder: Any, until: float) -> None:
        self.delivery = delivery
        self.holder = holder
        self.until = until


class Leases:
    """What of one queue is in memory. Taking one costs the same however much waits in the queue."""

    def __init__(self) -> None:
        self.reached = 0  # the last delivery that was read
        self.emptied = 0  # how often
        self.out: dict[int, Lease] = {}
        self._ready: list[Delivery] = []  # a heap: by id, which is the order in which they came
        self._later: dict[int, float] = {}  # given back: when they are due
        self._due: list[tuple[float, int]] = []  # the same as a heap
        self._ends: list[tuple[float, int]] = []  # of leases, as a heap; one that was renewed is looked at again
        self._known: set[int] = set()  # in memory in whatever state, so that none is there twice

    @property
    def is_crowded(self) -> bool:
        """Whether so many wait for another try that nothing more should be read."""
        return len(self._later) >= limits.QUEUE_LATER

    @property
    def later(self) -> int:
        """How many wait for another try."""
        return len(self._later)

    def read(self, found: Iterable[Delivery]) -> None:
        """What was read behind all that was read before."""
        for delivery in found:
            self.reached = delivery.id
            if delivery.id not in self._known:
                self._known.add(delivery.id)
                heapq.heappush(self._ready, delivery)

    def read_again(self, due: Iterable[int], found: Sequence[Delivery], now: float) -> None:
        """What was read of those that are due for another try. Beyond the last of them there was no room for more;
        what is missing before is gone."""
        there = {delivery.id for delivery in found}
        last = found[-1].id if found else float("inf")
        for delivery in due:
            if delivery > last:
                self.try_later(delivery, now)
            elif delivery not in there:
                self._known.discard(delivery)
        for each in found:
            heapq.heappush(self._ready, each)

    def next(self) -> Delivery | None:
        """The oldest that is ready."""
        return heapq.heappop(self._ready) if self._ready else None

    def lease(self, delivery: Delivery, holder: Any, until: float) -> Lease:
        """Let somebody have it, who is called `holder`, until then."""
        self._known.add(delivery.id)
        lease = self.out[delivery.id] = Lease(delivery, holder, until)
        if until != float("inf"):
            heapq.heappush(self._ends, (until, delivery.id))
            if len(self._ends) > 2 * len(self.out) + 64:  # most of them have ended
                self._ends = [(each.until, id_) for id_, each in self.out.items() if each.until != float("inf")]
                heapq.heapify(self._ends)
        return lease

    def withdraw(self, delivery: int) -> bool:
        """Take one from among those that nobody has; False when somebody has it."""
        if delivery in self.out:
            return False
        if self._later.pop(delivery, None) is None and delivery in self._known:
            kept = [each for each in self._ready if each.id != delivery]
            if len(kept) == len(self._ready):
                return False  # it is being settled
            heapq.heapify(kept)
            self._ready = kept
        self._known.add(delivery)
        return True

    def held(self, delivery: int, holder: Any) -> Lease:
        """The lease of whoever says that he has it. Raises `LeaseLost`."""
        lease = self.out.get(delivery)
        if lease is None or lease.holder is not holder:
            raise LeaseLost(f"the lease of delivery {delivery} ran out, or is another's; it was handed out again")
        return lease

    def end(self, delivery: int) -> Lease:
        """Nobody has it any more. What becomes of it is said next: `ready_again`, `try_later` or `forget`."""
        return self.out.pop(delivery)

    def ready_again(self, delivery: Delivery) -> None:
        """It is handed out again at once."""
        heapq.heappush(self._ready, delivery)

    def try_later(self, delivery: int, due: float) -> None:
        """It is handed out again when it is due."""
        self._later[delivery] = due
        heapq.heappush(self._due, (due, delivery))

    def forget(self, deliveries: Iterable[int]) -> None:
        """They are settled, or gone."""
        for delivery in deliveries:
            self._known.discard(delivery)
            self._later.pop(delivery, None)

    def ran_out(self, now: float) -> Iterator[Lease]:
        """Leases that end now; each is to be ended."""
        while self._ends and self._ends[0][0] <= now:
            until, delivery = heapq.heappop(self._ends)
            lease = self.out.get(delivery)
            if lease is None or lease.until == float("inf"):
                continue
            if lease.until > now:
                if lease.until > until:  # renewed
                    heapq.heappush(self._ends, (lease.until, delivery))
                continue
            yield lease

    def due(self, now: float, most: int) -> list[int]:
        """Those whose time for another try has come: to be read again."""
        found: list[int] = []
        while self._due and self._due[0][0] <= now and len(found) < most:
            due, delivery = heapq.heappop(self._due)
            if self._later.get(delivery) == due:
                del self._later[delivery]
                found.append(delivery)
        return found

    def is_due(self, now: float) -> bool:
        """Whether one is due for another try."""
        self._skip_void()
        return bool(self._due) and self._due[0][0] <= now

    def next_moment(self, *, due: bool) -> float | None:
        """When a lease ends, or, with `due`, one is due for another try."""
        self._skip_void()
        return min((each[0][0] for each in (self._due if due else [], self._ends) if each), default=None)

    def empty(self, *, later: bool = False) -> None:
        """Hold no events, for nobody consumes. Without `later` those that wait for another try go on waiting for it."""
        self._known.difference_update(each.id for each in self._ready)
        self._ready.clear()
        if later:
            self._known.difference_update(self._later)
            self._later.clear()
        self.reached = 0
        self.emptied += 1

    def _skip_void(self) -> None:
        while self._due and self._later.get(self._due[0][1]) != self._due[0][0]:
            heapq.heappop(self._due)
