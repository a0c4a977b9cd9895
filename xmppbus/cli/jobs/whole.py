"""A whole job: begin it, pass everything through, tell of it, and end as it ended."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from xmppbus.cli.jobs.ended import Ended
from xmppbus.cli.jobs.heard import PERCENT, Heard
from xmppbus.cli.jobs.outcomes import DONE, FAILED, Outcomes
from xmppbus.cli.jobs.publisher import Publisher
from xmppbus.cli.jobs.running import Wish, restore, run
from xmppbus.cli.jobs.telling import Job


class Watching(NamedTuple):
    """What of a job is told. `quiet`: "failure", "change", or nothing: everything."""

    quiet: str = ""
    tail: int = 20
    progress: re.Pattern[str] | None = None
    lines: bool = False
    timeout: float = 0.0


def carry_out(job: Job, command: Sequence[str], watching: Watching, environ: Mapping[str, str]) -> int:
    """Run the command; its exit code. Does not return when a signal has ended it."""
    publisher = Publisher(environ)
    progress = Progress(job, watching, publisher)
    heard = progress.heard
    ended = run(Wish(command, progress.began, heard.feed, progress.tick, watching.timeout))
    restore()
    output = heard.tail(watching.tail), heard.lines
    trouble = _tell_end(job, ended, watching, publisher, output=output, environ=environ)
    if ended.reason:
        _complain(f"{command[0]}: {ended.reason}")
    if trouble:
        _complain(trouble)
    if ended.signal:
        restore(ended.signal)
    return ended.code


class Tells(Protocol):
    """What publishes; see `Publisher`."""

    def publish(self, fields: dict[str, Any], *, later: bool = True) -> None:
        """Put it in line."""


class Progress:
    """That it runs, and how far it is, said when that has changed."""

    def __init__(self, job: Job, watching: Watching, publisher: Tells) -> None:
        self.heard = Heard()
        self._job = job
        self._is_quiet = bool(watching.quiet)
        self._counts_lines = watching.lines
        self._pattern = watching.progress or re.compile(PERCENT)
        self._publisher = publisher
        self._said: float | None = None
        self._number = 0

    def began(self) -> None:
        """Say that it runs."""
        if not self._is_quiet:
            self._publisher.publish(self._job.began())

    def tick(self) -> None:
        """Say how far it is."""
        if self._is_quiet:
            return
        lines = self.heard.lines
        percent = None if self._counts_lines else self.heard.percent(self._pattern)
        far = float(lines) if self._counts_lines else percent
        if far is None or far == self._said or (self._counts_lines and not lines):
            return
        self._said = far
        self._number += 1
        self._publisher.publish(self._job.goes_on(self._number, percent, lines), later=False)


def _tell_end(
    job: Job,
    ended: Ended,
    watching: Watching,
    publisher: Publisher,
    *,
    output: tuple[str, int],
    environ: Mapping[str, str],
) -> str:
    """Publish how it ended, if somebody wants to hear it. What went wrong with that, in a line."""
    outcomes = Outcomes(environ)
    outcome = DONE if ended.is_good else FAILED
    last = outcomes.last(job.key)
    if is_told(watching.quiet, outcome, last):
        publisher.publish(job.has_ended(ended, *output))
    trouble = publisher.finish()
    if not trouble and outcome != last:  # what nobody was told is told the next time
        try:
            outcomes.remember(job.key, outcome)
        except OSError as error:
            if watching.quiet:
                trouble = f"how this job ended can't be remembered for the next time: {error}"
    return trouble


def is_told(quiet: str, outcome: str, last: str) -> bool:
    """Whether an end is published, after the last one."""
    if quiet == "failure":
        return FAILED in (outcome, last)
    return quiet != "change" or outcome != last


def _complain(sentence: str) -> None:
    try:
        sys.stderr.write(f"xmppbus: {sentence}\n")
        sys.stderr.flush()
    except OSError:
        os._exit(1)
