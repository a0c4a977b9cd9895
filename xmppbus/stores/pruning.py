"""Forgets what was delivered long ago, in small commits between which appends go on."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from typing import TypeVar

from xmppbus import limits
from xmppbus.stores.ledger import Counts, most_places
from xmppbus.stores.operations import Narrow, Prune, PrunePlaces
from xmppbus.stores.places import Schedule
from xmppbus.stores.reader import Reader
from xmppbus.stores.room import EVER, Room
from xmppbus.stores.writer import Writer

T = TypeVar("T")


class Pruner:
    """Looks for what may go in the reader's thread, so that the writer's only forgets it."""

    def __init__(self, reader: Reader, writer: Writer, room: Room, counts: Counts, schedule: Schedule) -> None:
        self._reader = reader
        self._writer = writer
        self._room = room
        self._counts = counts
        self._schedule = schedule
        self._places_due = 0.0

    async def prune(self, before: int) -> int:
        """Forget what was settled and accepted before a moment (milliseconds), or more when it gets tight."""
        self._room.used_bytes = await self._reader.ask(self._reader.used_bytes)
        pruned = await self._entries(before, tight=False)
        if self._room.tight:
            pruned += await self._entries(EVER, tight=True)
        await self._names()
        await self._places()
        return pruned

    async def _entries(self, before: int, *, tight: bool) -> int:
        pruned, position, end = 0, 0, False
        while not end and (self._room.tight or not tight):
            sequences, wide, position, end = await self._reader.ask(self._reader.prunable, position, before)
            for part in slices(sequences, limits.PRUNE_EVENTS):
                if self._room.tight or not tight:
                    for sequence in wide.intersection(part):
                        while not await self._writer.submit(Narrow(sequence)):
                            pass
                    forgotten, self._room.used_bytes = await self._writer.submit(Prune(part, 0))
                    pruned += forgotten
        return pruned

    async def _names(self) -> None:
        while (excess := self._counts.names - self._room.most_names) > 0:
            before = self._counts.names
            await self._writer.submit(Prune((), min(excess, limits.PRUNE_EVENTS)))
            if self._counts.names >= before:
                break  # the others belong to entries that are still there

    async def _places(self) -> None:
        """Forget places that nothing names any more, once they are so many that the bound on them comes near."""
        numbers = Counter(place.target.output for place in self._schedule)
        full = any(number >= most_places(output) * 3 // 4 for output, number in numbers.items())
        if time.monotonic() < self._places_due or not full:
            return
        self._places_due = time.monotonic() + limits.PRUNE_PLACES_SECONDS
        idle = [(place.id, place.target) for place in self._schedule if place.waiting == 0 and not place.stop]
        used, newest = await self._reader.ask(self._reader.places_used)
        for part in slices([each for each in idle if each[0] not in used], limits.PRUNE_EVENTS):
            await self._writer.submit(PrunePlaces(part, newest))


def slices(whole: list[T], size: int) -> Iterable[list[T]]:
    """The parts of a list, none longer than `size`."""
    return (whole[start : start + size] for start in range(0, len(whole), size))
