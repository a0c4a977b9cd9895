"""Which place is next: due times, claims and stops, in memory. Pure: the time is a parameter (monotonic, seconds).

Nothing here is durable. On open every place that waits is due at once, unclaimed and not stopped.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator

from xmppbus.journal import HELD, Stop
from xmppbus.route import Target


class Place:
    """One place of one output: how much waits there, and why it takes nothing at the moment, if it does not."""

    __slots__ = ("claimed", "due", "id", "queued", "stop", "target", "waiting", "woken")

    def __init__(self, id: int, target: Target) -> None:  # noqa: A002  # the row's own name
        self.id = id
        self.target = target
        self.waiting = 0
        self.claimed = False
        self.queued = False  # it has its one entry in a turn or among the stopped
        self.due = 0.0
        self.stop: Stop | None = None
        self.woken = False  # while it was claimed: whoever works it may not have seen why

    def __lt__(self, other: Place) -> bool:
        """For those that are due in the same instant."""
        return self.id < other.id

    def stop_at(self, now: float) -> Stop | None:
        """The stop with the seconds that are left of it."""
        return self.stop._replace(seconds=max(0.0, self.due - now)) if self.stop else None


class _Output:
    """The places of one output: those whose turn comes, first come first served, and those that are stopped."""

    __slots__ = ("places", "stopped", "turn")

    def __init__(self) -> None:
        self.places = 0
        self.turn: deque[Place] = deque()
        self.stopped: list[tuple[float, int, Place]] = []

    def promote(self, now: float) -> None:
        """Let those whose time has come stand in line."""
        while self.stopped and self.stopped[0][0] <= now:
            due, _, place = heapq.heappop(self.stopped)
            if place.queued and place.due == due:  # else it was woken meanwhile
                place.due = 0.0
                self.turn.append(place)

    def forget_woken(self) -> None:
        """Drop the entries of places that were woken, once they are most of all."""
        if len(self.stopped) > 2 * self.places + 64:
            self.stopped = [entry for entry in self.stopped if entry[2].queued and entry[2].due == entry[0]]
            heapq.heapify(self.stopped)


class Schedule:
    """All places. Taking one costs the same however many there are; due places of an output take turns."""

    def __init__(self) -> None:
        self._places: dict[int, Place] = {}
        self._by_target: dict[Target, Place] = {}
        self._outputs: dict[str, _Output] = {}
        self.waiting = 0
        self.watchers: dict[Target, Callable[[], None]] = {}  # told of what comes to a place that nobody claims

    def __iter__(self) -> Iterator[Place]:
        return iter(self._places.values())

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, place: int) -> Place:
        return self._places[place]

    def create(self, id: int, target: Target) -> None:  # noqa: A002  # the row's own name
        """A new place, where nothing waits yet."""
        self._places[id] = self._by_target[target] = Place(id, target)
        self._outputs.setdefault(target.output, _Output()).places += 1

    def forget(self, place: int) -> None:
        """A place that no delivery names any more."""
        found = self._places.pop(place, None)
        if found:
            self._outputs[found.target.output].places -= 1
            if self._by_target.get(found.target) is found:
                del self._by_target[found.target]

    def find(self, target: Target) -> Place | None:
        """The place of a target; None when there is none."""
        return self._by_target.get(target)

    def add(self, place: int, deliveries: int) -> None:
        """More waits there, or (negative) less."""
        found = self._places[place]
        found.waiting += deliveries
        self.waiting += deliveries
        if deliveries > 0 and self.watchers and (watcher := self.watchers.get(found.target)):
            watcher()
        if found.waiting <= 0 and found.stop and found.stop.condition == HELD:
            self.wake(found)
            self.answered(found)
        self._enqueue(found)

    def take(self, output: str, most: int, now: float) -> list[Place]:
        """Claim at most `most` places of `output` that wait and are due, longest in line first."""
        found = self._outputs.get(output)
        if found is None:
            return []
        found.promote(now)
        taken: list[Place] = []
        while found.turn and len(taken) < most:
            place = found.turn.popleft()
            place.queued = False
            if place.waiting > 0 and not place.claimed:
                place.claimed = True
                place.woken = False
                taken.append(place)
        return taken

    def put_back(self, place: Place) -> None:
        """End a claim that came to nothing: the place is first in line again."""
        place.claimed = False
        if place.waiting > 0 and not place.queued:
            place.queued = True
            self._outputs[place.target.output].turn.appendleft(place)

    def release(self, place: Place) -> None:
        """End a claim; the place goes to the end of the line, or waits until it is due."""
        place.claimed = False
        self._enqueue(place)

    def stop(self, place: Place, stop: Stop, now: float) -> None:
        """Let a place take nothing for `stop.seconds`."""
        place.stop = stop
        place.due = 0.0 if place.woken else now + max(0.0, stop.seconds)

    def answered(self, place: Place) -> None:
        """The place took something: it is no longer stopped."""
        place.stop = None
        place.due = 0.0

    def due_now(self, place: Place) -> None:
        """Try a place at its next turn; what stopped it stays known until it has answered."""
        place.due = 0.0

    def wake(self, place: Place) -> None:
        """Let a place that is stopped be due now. One that is claimed is due as soon as the claim ends."""
        place.woken = place.claimed
        if place.due > 0.0:
            place.due = 0.0
            if place.queued:
                place.queued = False  # its entry among the stopped is void
                self._enqueue(place)
                self._outputs[place.target.output].forget_woken()

    def next_due(self, now: float) -> float | None:
        """When the next place that is stopped now will be due; None when there is none."""
        for output in self._outputs.values():
            output.promote(now)
        return min((output.stopped[0][0] for output in self._outputs.values() if output.stopped), default=None)

    def _enqueue(self, place: Place) -> None:
        if place.queued or place.claimed or place.waiting <= 0:
            return
        place.queued = True
        output = self._outputs[place.target.output]
        if place.due > 0.0:
            heapq.heappush(output.stopped, (place.due, place.id, place))
        else:
            output.turn.append(place)
