"""Gives the disk back what a journal does not use any more. For a journal that nobody holds.

A new file is written beside the journal and takes its name when it is whole, so a full disk or a kill harms nothing.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import NamedTuple

from xmppbus import limits
from xmppbus.errors import JournalFailed
from xmppbus.stores import opening, queries
from xmppbus.stores.snapshots import beside, copy_log, free_bytes, no_room, whole_file

SQL = queries.load("keeping")


class Compacted(NamedTuple):
    """Bytes of the file."""

    before: int
    after: int


def needed_bytes(connection: sqlite3.Connection) -> int:
    """What the new file takes: the pages in use."""
    pages, free, page_bytes = connection.execute(SQL["pages"]).fetchone()
    return int((pages - free) * page_bytes)


def compact(journal: Path) -> Compacted:
    """Write it anew. Raises `Refused` (no room) and `JournalFailed`, and then it is as it was."""
    before = journal.stat().st_size
    try:
        with whole_file(journal) as path:
            with contextlib.closing(opening.connect(journal, limits.READER_CACHE_BYTES)) as connection:
                opening.check_version(journal, connection)
                copy_log(connection)
                if free_bytes(journal.parent) < needed_bytes(connection) + limits.SPARE_BYTES:
                    raise no_room(journal.parent)
                connection.execute("VACUUM INTO ?", (str(path),))
            opening.give_to_owner(path)
            for each in beside(journal):
                each.unlink(missing_ok=True)
    except sqlite3.Error as error:
        raise JournalFailed(f"{journal} can't be written anew: {error}; nothing was changed") from error
    return Compacted(before, journal.stat().st_size)
