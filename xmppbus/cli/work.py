"""`xmppbus work`: runs a command for each event of a queue."""

from __future__ import annotations

import shutil
from typing import Any

import click

from xmppbus import limits
from xmppbus.cli.desk import Action, Desk
from xmppbus.cli.patterns import Pattern
from xmppbus.cli.queues import check_name
from xmppbus.errors import Code, Refused
from xmppbus.people.durations import duration


def _lease(ctx: click.Context, param: click.Parameter, value: str) -> float:  # noqa: ARG001  # click's
    found = duration(value)
    seconds = found.total_seconds() if found else 0.0
    if not limits.QUEUE_LEASE_LEAST_SECONDS <= seconds <= limits.QUEUE_LEASE_MOST_SECONDS:
        raise click.BadParameter(f"{value!r} is not a duration from 1s to 1d, such as 90s, 5m or 2h")
    return seconds


class _BeforeCommand(click.Command):
    """What stands behind `--` is not ours."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click says."""
        end = args.index("--") if "--" in args else len(args)
        ctx.params["command"] = command = tuple(args[end + 1 :])
        if not command and not {"--help", "-h"} & set(args) and not ctx.resilient_parsing:
            raise click.UsageError("Missing the command; write it behind --, as the example does.", ctx)
        return super().parse_args(ctx, args[:end])


@click.command(cls=_BeforeCommand)
@click.argument("pattern", type=Pattern(), required=False, metavar="[PATTERN] -- COMMAND [ARGUMENT]...")
@click.option("--queue", "name", required=True, metavar="NAME", callback=check_name, help="The queue; made if needed.")
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1, limits.WORK_JOBS),
    default=1,
    show_default=True,
    metavar="N",
    help="So many commands at once.",
)
@click.option(
    "--lease",
    default="5m",
    show_default=True,
    metavar="DURATION",
    callback=_lease,
    help="Another gets the event of a worker that is silent for so long; one that works is not.",
)
@click.option("--attempts", type=click.IntRange(1), metavar="N", help="Exit code 75 for the Nth time is a no.")
@click.option("--max", "most", type=click.IntRange(1), metavar="N", help="End after so many events.")
def work(command: tuple[str, ...], pattern: str | None, name: str, **options: Any) -> Action:
    """Run COMMAND for each event of a queue; those who work on one queue share its events.

    With a PATTERN, events whose type matches come to the queue from the first time on, durably. Without one it gets
    what is sent to it: `publish --queue NAME`, a route's `queue:NAME`, STOMP.

    The command has the event as JSON on standard input, and in its environment: XMPPBUS_TYPE, XMPPBUS_SUMMARY,
    XMPPBUS_DATA_USER for the field `user` of its data, XMPPBUS_ATTEMPT. It exits with 0: done. With 75: try again
    later. With anything else: the event is dead, with the end of its error output as the reason (`xmppbus dead show`).

    Ctrl-C or SIGTERM lets what runs finish; the second time it is ended, and its event goes to another.

    \b
    Example:
      xmppbus work 'user.signup' --queue welcome -- ./send-welcome
      xmppbus work --queue thumbnails -j 4 --lease 30m -- ./make-thumbnail
    """

    async def action(desk: Desk) -> int:  # noqa: ARG001  # as every command
        import asyncio

        from xmppbus.cli.working.command import Command
        from xmppbus.cli.working.worker import Wanted, Worker

        wanted = Wanted(name, pattern or "", **options)
        if shutil.which(command[0]) is None:
            raise Refused(Code.USAGE, f"{command[0]} is no command that can be run here; give its path")
        return asyncio.run(Worker(wanted, Command(command, wanted.attempts)).run())

    return action
