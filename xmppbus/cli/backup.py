"""`xmppbus backup`: a copy of the journal, while the daemon goes on or without one."""

from __future__ import annotations

from pathlib import Path

import click

from xmppbus.cli.desk import Action, Desk
from xmppbus.cli.keeping import CONFIG, Bar, carefully, config_of, here
from xmppbus.cli.showing import json_line
from xmppbus.cli.status import size
from xmppbus.errors import Exit


@click.command()
@click.argument("file", metavar="FILE")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@CONFIG
@click.option("--json", is_flag=True, help="What was done, as one JSON object.")
def backup(file: str, force: bool, config: str | None, json: bool) -> Action:
    """Copy the journal into FILE, whole and as of one moment, while the daemon goes on accepting.

    FILE has mode 600 and appears when it is complete. It holds events, what has become of their deliveries,
    subscriptions and incidents; the config, secrets, tokens and encryption keys are files of their own. Whoever may
    read the journal may do this: root, or the daemon's user.

    Exit codes: 0 done, 64 FILE exists, 65 the journal can't be read, 75 not enough room.

    \b
    Example:
      xmppbus backup /var/backups/xmppbus.db --force
    """

    async def action(desk: Desk) -> int:
        here(desk)
        return await carefully(desk, lambda: _back_up(desk, Path(file), config, force=force, json=json))

    return action


def _back_up(desk: Desk, file: Path, config: str | None, *, force: bool, json: bool) -> int:
    import os
    import sys

    from xmppbus.stores import opening, snapshots

    journal = config_of(config).journal_path
    is_held = opening.holder(journal) is not None
    if is_held:
        os.nice(10)  # the daemon goes first
    with Bar(desk, "backup") as bar:
        made = snapshots.back_up(journal, file.absolute(), bar, force=force, gently=is_held)
    if json:
        shown = {**made._asdict(), "path": str(made.path), "journal": str(journal)}
        sys.stdout.buffer.write(json_line(shown))
    else:
        print(
            f"{made.path}: {made.entries:,} events up to sequence {made.newest}, {made.waiting:,} deliveries waiting, "
            f"{size(made.bytes)} in {made.seconds:.1f} s"
        )
    return Exit.OK
