"""A stream of bytes into lines, each bounded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

from xmppbus import limits
from xmppbus.errors import Code, Refused


class Line(NamedTuple):
    """A line without its newline, its number from 1, and what is wrong with it before anybody looks into it."""

    number: int
    content: bytes
    refusal: Refused | None = None


class LineSplitter:
    """Holds at most one unfinished line, and no more of it than `most` bytes and a chunk."""

    def __init__(self, most: int = limits.EVENT_BYTES) -> None:
        self._most = most
        self._rest = b""
        self._number = 0
        self._overlong = False

    def feed(self, chunk: bytes) -> Iterator[Line]:
        """Lines that became complete, without the empty ones."""
        *complete, rest = chunk.split(b"\n")
        if complete:
            complete[0] = self._rest + complete[0]
            self._rest = rest
        else:
            self._rest += rest
        for content in complete:
            yield from self._line(content)
        if len(self._rest) > self._most:
            self._overlong, self._rest = True, b""

    def end(self) -> Iterator[Line]:
        """The last line, which may lack its newline."""
        content, self._rest = self._rest, b""
        yield from self._line(content)

    def _line(self, content: bytes) -> Iterator[Line]:
        self._number += 1
        if self._overlong or len(content) > self._most:
            self._overlong = False
            yield Line(self._number, b"", Refused(Code.TOO_BIG, f"the line has more than {self._most} bytes"))
        elif content:
            yield Line(self._number, content)


async def batches(chunks: AsyncIterator[bytes]) -> AsyncIterator[list[Line]]:
    """Batches of lines: what one chunk completes, at most `limits.BATCH_EVENTS` at once. Never waits for more."""
    splitter = LineSplitter()
    async for chunk in chunks:
        for batch in sliced(list(splitter.feed(chunk))):
            yield batch
    for batch in sliced(list(splitter.end())):
        yield batch


def sliced(lines: list[Line]) -> Iterator[list[Line]]:
    """Batches of `limits.BATCH_EVENTS`."""
    for begin in range(0, len(lines), limits.BATCH_EVENTS):
        yield lines[begin : begin + limits.BATCH_EVENTS]
