"""Outputs whose connection is kept by a task of their own: deliveries make sense while it is there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, Self, TypeVar

S = TypeVar("S")

Keep = Callable[[Callable[[S], Awaitable[None]]], Coroutine[Any, Any, Any]]
"""Connects, lets something have the session until it is lost, and begins again; until cancelled."""


class Linked(Generic[S]):
    """The half of an `interfaces.Output` that is not about deliveries. Without a connection `session` is None."""

    def __init__(self, keep: Keep[S]) -> None:
        self.session: S | None = None
        self._keep = keep
        self._there = asyncio.Event()
        self._keeping: asyncio.Task[Any] | None = None

    async def __aenter__(self) -> Self:
        self._keeping = asyncio.create_task(self._keep(self._hold))
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._keeping:
            self._keeping.cancel()
            await asyncio.wait({self._keeping})

    async def ready(self) -> None:
        """While there is a connection."""
        waiting = asyncio.ensure_future(self._there.wait())
        keeping = [self._keeping] if self._keeping else []
        try:
            await asyncio.wait({waiting, *keeping}, return_when=asyncio.FIRST_COMPLETED)
            if self._keeping and self._keeping.done():
                self._keeping.result()  # a bug: the deliverer says it
        finally:
            waiting.cancel()

    async def _hold(self, session: S) -> None:
        """Deliver over this connection until it is lost."""
        self.session = session
        self._there.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._there.clear()
            self.session = None
