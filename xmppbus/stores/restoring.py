"""A backup becomes the journal again, and the journal that was there is kept aside. For a journal that nobody holds.

Sequences are never used again, also over a restore (docs/adr/0015): what is accepted from then on has numbers above
all that were ever given, for displays and scripts hold the numbers of events that the backup does not have.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from xmppbus import limits
from xmppbus.errors import Code, JournalFailed, JournalHeld, Refused
from xmppbus.paths import sync_directory
from xmppbus.stores import opening, queries
from xmppbus.stores.snapshots import (
    beside,
    copy_log,
    copy_pages,
    free_bytes,
    no_room,
    reading,
    whole_file,
)

SQL = queries.load("keeping")


class Restored(NamedTuple):
    """What was done. `aside` is the journal that was there; None when there was none. `above` is the number above
    which sequences go on, and `guessed` whether nobody knew how many were given."""

    path: Path
    aside: Path | None
    entries: int
    waiting: int
    newest: int
    above: int
    guessed: bool


class _Highest(NamedTuple):
    sequence: int
    delivery: int


@contextlib.contextmanager
def held(journal: Path, what: str) -> Iterator[None]:
    """Nobody else may open the journal meanwhile. Raises `JournalHeld` when a daemon has it."""
    opening.make_private(journal)
    was_empty = journal.stat().st_size == 0
    lock = opening.Lock(journal)
    try:
        lock.take()
    except JournalHeld as error:
        raise JournalHeld(f"{error}; stop it before you {what}") from error
    try:
        yield
    finally:
        if was_empty and journal.exists() and journal.stat().st_size == 0:
            journal.unlink()  # we have made it, to hold it
        lock.release()


def restore(backup: Path, journal: Path, moment: datetime, *, above: int = 0) -> Restored:
    """Put a backup, which was looked through before, in the place of a journal that is `held`.

    `above` is a number that no event is known to have been given beyond; 0 where nobody knows. Until the last step the
    journal is as it was. Raises `Refused` (no room) and `JournalFailed`.
    """
    with reading(backup) as source:
        entries, _, _, waiting, _, _ = source.execute(SQL["counts"]).fetchone()
        kept = _highest(source)
        last = source.execute(SQL["newest_name"]).fetchone()
        pages, _, page_bytes = source.execute(SQL["pages"]).fetchone()
    if free_bytes(journal.parent) < pages * page_bytes + limits.SPARE_BYTES:
        raise no_room(journal.parent)
    there = journal.stat().st_size > 0
    old = _settled(journal, last) if there else None
    goes_on, guessed = _goes_on(kept, old, above)
    with whole_file_for(journal, backup) as path:
        _go_on_above(path, goes_on)
        opening.give_to_owner(path)
        aside = _put_aside(journal, moment) if there else None
        for each in beside(journal):
            each.unlink(missing_ok=True)
    return Restored(journal, aside, entries, waiting, kept.sequence, goes_on.sequence, guessed)


@contextlib.contextmanager
def whole_file_for(journal: Path, backup: Path) -> Iterator[Path]:
    """A copy of the backup that takes the journal's name at the end, in one step.

    Of what is in it, and not of its file: what was put aside may have a log beside it, with what was accepted last.
    """
    with reading(backup) as source, whole_file(journal) as path:
        copy_pages(source, path, lambda *_: None)
        yield path


def _highest(connection: sqlite3.Connection) -> _Highest:
    entry, name, delivery = connection.execute(SQL["highest"]).fetchone()
    return _Highest(max(entry, name), delivery)


def _settled(journal: Path, last: tuple[int, bytes] | None) -> _Highest | None:
    """How far the journal that is there got, when it went on from where the backup was made; else None.

    Its log is copied into it, so that it is one file. One that can't be read is put aside as it is.
    """
    try:
        with contextlib.closing(opening.connect(journal, limits.READER_CACHE_BYTES)) as connection:
            copy_log(connection)
            if not opening.check_version(journal, connection):
                return None
            if last and not connection.execute(SQL["has_name"], last).fetchone():
                return None
            return _highest(connection)
    except (sqlite3.Error, JournalFailed):
        return None


def _goes_on(kept: _Highest, old: _Highest | None, above: int) -> tuple[_Highest, bool]:
    if old:
        return _Highest(max(kept.sequence, old.sequence, above), max(kept.delivery, old.delivery)), False
    delivery = kept.delivery + limits.RESTORE_GAP
    if above:
        return _Highest(max(kept.sequence, above), delivery), False
    return _Highest(kept.sequence + limits.RESTORE_GAP, delivery), True


def _go_on_above(path: Path, above: _Highest) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        if _highest(connection).sequence < above.sequence:
            connection.execute(SQL["go_on_above"], (above.sequence,))
        connection.execute(SQL["deliveries_above"], (above.delivery,))
        connection.execute(SQL["deliveries_from"], (above.delivery,))
        connection.execute("COMMIT")


def _put_aside(journal: Path, moment: datetime) -> Path:
    """A second name for what is there, so that at no moment there is none; and for its log, if that is not empty."""
    aside = journal.with_name(f"{journal.name}.before-restore-{moment:%Y%m%dT%H%M%SZ}")
    if aside.exists():
        raise Refused(Code.TOO_MANY, f"{aside} exists; wait a second")
    _name_too(journal, aside)
    log = journal.with_name(journal.name + "-wal")
    if log.exists() and log.stat().st_size:
        _name_too(log, aside.with_name(aside.name + "-wal"))
    sync_directory(journal.parent)
    return aside


def _name_too(path: Path, name: Path) -> None:
    try:
        os.link(path, name)
    except OSError:  # a file system without second names
        shutil.copy2(path, name)
