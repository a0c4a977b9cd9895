"""Opens a journal's files: its directory, its lock, its schema, and what is counted at the start."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import sqlite3
from pathlib import Path
from typing import NamedTuple

from xmppbus import limits
from xmppbus.errors import JournalFailed, JournalHeld
from xmppbus.route import Target
from xmppbus.stores import queries
from xmppbus.stores.ledger import Counts
from xmppbus.stores.reserve import Reserve

SCHEMAS = 3
_APPLICATION = 0x78627573  # "xbus": what `file journal.db` shows

LOST = "lost"
"""The output of places whose name is gone: nobody can deliver there."""

_LOST_TEXT = "the name of the place is gone; drop them, then `xmppbus replay` sends them along the routes of today"

SQL = queries.load("reading")
WRITING = queries.load("writing")

log = logging.getLogger(__name__)


class Opened(NamedTuple):
    """The writer's connection, and what the journal holds."""

    connection: sqlite3.Connection
    counts: Counts
    places: dict[Target, int]
    waiting: dict[int, int]
    used_bytes: int


class Lock:
    """One holder of a journal: claims live in its memory. The kernel lets go of the lock when a process dies."""

    def __init__(self, journal: Path) -> None:
        self._path = journal.with_name(journal.name + ".lock")
        self._descriptor = -1

    def take(self) -> None:
        """Raises `JournalHeld` at once when another process holds it."""
        descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        give_to_owner(self._path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            os.close(descriptor)
            raise JournalHeld(f"another daemon (process {holder or 'unknown'}) holds {self._path}") from error
        self._descriptor = descriptor
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            pass  # the number is for people; a full disk does not keep us from holding the lock

    def release(self) -> None:
        """Let another have the journal."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def holder(journal: Path) -> int | None:
    """The process that has a journal open; None when nobody has. Asks the kernel, so that nobody's lock is tried."""
    try:
        found = os.stat(journal.with_name(journal.name + ".lock"))
        locks = Path("/proc/locks").read_text(encoding="ascii")
    except OSError:
        return None
    file = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    for line in locks.splitlines():
        words = line.split()  # `1: FLOCK ADVISORY WRITE 1234 08:01:131 0 EOF`, proc_locks(5)
        if words[1:2] == ["FLOCK"] and words[5:6] == [file]:
            return int(words[4])
    return None


def give_to_owner(path: Path) -> None:
    """What root does to a journal must not keep the daemon, which is another user, from opening it: a file belongs to
    the owner of its directory. SQLite does the same with its own files."""
    if os.geteuid() == 0:
        with contextlib.suppress(OSError):  # a root that may not give away has nobody else to leave it to
            owner = path.parent.stat()
            os.chown(path, owner.st_uid, owner.st_gid)


def make_private(path: Path) -> None:
    """The journal's directory and file, for their owner only: events are people's data. Keeps what exists."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        give_to_owner(path)
    except OSError as error:
        raise JournalFailed(f"{path} can't be opened as a journal: {error.strerror}") from error


def connect(path: Path, cache_bytes: int) -> sqlite3.Connection:
    """A connection that syncs each commit before it says yes."""
    connection = sqlite3.connect(
        path, timeout=limits.BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    for setting in (
        "journal_mode = WAL",
        "synchronous = FULL",
        f"cache_size = -{cache_bytes // limits.KIB}",
        "wal_autocheckpoint = 0",  # see checkpoints.py
        f"journal_size_limit = {limits.WAL_BYTES * 2}",
        "temp_store = MEMORY",
        "trusted_schema = OFF",
    ):
        connection.execute(f"PRAGMA {setting}")
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """A second connection, which reads what is committed and changes nothing."""
    connection = connect(path, limits.READER_CACHE_BYTES)
    connection.execute("PRAGMA query_only = ON")
    return connection


def connect_read_only(path: Path) -> sqlite3.Connection:
    """One that could not change anything if it tried, for another process than the daemon's.

    Unlike a connection that may write, it leaves the log alone when it is closed: at that moment the file of this name
    may be another one, restored or compacted, with a log of its own.
    """
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=limits.BUSY_SECONDS, isolation_level=None
    )


def open_writer(path: Path, reserve: Reserve) -> Opened:
    """Open or make the journal. Raises `JournalFailed` for a file that is none, or of a newer xmppbus."""
    try:
        return _open_writer(path)
    except JournalFailed:
        # A full disk may lack even the little that opening takes. What was set aside is enough to go on delivering.
        if not reserve.give_back():
            raise
        return _open_writer(path)


def _open_writer(path: Path) -> Opened:
    try:
        connection = connect(path, limits.WRITER_CACHE_BYTES)
        try:
            _migrate(path, connection)
            return _count(connection)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise JournalFailed(f"{path} can't be opened as a journal: {error}") from error


def check_version(path: Path, connection: sqlite3.Connection) -> int:
    """The schema of a journal, 0 of one that is empty. Raises `JournalFailed` for what this xmppbus can't use."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    if version > SCHEMAS:
        raise JournalFailed(
            f"{path} was made by a newer xmppbus (schema {version}, here {SCHEMAS}): install that one again, or "
            "restore a backup from before the upgrade (docs/howto/upgrade.md)"
        )
    if version and application != _APPLICATION:
        raise JournalFailed(f"{path} is a database of another program; name another file in `journal.path`")
    return version


def _migrate(path: Path, connection: sqlite3.Connection) -> None:
    version = check_version(path, connection)
    for number in range(version + 1, SCHEMAS + 1):
        script = queries.text(f"schema_{number}")
        mark = f"PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {number};"
        connection.executescript(f"BEGIN IMMEDIATE; {script} {mark} COMMIT;")


def _count(connection: sqlite3.Connection) -> Opened:
    def one(name: str, *parameters: int) -> tuple[int, ...]:
        found: tuple[int, ...] = connection.execute(SQL[name], parameters).fetchone()
        return found

    entry, name, delivery = one("highest")
    newest, entries, names = one("tally")
    counts = Counts(
        sequence=max(entry, name),
        delivery=delivery,
        entries=entries + one("count_entries", newest)[0],
        names=names + one("count_names", newest)[0],
        dead=one("dead_count")[0],
        newest=entry,
        tallied=newest,
    )
    _find_lost(connection)
    places = {Target(output, address): id_ for id_, output, address in connection.execute(SQL["places"])}
    waiting = dict(connection.execute(SQL["places_waiting"]))
    return Opened(connection, counts, places, waiting, one("used_bytes")[0])


def _find_lost(connection: sqlite3.Connection) -> None:
    """Show people the deliveries whose place is gone; a journal that can't be opened would keep all others too."""
    lost = connection.execute(SQL["places_lost"]).fetchall()
    if not lost:
        return
    connection.execute("BEGIN IMMEDIATE")
    for (place,) in lost:
        connection.execute(WRITING["make_lost_place"], (place, LOST, f"place {place}"))
        connection.execute(WRITING["kill_lost"], (_LOST_TEXT, place))
        log.error("deliveries to place %d are dead: %s", place, _LOST_TEXT)
    connection.execute("COMMIT")
