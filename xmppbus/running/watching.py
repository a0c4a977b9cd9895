"""What goes through the house, for whoever looks on: `xmppbus monitor`. While nobody does, it costs a comparison.

A watcher has a bound: what it has not taken when that is reached is left out and counted, and the house goes on.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple
from weakref import WeakSet

from xmppbus import limits
from xmppbus.errors import Refused
from xmppbus.event import Event
from xmppbus.interfaces import Accepted, Clock
from xmppbus.journal import Result, Stop
from xmppbus.route import Target
from xmppbus.stores.operations import Settlement

HTTP = "http"
"""The input of what the HTTP listener turned away before any input read it."""


class Came(NamedTuple):
    """An event at a door: accepted, with where it goes to, or refused. `type` is as it was sent, and may be nothing."""

    moment: datetime
    input: str
    type: str
    answer: Accepted | Refused
    targets: tuple[Target, ...] = ()


class Went(NamedTuple):
    """A delivery that is settled: delivered, or dead with the reason."""

    moment: datetime
    output: str
    place: str
    sequence: int
    is_dead: bool = False
    condition: str = ""
    text: str = ""


class Stopped(NamedTuple):
    """A place that takes nothing for now. `sequence` is the event at which it stopped, or 0."""

    moment: datetime
    output: str
    place: str
    sequence: int
    stop: Stop


Seen = Came | Went | Stopped


class Wanted(NamedTuple):
    """What somebody wants to see; names are all when there are none."""

    ways_in: bool = True
    ways_out: bool = True
    inputs: frozenset[str] = frozenset()
    outputs: frozenset[str] = frozenset()
    only_refused: bool = False  # at a door, dead, or a place that stops

    def takes(self, seen: Seen) -> bool:
        """Whether it is something of that."""
        if isinstance(seen, Came):
            if not self.ways_in or (self.inputs and seen.input not in self.inputs):
                return False
            return not self.only_refused or isinstance(seen.answer, Refused)
        if not self.ways_out or (self.outputs and seen.output not in self.outputs):
            return False
        return not self.only_refused or isinstance(seen, Stopped) or seen.is_dead


class Watcher:
    """Somebody who looks on."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._waiting: deque[Seen] = deque()
        self._missed = 0
        self._changed = asyncio.Event()

    def put(self, seen: Seen) -> None:
        """One more, if it is wanted and there is room."""
        if not self._wanted.takes(seen):
            return
        if len(self._waiting) >= limits.MONITOR_WAITING:
            self._missed += 1
        else:
            self._waiting.append(seen)
            self._changed.set()

    async def take(self) -> tuple[list[Seen], int]:
        """What there is, once there is something; and how many more there were for which there was no room."""
        while not self._waiting:
            self._changed.clear()
            await self._changed.wait()
        found, missed = list(self._waiting), self._missed
        self._waiting.clear()
        self._missed = 0
        return found, missed


class Watched:
    """Where the house tells what goes through, while somebody looks on."""

    def __init__(self, clock: Clock, on_settled: Callable[[Callable[[Settlement], None] | None], None]) -> None:
        self._clock = clock
        self._on_settled = on_settled  # tells the journal whom to tell
        self._watchers: set[Watcher] = set()
        self._told: WeakSet[Refused] = WeakSet()  # an input may pass on to the listener what it was refused

    @property
    def anybody(self) -> bool:
        """Whether somebody looks on."""
        return bool(self._watchers)

    @contextmanager
    def watch(self, wanted: Wanted) -> Iterator[Watcher]:
        """Look on until the end of the block."""
        watcher = Watcher(wanted)
        self._watchers.add(watcher)
        self._on_settled(self.settled)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)
            if not self._watchers:
                self._on_settled(None)

    def came(
        self,
        name: str,
        sent: Sequence[Mapping[str, Any]],
        answers: Sequence[Accepted | Refused],
        targets_of: Callable[[Event], tuple[Target, ...]],
        source: str,
    ) -> None:
        """What became of one batch at a door."""
        moment = self._clock()
        for fields, answer in zip(sent, answers, strict=True):
            targets: tuple[Target, ...] = ()
            if isinstance(answer, Refused):
                self._told.add(answer)
            elif answer.result is Result.NEW:
                given = {field: each for field, each in fields.items() if each is not None}
                targets = targets_of(Event({"source": source, **given}))
            self._tell(Came(moment, name, _type_of(fields), answer, targets))

    def turned_away(self, name: str, refusal: Refused, what: str = "") -> None:
        """A door's no to something that it did not read as an event; `what` was asked for."""
        if self._watchers and refusal not in self._told:
            self._told.add(refusal)
            self._tell(Came(self._clock(), name, what, refusal))

    def settled(self, settlement: Settlement) -> None:
        """What became of some deliveries of one place."""
        moment, (output, place) = self._clock(), settlement.claim.place.target
        dead = {delivery: (condition, text) for delivery, condition, text in settlement.dead}
        for delivery, (_, sequence, _) in settlement.taken.items():
            why = dead.get(delivery)
            self._tell(Went(moment, output, place, sequence, why is not None, *(why or ("", ""))))
        if settlement.stop:
            at = min((sequence for _, sequence, _ in settlement.claim.unsettled.values()), default=0)
            self._tell(Stopped(moment, output, place, at, settlement.stop))

    def _tell(self, seen: Seen) -> None:
        for watcher in self._watchers:
            watcher.put(seen)


def _type_of(fields: Mapping[str, Any]) -> str:
    found = fields.get("type", "")
    return found[: limits.TYPE_CHARACTERS] if isinstance(found, str) else ""
