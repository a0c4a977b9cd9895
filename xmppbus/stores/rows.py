"""Rows in and out of SQLite, many in one step.

Each step of a statement lets go of the interpreter's lock, and a busy event loop may keep it for milliseconds: 300
rows one by one cost 300 such waits (measured: 118 events a second instead of 15,000).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zlib import crc32

from xmppbus.errors import JournalFailed
from xmppbus.event import Event
from xmppbus.journal import Entry, Fate, State

_SIZES = (256, 128, 64, 32, 16, 8, 4, 2, 1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Insertion:
    """An INSERT of any number of rows, in as few steps as there are powers of two in that number. `tail` is what
    stands behind the rows."""

    def __init__(self, head: str, columns: int, tail: str = "") -> None:
        row = "(" + ",".join("?" * columns) + ")"
        self._columns = columns
        self._statements = [(size, f"{head} VALUES " + ",".join([row] * size) + f" {tail}") for size in _SIZES]

    def write(self, connection: sqlite3.Connection, values: Sequence[Any]) -> int:
        """Insert rows given as one flat sequence of values; how many were inserted."""
        start, left, inserted = 0, len(values) // self._columns, 0
        for size, statement in self._statements:
            while left >= size:
                end = start + size * self._columns
                inserted += connection.execute(statement, values[start:end]).rowcount
                start, left = end, left - size
        return inserted


def milliseconds(moment: datetime) -> int:
    """Since 1970-01-01 in UTC."""
    return (moment - _EPOCH) // _MILLISECOND


def moment_of(stamp: int) -> datetime:
    """The moment of a column in milliseconds."""
    return _EPOCH + timedelta(milliseconds=stamp)


def item_id_of(digits: bytes) -> str:
    """The usual form of a UUID from its 32 hexadecimal digits."""
    text = digits.decode().lower()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class Head(NamedTuple):
    """A delivery that waits: which of the places that were asked for it is at, the bytes of its event, and when (in
    milliseconds) that was accepted."""

    place: int
    id: int
    sequence: int
    again: int
    size: int
    accepted: int


def events_in(packed: bytes | None) -> dict[int, tuple[str, Event]]:
    """The answer of the query `entries`: the item id and the event of each sequence."""
    found = {}
    for row in packed.split(b"\x1e") if packed else ():
        try:
            sequence, item_id, checksum, event = row.split(b" ", 3)
            found[int(sequence)] = item_id_of(item_id), _event(event, int(checksum))
        except ValueError as error:
            raise damaged(row) from error
    return found


def entry_fields(row: bytes) -> list[bytes]:
    """The seven fields of one row of the queries `slice` and `find`, of which 4 and 5 are type and severity."""
    fields = row.split(b" ", 6)
    if len(fields) != 7:
        raise damaged(row)
    return fields


def entry_of(fields: list[bytes]) -> Entry:
    """An entry from the fields of its row."""
    sequence, accepted, item_id, checksum, _, _, event = fields
    try:
        return Entry(int(sequence), item_id_of(item_id), moment_of(int(accepted)), _event(event, int(checksum)))
    except ValueError as error:
        raise damaged(sequence) from error


def fate_of(row: Sequence[Any]) -> Fate:
    """A fate from one row of the queries `fates` and `dead`."""
    id_, sequence, output, place, state, condition, text, settled, attempts = row[:9]
    when = None if settled is None else moment_of(settled)
    return Fate(id_, sequence, output, place, State(state), condition, text, when, attempts)


def _event(encoded: bytes, checksum: int) -> Event:
    if crc32(encoded) != checksum:
        raise damaged(encoded)
    return Event.decode(encoded)


def damaged(row: bytes) -> JournalFailed:
    """What is said when the disk does not give back what was written."""
    return JournalFailed(
        "the journal is damaged: an entry reads otherwise than it was written, near "
        f"{row[:60]!r}. Check the disk, then restore the journal from a backup."
    )
