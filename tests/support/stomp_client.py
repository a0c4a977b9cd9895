"""A STOMP client that says exactly what a test tells it to, byte for byte; nothing of the product is in it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

TIMEOUT = 20.0
_MEANT = {"\\n": "\n", "\\c": ":", "\\r": "\r", "\\\\": "\\"}


@dataclass(frozen=True)
class Got:
    """A frame of the server."""

    command: str
    headers: dict[str, str]
    body: bytes

    def __getitem__(self, name: str) -> str:
        return self.headers[name]


def frame(command: str, headers: Mapping[str, Any] | None = None, body: bytes = b"") -> bytes:
    """One to send, with nothing escaped."""
    lines = "".join(f"{name}:{value}\n" for name, value in (headers or {}).items())
    return f"{command}\n{lines}\n".encode() + body + b"\0"


def _unescape(text: str) -> str:
    found, parts = "", iter(text)
    for each in parts:
        found += _MEANT[each + next(parts)] if each == "\\" else each
    return found


class StompClient:
    """One connection. Enter it to be connected; `connect` says CONNECT."""

    def __init__(
        self, port: int, *, host: str = "127.0.0.1", source: str = "", tls: ssl.SSLContext | None = None
    ) -> None:
        self._port = port
        self._host = host
        self._source = source
        self._tls = tls
        self._receipts = 0
        self._messages: deque[Got] = deque()  # that came before a receipt
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def __aenter__(self) -> Self:
        local = (self._source, 0) if self._source else None
        self.reader, self.writer = await asyncio.open_connection(
            self._host, self._port, ssl=self._tls, local_addr=local, limit=2**20
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    # --- out ----------------------------------------------------------------------------------------------------------

    def raw(self, data: bytes) -> None:
        """Bytes."""
        self.writer.write(data)

    def read_no_more(self) -> None:
        """And let the kernel keep little."""
        self.writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        self.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's transport has it

    def say(self, command: str, headers: Mapping[str, Any] | None = None, body: bytes = b"", **more: Any) -> None:
        """A frame; `more` are headers whose names are Python's, too."""
        self.raw(frame(command, {**(headers or {}), **more}, body))

    async def ask(self, command: str, headers: Mapping[str, Any] | None = None, body: bytes = b"", **more: Any) -> Got:
        """A frame with a receipt, and that RECEIPT, or the ERROR."""
        self._receipts += 1
        self.say(command, headers, body, receipt=f"r{self._receipts}", **more)
        got = await self._read()
        while got.command == "MESSAGE":
            self._messages.append(got)
            got = await self._read()
        return got

    async def done(self, command: str, headers: Mapping[str, Any] | None = None, body: bytes = b"", **more: Any) -> Got:
        """The same, and it is a RECEIPT."""
        got = await self.ask(command, headers, body, **more)
        assert got.command == "RECEIPT", got
        assert got["receipt-id"] == f"r{self._receipts}"
        return got

    async def connect(self, version: str = "1.2", **more: Any) -> Got:
        """CONNECTED, or the ERROR."""
        self.say("CONNECT", {"accept-version": version, "host": "localhost", **more})
        return await self.get()

    async def send(self, destination: str, body: bytes = b"", **headers: Any) -> Got:
        """An event, and its RECEIPT."""
        return await self.done("SEND", {"destination": destination, **headers}, body)

    async def subscribe(self, destination: str, id: str = "0", **headers: Any) -> Got:  # noqa: A002  # STOMP's own word
        """Events come from then on."""
        return await self.done("SUBSCRIBE", {"id": id, "destination": destination, **headers})

    # --- in -----------------------------------------------------------------------------------------------------------

    async def get(self, timeout: float = TIMEOUT) -> Got:
        """The next frame; heart-beats are passed over. Raises EOFError at the end."""
        return self._messages.popleft() if self._messages else await self._read(timeout)

    async def _read(self, timeout: float = TIMEOUT) -> Got:
        async with asyncio.timeout(timeout):
            line = await self._line()
            while not line:
                line = await self._line()
            headers: dict[str, str] = {}
            while header := await self._line():
                name, colon, value = header.partition(":")
                assert colon, header
                escaped = line not in ("CONNECTED",)
                headers.setdefault(*((_unescape(name), _unescape(value)) if escaped else (name, value)))
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
            assert await self.reader.readexactly(1) == b"\0"
            return Got(line, headers, body)

    async def _line(self) -> str:
        found = await self.reader.readuntil(b"\n")
        return found[:-1].decode()

    async def message(self) -> Got:
        """The next MESSAGE."""
        got = await self.get()
        assert got.command == "MESSAGE", got
        return got

    async def error(self) -> Got:
        """An ERROR, behind which the connection ends."""
        got = await self.get()
        assert got.command == "ERROR", got
        async with asyncio.timeout(TIMEOUT):
            assert await self.reader.read() == b""
        return got
