"""Work that takes its time, one piece after the other in each lane, the lanes side by side; bounded in all of them."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

from xmppbus import limits

log = logging.getLogger(__name__)

Work = Callable[[], Awaitable[None]]


class Lanes:
    """A lane is there as long as something waits in it."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Work]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._count = 0

    @property
    def count(self) -> int:
        """How many pieces of work are not done yet."""
        return self._count

    def is_busy(self, lane: str) -> bool:
        """Whether something is going on in a lane."""
        return lane in self._waiting

    def add(self, lane: str, work: Work) -> bool:
        """Do it when everything before it in its lane is done. False: there is too much already, it is not done."""
        line = self._waiting.get(lane)
        if self._count >= limits.LANES_WORK or (line is not None and len(line) >= limits.LANE_WORK):
            return False
        self._count += 1
        if line is not None:
            line.append(work)
            return True
        self._waiting[lane] = deque((work,))
        task = asyncio.create_task(self._run(lane), name=f"lane {lane}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def close(self) -> None:
        """What is not done is left."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _run(self, lane: str) -> None:
        line = self._waiting[lane]
        try:
            while line:
                work = line.popleft()
                try:
                    await work()
                except Exception:  # the house is kept alive: one piece of work is not the others'
                    log.exception("%s: something could not be done", lane)
                self._count -= 1
        finally:
            del self._waiting[lane]
