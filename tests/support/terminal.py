"""A program on a terminal of its own, driven through a real pty: what it shows, and what is typed."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from types import TracebackType
from typing import Self

SHOWN_SECONDS = 20.0


class OnTerminal:
    """Enter it to start the program in a session of its own; leaving ends it."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], columns: int = 90, rows: int = 30) -> None:
        self._argv = [*argv]
        self._environment = dict(environment)
        self._size = (rows, columns)
        self._shown = b""
        self._ended: int | None = None

    def __enter__(self) -> Self:
        self.pid, self._number = pty.fork()
        if not self.pid:
            try:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", *self._size, 0, 0))
                os.execvpe(self._argv[0], self._argv, self._environment)  # noqa: S606  # a list, and no shell
            finally:
                os._exit(127)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ended is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        self.close()

    def close(self) -> None:
        """As somebody who closes the window."""
        if self._number >= 0:
            os.close(self._number)
            self._number = -1

    def press(self, keys: str) -> None:
        """Type; control characters as themselves."""
        os.write(self._number, keys.encode())

    def resize(self, rows: int, columns: int) -> None:
        """As somebody who drags the window's corner."""
        fcntl.ioctl(self._number, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def settings(self) -> list[object]:
        """Of the terminal, as termios has them."""
        return termios.tcgetattr(self._number)

    @property
    def shown(self) -> str:
        """Everything so far."""
        return self._shown.decode("utf-8", "replace")

    def until_shown(self, text: str) -> str:
        """Wait until it has shown this."""
        return self.until(lambda: text in self.shown, repr(text))

    def until(self, right: Callable[[], bool], what: str) -> str:
        """Wait, and read what it shows meanwhile."""
        deadline = monotonic() + SHOWN_SECONDS
        while not right():
            assert monotonic() < deadline, f"waited for {what}; it has shown {self.shown!r}"
            self._read(0.02)
        return self.shown

    def code(self) -> int:
        """Wait for its end: the exit code, or less than 0 for a signal."""

        def over() -> bool:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._ended = os.waitstatus_to_exitcode(status)
            return bool(pid)

        self.until(over, "its end")
        while self._read(0.05):
            pass
        assert self._ended is not None
        return self._ended

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._number], [], [], seconds)
        if not ready:
            return False
        try:
            chunk = os.read(self._number, 65_536)
        except OSError:  # EIO: nobody has it any more
            return False
        self._shown += chunk
        return bool(chunk)
