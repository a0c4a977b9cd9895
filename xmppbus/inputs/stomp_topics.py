"""One tail of the journal for everybody who is subscribed to topics; who does not read is caught up with later.

The journal is everybody's queue: what a slow one has missed costs nothing here, however much it is.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from xmppbus import limits
from xmppbus.journal import Entry, Journal


class Reader(Protocol):
    """A subscription. `position` is the last sequence that was written to it, or did not concern it."""

    position: int

    @property
    def is_ready(self) -> bool:
        """Whether it takes more."""

    def offer(self, entries: Sequence[Entry]) -> bool:
        """Write what is for it, from its position on; whether it took everything."""


class Topics:
    """`run` it for as long as anybody may subscribe."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._end = 0  # the last sequence that those who are current have got
        self._page = limits.STREAM_PAGE_EVENTS
        self._readers: set[Reader] = set()
        self._current: dict[Reader, None] = {}  # in order, so that nobody is always the last
        self._behind: OrderedDict[Reader, None] = OrderedDict()
        self._somebody = asyncio.Event()
        self._somebody_behind = asyncio.Event()

    async def join(self, reader: Reader) -> None:
        """It gets what comes from now on."""
        reader.position = (await self._journal.status()).newest
        self._readers.add(reader)
        # Nothing is awaited from here on. It is current at once: whoever comes never waits for those who are behind.
        if not self._current:
            self._end = max(self._end, reader.position)
        if reader.position >= self._end:
            self._current[reader] = None
        else:
            self.wake(reader)
        self._somebody.set()

    def leave(self, reader: Reader) -> None:
        """It gets nothing more."""
        self._readers.discard(reader)
        self._current.pop(reader, None)
        self._behind.pop(reader, None)

    def wake(self, reader: Reader) -> None:
        """It may take more than it could."""
        if reader in self._readers and reader not in self._current:
            self._behind[reader] = None
            self._somebody_behind.set()

    async def run(self) -> None:
        """Serve them, without an end."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self._catch_up())

    async def _follow(self) -> None:
        """The tail: it begins with the first reader, and rests when the last one has gone."""
        clock = asyncio.get_running_loop().time
        while True:
            await self._somebody.wait()
            newest = (await self._journal.status()).newest
            if not self._current:
                self._end = max(self._end, newest)
            changed = asyncio.create_task(self._journal.changed(timedelta(seconds=60)))
            try:
                await asyncio.sleep(0)  # let it begin to listen, or a commit during the read would go unheard
                entries = await self._journal.read(self._end, limits.LISTENER_EVENTS)
                if not entries:
                    await changed
                    continue
            finally:
                changed.cancel()
            begun = clock()
            self._end = entries[-1].sequence
            await self._offer(entries)
            if not self._readers:
                self._somebody.clear()
            await asyncio.sleep(clock() - begun)  # readers take half of the time at most, however many they are

    async def _offer(self, entries: Sequence[Entry]) -> None:
        for count, reader in enumerate(list(self._current), start=1):
            if reader in self._current and not reader.offer(entries):
                self._current.pop(reader, None)
            if count % limits.STREAM_WRITES == 0:
                await asyncio.sleep(0)

    async def _catch_up(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            await self._somebody_behind.wait()
            begun = clock()
            if self._behind:
                reader, _ = self._behind.popitem(last=False)
                if reader.is_ready:
                    await self._bring_nearer(reader)
            else:
                self._somebody_behind.clear()
            await asyncio.sleep(clock() - begun)

    async def _bring_nearer(self, reader: Reader) -> None:
        end = self._end
        if reader.position < end:
            entries = await self._journal.read(reader.position, self._page)
            if entries:  # what is read is mostly what the kernel can take of it
                bytes_each = sum(len(entry.event.encoded) for entry in entries) // len(entries) + 1
                self._page = max(1, min(limits.STREAM_PAGE_EVENTS, limits.STOMP_PAGE_BYTES // bytes_each))
            if not entries:
                reader.position = max(reader.position, end)  # what was there has been pruned
            elif not reader.offer(entries):
                return  # it is woken once it takes more
        if reader not in self._readers:
            return
        # Nothing is awaited between: whoever is current gets everything after the end.
        if reader.position >= self._end:
            self._current[reader] = None
        else:
            self.wake(reader)
