"""The one thread that changes the database. Whatever waits is written in one commit, with one fsync; no timer."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from xmppbus import limits
from xmppbus.errors import Code, JournalFailed, Refused
from xmppbus.stores.checkpoints import Checkpointer
from xmppbus.stores.figures import JournalFigures
from xmppbus.stores.ledger import Effects, Ledger
from xmppbus.stores.operations import Append, Beat, Operation
from xmppbus.stores.reserve import Reserve
from xmppbus.stores.room import Room

log = logging.getLogger(__name__)

_BUGS = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError, sqlite3.NotSupportedError)
"""What SQLite raises for a mistake of ours, not of the disk."""

FULL = "the disk is full; make room, and accepting goes on within a second"


class Done(NamedTuple):
    """What one operation came to: its result, or the exception that its caller gets."""

    operation: Operation
    result: Any


class Writer:
    """Takes operations from the event loop and answers with one callback a commit.

    `committed` is called in the loop with the effects of a commit, before any of its futures is done.
    """

    def __init__(
        self,
        path: Path,
        ledger: Ledger,
        *,
        reserve: Reserve,
        room: Room,
        moment: Callable[[], int],
        committed: Callable[[Effects, list[Done]], None],
        figures: JournalFigures,
    ) -> None:
        self._ledger = ledger
        self._reserve = reserve
        self._room = room
        self._checkpointer = Checkpointer(path, self._failed)
        self._moment = moment
        self._committed = committed
        self._figures = figures
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[Operation | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="journal-writer", daemon=True)
        self._gathered: list[Operation] = []
        self._later: list[Operation] = []  # the thread's own: what the disk did not take, before all that came since
        self._closing = False
        self.refusal = ""  # why nothing is accepted at the moment
        self.failed: asyncio.Future[None] = self._loop.create_future()
        self._failure: JournalFailed | None = None

    def start(self) -> None:
        """Begin to work."""
        self._check_reserve()
        self._checkpointer.start()
        self._thread.start()

    async def close(self) -> None:
        """Write what waits, then stop."""
        self._closing = True
        self._hand_over()
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        await asyncio.to_thread(self._checkpointer.close)

    def submit(self, operation: Operation) -> asyncio.Future[Any]:
        """Ask for a change. Its future is done after the commit; the change happens even if nobody waits for it."""
        if self._closing:
            raise Refused(Code.CLOSING, "the journal is closing; try again in a moment")
        operation.future = self._loop.create_future()
        if self._failure:
            operation.future.set_exception(self._failure)
        else:
            if not self._gathered:
                self._loop.call_soon(self._hand_over)
            self._gathered.append(operation)
        return operation.future

    def _hand_over(self) -> None:
        """What was asked for in one turn of the loop goes into one commit: a thread that took the first of it at once
        would leave the others to the next fsync."""
        for operation in self._gathered:
            self._queue.put(operation)
        self._gathered.clear()

    # --- in the thread ------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        going = True
        while going:
            batch, going = self._take()
            try:
                if batch:
                    self._write(batch)
                if self.refusal:
                    self._check_reserve()
            except Exception as error:  # a bug here must stop the house, not leave it waiting for ever
                log.exception("the journal's writer has a bug")
                self._failed(error)
                self._tell(Effects(), [Done(operation, self._failure) for operation in batch])

    def _take(self) -> tuple[list[Operation], bool]:
        """All that waits, up to the bounds of a commit; False when nothing more will come."""
        batch, self._later = self._later, []
        weight = sum(operation.weight for operation in batch)
        try:
            timeout = limits.FULL_CHECK_SECONDS if self.refusal else None
            operation = self._queue.get_nowait() if batch else self._queue.get(timeout=timeout)
            while operation is not None:
                batch.append(operation)
                weight += operation.weight
                if len(batch) >= limits.COMMIT_OPERATIONS or weight >= limits.COMMIT_PAGES:
                    return batch, True
                operation = self._queue.get_nowait()
        except Empty:
            return batch, True
        return batch, False

    def _write(self, batch: list[Operation]) -> None:
        """One commit for all; if it fails, one for each, so that nobody fails for a neighbour's sake."""
        if self._failure:
            self._tell(Effects(), [Done(operation, self._failure) for operation in batch])
            return
        try:
            begun = time.perf_counter()
            effects, done = self._commit(batch)
        except Exception as error:  # the house is kept alive here: each caller gets its own error
            self._roll_back()
            if len(batch) > 1 and not _is_fatal(error):
                for operation in batch:
                    self._write([operation])
            else:
                self._fail(batch, error)
        else:
            self._figures.commit_seconds.observe(time.perf_counter() - begun)
            self._figures.commit_operations.observe(len(batch))
            self._tell(effects, done)
            self._copy_log(batch)

    def _copy_log(self, batch: list[Operation]) -> None:
        try:
            weight = sum(operation.weight for operation in batch)
            self._checkpointer.committed(weight, self._ledger.connection)
        except sqlite3.Error as error:
            # The commit is safe in the log: a lack of room is met, and told, by the next one.
            if not _is_fatal(error):
                self._failed(error)

    def _commit(self, batch: list[Operation]) -> tuple[Effects, list[Done]]:
        ledger = self._ledger
        ledger.begin(self._moment())
        done: list[Done] = []
        appends: list[Append] = []
        refusal = self.refusal or self._ask_room(batch)
        for operation in batch:
            try:
                if refusal and operation.needs_room:
                    raise Refused(Code.FULL, refusal, retry_after=1.0)
                if isinstance(operation, Append):
                    ledger.check_places(operation.events)
                    appends.append(operation)
            except Refused as error:
                done.append(Done(operation, error))
        self._append(appends, done)
        refused = {id(each.operation) for each in done}
        others = (each for each in batch if id(each) not in refused and not isinstance(each, Append))
        done.extend(Done(operation, operation.write(ledger)) for operation in others)
        return ledger.commit(), done

    def _ask_room(self, batch: list[Operation]) -> str:
        """Why the journal may not grow now; asked again at every commit while it may not."""
        asked = self._room.refusal or any(each.needs_room for each in batch)
        return self._room(self._ledger) if asked else ""

    def _append(self, appends: list[Append], done: list[Done]) -> None:
        """Write the events of all appends at once, and give each its own answers."""
        if len(appends) == 1:
            done.append(Done(appends[0], self._ledger.append(appends[0].events)))
        elif appends:
            answers = self._ledger.append([routed for operation in appends for routed in operation.events])
            start = 0
            for operation in appends:
                end = start + len(operation.events)
                done.append(Done(operation, answers[start:end]))
                start = end

    def _roll_back(self) -> None:
        try:
            self._ledger.roll_back()
        except sqlite3.Error as error:
            self._failed(error)

    def _fail(self, batch: list[Operation], error: Exception) -> None:
        """Refuse, try again or give up, as the error demands."""
        full = _is_full(error) or (_is_io(error) and self._reserve.disk_is_full())
        if full and not self.refusal:
            log.warning("%s; the reserve is given back, so that delivering goes on", FULL)
            self.refusal = FULL
            self._reserve.give_back()
            self._write(batch)
            return
        if full:
            self._put_off(batch, Refused(Code.FULL, FULL, retry_after=1.0))
        elif _is_busy(error):
            self._put_off(batch, Refused(Code.FAILED, "another program holds the journal; close it", retry_after=1.0))
        else:
            if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, _BUGS):
                self._failed(error)
            self._tell(Effects(), [Done(operation, self._failure or error) for operation in batch])

    def _put_off(self, batch: list[Operation], refused: Refused) -> None:
        """Senders are refused; what has been delivered is written down when the disk takes it. Who asks whether this
        thread lives is told so: to start the house anew would give no room.

        Everybody is refused while the journal closes: what was delivered is looked up at the next start.
        """
        closing = self._closing  # once: it may become true between two looks, and nobody is to be left out
        lives = [] if closing else [Done(each, None) for each in batch if isinstance(each, Beat)]
        self._tell(Effects(), [*lives, *(Done(each, refused) for each in batch if each.needs_room or closing)])
        if not closing:
            # Not at the end of the queue: there it would come after the mark that nothing more comes.
            self._later += [each for each in batch if not each.needs_room and not isinstance(each, Beat)]
            time.sleep(limits.FULL_CHECK_SECONDS)

    def _failed(self, error: Exception) -> None:
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        self._failure = JournalFailed(f"the journal's disk failed: {error} ({name}). Check the disk and the directory.")
        self.refusal = str(self._failure)
        log.critical("%s", self._failure)
        self._tell(Effects(), [])

    def _tell(self, effects: Effects, done: list[Done]) -> None:
        self._loop.call_soon_threadsafe(self._told, effects, done)

    def _check_reserve(self) -> None:
        if not self._failure:
            refusal = "" if self._reserve.make() else FULL
            if self.refusal and not refusal:
                log.info("there is room on the disk again")
            self.refusal = refusal

    # --- in the loop --------------------------------------------------------------------------------------------------

    def _told(self, effects: Effects, done: list[Done]) -> None:
        try:
            self._committed(effects, done)
        except (
            Exception
        ) as error:  # whoever asked must hear of it, and the house must stop: it knows its places no more
            if not self._failure:
                log.exception("the journal has a bug")
                self._failed(error)
            done = [Done(operation, self._failure) for operation, _ in done]
        for operation, result in done:
            if operation.future.done():
                continue
            if isinstance(result, Exception):
                operation.future.set_exception(result)
            else:
                operation.future.set_result(result)
        if self._failure and not self.failed.done():
            self.failed.set_exception(self._failure)
            self.failed.exception()  # seen: nobody is obliged to wait for it


def _is_full(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL


def _is_io(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_IOERR


def _is_busy(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _is_fatal(error: Exception) -> bool:
    """Whether trying the operations one by one would only meet the same error again."""
    return _is_full(error) or _is_busy(error)
