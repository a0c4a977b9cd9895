"""`GET /v1/stream`, with a real journal behind it: what comes, in which form, from where on, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace as changed

from tests.support.event_stream import FORMS, LINES, SOCKET, SSE, EventStream
from tests.support.http_client import HttpConnection, ask
from tests.support.http_door import Door, open_door
from tests.support.waiting import until
from xmppbus import limits
from xmppbus.displays.clients import Wanted
from xmppbus.displays.frames import SOCKET as FRAMES
from xmppbus.displays.hub import Hub
from xmppbus.options import DisplayOptions


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with open_door(tmp_path) as opened:
        yield opened


async def publish(door: Door, *types: str, **fields: Any) -> list[int]:
    """Events of these types; their sequences."""
    accepted = await door.bus.accept([{"type": each, **fields} for each in types])
    return [each.sequence for each in accepted]  # type: ignore[union-attr]  # none of them is refused


@pytest.mark.parametrize("form", FORMS)
async def test_a_stream_says_hello_and_then_what_comes(door: Door, form: str) -> None:
    """The same in each form; nothing that was before."""
    await publish(door, "user.old")
    async with await EventStream.open(door.url, form) as stream:
        hello = await stream.next("hello")
        assert hello.members["newest"] == hello.members["oldest"] == 1
        assert hello.members["time"] == "2026-01-31T12:00:00.000Z"
        assert hello.members["version"].startswith("0.1.0+")
        (sequence,) = await publish(door, "user.a", summary="\u2028 </script> é \U0001f600 \t\r\n", key="k")
        event = await stream.next("event")
        assert event.sequence == sequence
        fields = event.members["event"]
        assert fields["summary"] == "\u2028 </script> é \U0001f600 \t\r\n"
        shown = (await ask(door.url, "GET", f"/v1/events/{event.members['id']}")).json
        assert shown["event"] == fields
        if form == SSE:
            assert (hello.id, event.id) == ("1", "2")


async def test_the_form_is_what_the_request_asks_for(door: Door) -> None:
    """And nobody on the way may keep any of it, or gather it."""
    for accept, form in ((SSE, SSE), ("text/html, text/event-stream;q=0.9", SSE), ("*/*", LINES)):
        async with await EventStream.open(door.url, form, {"Accept": accept}) as stream:
            assert stream.headers["content-type"] == form
            assert "no-store" in stream.headers["cache-control"]
            assert stream.headers["x-accel-buffering"] == "no"
            await stream.next("hello")
    answer = await ask(door.url, "HEAD", "/v1/stream", headers={"Accept": SSE})
    assert (answer.status, answer.headers["content-type"]) == (200, SSE)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [1, 2, 3, 4]),
        ({"type": "disk.#"}, [2, 4]),
        ({"type": ["disk.full", "user.*"]}, [1, 2, 3]),
        ({"severity": ">=warning"}, [3, 4]),
        ({"severity": "warning"}, [3]),
        ({"type": "disk.#", "severity": ">=error"}, [4]),
        ({"type": "nobody.#"}, []),
    ],
)
async def test_only_what_was_asked_for_comes(door: Door, query: dict[str, Any], expected: list[int]) -> None:
    """Live, and from the journal."""
    async with await EventStream.open(door.url, **query) as live:
        await live.next("hello")
        for type_, severity in (("user.a", "info"), ("disk.full", "info"), ("user.b", "warning"), ("disk.io", "error")):
            await publish(door, type_, severity=severity)
        async with await EventStream.open(door.url, **query, since="all") as later:
            await later.next("hello")
            for stream in (live, later):
                assert await stream.sequences(len(expected)) == expected


async def test_since_last_and_last_event_id_say_where_to_begin(door: Door) -> None:
    """The header wins; one that is ahead of the journal gets what comes."""
    await publish(door, *["user.a", "disk.a"] * 5)
    at_six = {"Last-Event-ID": "6"}
    cases: tuple[tuple[dict[str, Any], dict[str, str], int], ...] = (
        ({"since": "all"}, {}, 1),
        ({"since": "0"}, {}, 1),
        ({"since": 7}, {}, 8),
        ({"since": "1h"}, {}, 1),
        ({"last": 3}, {}, 8),
        ({"last": 1000}, {}, 1),
        ({"last": 2, "type": "disk.#"}, {}, 8),
        ({"since": "all"}, at_six, 7),
        ({"last": 2}, at_six, 7),
        ({"since": "2026-01-31T12:00:01Z"}, {}, 11),
        ({}, {"Last-Event-ID": "999999999999999999"}, 11),
        ({"since": "999999999999999999"}, {}, 11),
    )
    for query, headers, expected in cases:
        async with await EventStream.open(door.url, LINES, headers, **query) as stream:
            await stream.next("hello")
            (newest,) = await publish(door, "disk.now") if expected == 11 else (0,)
            assert (await stream.next("event")).sequence in (expected, newest), query


async def test_to_look_far_back_for_something_rare_costs_little(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not of that type is looked over where it is read."""
    monkeypatch.setattr(limits, "STREAM_PAGE_EVENTS", 2)
    await publish(door, "disk.a", *["user.a"] * 40, "disk.a", *["user.a"] * 40)
    reads, read = 0, door.journal.read

    async def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal reads
        reads += 1
        return await read(*arguments, **options)

    monkeypatch.setattr(door.journal, "read", counted)

    async def look() -> int:
        async with await EventStream.open(door.url, LINES, last=2, type="disk.#") as stream:
            await stream.next("hello")
            return (await stream.next("event")).sequence

    assert await look() == 1
    assert reads <= 30, "and not one for each page of what is not wanted"


