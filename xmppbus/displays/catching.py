"""Clients that are behind get what they have missed, a piece each in turn: of the ring, or of the journal.

One worker serves all of them, reads the journal in bounded pages that neighbours share, and rests as long as a page
took, so that neither the house nor who is current waits for those that want to see everything again.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import OrderedDict
from operator import attrgetter
from typing import NamedTuple

from xmppbus import limits
from xmppbus.displays.clients import Client, Group
from xmppbus.displays.frames import Hole, Part, Piece, entries_and_holes, gap
from xmppbus.displays.ring import Ring
from xmppbus.journal import Journal

_sequence = attrgetter("sequence")


class Page(NamedTuple):
    """What the journal has after `start` and up to `end`."""

    start: int
    end: int
    frames: list[Part]
    size: int


class Pages:
    """The journal's pages that were read last: clients that were cut off together come back together."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._pages: OrderedDict[int, Page] = OrderedDict()
        self._bytes = 0

    async def after(self, position: int) -> tuple[list[Part], bool]:
        """What follows on a position, some of it, and whether the journal was read for it; nothing where it ends."""
        for start, page in self._pages.items():
            if page.start <= position < page.end:
                self._pages.move_to_end(start)
                return _behind(page.frames, position), False
        # Begun at a multiple, so that those who are some events apart share it.
        start = position - position % limits.STREAM_PAGE_EVENTS
        page = await self._read(start)
        if page.end <= position and start < position:
            page = await self._read(position)
        return _behind(page.frames, position), True

    async def _read(self, start: int) -> Page:
        entries = await self._journal.read(start, limits.STREAM_PAGE_EVENTS, queues=True)
        frames = entries_and_holes(entries, start)
        page = Page(start, frames[-1].sequence if frames else start, frames, sum(frame.size for frame in frames))
        old = self._pages.pop(start, None)
        self._bytes += page.size - (old.size if old else 0)
        self._pages[start] = page
        while self._bytes > limits.STREAM_PAGES_BYTES and len(self._pages) > 1:
            self._bytes -= self._pages.popitem(last=False)[1].size
        return page


def _behind(frames: list[Part], position: int) -> list[Part]:
    found = frames[bisect_right(frames, position, key=_sequence) :]
    if found and isinstance(found[0], Hole) and found[0].after < position:
        found[0] = Hole(position, found[0].sequence)
    return found


class Catching:
    """The worker, and who waits for it."""

    def __init__(self, journal: Journal, ring: Ring) -> None:
        self._ring = ring
        self._pages = Pages(journal)
        self._pieces: OrderedDict[tuple[Group, int], Piece] = OrderedDict()
        self._waiting: OrderedDict[Client, None] = OrderedDict()
        self._early: list[Client] = []  # they know of an event that the tail has not read yet
        self._somebody = asyncio.Event()

    def add(self, client: Client) -> None:
        """It is behind, and reads."""
        if client.is_open and not client.paused and client not in client.group.current:
            self._waiting[client] = None
            self._somebody.set()

    def grown(self) -> None:
        """The ring has more."""
        early, self._early = self._early, []
        for client in early:
            self.add(client)

    def clear(self) -> None:
        """Forget who waits."""
        self._waiting.clear()
        self._early.clear()
        self._pieces.clear()

    async def run(self) -> None:
        """Serve them, without an end."""
        clock = asyncio.get_running_loop().time
        while True:
            await self._somebody.wait()
            begun = clock()
            read = False
            if self._waiting:
                client, _ = self._waiting.popitem(last=False)
                read = await self._serve(client)
            else:
                self._somebody.clear()
            await asyncio.sleep(clock() - begun if read else 0)

    async def _serve(self, client: Client) -> bool:
        """Write one piece to a client; whether the journal was read for it."""
        if not client.is_open or client.paused:
            return False
        ring, read = self._ring, False
        if client.position > ring.end:
            self._early.append(client)
            return False
        if client.position < ring.end:
            piece = self._pieces.get((client.group, client.position))
            if piece is None:
                piece, read = await self._piece(client.group, client.position)
                if not client.is_open or client.paused:
                    return read
            self._tell_gap(client)
            client.position = piece.last
            if piece.data:
                client.write(piece.data)
        if client.paused:
            return read  # it is added again once it reads
        if client.position == ring.end:
            client.lost_touch = False
            client.group.current[client] = None
        else:
            self.add(client)
        return read

    async def _piece(self, group: Group, position: int) -> tuple[Piece, bool]:
        """What follows on a position. It stays true, so it is kept for a while, for others who stand there."""
        read, end = False, self._ring.end
        if self._ring.has(position):
            found = self._ring.after(position)
        else:
            found, read = await self._pages.after(position)
        # The tail knows of something newer than the position, and the journal has it no more.
        piece = group.piece(found or [Hole(position, end)])[0]
        self._pieces[group, position] = piece
        if len(self._pieces) > limits.STREAM_PIECES:
            self._pieces.popitem(last=False)
        return piece, read

    def _tell_gap(self, client: Client) -> None:
        """Its queue has overflowed: that is told, and then made good for."""
        if client.lost_touch and client.position < self._ring.start:
            client.write(gap(client.group.form, client.position, self._ring.start, "slow"))
            client.lost_touch = False
