"""`xmppbus exec`: runs a command and tells of it."""

from __future__ import annotations

import os
import re
import sys
import uuid
from typing import Any

import click

from xmppbus import limits
from xmppbus.cli.desk import Action, Desk
from xmppbus.cli.durations import Duration
from xmppbus.errors import Refused
from xmppbus.fields import SEVERITIES, check


class Expression(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.2
    """A regular expression."""

    name = "pattern"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As click says."""
        if isinstance(value, re.Pattern):
            return value
        try:
            return re.compile(value)
        except re.error as error:
            self.fail(f"{value!r} is no regular expression: {error}", param, ctx)


@click.command("exec", context_settings={"allow_interspersed_args": False})
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[--] COMMAND [ARGUMENT]...")
@click.option("--type", "type_", metavar="TYPE", help="Of its events; else job. and the program's name.")
@click.option("--key", help="One message for people; else HOST:TYPE.")
@click.option("--name", help="What people read; else the last word of the type.")
@click.option("--severity", type=click.Choice(SEVERITIES), default="error", show_default=True, help="When it fails.")
@click.option("--only-failure", is_flag=True, help="Publish failures, and the first success after one; nothing else.")
@click.option("--only-change", is_flag=True, help="Publish how it ended if that differs from the last time.")
@click.option(
    "--tail",
    type=click.IntRange(0, limits.JOB_TAIL_LINES),
    default=20,
    show_default=True,
    metavar="LINES",
    help="How much of the end of its output is published with its end.",
)
@click.option("--timeout", type=Duration(0.001), metavar="DURATION", help="Stop it after 90s, 10m, 2h; exit code 124.")
@click.option(
    "--progress",
    type=Expression(),
    metavar="PATTERN",
    help="A regular expression for the percentage in its output, in its first group; else 42 % is recognised.",
)
@click.option("--lines", is_flag=True, help="Its progress is how many lines it has printed.")
def exec(command: tuple[str, ...], **options: Any) -> Action:  # noqa: A001  # the command's name
    """Run COMMAND, and publish that it began, how far it is, and how it ended.

    Its output, its exit code, signals and the terminal pass through untouched. Its end is published with the exit code,
    the duration, its memory and time, and the last lines of its output. All events have one key, so people see one
    message that changes; a failure stays firing until the command has succeeded once.

    Without a daemon the events are kept in the spool. Nothing about the bus keeps the command from running, or changes
    its exit code; what could not be published is said in one line at the end.

    Exit codes: the command's own; 64 usage, 124 it took longer than --timeout, 126 it can't be executed, 127 it was not
    found. A signal that ended it ends this, too.

    \b
    Example:
      xmppbus exec --type job.backup -- restic backup /srv
      xmppbus exec --only-failure --timeout 2h -- /usr/local/bin/sync-mirror
    """
    if not command:
        raise click.UsageError("Missing the command; write it behind --, as the example does.")
    if options["only_failure"] and options["only_change"]:
        raise click.UsageError("--only-failure and --only-change don't go together.")
    if options["progress"] and options["lines"]:
        raise click.UsageError("--progress and --lines don't go together.")
    from xmppbus.cli.jobs.telling import Job, type_of

    type_ = options["type_"] or type_of(command[0])
    key = options["key"] or f"{os.uname().nodename}:{type_}"
    name = options["name"] or type_.rpartition(".")[2]
    try:
        check({"type": type_, "key": key, "summary": name})
    except Refused as refusal:
        raise click.UsageError(str(refusal)) from None

    async def action(desk: Desk) -> int:
        from xmppbus.cli.jobs.whole import Watching, carry_out

        sys.stdout.flush()
        job = Job(name, type_, key, uuid.uuid4().hex, options["severity"])
        quiet = "failure" if options["only_failure"] else "change" if options["only_change"] else ""
        watching = Watching(quiet, options["tail"], options["progress"], options["lines"], options["timeout"] or 0.0)
        return carry_out(job, command, watching, desk.facts.environment)

    return action
