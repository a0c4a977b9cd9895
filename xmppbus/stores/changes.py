"""Who waits for a change, and wakes at the next one; none is missed between a look and the wait."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from weakref import WeakKeyDictionary


class Changes:
    """One future for all that wait, and what each task had seen when it looked last.

    A change between a task's look and its wait ends the wait at once: without that, a listener that found nothing
    would sleep through the event that came while it was reading.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._number = 0
        self._next: asyncio.Future[None] = self._loop.create_future()
        self._seen: WeakKeyDictionary[asyncio.Task[Any], int] = WeakKeyDictionary()

    def look(self) -> None:
        """The task that runs looks at the journal now."""
        task = asyncio.current_task()
        if task is not None:
            self._seen[task] = self._number

    def look_again(self) -> None:
        """The task that runs has not seen everything that there is."""
        task = asyncio.current_task()
        if task is not None:
            self._seen[task] = -1

    def tell(self) -> None:
        """Something has changed."""
        self._number += 1
        changed, self._next = self._next, self._loop.create_future()
        changed.set_result(None)

    async def wait(self, timeout: timedelta) -> None:
        """Return at the next change after what this task has seen, or after `timeout`."""
        task = asyncio.current_task()
        if task is None or self._seen.get(task, self._number) == self._number:
            await asyncio.wait((self._next,), timeout=timeout.total_seconds())
        self.look()
