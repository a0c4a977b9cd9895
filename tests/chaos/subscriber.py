"""The independent subscriber: a component on a raw socket that records every notification, and reads what is kept."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from tests.support.raw import Notification, RawError, RawStream, component
from tests.support.raw_pubsub import Item, items, subscribe
from tests.support.server import Server

AGAIN_SECONDS = 0.02
ITEMS_TIMEOUT = 60.0


class Subscriber:
    """Connected straight to the server, whatever stands between it and the bus; comes back when the server does."""

    def __init__(self, server: Server, nodes: Sequence[str]) -> None:
        self.server = server
        self.nodes = list(nodes)
        self.jid = server.component_jids[1]
        self.stream: RawStream | None = None
        self._earlier: list[Notification] = []
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Subscribe; the nodes must be there."""
        self.stream = await self._connected()
        for node in self.nodes:
            await subscribe(self.stream, self.server.pubsub_service, node)
        self._task = asyncio.create_task(self._stay())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self.stream is not None:
            await self.stream.close()

    async def _stay(self) -> None:
        while True:
            assert self.stream is not None
            await self.stream.closed.wait()
            self._earlier += self.stream.notifications
            self.stream.notifications = []
            await self.stream.close()
            self.stream = await self._connected()

    async def _connected(self) -> RawStream:
        while True:
            with contextlib.suppress(OSError, RawError, TimeoutError):
                return await component(self.server.host, self.server.component_port, self.jid, self.server.secret)
            await asyncio.sleep(AGAIN_SECONDS)

    @property
    def notifications(self) -> list[Notification]:
        """All so far, in the order in which they came."""
        return [*self._earlier, *(self.stream.notifications if self.stream else ())]

    def newest(self) -> float:
        """When the last one came (monotonic); 0 when none has."""
        current = self.stream.notifications if self.stream else []
        last = current or self._earlier
        return last[-1].monotonic if last else 0.0

    def first_after(self, moment: float) -> float | None:
        """When the first one came that came after that moment."""
        return next((one.monotonic for one in self.notifications if one.monotonic > moment), None)

    async def kept(self) -> dict[str, list[Item]]:
        """What the server keeps, oldest first."""
        async with asyncio.timeout(ITEMS_TIMEOUT):
            while True:
                with contextlib.suppress(RawError):
                    assert self.stream is not None
                    service = self.server.pubsub_service
                    return {node: await items(self.stream, service, node, timeout=ITEMS_TIMEOUT) for node in self.nodes}
                await asyncio.sleep(AGAIN_SECONDS)
