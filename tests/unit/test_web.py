"""The listener, spoken to byte by byte."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.http_client import HttpConnection, ask
from tests.support.http_listener import ON_LOOPBACK, echo, healthy, listener
from tests.support.waiting import until
from xmppbus import limits
from xmppbus.errors import ConfigInvalid
from xmppbus.options import HttpOptions
from xmppbus.web import Answer, Request, Web
from xmppbus.web.tokens import add_token


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with listener() as opened:
        yield opened


# --- routes -----------------------------------------------------------------------------------------------------------


async def test_health_is_200_while_the_house_accepts() -> None:
    """Else 503 and why."""
    reason = ""

    async def health() -> str:
        return reason

    async with Web(ON_LOOPBACK, health) as web:
        answer = await ask(web.address, "GET", "/health")
        assert (answer.status, answer.json) == (200, {"accepting": True})
        reason = "the disk is full"
        answer = await ask(web.address, "GET", "/health")
        assert (answer.status, answer.json) == (503, {"accepting": False, "reason": "the disk is full"})
        assert answer.headers["retry-after"]


async def test_a_connection_serves_many_requests(web: Web) -> None:
    """One after another, and pipelined, in order."""
    async with await HttpConnection.open(web.address) as connection:
        for number in range(3):
            assert (await connection.ask("POST", "/echo", b"%d" % number)).body == b"%d" % number
        for number in range(20):
            connection.send("POST", "/echo", b"%d" % number)
        assert [(await connection.answer()).body for _ in range(20)] == [b"%d" % number for number in range(20)]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/of/a.b", "a.b|"),
        ("/of/a%2Fb%20c", "a/b c|"),
        ("/of/%E2%82%AC?x=1&y", "€|x=1&y"),
        ("http://localhost/of/a?x", "a|x"),
        ("/of/a#b", "a|"),
    ],
)
async def test_the_last_segment_may_vary(web: Web, path: str, body: str) -> None:
    """It is decoded; the query is not."""
    answer = await ask(web.address, "GET", path)
    assert answer.body.decode() == body


@pytest.mark.parametrize("path", ["/", "/of", "/of/", "/of/a/b", "/nothing", "/healthy", "/of/%2F/"])
async def test_other_paths_are_404(web: Web, path: str) -> None:
    """With the one form of refusals."""
    answer = await ask(web.address, "GET", path)
    assert (answer.status, answer.code) == (404, "item-not-found")


async def test_a_path_that_is_not_utf_8_is_400(web: Web) -> None:
    """Never a wrong name."""
    answer = await ask(web.address, "GET", "/of/%FF")
    assert (answer.status, answer.code) == (400, "usage")


async def test_other_methods_are_405_and_say_which_are_served(web: Web) -> None:
    """In `Allow`."""
    answer = await ask(web.address, "DELETE", "/echo")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


async def test_head_is_get_without_its_body(web: Web) -> None:
    """RFC 9110 §9.3.2."""
    async with await HttpConnection.open(web.address) as connection:
        connection.send("HEAD", "/health")
        head = await connection.reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head
        assert b"Content-Length: 18" in head
        assert (await connection.ask("GET", "/health")).status == 200


async def test_http_1_0_is_answered_and_closed(web: Web) -> None:
    """Unless it asks for more."""
    async with await HttpConnection.open(web.address) as connection:
        connection.writer.write(b"GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n")
        answer = await connection.ended()
    assert answer.startswith(b"HTTP/1.0 200 OK\r\nConnection: close\r\n")
    assert answer.endswith(b'{"accepting":true}')


async def test_a_refusal_says_when_to_come_again(web: Web) -> None:
    """In the header and in the JSON."""
    answer = await ask(web.address, "POST", "/refuse")
    assert answer.status == 507
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json == {"error": {"code": "journal-full", "message": "no room", "retry_after": 1.0}}


async def test_a_bug_is_500_and_the_house_goes_on(web: Web) -> None:
    """Without the exception's text, which may hold anything."""
    answer = await ask(web.address, "GET", "/crash")
    assert answer.status == 500
    assert b"secret" not in answer.body
    assert (await ask(web.address, "GET", "/health")).status == 200


def test_a_path_is_served_once() -> None:
    """Two parts that want the same one are a mistake."""
    web = listener()
    with pytest.raises(ValueError, match="served already"):
        web.route("POST", "/echo", echo)
    assert ("GET", "/of/{what}") in web.served()


# --- bodies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 65_536, 300_000, 2_000_000])
async def test_a_body_arrives_whole(web: Web, size: int) -> None:
    """However many packets it takes."""
    body = os.urandom(size)
    assert (await ask(web.address, "POST", "/echo", body)).body == body


async def test_a_chunked_body_arrives_whole(web: Web) -> None:
    """RFC 9112 §7.1."""
    async with await HttpConnection.open(web.address) as connection:
        connection.writer.write(
            b"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nback\r\n"
        )
        await connection.writer.drain()
        connection.writer.write(b"3\r\nup!\r\n0\r\n\r\n")
        assert (await connection.answer()).body == b"backup!"


