"""A connection's PUBLISH frames: how much is read before it is answered, and what becomes of it when that fails."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import until
from xmppbus import limits
from xmppbus.bus import Bus
from xmppbus.config import load
from xmppbus.errors import Refused
from xmppbus.house import House
from xmppbus.inputs import frames
from xmppbus.inputs.frames import pack
from xmppbus.inputs.unix import UnixInput
from xmppbus.interfaces import Accepted
from xmppbus.journal import Result
from xmppbus.plugins import Registry
from xmppbus.stores.sqlite import SqliteJournal
from xmppbus.xmpp.stanzas import check_size

LARGE = pack(frames.PUBLISH, json.dumps({"type": "t", "data": "x" * 190_000}).encode())
FIRST = pack(frames.PUBLISH, b'{"type":"t"}')


def now() -> datetime:
    return datetime(2026, 1, 31, 12, tzinfo=UTC)


class Slow:
    """A house that accepts when it is let, and counts what it was given."""

    def __init__(self) -> None:
        self.free = asyncio.Event()
        self.held = 0
        self.accepted = 0
        self.failure: Exception | None = None

    async def accept(self, sent: Sequence[Mapping[str, Any]], **_: Any) -> list[Accepted | Refused]:
        """As `interfaces.Accept` says."""
        size = sum(len(json.dumps(each)) for each in sent)
        self.held += size
        await self.free.wait()
        self.held -= size
        if self.failure:
            raise self.failure
        self.accepted += len(sent)
        return [Accepted(Result.NEW, "x", 1, 1) for _ in sent]


class Clients:
    """Programs that are connected to one door."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.house = Slow()
        self.writers: list[asyncio.StreamWriter] = []

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """One more."""
        reader, writer = await asyncio.open_unix_connection(self.path)
        self.writers.append(writer)
        return reader, writer


@pytest.fixture
async def clients(tmp_path: Path) -> AsyncIterator[Clients]:
    file = tmp_path / "xmppbus.yaml"
    file.write_text(f"socket:\n  path: {tmp_path / 'socket'}\n")
    config = load(file, {"XMPPBUS_STATE": str(tmp_path), "HOME": str(tmp_path)})
    async with SqliteJournal(config.journal_path) as journal:
        bus = Bus(journal, config.routes, source="here", check_size=check_size, clock=now)
        door = UnixInput(House(config, now, now(), journal, Registry(), bus))
        found = Clients(config.socket_path)
        running = asyncio.create_task(door.run(found.house.accept))
        yield found
        found.house.free.set()
        for writer in found.writers:
            writer.transport.abort()
        await until(lambda: not door.status()["connections"], 5, "the connections to end")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def settled(house: Slow) -> int:
    """Bytes that are held when nothing more is read, in 500 rounds of the loop in which it could be."""
    last, same = -1, 0
    while same < 500:
        await asyncio.sleep(0)
        last, same = house.held, same + 1 if house.held == last else 0
    return last


async def test_a_connection_is_not_read_ahead_by_more_than_its_bytes(clients: Clients) -> None:
    """Large events while the disk is busy; all are answered when it is not any more."""
    reader, writer = await clients.connect()
    writer.write(LARGE * 300)
    assert limits.SOCKET_BYTES_OF_ONE <= await settled(clients.house) <= limits.SOCKET_BYTES_OF_ONE + limits.MIB
    clients.house.free.set()
    writer.write_eof()
    assert (await asyncio.wait_for(reader.read(), 20)).count(b'"result":"new"') == 300


async def test_all_connections_together_have_a_bound(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when each of them keeps its own; and all go on later."""
    monkeypatch.setattr(limits, "SOCKET_BYTES", 4 * limits.MIB)
    connected = [await clients.connect() for _ in range(20)]
    for _, writer in connected:
        writer.write(LARGE * 5)
        writer.write_eof()
    assert limits.SOCKET_BYTES <= await settled(clients.house) <= limits.SOCKET_BYTES + limits.MIB
    clients.house.free.set()
    for reader, _ in connected:
        assert (await asyncio.wait_for(reader.read(), 20)).count(b'"result":"new"') == 5


async def test_connections_that_come_and_go_do_not_get_around_the_bound(
    clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a program left behind is accepted, and counts until then."""
    monkeypatch.setattr(limits, "SOCKET_BYTES", 2 * limits.MIB)
    _, gone = await clients.connect()
    gone.write(LARGE * 12)
    before = await settled(clients.house)
    gone.transport.abort()
    await asyncio.wait_for(gone.wait_closed(), 5)
    reader, writer = await clients.connect()
    writer.write(LARGE * 12)
    writer.write_eof()
    assert before <= await settled(clients.house) <= before + limits.MIB
    clients.house.free.set()
    assert (await asyncio.wait_for(reader.read(), 20)).count(b'"result":"new"') == 12


async def test_empty_frames_are_bounded_like_events(clients: Clients) -> None:
    """A program that sends nothing, very often, is held as well."""
    _, writer = await clients.connect()
    writer.write(FIRST + pack(frames.PUBLISH) * 400_000)
    await settled(clients.house)
    assert writer.transport.get_write_buffer_size() > limits.MIB


async def test_a_program_whose_events_meet_a_bug_is_cut_off_and_not_left_waiting(
    clients: Clients, caplog: pytest.LogCaptureFixture
) -> None:
    """It may send them again on a new connection; the log has the reason."""
    reader, writer = await clients.connect()
    clients.house.failure = RuntimeError("a bug")
    clients.house.free.set()
    writer.write(FIRST)
    assert await asyncio.wait_for(reader.read(), 5) == b""
    assert "a bug" in caplog.text
    clients.house.failure = None
    reader, writer = await clients.connect()
    writer.write(FIRST)
    writer.write_eof()
    assert b'"result":"new"' in await asyncio.wait_for(reader.read(), 5)
