"""How a journal stands, and whether it is whole: read in another process than the daemon's, while that goes on."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

from xmppbus import limits
from xmppbus.errors import BusError
from xmppbus.event import Event, item_id_bytes
from xmppbus.stores import opening, queries
from xmppbus.stores.rows import moment_of
from xmppbus.stores.snapshots import Progress

SQL = queries.load("keeping")
MOST_FINDINGS = 100
"""Said one by one; a journal that is damaged all over need not be listed."""


class End(NamedTuple):
    """The oldest or the newest entry."""

    sequence: int
    accepted: datetime


class Info(NamedTuple):
    """Figures of a journal's files. Bytes, and counts."""

    path: Path
    schema: int
    schema_here: int
    file_bytes: int
    log_bytes: int
    free_bytes: int  # within the file: pages that were used and are used again
    entries: int
    names: int
    consumers: int
    waiting: int
    delivered: int
    dead: int
    oldest: End | None
    newest: End | None
    highest: int  # sequence that was ever given
    holder: int | None  # the process that has it open


def info(path: Path, connection: sqlite3.Connection) -> Info:
    """Of a journal that is open for reading."""
    entries, names, consumers, waiting, delivered, dead = connection.execute(SQL["counts"]).fetchone()
    oldest, newest = (_end(each) for each in connection.execute(SQL["ends"]).fetchone())
    _, free, page_bytes = connection.execute(SQL["pages"]).fetchone()
    log = path.with_name(path.name + "-wal")
    return Info(
        path,
        opening.check_version(path, connection),
        opening.SCHEMAS,
        path.stat().st_size,
        log.stat().st_size if log.exists() else 0,
        free * page_bytes,
        entries,
        names,
        consumers,
        waiting,
        delivered,
        dead,
        oldest,
        newest,
        max(connection.execute(SQL["highest"]).fetchone()[:2]),
        opening.holder(path),
    )


def _end(packed: str | None) -> End | None:
    if packed is None:
        return None
    sequence, accepted = json.loads(packed)
    return End(sequence, moment_of(accepted))


def findings(connection: sqlite3.Connection, progress: Progress) -> Iterator[str]:
    """What is wrong, in plain words: of SQLite's own structure, of our tables, of every event."""
    for (row,) in connection.execute(f"PRAGMA integrity_check({MOST_FINDINGS})"):
        if row != "ok":
            yield f"SQLite: {row}"
    for table, rowid, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        yield f"row {rowid} of {table} names a row of {parent} that is not there"
    for name, words in _TABLES.items():
        number, first = connection.execute(SQL[name]).fetchone()
        if number:
            yield f"{number} {words}, the first is {first}"
    yield from _events(connection, progress)


_TABLES = {
    "deliveries_without_entry": "deliveries of events that are not there",
    "deliveries_without_place": "deliveries to places that are not there",
    "deliveries_in_no_state": "deliveries in a state that there is not",
    "deliveries_beyond": "deliveries with numbers that were never given",
    "entries_beyond": "events with sequences that were never given",
}


def _events(connection: sqlite3.Connection, progress: Progress) -> Iterator[str]:
    (entries, *_) = connection.execute(SQL["counts"]).fetchone()
    after = done = 0
    while rows := connection.execute(SQL["entries_after"], (after, limits.CHECKED_EVENTS)).fetchall():
        for row in rows:
            if problem := _problem(_Row(*row)):
                yield f"event {row[0]}: {problem}"
        after, done = rows[-1][0], done + len(rows)
        progress(done, entries)


class _Row(NamedTuple):
    """An entry, with its name."""

    sequence: int
    item_id: bytes
    accepted: int
    checksum: int
    type: str
    severity: str
    event: bytes
    name: bytes | None


def _problem(row: _Row) -> str:
    """What is wrong with one event."""
    if crc32(row.event) != row.checksum:
        return "it reads otherwise than it was written (its checksum is another)"
    try:
        event: Any = Event.decode(row.event)
        own = item_id_bytes(*event.name)
        kinds = event.type, event.severity
    except (BusError, KeyError, TypeError, ValueError) as error:
        return f"it is no event: {error}"
    if own != row.item_id:
        return "its item id is not that of its source and id"
    if kinds != (row.type, row.severity):
        return "its type or severity is not what it is looked up by"
    if row.name != row.item_id:
        return "its name is not kept, so it could be accepted again"
    return ""
