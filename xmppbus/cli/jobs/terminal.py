"""Our terminal, while the program has one of its own behind ours."""

from __future__ import annotations

import contextlib
import fcntl
import os
import termios
import threading
import tty

_SIZE_BYTES = 8  # struct winsize, ioctl_tty(2)


class OurTerminal:
    """Raw while the program has it: every key goes through, and what it means is decided behind us."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.taken = threading.Event()
        self.saved = termios.tcgetattr(number)

    def take(self) -> None:
        """Make it raw, if it is ours: in the background another program has it."""
        if not self.taken.is_set() and self.is_foreground():
            with contextlib.suppress(termios.error):
                tty.setraw(self.number, termios.TCSADRAIN)
                self.taken.set()

    def give_back(self) -> None:
        """As it was."""
        if self.taken.is_set():
            self.taken.clear()
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self.number, termios.TCSADRAIN, self.saved)

    def is_foreground(self) -> bool:
        """Whether keys are for us."""
        try:
            return os.tcgetpgrp(self.number) == os.getpgrp()
        except OSError:
            return False


def copy_size(source: int, target: int) -> None:
    """Rows and columns of a terminal to another one, whose programs are told (SIGWINCH)."""
    with contextlib.suppress(OSError):
        fcntl.ioctl(target, termios.TIOCSWINSZ, fcntl.ioctl(source, termios.TIOCGWINSZ, bytes(_SIZE_BYTES)))


def open_pair(like: int, *, passes: bool) -> tuple[int, int]:
    """A terminal of the same size: our end and the program's. With `passes` it changes nothing of what is written to
    it, because ours does that already."""
    ours, theirs = os.openpty()
    with contextlib.suppress(termios.error):
        attributes = termios.tcgetattr(like)
        if passes:
            attributes[1] &= ~termios.OPOST
        termios.tcsetattr(theirs, termios.TCSANOW, attributes)
    copy_size(like, theirs)
    return ours, theirs


def open_controlling() -> int | None:
    """The terminal that we were started from, wherever standard input comes from."""
    if os.isatty(0):
        return 0
    try:
        return os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None
