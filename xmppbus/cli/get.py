"""`xmppbus get`: pull events one by one."""

from __future__ import annotations

import asyncio
from functools import partial

import click

from xmppbus import limits
from xmppbus.cli.desk import Action, Desk
from xmppbus.cli.listen import Cursor, check_name, taken
from xmppbus.cli.patterns import Pattern
from xmppbus.cli.queues import check_name as check_queue_name
from xmppbus.cli.showing import Lines
from xmppbus.cli.since import HELP, check_since, sequence_of
from xmppbus.errors import Exit
from xmppbus.route import Match


@click.command()
@click.argument("pattern", type=Pattern(), required=False)
@click.option("--queue", metavar="NAME", callback=check_queue_name, help="From this queue: nobody else gets it then.")
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
def get(pattern: str | None, queue: str | None, count: int, json: bool, **beginning: str | None) -> Action:
    """Print the next event whose type matches PATTERN, oldest first; exit with 1 when there is none.

    Each call goes on where the last one stopped. With --queue it takes the next event of a queue, which is consumed as
    soon as its line is written; a PATTERN then declares the queue, as in `xmppbus work`.

    \b
    Example:
      while xmppbus get 'job.#' --name worker; do echo "that was one"; done
      xmppbus get --queue mails --json
    """
    if queue and any(beginning.values()):
        raise click.UsageError("--name and --since don't go with --queue, which remembers by itself.")
    if not queue and not pattern:
        raise click.UsageError("Missing argument 'PATTERN'.")
    if queue:
        return _from_queue(queue, pattern or "", count, json=json)
    return _from_journal(pattern or "", count, json=json, **beginning)


def _from_journal(pattern: str, count: int, *, json: bool, name: str | None, since: str | None) -> Action:

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


def _from_queue(queue: str, pattern: str, count: int, *, json: bool) -> Action:
    async def action(desk: Desk) -> int:
        desk.need_listen()
        desk.need_publish()  # what is taken is gone for others
        queues = desk.house.queues
        await queues.declare(queue, pattern)
        lines, taken, written = Lines(desk, json=json), 0, list[int]()
        most = min(count, limits.QUEUE_PREFETCH)
        async with queues.consumer(queue, prefetch=most) as consumer:
            while taken < most and (leased := await consumer.take_now()):
                taken += 1
                entry = await desk.house.journal.find(leased.item_id)
                if entry:
                    await desk.terminal.write_surely(lines(entry), partial(written.append, leased.id))
            try:
                await desk.terminal.all_written()
            finally:
                for lease in written:
                    await asyncio.shield(asyncio.ensure_future(consumer.ack(lease)))
        return Exit.OK if taken else Exit.EMPTY

    return action
