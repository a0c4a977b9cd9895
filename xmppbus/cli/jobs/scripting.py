"""From Python what the command line does: publish, tell of a job, and carry out any command.

No daemon is needed for the first two: what it is not there for waits in the spool.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import traceback
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from time import monotonic
from types import TracebackType
from typing import Any, Self

from xmppbus import limits
from xmppbus.cli.jobs.ended import Ended
from xmppbus.cli.jobs.heard import Heard
from xmppbus.cli.jobs.outcomes import DONE, FAILED, Outcomes
from xmppbus.cli.jobs.publisher import Publisher, asked
from xmppbus.cli.jobs.telling import Job, type_of
from xmppbus.cli.jobs.whole import is_told
from xmppbus.errors import Code, Refused
from xmppbus.event import now
from xmppbus.fields import check

_TYPE = re.compile(r"[\w-]+(\.[\w-]+)+", re.ASCII)


class CommandFailed(Exception):  # a command's exit code is an answer, and scripts go by it
    """A command ended with something else than 0."""

    def __init__(self, arguments: tuple[str, ...], code: int, output: str, error: str) -> None:
        super().__init__(f"xmppbus {' '.join(arguments[:2])}: exit code {code}: {error.strip()}")
        self.code = code
        self.output = output
        self.error = error


def command(*arguments: str, input: str | None = None) -> str:  # noqa: A002  # subprocess's word
    """`xmppbus ARGUMENTS`: what it prints. Raises `CommandFailed`."""
    ran = subprocess.run(
        [sys.executable, "-m", "xmppbus", *arguments],
        input=input,
        stdin=subprocess.DEVNULL if input is None else None,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise CommandFailed(arguments, ran.returncode, ran.stdout, ran.stderr)
    return ran.stdout


def publish(type: str, summary: str = "", **fields: Any) -> str:  # noqa: A002  # CloudEvents' own word
    """Publish an event; its item id. It is on disk when this returns, without a daemon in the spool. Raises `Refused`.

    Fields as in JSON: `severity`, `key`, `status`, `data`, ... With `id` (and `source`) the same again is known.
    """
    event = {"id": str(uuid.uuid4()), "time": now(lambda: datetime.now(UTC)), **fields, "type": type}
    if summary:
        event["summary"] = summary
    try:
        answer = asked(event)
    except PermissionError:
        message = "the config lets only administrators publish; `socket: {publish: everyone}` would let you"
        raise Refused(Code.FORBIDDEN, message) from None
    except OSError:
        answer = None
    error = (answer or {}).get("error")
    if error and error["code"] != Code.CLOSING:
        raise Refused(Code(error["code"]), error["message"], field=error.get("field"))
    if answer and not error:
        return str(answer["id"])
    from xmppbus.cli.spooling import spool

    (kept,) = spool([event], os.environ).answers
    if isinstance(kept, Refused):
        raise kept
    return kept


class job:  # noqa: N801  # used as a statement: `with job("backup") as backup:`
    """Something that takes a while, told of as `xmppbus exec` tells of a program. Never raises because of the bus.

    `name` is what people read, or a whole type (`job.backup`). `quiet` as `exec`'s options: "failure" or "change".
    """

    def __init__(
        self,
        name: str,
        *,
        key: str = "",
        severity: str = "error",
        quiet: str = "",
        environ: Mapping[str, str] = os.environ,
        **fields: Any,
    ) -> None:
        type_ = type_of(name)
        if _TYPE.fullmatch(name):
            type_, name = name, name.rpartition(".")[2]
        key = key or f"{os.uname().nodename}:{type_}"
        check({**fields, "type": type_, "key": key, "severity": severity})
        self._job = Job(name, type_, key, uuid.uuid4().hex, severity, fields)
        self._quiet = quiet
        self._environ = environ
        self._publisher = Publisher(environ)
        self._heard = Heard()
        self._next = float("inf")
        self._number = 0

    def __enter__(self) -> Self:
        self._begun = monotonic()
        self._next = self._begun + limits.JOB_PROGRESS_SECONDS
        if not self._quiet:
            self._publisher.publish(self._job.began())
        return self

    def progress(self, percent: float) -> None:
        """How far it is. Call it as often as you like: it is published every few seconds at the most."""
        if self._quiet or monotonic() < self._next:
            return
        self._next = monotonic() + limits.JOB_PROGRESS_SECONDS
        self._number += 1
        self._publisher.publish(self._job.goes_on(self._number, percent, 0), later=False)

    def say(self, text: str) -> None:
        """A line that is published with its end; the last 20 are."""
        self._heard.feed(f"{text}\n".encode("utf-8", "replace"))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        code = 0
        if error is not None and not (isinstance(error, SystemExit) and not error.code):
            code = error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 1
            self.say("".join(traceback.format_exception_only(error)).rstrip())
        ended = Ended(code, seconds=monotonic() - self._begun)
        outcomes, outcome = Outcomes(self._environ), DONE if ended.is_good else FAILED
        last = outcomes.last(self._job.key)
        if is_told(self._quiet, outcome, last):
            self._publisher.publish(self._job.has_ended(ended, self._heard.tail(20), self._heard.lines))
        trouble = self._publisher.finish()
        try:
            if not trouble and outcome != last:
                outcomes.remember(self._job.key, outcome)
        except OSError as failed:
            trouble = f"how this job ended can't be remembered for the next time: {failed}"
        if trouble:
            print(f"xmppbus: {trouble}", file=sys.stderr)
