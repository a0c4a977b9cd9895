"""`xmppbus restore`: a backup becomes the journal again."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xmppbus.cli.desk import Action, Desk
from xmppbus.cli.keeping import CONFIG, Bar, carefully, config_of, here
from xmppbus.cli.showing import json_line
from xmppbus.errors import Exit, JournalFailed

if TYPE_CHECKING:
    from xmppbus.stores import restoring


@click.command()
@click.argument("file", metavar="FILE")
@click.option(
    "--above",
    type=click.IntRange(1, 10**17),
    metavar="SEQUENCE",
    help="No event was ever given a sequence above this one; for when the old journal is gone.",
)
@CONFIG
@click.option("--json", is_flag=True, help="What was done, as one JSON object.")
def restore(file: str, above: int | None, config: str | None, json: bool) -> Action:
    """Put a backup in the journal's place, after looking through it. The daemon must be stopped.

    The journal that was there is kept aside. Sequences go on above all that were ever given: those of the old journal
    if it is there, else above SEQUENCE, else far above those of the backup.

    Exit codes: 0 done, 65 FILE is damaged or no backup, 75 the daemon runs or there is no room.

    \b
    Example:
      xmppbus restore /var/backups/xmppbus.db
    """

    async def action(desk: Desk) -> int:
        here(desk)
        return await carefully(desk, lambda: _restore(desk, Path(file), above or 0, config, json=json))

    return action


def _restore(desk: Desk, file: Path, above: int, config: str | None, *, json: bool) -> int:
    import sys

    from xmppbus.stores import inspection, restoring, snapshots

    journal = config_of(config).journal_path
    with snapshots.reading(file.absolute()) as source, Bar(desk, "check") as bar:
        if first := next(inspection.findings(source, bar), ""):
            raise JournalFailed(f"{file} is damaged, and was not restored: {first}. Take an older backup")
    with restoring.held(journal, "restore"):
        done = restoring.restore(file.absolute(), journal, datetime.now(UTC), above=above)
    if json:
        paths = {"path": str(done.path), "aside": str(done.aside) if done.aside else None}
        sys.stdout.buffer.write(json_line({**done._asdict(), **paths}))
    else:
        print("\n".join(_words(done)))
    return Exit.OK


def _words(done: restoring.Restored) -> list[str]:
    lines = [f"{done.path}: {done.entries:,} events up to sequence {done.newest} are back"]
    if done.aside:
        lines.append(f"The journal that was there is {done.aside}; remove it when you are sure.")
    lines += [
        "What was accepted after the backup is gone from the journal; what of it was delivered stays where it is.",
        f"{done.waiting:,} deliveries waited then; those done since are looked up, or sent again with the same ids.",
        f"New events get sequences above {done.above}"
        + (", far above all that can have been given since the backup (--above says better)." if done.guessed else "."),
        "Start the daemon: `systemctl start xmppbus`, or `xmppbus serve`.",
    ]
    return lines
