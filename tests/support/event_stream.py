"""`GET /v1/stream` read message by message, over a connection of the test's own."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urlencode, urlsplit

import aiohttp

TIMEOUT = 20.0
SSE = "text/event-stream"
LINES = "application/x-ndjson"
SOCKET = "websocket"
FORMS = (SSE, LINES, SOCKET)


class Message(NamedTuple):
    """One message; `id` is None where none was sent. A sign of life has no name."""

    name: str
    members: dict[str, Any]
    id: str | None = None

    @property
    def sequence(self) -> int:
        """Of an event."""
        assert self.name == "event", self
        return int(self.members["sequence"])


class EventStream:
    """An open stream, in one of the forms."""

    def __init__(self, form: str) -> None:
        self.form = form
        self.status = 0
        self.headers: dict[str, str] = {}
        self.reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter | None = None
        self._session: aiohttp.ClientSession | None = None
        self.socket: aiohttp.ClientWebSocketResponse | None = None

    @classmethod
    async def open(
        cls,
        url: str,
        form: str = SSE,
        headers: Mapping[str, str] | None = None,
        *,
        receive_bytes: int = 0,
        **query: object,
    ) -> EventStream:
        """Ask, and read the answer's head. `receive_bytes` is all that the kernel keeps of what is not read."""
        stream = cls(form)
        path = f"/v1/stream?{urlencode(query, doseq=True)}" if query else "/v1/stream"
        if form == SOCKET:
            await stream._shake_hands(url + path, headers or {})
        else:
            await stream._ask(url, path, {"Accept": form, **(headers or {})}, receive_bytes)
        return stream

    async def _shake_hands(self, url: str, headers: Mapping[str, str]) -> None:
        self._session = aiohttp.ClientSession(skip_auto_headers=["User-Agent"])
        try:
            self.socket = await self._session.ws_connect(url, headers=dict(headers), max_msg_size=2**22)
        except aiohttp.WSServerHandshakeError as error:
            self.status = error.status
            await self._session.close()
        else:
            self.status = 200

    async def _ask(self, url: str, path: str, headers: Mapping[str, str], receive_bytes: int) -> None:
        parts = urlsplit(url)
        connection = socket.socket()
        if receive_bytes:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, (parts.hostname, parts.port))
        limit = 2**15 if receive_bytes else 2**20  # it reads on until twice as much waits for the test
        self.reader, self._writer = await asyncio.open_connection(sock=connection, limit=limit)
        given = {"Host": "localhost", **headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        self._writer.write(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
        async with asyncio.timeout(TIMEOUT):
            head = await self.reader.readuntil(b"\r\n\r\n")
        first, *fields = head.decode().split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {
            name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields if field)
        }

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Leave."""
        if self._writer is not None:
            self._writer.close()
        if self.socket is not None:
            await self.socket.close()
        if self._session is not None:
            await self._session.close()

    # --- what comes ---------------------------------------------------------------------------------------------------

    async def message(self, timeout: float = TIMEOUT) -> Message:
        """The next one. Raises EOFError where the stream ends."""
        async with asyncio.timeout(timeout):
            if self.form == SOCKET:
                return await self._frame()
            return await (self._block() if self.form == SSE else self._line())

    async def _frame(self) -> Message:
        assert self.socket is not None
        said = await self.socket.receive()
        if said.type is not aiohttp.WSMsgType.TEXT:
            raise EOFError(said.data)
        return _named(json.loads(said.data))

    async def _line(self) -> Message:
        line = await self._whole(b"\n")
        return _named(json.loads(line)) if line.strip() else Message("", {})

    async def _block(self) -> Message:
        block = (await self._whole(b"\n\n")).decode()
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        return Message(fields.get("event", ""), json.loads(fields.get("data", "{}")), fields.get("id"))

    async def _whole(self, end: bytes) -> bytes:
        found = b""
        while not found.endswith(end):
            line = await self.reader.readline()
            if not line:
                raise EOFError
            found += line
        return found

    async def next(self, name: str, timeout: float = TIMEOUT) -> Message:
        """The next message of a name; what is only a sign of life may come before it, and nothing else."""
        while not (found := await self.message(timeout)).name:
            pass
        assert found.name == name, found
        return found

    async def events(self, count: int) -> list[Message]:
        """The next events."""
        return [await self.next("event") for _ in range(count)]

    async def sequences(self, count: int) -> list[int]:
        """Of the next events."""
        return [each.sequence for each in await self.events(count)]

    async def ended(self, timeout: float = TIMEOUT) -> object:
        """Wait for the end, whatever comes before; what was said about it (a WebSocket's close code)."""
        async with asyncio.timeout(timeout):
            try:
                while True:
                    await self.message()
            except EOFError as error:
                return error.args[0] if error.args else None
            except ConnectionError:
                return None


def _named(found: dict[str, Any]) -> Message:
    return Message(found.pop("message"), found)
