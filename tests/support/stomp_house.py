"""A local bus with a STOMP listener in the test's own process, for tests that set its limits or look inside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.stomp_client import StompClient
from xmppbus import app, limits
from xmppbus.config import load
from xmppbus.house import House
from xmppbus.inputs import stomp_connection


@dataclass
class StompHouse:
    """Open; `client()` is a connection to it."""

    house: House
    file: Path

    @property
    def status(self) -> dict[str, Any]:
        """What the listener says of itself."""
        return dict(self.house.inputs["stomp"].status())

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.status["address"].rpartition(":")[2])

    def client(self, **more: Any) -> StompClient:
        """One that has yet to say CONNECT."""
        return StompClient(self.port, **more)

    async def reload(self, config: dict[str, Any]) -> None:
        """Have another config taken."""
        self.file.write_text(yaml.safe_dump({**yaml.safe_load(self.file.read_text()), **config}))
        assert self.house.reload
        await self.house.reload()


@asynccontextmanager
async def stomp_house(directory: Path, config: dict[str, Any] | None = None, **stomp: Any) -> AsyncIterator[StompHouse]:
    """From its opening to its end; `stomp` are options of the listener."""
    file = directory / "xmppbus.yaml"
    inputs = {"stomp": {"listen": "127.0.0.1:0", **stomp}}
    given = {"http": None, "source": "house", "socket": {"path": str(directory / "socket")}, "inputs": inputs}
    file.write_text(yaml.safe_dump({**given, **(config or {})}))
    loaded = load(file, {"XMPPBUS_STATE": str(directory)})
    stopping = asyncio.Event()
    started: asyncio.Future[House] = asyncio.get_running_loop().create_future()
    life = asyncio.create_task(app.live(loaded, app.offered(loaded), stopping, started.set_result))
    await asyncio.wait((started, life), return_when=asyncio.FIRST_COMPLETED)
    if not started.done():
        await life
    try:
        yield StompHouse(started.result(), file)
    finally:
        stopping.set()
        await life


@asynccontextmanager
async def connected(bus: StompHouse, version: str = "1.2", **more: Any) -> AsyncIterator[StompClient]:
    """A client that is in."""
    async with bus.client() as client:
        got = await client.connect(version, **more)
        assert got.command == "CONNECTED", got
        yield client


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[StompHouse]:
    """With the options that it has by itself."""
    async with stomp_house(tmp_path) as opened:
        yield opened


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines of a moment, so that a test need not wait for the real ones."""
    for name in ("STOMP_FRAME_SECONDS", "STOMP_STUCK_SECONDS", "STOMP_GOODBYE_SECONDS"):
        monkeypatch.setattr(limits, name, 1.0)
    monkeypatch.setattr(stomp_connection, "SWEEP_SECONDS", 0.02)
