"""An answer that is written to its connection in one piece, and the one form of every refusal."""

from __future__ import annotations

import time
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.http import HttpVersion10, HttpVersion11

from xmppbus import limits
from xmppbus.errors import Refused

JSON = b"Content-Type: application/json\r\n"
_encode = msgspec.json.Encoder().encode
_STATUS_LINES = {
    version: {
        status.value: b"HTTP/%s %d %s\r\n" % (text, status.value, status.phrase.encode()) for status in HTTPStatus
    }
    for version, text in ((HttpVersion10, b"1.0"), (HttpVersion11, b"1.1"))
}


class Answer:
    """A whole answer. `headers` are ready lines, each with its CRLF.

    It stands where aiohttp expects a response and writes one block of bytes: half the cost of `web.Response`.
    """

    __slots__ = ("body", "headers", "keep_alive", "status")
    __http_exception__ = False

    def __init__(self, status: int, body: bytes = b"", headers: bytes = JSON, *, keep_alive: bool = True) -> None:
        self.status = status
        self.body = body
        self.headers = headers
        self.keep_alive = keep_alive

    async def prepare(self, request: web.BaseRequest) -> None:
        """Write it; waits only where the other side reads more slowly than we write."""
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client has left")
        self.keep_alive = self.keep_alive and request.keep_alive
        old = request.version == HttpVersion10
        line = _STATUS_LINES[HttpVersion10 if old else HttpVersion11][self.status]
        if not self.keep_alive:
            line += b"Connection: close\r\n"
        elif old:
            line += b"Connection: keep-alive\r\n"
        # Neither has a body, and both say how long it would be (RFC 9110 §8.6).
        body = b"" if request.method == "HEAD" or self.status == 304 else self.body
        transport.write(
            b"%s%sContent-Length: %d\r\n%s\r\n%s" % (line, _date_line(), len(self.body), self.headers, body)
        )
        if transport.get_write_buffer_size() > limits.HTTP_UNREAD_BYTES:
            await request.writer.drain()

    async def write_eof(self) -> None:
        """Nothing: `prepare` wrote it all."""


_DATE = (0, b"")


def _date_line() -> bytes:
    global _DATE  # noqa: PLW0603  # one text a second, for every connection
    second = int(time.time())
    if _DATE[0] != second:
        _DATE = (second, b"Date: %s\r\nX-Content-Type-Options: nosniff\r\n" % formatdate(second, usegmt=True).encode())
    return _DATE[1]


class Streamed:
    """Stands where a response is expected, once everything has been written and the connection can go."""

    __slots__ = ()
    __http_exception__ = False
    keep_alive = False
    status = 200

    async def prepare(self, request: web.BaseRequest) -> None:
        """Nothing: the stream wrote it."""

    async def write_eof(self) -> None:
        """Nothing."""


def stream_head(request: web.BaseRequest, media_type: str) -> bytes:
    """The head of an answer that ends with its connection; nobody on the way may keep any of it."""
    line = _STATUS_LINES[HttpVersion10 if request.version == HttpVersion10 else HttpVersion11][200]
    headers = b"Content-Type: %b\r\nCache-Control: no-store, no-transform\r\nX-Accel-Buffering: no\r\n"
    return b"%b%b%bConnection: close\r\n\r\n" % (line, _date_line(), headers % media_type.encode())


def json_answer(status: int, value: Any, headers: bytes = b"") -> Answer:
    """Any value as JSON."""
    return Answer(status, _encode(value), JSON + headers)


def refusal_answer(refusal: Refused, status: int = 0, headers: bytes = b"") -> Answer:
    """The one form of every error: the refusal as JSON, with the status of the one table."""
    if refusal.retry_after:
        headers += b"Retry-After: %d\r\n" % max(1, round(refusal.retry_after + 0.5))
    return json_answer(status or refusal.answer.http, {"error": refusal.as_json()}, headers)
