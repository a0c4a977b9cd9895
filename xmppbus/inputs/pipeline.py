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
    """Frames whose events are being accepted at once."""

    events: int
    frames: list[Frame]
    accepting: asyncio.Task[list[Accepted | Refused]]


class Pipeline:
    """One connection's PUBLISH frames. `run` answers them; `hold` tells the connection to read no more, or to go on."""

    def __init__(
        self,
        accept: Accept,
        write: Callable[[bytes], None],
        drain: Callable[[], Awaitable[None]],
        hold: Callable[[bool], None],
        *,
        allowed: bool,
    ) -> None:
        self._accept = accept
        self._write = write
        self._drain = drain
        self._hold = hold
        self._allowed = allowed
        self._parts: deque[Part] = deque()
        self._arrived = asyncio.Event()
        self._events = 0
        self._ended = False

    def take(self, payloads: Sequence[bytes]) -> None:
        """PUBLISH frames that arrived together."""
        part: list[Frame] = []
        count = 0
        for payload in payloads:
            frame = self._frame(payload)
            if count + len(frame) > limits.BATCH_EVENTS:
                self._begin(part, count)
                part, count = [], 0
            part.append(frame)
            count += len(frame)
        self._begin(part, count)
        if self._events >= limits.SOCKET_EVENTS_AHEAD:
            self._hold(True)

    def end(self) -> None:
        """No more will come; `run` returns when all is answered."""
        self._ended = True
        self._arrived.set()

    async def run(self) -> None:
        """Answer until the end."""
        while True:
            while self._parts:
                await self._answer(self._parts.popleft())
            if self._ended:
                return
            self._arrived.clear()
            await self._arrived.wait()

    def cancel(self) -> None:
        """The other side has gone: what is being accepted is accepted, but nobody is told."""
        for part in self._parts:
            part.accepting.cancel()

    def _frame(self, payload: bytes) -> Frame:
        if not self._allowed:
            return [Refused(Code.FORBIDDEN, "the config lets only administrators publish (socket: publish:)")]
        lines = [line for line in payload.split(b"\n") if line.strip()]
        if len(lines) > limits.BATCH_EVENTS:
            return [Refused(Code.TOO_BIG, f"{len(lines)} events in one frame of at most {limits.BATCH_EVENTS}")]
        return [_fields(line) for line in lines]

    def _begin(self, part: list[Frame], count: int) -> None:
        if not part:
            return
        fields = [each for frame in part for each in frame if isinstance(each, dict)]
        # Tasks begin in the order in which they are made, so events are kept in the order in which they came.
        self._parts.append(Part(count, part, asyncio.create_task(self._accept(fields))))
        self._events += count
        self._arrived.set()

    async def _answer(self, part: Part) -> None:
        try:
            answers: Sequence[Accepted | Refused] = await part.accepting
        except Refused as refusal:  # the house accepts nothing at all at the moment
            answers = [refusal] * part.events
        following = iter(answers)
        results = [
            b"".join([_line(each if isinstance(each, Refused) else next(following)) for each in frame])
            for frame in part.frames
        ]
        self._write(b"".join([frames.pack(frames.RESULT, result) for result in results]))
        self._events -= part.events
        await self._drain()
        if self._events < limits.SOCKET_EVENTS_AHEAD // 2:
            self._hold(False)


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