@pytest.mark.parametrize(
    "query",
    [
        *("x=1", "type=", "type=a..b", "type=a%00", "type=%FF", "severity=loud", "severity=>warning", "since=never"),
        *(
            "since=",
            "last=0",
            "last=1001",
            "last=x",
            "last=-1",
            "since=1&last=1",
            "since=1&since=2",
            "type=" + "a" * 600,
        ),
        *("since=1e9999h", "&".join(f"type=t{each}" for each in range(70)), "severity=info&severity=error"),
    ],
)
async def test_a_bad_query_is_refused_with_what_to_write(door: Door, query: str) -> None:
    """In each form, and nothing is streamed."""
    for headers in ({}, {"Accept": SSE}, {"Upgrade": "websocket", "Connection": "Upgrade"}):
        answer = await ask(door.url, "GET", f"/v1/stream?{query}", headers=headers)
        assert (answer.status, answer.code) == (400, "usage")


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "٣", "1" * 19, "1, 2"])
async def test_a_bad_last_event_id_is_refused(door: Door, last: str) -> None:
    """It is no sequence."""
    answer = await ask(door.url, "GET", "/v1/stream", headers={"Last-Event-ID": last})
    assert (answer.status, answer.code) == (400, "usage")


async def test_a_handshake_that_is_none_is_refused_in_our_words(door: Door) -> None:
    """And the connection serves the next request."""
    async with await HttpConnection.open(door.url) as connection:
        answer = await connection.ask(
            "GET", "/v1/stream", headers={"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "1"}
        )
        assert (answer.status, answer.code) == (400, "usage")


async def test_a_client_of_a_websocket_has_nothing_to_say(door: Door) -> None:
    """It is told so; a ping is answered."""
    async with await EventStream.open(door.url, SOCKET) as stream:
        await stream.next("hello")
        assert stream.socket is not None
        await stream.socket.ping()
        await stream.socket.send_str("hello?")
        assert await stream.ended() == 1003


async def test_who_comes_back_gets_what_came_meanwhile(door: Door) -> None:
    """From the ring or from the journal, whether anybody else looked on or not."""
    async with await EventStream.open(door.url) as first:
        start = await first.next("hello")
    await publish(door, *["user.a"] * 3)
    async with await EventStream.open(door.url) as other:
        await other.next("hello")
        await publish(door, *["user.b"] * 3)
        assert await other.sequences(3) == [4, 5, 6]
        assert start.id is not None
        async with await EventStream.open(door.url, headers={"Last-Event-ID": start.id}) as again:
            await again.next("hello")
            assert await again.sequences(6) == [1, 2, 3, 4, 5, 6]
            await publish(door, "user.c")
            assert await again.sequences(1) == await other.sequences(1) == [7]


@pytest.mark.parametrize("form", FORMS)
async def test_what_has_been_pruned_is_said_and_the_rest_comes(door: Door, form: str) -> None:
    """Also between events that are still there, since they wait for somebody."""
    await publish(door, "gone.a", "gone.a", "user.kept", "gone.b", "user.kept", "gone.c")
    door.journal.keep_days = -1.0
    await door.journal.prune()
    await publish(door, "gone.later")
    async with await EventStream.open(door.url, form, since="1") as stream:
        assert (await stream.next("hello")).members["oldest"] == 3
        found = [await stream.message() for _ in range(6)]
    assert [(each.name, each.members.get("sequence", each.members.get("until"))) for each in found] == [
        *(("gap", 2), ("event", 3), ("gap", 4), ("event", 5), ("gap", 6), ("event", 7)),
    ]
    assert found[0].members == {"after": 1, "until": 2, "reason": "pruned"}
    assert found[0].id == ("2" if form == SSE else None)
    async with await EventStream.open(door.url, form, since="all") as stream:
        await stream.next("hello")
        assert (await stream.next("event")).sequence == 3


async def test_a_journal_that_was_pruned_to_its_end_says_so(door: Door) -> None:
    """Nobody waits for what will never come."""
    await publish(door, *["gone.a"] * 5)
    door.journal.keep_days = -1.0
    await door.journal.prune()
    async with await EventStream.open(door.url, headers={"Last-Event-ID": "2"}) as stream:
        await stream.next("hello")
        assert (await stream.next("gap")).members == {"after": 2, "until": 5, "reason": "pruned"}
        await publish(door, "gone.b")
        assert await stream.sequences(1) == [6]


async def test_signs_of_life_come_and_move_the_place_to_go_on_from(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for something rare does not make us read again what does not concern them."""
    monkeypatch.setattr(limits, "STREAM_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(limits, "STREAM_KEEP_ALIVE_SECONDS", 0.01)
    async with (
        await EventStream.open(door.url, type="rare.#") as stream,
        await EventStream.open(door.url, LINES, type="rare.#") as lines,
        await EventStream.open(door.url, SOCKET) as socket,
    ):
        await stream.next("hello")
        await lines.next("hello")
        await socket.next("hello")
        await publish(door, *["user.a"] * 5)
        while (await stream.message()).id != "5":
            pass
        assert (await lines.message()).name == ""
        await publish(door, "rare.a")
        assert await stream.sequences(1) == await lines.sequences(1) == [6]
        assert await socket.sequences(6) == [1, 2, 3, 4, 5, 6]  # its signs are pings, which the library answers


async def test_a_page_is_told_when_the_boards_have_changed(door: Door) -> None:
    """And only then."""
    async with await EventStream.open(door.url) as stream:
        before = (await stream.next("hello")).members["config"]
        for tell in door.house.on_reload:
            tell()
        options = changed(door.house.options, displays=[DisplayOptions(name="lobby", panels=[])])
        door.house.config = replace(door.house.config, options=options)
        for tell in door.house.on_reload:
            tell()
        after = (await stream.next("config")).members["config"]
        assert after != before
        async with await EventStream.open(door.url) as again:
            assert (await again.next("hello")).members["config"] == after


async def test_there_is_room_for_so_many(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that leaves makes room for another."""
    monkeypatch.setattr(limits, "STREAMS", 1)
    async with await EventStream.open(door.url) as first:
        await first.next("hello")
        refused = await ask(door.url, "GET", "/v1/stream")
        assert (refused.status, refused.code) == (429, "too-many-requests")

    async def room() -> bool:
        async with await EventStream.open(door.url) as second:
            return second.status == 200

    await until(room, 10, "the place of the one that left")


class Wire(asyncio.Transport):
    """What was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """It never fills."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.written += b"<closed>"

    abort = close


async def test_who_comes_when_the_streams_have_ended_does_not_wait_for_ever(door: Door) -> None:
    """A handshake may take longer than the house has left."""
    async with Hub(door.journal, lambda _: True) as hub:
        pass
    wire = Wire()
    client = hub.join(wire, Wanted(), FRAMES, 0)
    async with asyncio.timeout(5):
        await client.ended
    hub.leave(client)
    assert wire.written.endswith(b"<closed>")
    assert hub.status()["clients"] == 0


@pytest.mark.parametrize("form", FORMS)
async def test_streams_end_when_the_house_closes(tmp_path: Path, form: str) -> None:
    """In their own words, at once, and also those that nobody reads."""
    async with open_door(tmp_path) as door:
        stream = await EventStream.open(door.url, form)
        silent = await EventStream.open(door.url, SSE, receive_bytes=4096)
        await stream.next("hello")
        await publish(door, *["user.a"] * 40, data="x" * 50_000)
        await stream.sequences(40)
        begun = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - begun < limits.ANSWER_GRACE_SECONDS
    assert await stream.ended() == (1001 if form == SOCKET else None)
    await stream.close()
    await silent.close()
