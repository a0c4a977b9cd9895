"""Knowing that what was written is with the server: one ping at a time behind it, shared by everybody who waits.

A server works a stream in order. So once a request has come back that was written behind some messages, with anything,
each of them is in its recipient's session, in offline storage, or on its way to another server. That is
no receipt: the recipient's client may not have it yet. A component's ping goes to its own address: the server hands it
back, and no other process of the server or other server has a part in it. `tests/servers/test_fence.py` shows both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from xmppbus import limits
from xmppbus.xmpp.replies import ErrorAnswer, NoAnswer, Unanswered

_Wait = asyncio.Future[NoAnswer | None]


class Fence:
    """Of one stream, over all its sessions. `ask` sends one request and waits for its answer; `session` is the number
    of the present session, 0 while there is none."""

    def __init__(self, ask: Callable[[], Awaitable[object]], session: Callable[[], int]) -> None:
        self._ask = ask
        self._session = session
        self._of = 0  # the session that what follows is about
        self._unacknowledged = 0  # bytes
        self._next: _Wait | None = None  # those who wrote before the next ping
        self._any: _Wait | None = None  # those who wait for room
        self._task: asyncio.Task[None] | None = None
        self.pings = 0

    @property
    def unacknowledged(self) -> int:
        """Bytes of this session that the server may not have yet."""
        return self._unacknowledged if self._of == self._session() else 0

    def wrote(self, size: int) -> None:
        """So many bytes more have been written."""
        self._look()
        if not self._of:
            return
        self._unacknowledged += size
        if self._is_due():
            self._start()

    async def room(self) -> None:
        """Return when the server keeps up: before each piece of a long series. Raises `NoAnswer` when it does not."""
        while self.unacknowledged >= limits.TALK_BYTES:
            if self._any is None:
                self._any = asyncio.get_running_loop().create_future()
            self._start()
            await _until(self._any)

    async def wait(self, session: int) -> None:
        """Return when everything that was written in that session, so far, is with the server.

        Raises `NoAnswer`: it may be, or may not.
        """
        if not session or session != self._session():
            raise NoAnswer(Unanswered.DISCONNECTED)
        self._look()
        if not self._unacknowledged:
            return
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        self._start()
        await _until(self._next)

    async def close(self) -> None:
        """Whoever still waits is not answered."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._tell(NoAnswer(Unanswered.DISCONNECTED), self._take_next(), self._take_any())

    def _look(self) -> None:
        """A new session begins with nothing on its way; whoever waits for the last one will never know."""
        if self._of != self._session():
            self._of, self._unacknowledged = self._session(), 0
            self._tell(NoAnswer(Unanswered.DISCONNECTED), self._take_next(), self._take_any())

    def _is_due(self) -> bool:
        # At half the window, so that the server has the other half to work on while the answer is on its way.
        return self._unacknowledged >= limits.TALK_BYTES // 2

    def _start(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="fence")

    async def _run(self) -> None:
        while self._next is not None or self._any is not None or self._is_due():
            self._look()
            waiting, written, session = self._take_next(), self._unacknowledged, self._of
            failed = await self._ping()
            if failed is None and session == self._of:
                self._unacknowledged -= written
            self._tell(failed, waiting, self._take_any())
            self._look()

    async def _ping(self) -> NoAnswer | None:
        self.pings += 1
        try:
            await self._ask()
        except ErrorAnswer:
            return None  # it has been there: that is what counts
        except NoAnswer as error:
            await asyncio.sleep(0)
            return error
        return None

    def _take_next(self) -> _Wait | None:
        taken, self._next = self._next, None
        return taken

    def _take_any(self) -> _Wait | None:
        taken, self._any = self._any, None
        return taken

    def _tell(self, outcome: NoAnswer | None, *waits: _Wait | None) -> None:
        for each in waits:
            if each is not None and not each.done():
                each.set_result(outcome)


async def _until(wait: _Wait) -> None:
    failed = await asyncio.shield(wait)
    if failed is not None:
        raise NoAnswer(failed.why)
