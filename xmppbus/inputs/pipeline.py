"""What a program publishes over the Unix socket: PUBLISH frames, pipelined, each answered by one RESULT, in order.

All frames that arrive together become one `accept`, and many of those are under way at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.fields import decode_fields
from xmppbus.inputs import frames
from xmppbus.interfaces import Accept, Accepted

_encode = msgspec.json.Encoder().encode

Frame = list[dict[str, Any] | Refused]
"""One PUBLISH: each line's fields, or why it has none."""


class Part(NamedTuple):
    """Frames whose events are being accepted at once. `size` is their bytes as they were sent."""

    events: int
    size: int
    frames: list[Frame]
    accepting: asyncio.Task[list[Accepted | Refused]]


class Ahead:
    """What all connections of the socket together have sent and not been answered: a bound on the house's memory."""

    def __init__(self) -> None:
        self.full = False
        self._size = 0
        self._pipelines: set[Pipeline] = set()

    def enter(self, pipeline: Pipeline) -> None:
        """It wants to be told when `full` changes."""
        self._pipelines.add(pipeline)

    def leave(self, pipeline: Pipeline, size: int) -> None:
        """It has ended, with so much unanswered."""
        self._pipelines.discard(pipeline)
        self.add(-size)

    def add(self, size: int) -> None:
        """Bytes that came, or (less than nothing) were answered."""
        self._size += size
        full = self._size >= limits.SOCKET_BYTES // (2 if self.full else 1)
        if full is not self.full:
            self.full = full
            for pipeline in tuple(self._pipelines):
                pipeline.look()


class Pipeline:
    """One connection's PUBLISH frames. `run` answers them; `hold` tells the connection to read no more, or to go on."""

    def __init__(
        self,
        accept: Accept,
        write: Callable[[bytes], None],
        drain: Callable[[], Awaitable[None]],
        hold: Callable[[bool], None],
        ahead: Ahead,
        *,
        allowed: bool,
    ) -> None:
        self._accept = accept
        self._write = write
        self._drain = drain
        self._hold = hold
        self._ahead = ahead
        self._allowed = allowed
        self._parts: deque[Part] = deque()
        self._arrived = asyncio.Event()
        self._events = 0
        self._size = 0
        self._held = False
        self._ended = False
        self._gone = False
        ahead.enter(self)

    def take(self, payloads: Sequence[bytes]) -> None:
        """PUBLISH frames that arrived together."""
        part: list[Frame] = []
        count = size = 0
        for payload in payloads:
            frame = self._frame(payload)
            if count + len(frame) > limits.BATCH_EVENTS:
                self._begin(part, count, size)
                part, count, size = [], 0, 0
            part.append(frame)
            count += len(frame) or 1  # an empty frame costs memory too
            size += len(payload)
        self._begin(part, count, size)
        self.look()

    def end(self) -> None:
        """No more will come; `run` returns when all is answered."""
        self._ended = True
        self._arrived.set()

    def look(self) -> None:
        """Whether to read on."""
        part = 2 if self._held else 1  # what was held goes on when half is answered
        full = self._events >= limits.SOCKET_EVENTS_AHEAD // part or self._size >= limits.SOCKET_BYTES_OF_ONE // part
        held = full or self._ahead.full or self._ended
        if held is not self._held:
            self._held = held
            self._hold(held)

    async def run(self) -> None:
        """Answer until the end. What `accept` raises, but for `Refused`, ends it: nobody knows what became of those."""
        try:
            while True:
                while self._parts:
                    await self._answer(self._parts.popleft())
                if self._ended:
                    return
                self._arrived.clear()
                await self._arrived.wait()
        finally:
            for part in self._parts:
                part.accepting.cancel()
            self._ahead.leave(self, self._size)

    def gone(self) -> None:
        """The other side has gone: what is being accepted is accepted, and counts until then, but nobody is told."""
        self._gone = True
        self.end()

    def _frame(self, payload: bytes) -> Frame:
        if not self._allowed:
            return [Refused(Code.FORBIDDEN, "the config lets only administrators publish (socket: publish:)")]
        lines = [line for line in payload.split(b"\n") if line.strip()]
        if len(lines) > limits.BATCH_EVENTS:
            return [Refused(Code.TOO_BIG, f"{len(lines)} events in one frame of at most {limits.BATCH_EVENTS}")]
        return [_fields(line) for line in lines]

    def _begin(self, part: list[Frame], count: int, size: int) -> None:
        if not part:
            return
        fields = [each for frame in part for each in frame if isinstance(each, dict)]
        # Tasks begin in the order in which they are made, so events are kept in the order in which they came.
        self._parts.append(Part(count, size, part, asyncio.create_task(self._accept(fields))))
        self._events += count
        self._size += size
        self._ahead.add(size)
        self._arrived.set()

    async def _answer(self, part: Part) -> None:
        try:
            answers: Sequence[Accepted | Refused] = await part.accepting
        except Refused as refusal:  # the house accepts nothing at all at the moment
            answers = [refusal] * part.events
        if not self._gone:
            self._tell(part, answers)
            await self._drain()
        self._events -= part.events
        self._size -= part.size
        self._ahead.add(-part.size)
        self.look()

    def _tell(self, part: Part, answers: Sequence[Accepted | Refused]) -> None:
        following = iter(answers)
        results = [
            b"".join([_line(each if isinstance(each, Refused) else next(following)) for each in frame])
            for frame in part.frames
        ]
        self._write(b"".join([frames.pack(frames.RESULT, result) for result in results]))


def _fields(line: bytes) -> dict[str, Any] | Refused:
    try:
        return decode_fields(line)
    except Refused as refusal:
        return refusal


def _line(answer: Accepted | Refused) -> bytes:
    if isinstance(answer, Refused):
        return _encode({"error": answer.as_json()}) + b"\n"
    result, item_id, sequence, deliveries = answer
    line = f'{{"id":"{item_id}","sequence":{sequence},"result":"{result}","deliveries":{deliveries}}}\n'
    return line.encode()
