"""Requests made from the description, good and bad, and bytes made from requests: only what is described comes back.

A few hundred in CI; `XMPPBUS_FUZZ_EXAMPLES=20000 pytest tests/fuzz/test_http.py` is the long form.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from tests.support.http_client import HttpConnection
from tests.support.http_door import open_door

ROOT = Path(__file__).parents[2]
EXAMPLES = int(os.environ.get("XMPPBUS_FUZZ_EXAMPLES", "60"))
SCHEMA = schemathesis.openapi.from_path(ROOT / "docs/reference/openapi.yaml")
UNDECIDED: list[Any] = [positive_data_acceptance, negative_data_rejection]
"""A schema can't say what is an event (an incident has a key), and in binary mode what is no event is data."""

BOUNDED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
    database=None,
)
REQUESTS = (
    b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n"
    b'{"type":"a"}',
    b"POST /v1/events/user.a?severity=info HTTP/1.1\r\nHost: localhost\r\nce-summary: a%20b\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n4\r\nback\r\n0\r\n\r\n",
    b"GET /v1/events/0dbb22ef-0c1a-5d5f-9d2c-a33c1ec60f2a HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /v1/stream?type=user.%23&last=2 HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n",
    b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81\x85aaaa\0\0\0\0\0",
    b'POST /v1/incidents/db1%3A%2Fvar/ack HTTP/1.1\r\nHost: localhost\r\nContent-Length: 15\r\n\r\n{"by": "romeo"}',
)


@schemathesis.serializer("application/x-ndjson")
def lines(_: schemathesis.SerializationContext, value: Any) -> bytes:
    """Text as it is; schemathesis knows no lines of JSON."""
    return value if isinstance(value, bytes) else str(value).encode(errors="surrogatepass")


class Running:
    """A door in a thread of its own, for clients that block."""

    def __init__(self, directory: Path) -> None:
        self.url = ""
        self._directory = directory
        self._loop = asyncio.new_event_loop()
        self._opened = threading.Event()
        self._closing = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))

    async def _run(self) -> None:
        async with open_door(self._directory, people=True) as door:
            fields = {"type": "user.signup", "key": "db1:/var", "status": "firing"}
            await door.bus.accept([fields])
            self.url = door.url
            self._opened.set()
            await self._closing.wait()

    def __enter__(self) -> Running:
        self._thread.start()
        assert self._opened.wait(20)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join()
        self._loop.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("door")) as door:
        yield door


@SCHEMA.exclude(path="/v1/stream").exclude(method="PUT", path_regex="^/v1/webhooks/").parametrize()
@BOUNDED
def test_every_request_is_answered_as_described(case: schemathesis.Case[Any], running: Running) -> None:
    """Status, headers and JSON; never a 5xx. PUT is what POST is where a webhook is sent."""
    case.call_and_validate(base_url=running.url, timeout=20, excluded_checks=UNDECIDED)


@SCHEMA.include(path="/v1/stream").parametrize()
@BOUNDED
def test_every_stream_begins_as_described(case: schemathesis.Case[Any], running: Running) -> None:
    """It has no end, so it is left after its first message, which comes at once."""
    with requests.request(**case.as_transport_kwargs(base_url=running.url), stream=True, timeout=20) as answer:
        if answer.status_code == 200:
            assert answer.headers["Content-Type"] in ("text/event-stream", "application/x-ndjson")
            assert b"hello" in next(answer.iter_lines(chunk_size=1))
        else:
            assert answer.status_code in (400, 405)
            assert set(answer.json()) == {"error"}


@st.composite
def mutilated(draw: st.DrawFn) -> bytes:
    """A request with some of its bytes changed, cut out or put in."""
    request = bytearray(draw(st.sampled_from(REQUESTS)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(len(request) - 1, 0)))
        piece = draw(st.binary(max_size=8) | st.sampled_from([b"\r\n", b"\n", b"\0", b": ", b"%FF", b"HTTP/9.9", b" "]))
        request[at : at + draw(st.integers(0, 8))] = piece
    return bytes(request)


@given(st.lists(mutilated(), min_size=1, max_size=5))
@BOUNDED
def test_no_bytes_make_a_500(running: Running, requests: list[bytes]) -> None:
    """However broken, the next client is served."""

    async def send() -> bytes:
        async with await HttpConnection.open(running.url) as connection:
            for request in requests:
                connection.writer.write(request)
            found = b""
            # What is cut off is waited for; it is ended here by leaving, not by the listener's deadline.
            with contextlib.suppress(TimeoutError, ConnectionError):
                while part := await asyncio.wait_for(connection.reader.read(65_536), 0.05):
                    found += part
            return found

    answer = asyncio.run(send())
    assert b"HTTP/1.1 500" not in answer
    assert b"HTTP/1.0 500" not in answer


def test_the_door_is_still_open(running: Running) -> None:
    """After all that."""

    async def health() -> int:
        async with await HttpConnection.open(running.url) as connection:
            return (await connection.ask("GET", "/health")).status

    assert asyncio.run(health()) == 200
