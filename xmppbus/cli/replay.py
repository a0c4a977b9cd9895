"""`xmppbus replay`: deliver again what is in the journal."""

from __future__ import annotations

import click

from xmppbus import limits
from xmppbus.cli.desk import Action, Desk
from xmppbus.cli.patterns import Pattern, matches
from xmppbus.cli.showing import json_line
from xmppbus.cli.since import HELP, check_since, sequence_of
from xmppbus.errors import Exit

BAR_COLUMNS = 40


@click.command()
@click.argument("pattern", type=Pattern())
@click.option("--since", required=True, metavar="SEQUENCE|TIME|all", callback=check_since, help=HELP)
@click.option("--until", metavar="SEQUENCE|TIME", callback=check_since, help="Up to and with this; else up to now.")
@click.option("--dry-run", is_flag=True, help="Only count.")
@click.option("--json", is_flag=True, help="Print the counts as one JSON object.")
def replay(pattern: str, since: str, until: str | None, dry_run: bool, json: bool) -> Action:
    """Deliver events whose type matches PATTERN once more, behind what waits; to a new route's addresses for the first
    time.

    The same events keep their item ids, so a node shows none of them twice.

    \b
    Example:
      xmppbus replay 'user.#' --since 2026-01-31 --dry-run
    """

    async def action(desk: Desk) -> int:
        desk.need_admin("replay")
        journal = desk.house.journal
        first = after = await sequence_of(desk, since)
        newest = (await journal.status()).newest
        last = min(await sequence_of(desk, until), newest) if until else newest
        entries = again = made = 0
        while after < last:
            done = await journal.replay(
                after, last, limits.REPLAY_EVENTS, matches([pattern]), desk.house.routes.route, dry_run=dry_run
            )
            entries, again, made = entries + done.entries, again + done.again, made + done.made
            if done.after <= after:
                break
            after = done.after
            await _show_progress(desk, after - first, last - first)
        await _end_progress(desk)
        if json:
            await desk.terminal.write(json_line({"entries": entries, "again": again, "made": made, "dry_run": dry_run}))
        else:
            would = "would be " if dry_run else ""
            await desk.out(f"{entries:,} events: {again:,} deliveries {would}put back to waiting, {made:,} {would}new")
        return Exit.OK

    return action


async def _show_progress(desk: Desk, done: int, whole: int) -> None:
    if desk.facts.terminals[2]:
        share = done / whole if whole else 1.0
        full = round(share * BAR_COLUMNS)
        await desk.terminal.complain(f"\r{'█' * full}{'░' * (BAR_COLUMNS - full)} {share:4.0%}".encode())


async def _end_progress(desk: Desk) -> None:
    if desk.facts.terminals[2]:
        await desk.terminal.complain(b"\r\x1b[K")
