"""Runs a program as if nobody stood between: its output, its exit, signals, and the terminal pass through."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Sequence
from time import monotonic
from typing import NamedTuple

from xmppbus import limits
from xmppbus.cli.jobs.child import Before, Change, Child, NotBegun, begin, begin_behind
from xmppbus.cli.jobs.ended import TIMED_OUT, Ended
from xmppbus.cli.jobs.passing import Keys, Passing
from xmppbus.cli.jobs.terminal import OurTerminal, copy_size, open_controlling, open_pair

_PASSED_ON = {
    *(signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2),
    *(signal.SIGTSTP, signal.SIGCONT),
}
_WATCHED = {*_PASSED_ON, signal.SIGCHLD, signal.SIGWINCH, signal.SIGTTOU, signal.SIGTTIN}
_FROM_A_PROGRAM = 0
"""`si_code` of what a program sent is not above this (sigaction(2)); what the terminal sends came to the whole group,
the program included."""


class Wish(NamedTuple):
    """How to run it. `began` is called when it runs, `tick` every `limits.JOB_PROGRESS_SECONDS`; `hear` is fed its
    output."""

    argv: Sequence[str]
    began: Callable[[], None]
    hear: Callable[[bytes], None]
    tick: Callable[[], None]
    timeout: float = 0.0  # seconds; 0 is none


class _Streams(NamedTuple):
    """What the program gets for its standard streams, and what we do with the other ends."""

    given: tuple[int, int, int]
    passed: list[tuple[int, int]]  # from, to
    pairs: list[int]  # our ends of terminals
    terminal: int | None  # the one that it is to control
    ours: OurTerminal | None


def run(wish: Wish) -> Ended:
    """Run it to its end. Signals are watched from now on, and are when this returns (see `restore`)."""
    _open_standard_streams()
    child_ignored = signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    before = Before({signal.Signals(each) for each in mask}, child_ignored)
    begun = monotonic()
    streams = _streams()
    try:
        child = _begin(wish, streams, before)
    except NotBegun as error:
        return Ended(error.code, reason=str(error))
    return _Run(wish, streams, child, begun).run()


def restore(number: int = 0) -> None:
    """Signals end us again; with a number, as they ended the program."""
    for each in (signal.SIGINT, signal.SIGPIPE):
        if signal.getsignal(each) is not signal.SIG_IGN or each in (signal.SIGPIPE, number):
            signal.signal(each, signal.SIG_DFL)
    if number:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # it has left one; ours says nothing
        with contextlib.suppress(OSError):  # SIGKILL has no other way to end us
            signal.signal(number, signal.SIG_DFL)
    while signal.sigtimedwait(_WATCHED, 0):
        pass  # it was for the program, which has gone
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {*_WATCHED, *([number] if number else [])})
    if number:
        os.kill(os.getpid(), number)


class _Run:
    """One run, from its beginning to its end."""

    def __init__(self, wish: Wish, streams: _Streams, child: Child, begun: float) -> None:
        self._wish = wish
        self._streams = streams
        self._child = child
        self._begun = begun
        self._passing = [Passing(source, target, wish.hear) for source, target in streams.passed]
        self._end: Change | None = None
        self._late = False
        self._next_tick = begun + limits.JOB_PROGRESS_SECONDS
        self._deadline = begun + wish.timeout if wish.timeout else float("inf")

    def run(self) -> Ended:
        """Until it has ended, and its output has been passed on."""
        streams = self._streams
        for number in {each for each in streams.given if each > 2}:
            os.close(number)
        if streams.ours:
            streams.ours.take()
            Keys(streams.ours, streams.pairs[0]).begin()
        for each in self._passing:
            each.begin()
        self._wish.began()  # threads begin here, when no process will be made any more
        try:
            ended_by = self._watch()
        finally:
            if streams.ours:
                streams.ours.give_back()
        return self._ended(ended_by)

    def _watch(self) -> int:
        """The signal that ended us while the last of its output was passed on; usually none."""
        while not (self._end and all(each.is_over for each in self._passing)):
            until = min(self._next_tick, self._deadline) if self._end is None else float("inf")
            wait = max(0.0, min(until - monotonic(), limits.JOB_PROGRESS_SECONDS))
            info = signal.sigtimedwait(_WATCHED, wait)
            if info is None:
                self._passed()
            elif info.si_signo == signal.SIGCHLD:
                self._look()
            elif info.si_signo == signal.SIGWINCH:
                self._resize()
            elif self._end is not None:
                if info.si_signo in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP):
                    return info.si_signo
            elif info.si_signo in _PASSED_ON:
                self._pass_signal(info)
        return 0

    def _passed(self) -> None:
        """Time has."""
        now = monotonic()
        if self._end is None and now >= self._deadline:
            self._child.send(signal.SIGKILL if self._late else signal.SIGTERM, all_of_it=True)
            self._child.send(signal.SIGCONT, all_of_it=True)
            self._late = True
            self._deadline = now + limits.JOB_GRACE_SECONDS
        if now >= self._next_tick:
            self._next_tick = now + limits.JOB_PROGRESS_SECONDS
            if self._end is None:
                self._wish.tick()

    def _look(self) -> None:
        if self._end is not None:
            return
        for change in self._child.changes():
            if os.WIFSTOPPED(change.status):
                self._stop()
            else:
                self._end = change
                for each in self._passing:
                    each.program_ended()

    def _stop(self) -> None:
        """It has stopped, so we do, and with us the rest of our job; until somebody lets us go on."""
        ours = self._streams.ours
        if ours:
            ours.give_back()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTSTP})
        os.kill(0 if ours else os.getpid(), signal.SIGTSTP)  # where nobody could let us go on, this does nothing
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTSTP})
        if ours:
            self._go_on()

    def _go_on(self) -> None:
        if self._streams.ours:
            self._streams.ours.take()
            self._resize()
        self._child.send(signal.SIGCONT, all_of_it=True)

    def _pass_signal(self, info: signal.struct_siginfo) -> None:
        if info.si_signo == signal.SIGCONT:
            self._go_on()
        elif info.si_code <= _FROM_A_PROGRAM or self._child.group:
            self._child.send(info.si_signo)

    def _resize(self) -> None:
        for each in self._streams.pairs:
            copy_size(1 if os.isatty(1) else 2, each)

    def _ended(self, ended_by: int) -> Ended:
        end = self._end
        assert end is not None  # noqa: S101  # for the type checker: _watch has waited for it
        number = ended_by or (os.WTERMSIG(end.status) if os.WIFSIGNALED(end.status) else 0)
        code = TIMED_OUT if self._late else 128 + number if number else os.WEXITSTATUS(end.status)
        seconds = monotonic() - self._begun
        used = (end.user_seconds, end.system_seconds, end.peak_memory_bytes)
        return Ended(code, 0 if self._late else number, self._late, seconds, *used)


def _begin(wish: Wish, streams: _Streams, before: Before) -> Child:
    if streams.terminal is not None:
        return begin_behind(wish.argv, streams.given, streams.terminal, before)
    # A group of its own, so that all of it can be stopped; but only where no terminal would then refuse it the keys.
    own_group = bool(wish.timeout) and open_controlling() is None
    return begin(wish.argv, streams.given, before, own_group=own_group)


def _streams() -> _Streams:
    """A terminal for each of ours that it writes to, pipes for the others."""
    ours = open_controlling() if os.isatty(1) else None
    if os.isatty(1):
        master, slave = open_pair(1, passes=ours is None)
        own = OurTerminal(ours) if ours is not None else None
        passed, error = [(master, 1)], slave
        if not os.isatty(2):
            source, error = os.pipe()
            passed.append((source, 2))
        return _Streams((slave if os.isatty(0) else 0, slave, error), passed, [master], slave, own)
    source, output = os.pipe()
    if os.path.sameopenfile(1, 2):  # in one pipe, so that the order is kept
        return _Streams((0, output, output), [(source, 1)], [], None, None)
    if os.isatty(2):
        master, slave = open_pair(2, passes=True)
        return _Streams((0, output, slave), [(source, 1), (master, 2)], [master], None, None)
    error_source, error = os.pipe()
    return _Streams((0, output, error), [(source, 1), (error_source, 2)], [], None, None)


def _open_standard_streams() -> None:
    """Whoever starts us without some of them must not find our pipes in their place."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free: this one
