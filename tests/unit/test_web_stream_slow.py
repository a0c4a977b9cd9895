"""Displays that do not read, beside those that do: what they cost, and what they get when they read again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.event_stream import LINES, SSE, EventStream, Message
from tests.support.http_door import Door, moment, open_door
from tests.support.waiting import until
from xmppbus import limits
from xmppbus.displays.clients import Group, Wanted
from xmppbus.displays.frames import LINES as LINES_FORM
from xmppbus.displays.frames import SOCKET as SOCKET_FORM
from xmppbus.displays.frames import SSE as SSE_FORM
from xmppbus.displays.frames import Frame, Hole
from xmppbus.displays.ring import Ring
from xmppbus.event import Event
from xmppbus.journal import Entry

LARGE = "x" * 20_000
"""Data of an event: a few of them fill what is kept for a client that does not read."""


def entry(sequence: int) -> Entry:
    """A small one."""
    event = Event({"specversion": "1.0", "id": str(sequence), "source": "here", "type": "user.a", "time": "2026-01-31"})
    return Entry(sequence, event.item_id, moment(), event)


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with open_door(tmp_path) as opened:
        yield opened


async def publish(door: Door, count: int, **fields: Any) -> None:
    """So many events."""
    for _ in range(count):
        await door.bus.accept([{"type": "user.a", **fields}])


@pytest.mark.parametrize("form", [SSE, LINES])
async def test_one_that_does_not_read_is_told_and_then_gets_everything(
    door: Door, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In order, nothing twice, nothing missing; and a neighbour has all of it meanwhile."""
    monkeypatch.setattr(limits, "STREAM_QUEUE_EVENTS", 10)
    async with (
        await EventStream.open(door.url, form, receive_bytes=4096) as slow,
        await EventStream.open(door.url) as healthy,
    ):
        await slow.next("hello")
        await healthy.next("hello")
        for number in range(120):
            await door.bus.accept([{"type": "user.a", "data": LARGE}])
            assert await healthy.sequences(1) == [number + 1]
        found: list[Message] = []
        while not found or found[-1].members.get("sequence") != 120:
            if (message := await slow.message()).name:
                found.append(message)
    (gap,) = [each for each in found if each.name == "gap"]
    assert gap.members["reason"] == "slow"
    behind = found.index(gap)
    assert gap.members["after"] == behind  # it had everything up to there
    assert [each.sequence for each in found if each is not gap] == list(range(1, 121))


async def test_one_that_reads_slowly_but_in_time_is_told_nothing(door: Door) -> None:
    """Its queue has not overflowed."""
    async with await EventStream.open(door.url, LINES, receive_bytes=4096) as slow:
        await slow.next("hello")
        await publish(door, 60, data=LARGE)
        assert await slow.sequences(60) == list(range(1, 61))


async def test_what_does_not_read_holds_a_bounded_part_of_memory(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many events go by; in this process, and in the kernel."""
    monkeypatch.setattr(limits, "STREAM_QUEUE_EVENTS", 10)
    monkeypatch.setattr(limits, "STREAM_SOCKET_BYTES", 8192)
    streams = [await EventStream.open(door.url, LINES, receive_bytes=4096) for _ in range(5)]
    async with await EventStream.open(door.url) as healthy:
        await healthy.next("hello")
        for number in range(100):
            await publish(door, 1, data=LARGE)
            assert await healthy.sequences(1) == [number + 1]
    transports = [connection.transport for connection in door.web._connections.open]
    waiting = [transport.get_write_buffer_size() for transport in transports if transport]
    assert len(waiting) >= 5
    assert 0 < max(waiting) <= limits.STREAM_UNREAD_BYTES + limits.STREAM_WRITE_BYTES
    for stream in streams:
        await stream.close()


async def test_one_that_never_reads_again_is_ended_in_the_end(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not as soon as an answer would be that nobody reads."""
    monkeypatch.setattr(limits, "STREAM_SOCKET_BYTES", 8192)
    monkeypatch.setattr(limits, "HTTP_WRITE_SECONDS", 0.0)
    stuck = await EventStream.open(door.url, LINES, receive_bytes=4096)
    await stuck.next("hello")
    await publish(door, 50, data=LARGE)

    async def paused() -> bool:
        return any(connection.stuck for connection in door.web._connections.open)

    async def gone() -> bool:
        return not any(connection.stuck for connection in door.web._connections.open)

    await until(paused, 10, "the stream to be stuck")
    late = door.web.status()["connections_late"]
    monkeypatch.setattr(limits, "STREAM_STUCK_SECONDS", 0.0)
    await until(gone, 10, "the stuck stream to be ended")
    assert door.web.status()["connections_late"] == late + 1
    await stuck.close()


def test_an_event_is_serialised_once_for_each_form() -> None:
    """However many clients get it: they share the bytes."""
    frame = Frame(entry(1))
    for form in (SSE_FORM, LINES_FORM, SOCKET_FORM):
        assert frame.bytes_in(form) is frame.bytes_in(form)


def test_an_event_is_matched_once_for_all_that_ask_for_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """By type and severity."""
    asked = []

    def admits(_: Wanted, type_: str, severity: str) -> bool:
        asked.append((type_, severity))
        return True

    monkeypatch.setattr(Wanted, "admits", admits)
    group = Group(Wanted(), SSE_FORM)
    assert len(group.pieces([Frame(entry(each)) for each in range(1, 50)])) >= 1
    assert len(asked) == 1


def test_pieces_are_bounded_and_miss_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An event that is larger than a piece goes by itself."""
    frames: list[Frame | Hole] = [Frame(entry(each)) for each in range(1, 21)]
    whole = b"".join(frame.bytes_in(SSE_FORM) for frame in frames)
    group = Group(Wanted(), SSE_FORM)
    for most in (1, 500, 1500, 10_000_000):
        monkeypatch.setattr(limits, "STREAM_WRITE_BYTES", most)
        pieces = group.pieces(frames)
        assert b"".join(piece.data for piece in pieces) == whole
        assert pieces[-1].last == 20
        largest = max(len(frame.bytes_in(SSE_FORM)) for frame in frames)
        assert all(len(piece.data) <= max(most, largest) for piece in pieces)
    assert Group(Wanted(("other",)), SSE_FORM).pieces(frames) == []


def test_the_ring_is_bounded_in_events_and_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """And says from where on it has everything."""
    ring = Ring()
    frames = [Frame(entry(each)) for each in range(1, 101)]
    monkeypatch.setattr(limits, "STREAM_QUEUE_EVENTS", 30)
    for frame in frames[:50]:
        ring.add([frame])
    assert (ring.start, ring.end) == (20, 50)
    assert [each.sequence for each in ring.after(45)] == [46, 47, 48, 49, 50]
    assert (ring.has(19), ring.has(20), ring.has(49), ring.has(50)) == (False, True, True, False)
    monkeypatch.setattr(limits, "STREAM_QUEUE_BYTES", 3 * frames[0].size)
    ring.add(frames[50:])
    assert ring.end - ring.start <= 3
    ring.reset(100)
    assert (ring.start, ring.end, ring.after(0)) == (100, 100, [])


def test_a_websockets_frame_has_the_length_that_its_text_needs() -> None:
    """RFC 6455 §5.2: 7 bits, 16 or 64."""
    for size, head in ((10, 2), (200, 4), (70_000, 10)):
        text = SOCKET_FORM.message("config", {"config": "x" * size})
        payload = LINES_FORM.message("config", {"config": "x" * size})[:-1]
        assert text[0] == 0x81
        assert text[head:] == payload
