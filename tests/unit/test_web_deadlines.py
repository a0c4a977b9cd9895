"""What slow, endless and silent clients may cost: aiohttp has no read deadlines of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.http_client import HttpConnection, ask
from tests.support.http_listener import ON_LOOPBACK, healthy, listener
from tests.support.waiting import until
from xmppbus import limits
from xmppbus.options import HttpOptions
from xmppbus.web import Answer, Request, Web
from xmppbus.web import connection as connections


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with listener() as opened:
        yield opened


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines of a moment, so that a test need not wait for the real ones."""
    for name in ("HTTP_HEADER_SECONDS", "HTTP_BODY_SECONDS", "HTTP_WRITE_SECONDS", "HTTP_LINGER_SECONDS"):
        monkeypatch.setattr(limits, name, 0.3)
    monkeypatch.setattr(connections, "SWEEP_SECONDS", 0.05)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("sent", [b"", b"POST /echo HT", b"POST /echo HTTP/1.1\r\nHost: localhost\r\n"])
async def test_headers_that_do_not_come_end_the_connection(web: Web, sent: bytes) -> None:
    """Also of one who says nothing at all."""
    async with await HttpConnection.open(web.address) as connection:
        connection.writer.write(sent)
        assert (await connection.ended(5)).startswith(b"HTTP/1.1 408 ")
    await until(lambda: web.status()["connections_late"] == 1, 5, "it to be counted")


@pytest.mark.usefixtures("hasty")
async def test_a_body_that_does_not_come_is_408(web: Web) -> None:
    """As a refusal, and the connection is closed."""
    async with await HttpConnection.open(web.address) as connection:
        connection.send("POST", "/echo", b"ha", {"Content-Length": "4"})
        answer = await connection.answer(5)
        assert (answer.status, answer.code, answer.headers["connection"]) == (408, "timeout", "close")
        assert await connection.ended(5) == b""


@pytest.mark.usefixtures("hasty")
async def test_a_kept_connection_may_be_idle(web: Web) -> None:
    """The deadline is for a request that has begun."""
    async with await HttpConnection.open(web.address) as kept, await HttpConnection.open(web.address) as silent:
        assert (await kept.ask("POST", "/echo", b"1")).status == 200
        await silent.ended(5)  # as long as a deadline takes
        assert (await kept.ask("POST", "/echo", b"2")).status == 200


@pytest.mark.usefixtures("hasty")
async def test_a_body_that_comes_steadily_has_time(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part of it buys some."""
    monkeypatch.setattr(limits, "HTTP_BODY_BYTES_PER_SECOND", 1000)
    async with await HttpConnection.open(web.address) as steady, await HttpConnection.open(web.address) as silent:
        steady.send("POST", "/echo", b"x" * 9_999, {"Content-Length": "10000"})
        await silent.ended(5)
        steady.writer.write(b"x")
        assert (await steady.answer()).body == b"x" * 10_000


@pytest.mark.usefixtures("hasty")
async def test_a_client_that_does_not_read_is_cut_off() -> None:
    """What was written for it is forgotten."""
    web = Web(ON_LOOPBACK, healthy)

    async def much(_: Request) -> Answer:
        return Answer(200, b"x" * 50_000_000)

    web.route("GET", "/much", much)
    async with web, await HttpConnection.open(web.address, limit=1024) as connection:
        connection.send("GET", "/much")
        await until(lambda: web.status()["connections"] == 1, 5, "the connection")
        await until(lambda: web.status()["connections"] == 0, 10, "it to be cut off")


async def test_an_address_has_so_many_connections(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is told so and closed; when one ends there is room again."""
    monkeypatch.setattr(limits, "CONNECTIONS_PER_ADDRESS", 3)
    opened = [await HttpConnection.open(web.address) for _ in range(3)]
    assert [(await each.ask("GET", "/health")).status for each in opened] == [200] * 3
    async with await HttpConnection.open(web.address) as fourth:
        assert (await fourth.answer()).status == 503
    opened[0].writer.close()
    await until(lambda: len(web._connections.open) == 2, 5, "it to be gone")
    assert (await ask(web.address, "GET", "/health")).status == 200
    for each in opened[1:]:
        each.writer.close()


async def test_requests_above_the_rate_are_429() -> None:
    """With the seconds to wait."""
    async with listener(HttpOptions(listen="127.0.0.1:0", requests_per_second=2)) as web:
        answers = [await ask(web.address, "GET", "/health") for _ in range(4)]
    assert [each.status for each in answers[:2]] == [200, 200]
    assert (answers[3].status, answers[3].code, answers[3].headers["retry-after"]) == (429, "too-many-requests", "2")


@pytest.mark.usefixtures("hasty")
async def test_a_body_that_says_it_is_too_large_is_refused_unread(web: Web) -> None:
    """And the connection is closed, for its rest is not wanted."""
    async with await HttpConnection.open(web.address) as connection:
        connection.send("POST", "/echo", b"", {"Content-Length": str(limits.HTTP_BODY_BYTES + 1)})
        answer = await connection.answer()
        assert (answer.status, answer.code, answer.headers["connection"]) == (413, "payload-too-big", "close")
        assert await connection.ended() == b""


@pytest.mark.usefixtures("hasty")
async def test_a_chunked_body_that_becomes_too_large_is_refused(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody said how large it would be."""
    monkeypatch.setattr(limits, "HTTP_BODY_BYTES", 100_000)
    async with await HttpConnection.open(web.address) as connection:
        connection.writer.write(b"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.writer.write(b"20000\r\n" + b"x" * 0x20000 + b"\r\n")
        assert (await connection.answer()).status == 413


async def test_unfinished_bodies_share_a_bound(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """What many slow senders cost in memory; it is given back."""
    monkeypatch.setattr(limits, "HTTP_BODIES_BYTES", 300_000)
    head = {"Content-Length": "250000"}
    async with await HttpConnection.open(web.address) as first, await HttpConnection.open(web.address) as second:
        first.send("POST", "/echo", b"x" * 200_000, head)
        await first.writer.drain()
        await until(lambda: web._connections.body_bytes >= 200_000, 5, "the first body to be held")
        second.send("POST", "/echo", b"x" * 200_000, head)
        answer = await second.answer()
        assert (answer.status, answer.code) == (429, "too-many-requests")
        first.writer.write(b"x" * 50_000)
        assert (await first.answer()).status == 200
    assert web._connections.body_bytes == 0
