"""Passes bytes on as they come, from the program to whoever reads us, and from the keyboard to the program."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from collections.abc import Callable

from xmppbus import limits
from xmppbus.cli.jobs.terminal import OurTerminal


class Passing:
    """One stream of output, in a thread. A reader that is slow makes the program wait; one that has gone ends it by
    SIGPIPE, as it would without us."""

    def __init__(self, source: int, target: int, hear: Callable[[bytes], None]) -> None:
        self.is_over = False
        self.lost = ""  # why it could not be written
        self._source = source
        self._target = target
        self._hear = hear
        self._wake, self._woken = os.pipe()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="output")

    def begin(self) -> None:
        """From now on."""
        self._thread.start()

    def program_ended(self) -> None:
        """What it has written is still passed on, and then it is over; what it left running is not waited for."""
        self._ended.set()
        with contextlib.suppress(OSError):
            os.write(self._woken, b"e")

    def _run(self) -> None:
        try:
            self._pass_on()
        finally:
            self.is_over = True
            os.kill(os.getpid(), signal.SIGCHLD)  # whoever waits for the end looks again

    def _pass_on(self) -> None:
        poll = select.poll()
        poll.register(self._source, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while True:
            ready = dict(poll.poll(0 if self._ended.is_set() else None))
            if self._source not in ready:
                if self._ended.is_set():
                    self._leave_the_rest()
                    return
                continue
            try:
                chunk = os.read(self._source, limits.JOB_CHUNK_BYTES)
            except OSError:  # EIO: nobody has the terminal's other end any more
                chunk = b""
            if not chunk or not self._write(chunk):
                os.close(self._source)
                return
            self._hear(chunk)

    def _write(self, chunk: bytes) -> bool:
        view = memoryview(chunk)
        while view:
            try:
                view = view[os.write(self._target, view) :]
            except BlockingIOError:  # somebody else made it so, and it is theirs
                select.select([], [self._target], [])
            except OSError as error:
                self.lost = error.strerror or str(error)
                return False
        return True

    def _leave_the_rest(self) -> None:
        """The program has ended, and what it started goes on writing: as it would without us, but past us."""
        if os.isatty(self._source):
            return
        actions = [(os.POSIX_SPAWN_DUP2, self._source, 0), (os.POSIX_SPAWN_DUP2, self._target, 1)]
        with contextlib.suppress(OSError):
            os.posix_spawn("/bin/cat", ["cat"], {}, file_actions=actions, setsigdef=[signal.SIGPIPE], setsigmask=[])


class Keys:
    """What is typed goes to the program, while the terminal is ours."""

    def __init__(self, terminal: OurTerminal, target: int) -> None:
        self._terminal = terminal
        self._target = target
        self._thread = threading.Thread(target=self._run, daemon=True, name="keys")

    def begin(self) -> None:
        """From now on."""
        self._thread.start()

    def _run(self) -> None:
        number = self._terminal.number
        with contextlib.suppress(OSError):
            while True:
                self._terminal.taken.wait()
                select.select([number], [], [])
                if not self._terminal.taken.is_set() or not self._terminal.is_foreground():
                    continue
                typed = os.read(number, 4096)
                if not typed:
                    return
                os.write(self._target, typed)
