"""How a program ended: what everything else goes by."""

from __future__ import annotations

import signal
from typing import NamedTuple

TIMED_OUT = 124
"""The exit code of what was stopped because it took too long, as timeout(1) has it."""

NOT_EXECUTABLE, NOT_FOUND = 126, 127
"""What every shell says of a command that can't be run (POSIX, 2.8.2)."""


class Ended(NamedTuple):
    """`code` is the exit code, 128 + N for one that a signal N ended; times in seconds, memory in bytes."""

    code: int
    signal: int = 0
    timed_out: bool = False
    seconds: float = 0.0
    user_seconds: float = 0.0
    system_seconds: float = 0.0
    peak_memory_bytes: int = 0
    reason: str = ""  # why it could not be begun

    @property
    def is_good(self) -> bool:
        """Whether it did what it should."""
        return self.code == 0

    @property
    def how(self) -> str:
        """In words: `done`, `failed with exit code 3`."""
        if self.reason:
            return f"could not be started: {self.reason}"
        if self.timed_out:
            return "took too long and was stopped"
        if self.signal:
            return f"was ended by {signal_name(self.signal)}"
        return f"failed with exit code {self.code}" if self.code else "done"


def signal_name(number: int) -> str:
    """`SIGTERM`."""
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"
