"""Works on a queue in a Python program of its own, which talks to the daemon's socket."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from xmppbus import limits
from xmppbus.cli.working.link import Taken
from xmppbus.cli.working.verdicts import Verdict, again
from xmppbus.cli.working.worker import Wanted, Worker
from xmppbus.event import Event

log = logging.getLogger("xmppbus.work")

Handler = Callable[[Event], Awaitable[None]]


class Again(Exception):
    """The event comes again later; the text says why."""


class _Handling:
    """Calls a function for each event."""

    def __init__(self, handler: Handler, attempts: int | None) -> None:
        self._handler = handler
        self._attempts = attempts
        self._running: set[asyncio.Task[None]] = set()
        self._ended = False

    async def run(self, taken: Taken) -> Verdict:
        """What became of it."""
        task = asyncio.ensure_future(self._call(Event(taken.fields)))
        self._running.add(task)
        try:
            await task
        except Again as error:
            return again(str(error), taken.attempt, self._attempts)
        except asyncio.CancelledError:
            return Verdict("release")
        except Exception as error:  # a function may raise anything; it is the reason
            log.exception("the work on %s failed", taken.item_id, extra={"event_id": taken.item_id})
            return Verdict("reject", f"{type(error).__name__}: {error}")
        finally:
            self._running.discard(task)
        return Verdict("ack")

    async def end(self) -> None:
        """End what runs."""
        for task in self._running:
            task.cancel()

    async def _call(self, event: Event) -> None:
        await self._handler(event)


def work(
    queue: str,
    handler: Handler,
    *,
    pattern: str = "",
    jobs: int = 1,
    lease: float = limits.QUEUE_LEASE_SECONDS,
    attempts: int | None = None,
    most: int | None = None,
) -> int:
    """Call `handler` with each event of a queue, until SIGTERM or Ctrl-C; the exit code. `lease` is in seconds.

    As `xmppbus work`: returning is done, raising `Again` is later, raising anything else is dead.
    """
    return asyncio.run(Worker(Wanted(queue, pattern, jobs, lease, attempts, most), _Handling(handler, attempts)).run())
