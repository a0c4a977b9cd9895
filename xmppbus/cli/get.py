"""`xmppbus get`: pull events one by one."""

from __future__ import annotations

from functools import partial

import click

from xmppbus import limits
from xmppbus.cli.desk import Action, Desk
from xmppbus.cli.listen import Cursor, check_name, taken
from xmppbus.cli.patterns import Pattern
from xmppbus.cli.showing import Lines
from xmppbus.cli.since import HELP, check_since, sequence_of
from xmppbus.errors import Exit
from xmppbus.route import Match


@click.command()
@click.argument("pattern", type=Pattern())
@click.option("-n", "count", type=click.IntRange(1), default=1, show_default=True, metavar="N", help="At most so many.")
@click.option(
    "--name",
    metavar="CONSUMER",
    callback=check_name,
    help="A name under which the daemon remembers what was pulled; else it is yours and the pattern's.",
)
@click.option(
    "--since", metavar="SEQUENCE|TIME|all", callback=check_since, help=HELP + " Only the first time; else all."
)
@click.option("--json", is_flag=True, help="One JSON object a line.")
def get(pattern: str, count: int, name: str | None, since: str | None, json: bool) -> Action:
    """Print the next event whose type matches PATTERN, oldest first; exit with 1 when there is none.

    Each call goes on where the last one stopped.

    \b
    Example:
      while xmppbus get 'job.#' --name worker; do echo "that was one"; done
    """

    async def action(desk: Desk) -> int:
        desk.need_listen()
        journal = desk.house.journal
        consumer = name or f"get:{desk.role.uid}:{pattern}"
        lines = Lines(desk, json=json)
        async with taken(desk, consumer):
            known = await journal.cursor(consumer)
            after = known if known is not None else await sequence_of(desk, since or "all")
            entries = await journal.read(after, min(count, limits.LISTENER_EVENTS), [Match(type=pattern)])
            cursor = Cursor(journal, consumer, after)
            try:
                for entry in entries:
                    await desk.terminal.write_surely(lines(entry), partial(cursor.written, entry.sequence))
                await desk.terminal.all_written()
            finally:
                await cursor.keep()
        return Exit.OK if entries else Exit.EMPTY

    return action
