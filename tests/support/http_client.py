"""HTTP spoken by hand, so that a test says exactly which bytes go over the wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

TIMEOUT = 20.0


class HttpAnswer(NamedTuple):
    """What came back. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, as JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Of a refusal."""
        code: str = self.json["error"]["code"]
        return code


class HttpConnection:
    """One connection, for many requests one after another."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, url: str, **options: Any) -> HttpConnection:
        """Connect; `options` go to `asyncio.open_connection` (ssl, ...)."""
        parts = urlsplit(url)
        return cls(*await asyncio.open_connection(parts.hostname, parts.port, **options))

    async def __aenter__(self) -> HttpConnection:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.writer.close()

    async def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> HttpAnswer:
        """Send a request and read its answer."""
        self.send(method, path, body, headers)
        return await self.answer()

    def send(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """Send a request. `Host` and `Content-Length` are added unless they are given."""
        given = {"Host": "localhost", "Content-Length": str(len(body)), **(headers or {})}
        lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        self.writer.write(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body)

    async def answer(self, timeout: float = TIMEOUT) -> HttpAnswer:
        """Read one answer. Raises `asyncio.IncompleteReadError` when the connection ends before."""
        async with asyncio.timeout(timeout):
            head = await self.reader.readuntil(b"\r\n\r\n")
            line, *fields = head.decode().split("\r\n")
            headers = {
                name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields if field)
            }
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
            return HttpAnswer(int(line.split()[1]), headers, body)

    async def ended(self, timeout: float = TIMEOUT) -> bytes:
        """Read until the other side closes; what still came."""
        async with asyncio.timeout(timeout):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""


async def ask(
    url: str, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> HttpAnswer:
    """One request on a connection of its own."""
    async with await HttpConnection.open(url) as connection:
        return await connection.ask(method, path, body, headers)


async def ask_json(
    url: str, path: str, value: Any, media_type: str = "application/json", headers: Mapping[str, str] | None = None
) -> HttpAnswer:
    """POST a value as JSON."""
    return await ask(url, "POST", path, json.dumps(value).encode(), {"Content-Type": media_type, **(headers or {})})
