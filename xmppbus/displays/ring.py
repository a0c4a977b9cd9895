"""The newest events, kept in memory once for all clients: as long as one's place is in here, nothing is read for it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from operator import attrgetter

from xmppbus import limits
from xmppbus.displays.frames import Part

_sequence = attrgetter("sequence")


class Ring:
    """Everything after `start` and up to `end`. It is every client's queue, and bounds it in events and in bytes."""

    def __init__(self) -> None:
        self.start = 0
        self.end = 0
        self._frames: list[Part] = []
        self._bytes = 0

    def reset(self, at: int) -> None:
        """Nothing, and go on after `at`."""
        self.start = self.end = at
        self._frames.clear()
        self._bytes = 0

    def add(self, frames: Sequence[Part]) -> None:
        """What follows on `end`; the oldest go."""
        self._frames += frames
        self._bytes += sum(frame.size for frame in frames)
        self.end = frames[-1].sequence
        gone = max(0, len(self._frames) - limits.STREAM_QUEUE_EVENTS)
        self._bytes -= sum(frame.size for frame in self._frames[:gone])
        while self._bytes > limits.STREAM_QUEUE_BYTES and gone < len(self._frames):
            self._bytes -= self._frames[gone].size
            gone += 1
        if gone:
            self.start = self._frames[gone - 1].sequence
            del self._frames[:gone]

    def has(self, position: int) -> bool:
        """Whether everything after a position is in here."""
        return self.start <= position < self.end

    def after(self, position: int) -> list[Part]:
        """That."""
        return self._frames[bisect_right(self._frames, position, key=_sequence) :]
