"""A copy of a journal while it is being written, by whoever may read its files: one moment of it, whole.

A read transaction holds that moment while the pages are copied, so nothing that is accepted meanwhile makes the copy
begin anew, and the writer waits for nobody: its log grows by what comes in. The daemon knows nothing of it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from xmppbus import limits
from xmppbus.errors import Code, JournalFailed, JournalHeld, Refused
from xmppbus.paths import sync_directory
from xmppbus.stores import opening, queries

SQL = queries.load("keeping")

Progress = Callable[[int, int], None]
"""Told how much is done, and of how much."""


class Snapshot(NamedTuple):
    """What a backup holds. `newest` is the newest sequence that was ever given out when it was made."""

    path: Path
    bytes: int
    entries: int
    waiting: int
    newest: int
    seconds: float


@contextlib.contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that can change nothing, on a journal of a schema that is known. Raises `JournalFailed`."""
    if not path.exists():
        raise JournalFailed(f"there is no journal at {path}; name the config whose journal it is with --config")
    try:
        connection = opening.connect_read_only(path)
    except sqlite3.Error as error:
        raise _unreadable(path, error) from error
    try:
        opening.check_version(path, connection)
        if not connection.execute("PRAGMA user_version").fetchone()[0]:
            raise JournalFailed(f"{path} is no journal: it is empty, or another program's")
        yield connection
    except sqlite3.Error as error:
        raise _unreadable(path, error) from error
    finally:
        connection.close()


def _unreadable(path: Path, error: sqlite3.Error) -> JournalFailed:
    return JournalFailed(
        f"{path} can't be read as a journal: {error}. It is damaged, or you may not read it (then be root or the "
        "daemon's user: `sudo -u xmppbus ...`)"
    )


def back_up(journal: Path, target: Path, progress: Progress, *, force: bool, gently: bool) -> Snapshot:
    """Copy a journal into one file, mode 600. `gently` leaves the disk alone for half of the time.

    Whatever goes wrong, `target` is as it was. Raises `Refused` (it exists, no room) and `JournalFailed`.
    """
    begun = time.monotonic()
    _check_target(journal, target, force=force)
    with reading(journal) as source:
        source.execute("BEGIN")
        entries, _, _, waiting, _, _ = source.execute(SQL["counts"]).fetchone()  # from here on it is this moment
        newest = max(source.execute(SQL["highest"]).fetchone()[:2])
        pages, _, page_bytes = source.execute(SQL["pages"]).fetchone()
        _check_room(target.parent, pages * page_bytes)
        with whole_file(target) as path:
            pace = _Pace(journal, path, gently=gently)

            def told(_: int, left: int, pages: int) -> None:
                progress(pages - left, pages)
                if left:
                    pace.rest()

            copy_pages(source, path, told)
            size = path.stat().st_size
    return Snapshot(target, size, entries, waiting, newest, time.monotonic() - begun)


@contextlib.contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """A file beside `target` with mode 600, which takes its name once it is written and on the disk; else it goes."""
    try:
        number, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise Refused(Code.FORBIDDEN, f"can't write into {target.parent}: {error.strerror}") from error
    path = Path(name)
    try:
        yield path
        os.fsync(number)
        path.replace(target)
        sync_directory(target.parent)
    except (OSError, sqlite3.Error) as error:
        if _is_full(error):
            raise no_room(target.parent) from error
        raise
    finally:
        os.close(number)
        for each in (path, *beside(path)):
            each.unlink(missing_ok=True)


def copy_log(connection: sqlite3.Connection) -> None:
    """All of the log into the database, so that it is one file. Raises `JournalHeld` where somebody reads it."""
    connection.execute(f"PRAGMA busy_timeout = {int(limits.LOG_READERS_SECONDS * 1000)}")
    if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        raise JournalHeld("another program reads the journal, perhaps a backup or a check; let it end first")


def beside(path: Path) -> list[Path]:
    """SQLite's own files for a database: its log, the log's index, and what a roll-back would need."""
    return [path.with_name(path.name + suffix) for suffix in ("-wal", "-shm", "-journal")]


def free_bytes(directory: Path) -> int:
    """Of the disk, for whoever asks."""
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize


def no_room(directory: Path) -> Refused:
    """What is said when the disk is full, or would be."""
    return Refused(Code.FULL, f"the disk of {directory} is full; nothing was changed. Make room, or name another disk")


def _check_target(journal: Path, target: Path, *, force: bool) -> None:
    if target.is_dir():
        raise Refused(Code.USAGE, f"{target} is a directory; name a file in it")
    if not target.parent.is_dir():
        raise Refused(Code.USAGE, f"there is no directory {target.parent}; make it, or name another")
    if target.exists():
        if journal.exists() and target.samefile(journal):
            raise Refused(Code.USAGE, f"{target} is the journal itself; name another file")
        if not force:
            raise Refused(Code.USAGE, f"{target} exists; name another file, or say --force to replace it")


def _check_room(directory: Path, size: int) -> None:
    free = free_bytes(directory)
    if free < size + limits.SPARE_BYTES:
        raise Refused(
            Code.FULL,
            f"{directory} has {free / limits.MIB:,.0f} MiB, and this takes {size / limits.MIB:,.0f} MiB and "
            f"{limits.SPARE_BYTES / limits.MIB:.0f} MiB to spare; make room, or name another disk",
        )


class _Pace:
    """Between two slices: what is written goes to the disk, so that no commit of the daemon finds a long queue there;
    and a pause as long as the slice took."""

    def __init__(self, journal: Path, target: Path, *, gently: bool) -> None:
        self._directories = {journal.parent, target.parent}
        self._target = target
        self._gently = gently
        self._begun = time.monotonic()

    def rest(self) -> None:
        """Raises `Refused` before a disk is full: what the daemon needs is not ours."""
        for directory in self._directories:
            if free_bytes(directory) < limits.SPARE_BYTES:
                raise no_room(directory)
        if self._gently:
            with self._target.open("rb") as file:
                os.fdatasync(file.fileno())
            time.sleep(min(time.monotonic() - self._begun, limits.BACKUP_PAUSE_SECONDS))
            self._begun = time.monotonic()


def copy_pages(source: sqlite3.Connection, path: Path, told: Callable[[int, int, int], None]) -> None:
    """All that a connection sees into one file, a slice at a time; `told` as `sqlite3.Connection.backup` has it."""
    copy = sqlite3.connect(path, isolation_level=None)
    try:
        copy.execute("PRAGMA synchronous = OFF")  # it is synced as a whole
        source.backup(copy, pages=limits.BACKUP_PAGES, progress=told)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
    finally:
        copy.close()


def _is_full(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
