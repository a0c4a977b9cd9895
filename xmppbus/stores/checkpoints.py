"""Copies the write-ahead log into the database beside the writer, so that no append waits for it."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

from xmppbus import limits
from xmppbus.stores import opening

log = logging.getLogger(__name__)

_COMMIT_PAGES = 6
"""Pages that a commit writes anyway; each event weighs one more at least, as names lie all over their index."""

_BEHIND = 2
"""How many times its bound may be written to the log during one copy before the writer waits for the copy."""

_MENDABLE = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class Checkpointer:
    """A thread with a connection of its own. What is left of a long log at the end of its pass, the writer copies.

    A log starts anew only when all of it has been copied and nobody writes or reads it: under constant load that
    moment would never come by itself.
    """

    def __init__(self, path: Path, failed: Callable[[sqlite3.Error], None]) -> None:
        self._path = path
        self._failed = failed
        self._connection: sqlite3.Connection
        self._asked: SimpleQueue[bool] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="journal-checkpoints", daemon=True)
        self._idle = threading.Event()
        self._idle.set()
        self._bytes = 0  # written since the last copy, by estimate
        self._long = False

    def start(self) -> None:
        """Begin to work."""
        self._connection = opening.connect(self._path, limits.CHECKPOINT_CACHE_BYTES)
        self._thread.start()

    def close(self) -> None:
        """End what is being copied, then stop."""
        self._asked.put(False)
        self._thread.join()
        self._connection.close()

    def committed(self, weight: int, writer: sqlite3.Connection) -> None:
        """Called by the writer after each commit, between two transactions; `weight` is what it wrote (pages)."""
        self._bytes += (_COMMIT_PAGES + weight) * limits.PAGE_BYTES
        if not self._idle.is_set():
            if self._bytes < _BEHIND * limits.WAL_BYTES:
                return
            self._idle.wait(limits.BUSY_SECONDS)  # the disk is slower than what comes in: the log must not fill it
        if self._long:
            # Waits for whoever reads now, so that the log starts anew. A reader that takes longer, as a backup does, is
            # met again after the next pass: no commit waits for it twice.
            _start_anew(writer)
            self._long = False
        elif self._bytes >= limits.WAL_BYTES // 2:
            self._bytes = 0
            self._idle.clear()
            self._asked.put(True)

    def _work(self) -> None:
        while self._asked.get():
            try:
                self._long = _copy(self._connection) * limits.PAGE_BYTES >= limits.WAL_BYTES
            except sqlite3.DatabaseError as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF in _MENDABLE:
                    log.info("the journal's log is not copied now: %s", error)
                else:
                    self._failed(error)
            self._idle.set()


def _copy(connection: sqlite3.Connection) -> int:
    """How many pages the log has. Waits for nobody: what a reader still needs stays for the next time."""
    pages: int = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1]
    return pages


def _start_anew(connection: sqlite3.Connection) -> None:
    """Copy the rest and wait for those who read the log, a moment at most, so that it starts anew if it can."""
    (usual,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute(f"PRAGMA busy_timeout = {int(limits.LOG_READERS_SECONDS * 1000)}")
    try:
        connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {usual}")
