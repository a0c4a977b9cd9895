"""Begins the program. With a terminal behind ours when we write to one; else where we are, in our process group."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import struct
import termios
from collections.abc import Sequence
from typing import NamedTuple

from xmppbus.cli.jobs.ended import NOT_EXECUTABLE, NOT_FOUND

_REPORT = struct.Struct("=iddq")
_OUR_FILES = 32  # we have opened fewer


class Change(NamedTuple):
    """Of a program's state: `status` as wait(2) has it; times in seconds and memory in bytes, of it and its children
    that it waited for."""

    status: int
    user_seconds: float
    system_seconds: float
    peak_memory_bytes: int


class NotBegun(Exception):  # it is an outcome, which the shell has an exit code for
    """The program can't be run."""

    def __init__(self, number: int) -> None:
        super().__init__(os.strerror(number))
        self.code = NOT_FOUND if number in (errno.ENOENT, errno.ENOTDIR) else NOT_EXECUTABLE


class Before(NamedTuple):
    """What of ours the program has to be given back: the signals that were blocked, and those that were ignored."""

    mask: set[signal.Signals]
    child_ignored: bool


class Child:
    """A program that runs. `group` is what signals go to that are for all of it; 0 where that is our own group."""

    def __init__(self, pid: int, waited: int, group: int, reports: int | None) -> None:
        self.pid = pid
        self.group = group
        self._waited = waited
        self._reports = reports

    def send(self, number: int, *, all_of_it: bool = False) -> None:
        """A signal: to the program, or to all of its group where it has one. One that has gone needs none."""
        with contextlib.suppress(OSError):
            if self.group and (all_of_it or self._reports is not None):
                os.killpg(self.group, number)
            else:
                os.kill(self.pid, number)

    def changes(self) -> list[Change]:
        """What has become of it since; looks, and does not wait."""
        if self._reports is not None:
            return self._reported(self._reports)
        found: list[Change] = []
        while True:
            pid, status, used = os.wait4(self._waited, os.WNOHANG | os.WUNTRACED)
            if not pid:
                return found
            found.append(Change(status, used.ru_utime, used.ru_stime, used.ru_maxrss * 1024))
            if not os.WIFSTOPPED(status):
                return found

    def _reported(self, reports: int) -> list[Change]:
        found: list[Change] = []
        with contextlib.suppress(BlockingIOError):
            while report := os.read(reports, _REPORT.size):
                found.append(Change(*_REPORT.unpack(report)))
            if not found:  # it was killed, and could say nothing more
                _, status, used = os.wait4(self._waited, 0)
                found.append(Change(status, used.ru_utime, used.ru_stime, used.ru_maxrss * 1024))
        return found


def begin(argv: Sequence[str], streams: Sequence[int], before: Before, *, own_group: bool) -> Child:
    """In our session, so that it may talk to our terminal. Raises `NotBegun`."""
    failed, tell = os.pipe()
    pid = os.fork()
    if not pid:
        _become(argv, streams, before, tell, own_group=own_group)
    os.close(tell)
    if own_group:
        with contextlib.suppress(OSError):  # it does the same: whoever is first
            os.setpgid(pid, pid)
    try:
        _check(failed)
    except NotBegun:
        os.waitpid(pid, 0)
        raise
    return Child(pid, pid, pid if own_group else 0, None)


def begin_behind(argv: Sequence[str], streams: Sequence[int], terminal: int, before: Before) -> Child:
    """With `terminal` for its own. Raises `NotBegun`.

    Between us and it is a process that leads the terminal's session and waits: without one of its session above it, a
    program can't be stopped from the keyboard (POSIX, orphaned process groups).
    """
    failed, tell = os.pipe()
    reports, report = os.pipe()
    leader = os.fork()
    if not leader:
        os.close(failed)
        os.close(reports)
        _lead(argv, streams, terminal, before, tell=tell, report=report)
    os.close(tell)
    os.close(report)
    first = os.read(reports, 4)
    try:
        _check(failed)
    except NotBegun:
        os.waitpid(leader, 0)
        raise
    os.set_blocking(reports, False)
    pid = int.from_bytes(first, "little")
    return Child(pid, leader, pid, reports)


def _lead(
    argv: Sequence[str], streams: Sequence[int], terminal: int, before: Before, *, tell: int, report: int
) -> None:
    """Lead the session until the program has ended, and report. Never returns."""
    try:
        os.setsid()
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
        pid = os.fork()
        if not pid:
            os.setpgid(0, 0)
            os.tcsetpgrp(terminal, os.getpid())
            _become(argv, streams, before, tell, own_group=False)
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)
        os.write(report, pid.to_bytes(4, "little"))
        # All that we have open: the end of a pipe or a terminal is seen when nobody has it any more.
        os.closerange(0, report)
        os.closerange(report + 1, report + _OUR_FILES)
        while True:
            _, status, used = os.wait4(pid, os.WUNTRACED)
            os.write(report, _REPORT.pack(status, used.ru_utime, used.ru_stime, used.ru_maxrss * 1024))
            if not os.WIFSTOPPED(status):
                break
            os.kill(os.getppid(), signal.SIGCHLD)
    finally:
        os._exit(0)


def _become(argv: Sequence[str], streams: Sequence[int], before: Before, tell: int, *, own_group: bool) -> None:
    """Become the program, in a process of its own. Never returns."""
    number = errno.EINVAL
    try:
        if own_group:
            os.setpgid(0, 0)
        for target, stream in enumerate(streams):
            if stream == target:
                os.set_inheritable(stream, True)
            else:
                os.dup2(stream, target)
        # Python ignores these two for itself.
        for each in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(each, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN if before.child_ignored else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, before.mask)
        number = _execute(argv)
    except OSError as error:
        number = error.errno or number
    finally:
        os.write(tell, number.to_bytes(4, "little"))
        os._exit(NOT_EXECUTABLE)


def _execute(argv: Sequence[str]) -> int:
    """Look for it as execvp(3) does, a script without its first line included; why it can't be run."""
    name, found = argv[0], errno.ENOENT
    directories = [""] if "/" in name or not name else os.environ.get("PATH", os.defpath).split(":")
    for directory in directories:
        path = f"{directory}/{name}" if directory else name if "/" in name else f"./{name}"
        try:
            os.execv(path, [*argv])  # noqa: S606  # a list, and no shell
        except OSError as error:
            if error.errno == errno.ENOEXEC:
                os.execv("/bin/sh", ["/bin/sh", path, *argv[1:]])  # noqa: S606  # as execvp(3)
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                found = error.errno or found
    return found


def _check(failed: int) -> None:
    """Wait until it runs. The pipe closes by itself when it does."""
    number = os.read(failed, 4)
    os.close(failed)
    if number:
        raise NotBegun(int.from_bytes(number, "little"))
