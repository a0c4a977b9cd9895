"""The terminal of whoever typed a command, as the daemon sees it: frames over the Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.inputs import frames
from xmppbus.inputs.frames import Broken
from xmppbus.inputs.visitor import Facts

ENVIRONMENT = ("NO_COLOR", "TERM", "TZ")


class Typed:
    """Collects the facts that a client sends before GO."""

    def __init__(self) -> None:
        self.arguments: list[str] = []
        self._terminals = (False, False, False)
        self._width = 80
        self._directory = ""
        self._environment: dict[str, str] = {}
        self._bytes = 0

    @property
    def facts(self) -> Facts:
        """All but the arguments."""
        return Facts(self._terminals, self._width, self._directory, self._environment)

    def take(self, kind: int, payload: bytes) -> bool:
        """One fact; True when it was the last. Raises `Broken`."""
        self._bytes += len(payload) + frames.HEADER_BYTES
        if self._bytes > limits.COMMAND_BYTES or len(self.arguments) >= limits.COMMAND_ARGUMENTS:
            raise Broken("the command line is too long")
        if kind == frames.ARGUMENT:
            self.arguments.append(payload.decode("utf-8", "surrogateescape"))
        elif kind == frames.DIRECTORY:
            self._directory = os.fsdecode(payload)
        elif kind == frames.WIDTH:
            if not payload.isdigit() or len(payload) > 5:
                raise Broken("the terminal's width is not a number")
            self._width = int(payload) or 80
        elif kind == frames.TERMINALS:
            if len(payload) != 3 or payload.strip(b"01"):
                raise Broken("the terminals are not three digits")
            self._terminals = (payload[0] == 49, payload[1] == 49, payload[2] == 49)
        elif kind == frames.ENVIRONMENT:
            name, _, value = payload.decode("utf-8", "surrogateescape").partition("=")
            if name in ENVIRONMENT:
                self._environment[name] = value
        elif kind != frames.GO:
            raise Broken(f"frame {chr(kind)!r} before GO")
        return kind == frames.GO


class ClientTerminal:
    """As `cli.desk.Terminal` says."""

    def __init__(
        self,
        write: Callable[[bytes], None],
        drain: Callable[[], Awaitable[None]],
        duplicate: Callable[[], socket.socket],
    ) -> None:
        self._write = write
        self._drain = drain
        self._duplicate = duplicate
        self.endless = False  # nobody waits for its end: it need not be finished when the house is left
        self._asked = 0
        self._content: asyncio.Queue[bytes | Refused] = asyncio.Queue()
        self._sure: deque[Callable[[], None]] = deque()
        self._sure_changed = asyncio.Event()
        self._spare: socket.socket | None = None

    async def write(self, content: bytes) -> None:
        """As `Terminal` says."""
        await self._send(frames.OUTPUT, content)

    async def complain(self, content: bytes) -> None:
        """As `Terminal` says."""
        await self._send(frames.ERROR, content)

    async def write_surely(self, content: bytes, written: Callable[[], None]) -> None:
        """As `Terminal` says."""
        if self._spare is None:
            self._spare = self._duplicate()
        while len(self._sure) >= limits.SURE_LINES:
            self._sure_changed.clear()
            await self._sure_changed.wait()
        for begin in range(0, len(content), limits.FRAME_BYTES):  # an event as a line may be larger than a frame
            last = begin + limits.FRAME_BYTES >= len(content)
            self._sure.append(written if last else _nothing)
            self._write(frames.pack(frames.SURELY, content[begin : begin + limits.FRAME_BYTES]))
        await self._drain()

    async def all_written(self) -> None:
        """As `Terminal` says."""
        while self._sure:
            self._sure_changed.clear()
            await self._sure_changed.wait()

    async def read(self, path: bytes = b"") -> AsyncIterator[bytes]:
        """As `Terminal` says. The next chunk is already asked for while this one is worked on."""
        self._ask(path)
        while True:
            content = await self._content.get()
            if isinstance(content, Refused):
                if content.code is Code.USAGE:
                    what = os.fsdecode(path) if path else "standard input"
                    raise Refused(content.code, f"can't read {what}: {content.message}")
                raise content
            if not content:
                return
            self._ask(path)
            yield content

    async def save(self, path: bytes, content: bytes) -> None:
        """As `Terminal` says."""
        self._write(frames.pack(frames.INTO, path))
        await self._send(frames.OUTPUT, content)

    async def watch(self) -> None:
        """As `Terminal` says."""
        self.endless = True
        self._write(frames.pack(frames.WATCH))

    def take(self, kind: int, payload: bytes) -> None:
        """What the client answers. Raises `Broken` for what it was not asked for."""
        if kind == frames.WRITTEN and self._sure:
            self._sure.popleft()()
            self._sure_changed.set()
        elif kind in (frames.CONTENT, frames.UNREADABLE) and self._asked:
            self._asked -= 1
            unreadable = kind == frames.UNREADABLE
            self._content.put_nowait(Refused(Code.USAGE, payload.decode(errors="replace")) if unreadable else payload)
        else:
            raise Broken(f"frame {chr(kind)!r} that nobody asked for")

    def closed(self) -> None:
        """The connection has ended. What the client still said of lines it wrote before that counts."""
        if self._spare is None:
            return
        splitter = frames.Splitter(limits.FRAME_BYTES, frames.FROM_CLIENTS)
        with self._spare, contextlib.suppress(OSError, Broken):
            self._spare.setblocking(False)
            while data := self._spare.recv(limits.SOCKET_READ_BYTES):
                for kind, payload in splitter.feed(data):
                    self.take(kind, payload)
        self._spare = None

    def leave(self) -> None:
        """The house is being left: what waits for input gets none."""
        self._content.put_nowait(Refused(Code.CLOSING, "the daemon is stopping; try again in a moment"))

    def exit(self, code: int) -> None:
        """The last word."""
        self._write(frames.pack(frames.EXIT, str(code).encode()))

    def _ask(self, path: bytes) -> None:
        self._asked += 1
        self._write(frames.pack(frames.ASK, path))

    async def _send(self, kind: int, content: bytes) -> None:
        for begin in range(0, len(content), limits.SOCKET_READ_BYTES):
            self._write(frames.pack(kind, content[begin : begin + limits.SOCKET_READ_BYTES]))
            await self._drain()


def _nothing() -> None:
    """Part of a line was written."""