async def test_a_client_that_asks_first_is_told_to_go_on(web: Web) -> None:
    """`Expect: 100-continue`, which curl sends before a large body."""
    async with await HttpConnection.open(web.address) as connection:
        connection.writer.write(
            b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
        )
        assert await connection.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.writer.write(b"done")
        assert (await connection.answer()).body == b"done"


async def test_a_compressed_body_is_refused(web: Web) -> None:
    """A small one could become a large one."""
    answer = await ask(web.address, "POST", "/echo", b"x", {"Content-Encoding": "gzip"})
    assert (answer.status, answer.code) == (415, "unsupported-media-type")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer canary\x01\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: canary\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03canary\r\n\r\n",
        b"GET /" + b"canary" * 5000 + b" HTTP/1.1\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_400_and_no_word_of_it_is_logged(
    web: Web, request_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """For it may hold a token."""
    caplog.set_level(logging.DEBUG)
    async with await HttpConnection.open(web.address) as connection:
        connection.writer.write(request_bytes)
        answer = await connection.ended()
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
    assert b"canary" not in answer
    assert "canary" not in caplog.text


async def test_a_client_that_leaves_in_the_middle_is_no_error(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    """Nor a word in the log."""
    async with await HttpConnection.open(web.address) as connection:
        connection.send("POST", "/echo", b"half", {"Content-Length": "8"})
        await connection.writer.drain()
        await until(lambda: any(each.body for each in web._connections.open), 5, "the body to be waited for")
    await until(lambda: not web._connections.open, 5, "the connection to be gone")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


# --- opening and closing ----------------------------------------------------------------------------------------------


async def test_a_taken_address_says_what_to_do(web: Web) -> None:
    """And what is there goes on."""
    taken = web.address.removeprefix("http://")
    with pytest.raises(ConfigInvalid, match=r"taken by another program.*ss -ltnp"):
        async with Web(HttpOptions(listen=taken), healthy):
            pass
    assert (await ask(web.address, "GET", "/health")).status == 200


async def test_an_address_of_another_machine_says_so(tmp_path: Path) -> None:
    """Not a traceback."""
    add_token(tmp_path / "tokens", "site", ["publish:#"])
    web = Web(HttpOptions(listen="192.0.2.1:0", tokens_file=str(tmp_path / "tokens")), healthy)
    with pytest.raises(ConfigInvalid, match="not an address of this machine"):
        await web.__aenter__()


@pytest.mark.parametrize("listen", ["0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:8222", "example.org:80"])
def test_tokens_are_required_beyond_loopback(listen: str) -> None:
    """Before anything is opened."""
    with pytest.raises(ConfigInvalid, match="xmppbus token add"):
        Web(HttpOptions(listen=listen), healthy)


async def test_ipv6_loopback_is_loopback() -> None:
    """And the address is a URL."""
    async with listener(HttpOptions(listen="[::1]:0")) as web:
        assert web.address.startswith("http://[::1]:")
        assert (await ask(web.address, "GET", "/health", headers={"Host": "[::1]:80"})).status == 200


async def test_closing_lets_an_answer_end_and_takes_no_more() -> None:
    """What is being answered is answered."""
    going, release = asyncio.Event(), asyncio.Event()

    async def slow(_: Request) -> Answer:
        going.set()
        await release.wait()
        return Answer(200, b"done")

    web = Web(ON_LOOPBACK, healthy)
    web.route("GET", "/slow", slow)
    await web.__aenter__()
    address = web.address
    async with await HttpConnection.open(address) as busy, await HttpConnection.open(address) as idle:
        busy.send("GET", "/slow")
        await going.wait()
        closing = asyncio.create_task(web.__aexit__(None, None, None))
        assert await idle.ended(5) == b""
        assert web.status()["state"] == "closing"
        with pytest.raises(OSError, match=r"refused|failed"):
            await HttpConnection.open(address)
        release.set()
        assert (await busy.answer()).body == b"done"
        await closing
    assert web.status()["state"] == "closed"


async def test_closing_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the grace period the rest is cut off."""
    monkeypatch.setattr(limits, "ANSWER_GRACE_SECONDS", 0.1)
    going = asyncio.Event()

    async def endless(_: Request) -> Answer:
        going.set()
        await asyncio.Event().wait()
        return Answer(200)

    web = Web(ON_LOOPBACK, healthy)
    web.route("GET", "/endless", endless)
    async with web:
        connection = await HttpConnection.open(web.address)
        connection.send("GET", "/endless")
        await going.wait()
    assert await connection.ended(5) == b""
    connection.writer.close()


async def test_the_status_says_where_and_how_many(web: Web) -> None:
    """For `xmppbus status`."""
    async with await HttpConnection.open(web.address) as connection:
        await connection.ask("GET", "/health")
        found: dict[str, Any] = dict(web.status())
    assert found == {
        "state": "up",
        "address": web.address,
        "connections": 1,
        "connections_refused": 0,
        "connections_late": 0,
    }
