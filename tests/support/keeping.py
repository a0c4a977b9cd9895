"""A journal's copy, restoration and examination, as a test says it; and what a test does to files."""

from __future__ import annotations

import contextlib
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.support.journals import outcomes, routed, take
from xmppbus.journal import DELIVERED
from xmppbus.stores import inspection, restoring, snapshots
from xmppbus.stores.sqlite import SqliteJournal

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def quietly(_: int, __: int) -> None:
    """No bar."""


def back_up(journal: Path, target: Path, *, force: bool = False, gently: bool = False) -> snapshots.Snapshot:
    """Copy a journal."""
    return snapshots.back_up(journal, target, quietly, force=force, gently=gently)


def restore(backup: Path, journal: Path, *, above: int = 0, moment: datetime = NOW) -> restoring.Restored:
    """Put a backup in a journal's place."""
    with restoring.held(journal, "restore"):
        return restoring.restore(backup, journal, moment, above=above)


def findings(path: Path) -> list[str]:
    """What is wrong with a journal."""
    with snapshots.reading(path) as connection:
        return list(inspection.findings(connection, quietly))


def change(path: Path, statement: str, *values: Any) -> None:
    """What a disk, or somebody with an editor, does to it."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute(statement, values).rowcount
        connection.commit()


async def filled(path: Path, first: int, last: int, *, deliver: int = 0) -> None:
    """Events with these numbers, of which so many are delivered."""
    async with SqliteJournal(path) as journal:
        await journal.append([routed(number) for number in range(first, last + 1)])
        if deliver:
            run = await take(journal, run=deliver)
            await journal.settle(run, outcomes(run, DELIVERED))


def kept_ids(path: Path) -> list[bytes]:
    """The item ids of a journal, in order."""
    with snapshots.reading(path) as connection:
        return [row[0] for row in connection.execute("SELECT item_id FROM entry ORDER BY sequence")]


def content(path: Path) -> bytes:
    """Of a file."""
    return path.read_bytes()


def overwrite(path: Path, new: bytes) -> None:
    """What is in a file."""
    path.write_bytes(new)


def mode(path: Path) -> int:
    """Of a file."""
    return path.stat().st_mode & 0o777


def listed(directory: Path) -> set[Path]:
    """What is in a directory."""
    return set(directory.iterdir())
