"""A TCP proxy between the bus and a server that breaks the connection in the ways in which networks break it."""

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from tests.support.ports import free_port

READ_BYTES = 65_536
HOST = "127.0.0.1"


@dataclass
class Direction:
    """What is done to the bytes of one direction; everything may be changed at any moment."""

    black_hole: bool = False  # bytes are taken and vanish
    stalled: bool = False  # bytes are not taken any more, until the kernel's buffers are full
    latency: float = 0.0  # seconds that every piece waits
    bytes_per_second: float | None = None
    cut_after: int | None = None  # that many bytes more, then the connection is reset, once: within a stanza
    cut_before: bytes | None = None  # a piece that contains this is not passed on; the connection is reset, once
    garbage: bytes | None = None  # put before the next piece, once


class _Link:
    """One connection of the bus and the one to the server that belongs to it."""

    def __init__(self, bus: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.bus = bus
        self.server = server
        self.damaged = False  # bytes have vanished from it: nothing sensible can follow
        self.pumps: list[asyncio.Task[None]] = []

    def reset(self) -> None:
        """RST to both ends."""
        for writer in (self.bus, self.server):
            raw = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        self.cancel()

    def finish(self) -> None:
        """FIN to both ends, after what has been written."""
        for writer in (self.bus, self.server):
            writer.close()
        self.cancel()

    def cancel(self) -> None:
        """Stop passing on."""
        for pump in self.pumps:
            if pump is not asyncio.current_task():
                pump.cancel()


class Proxy:
    """Listens on `port` of 127.0.0.1 and passes everything on to `target_port`, until told otherwise.

    `to_server` and `to_bus` are the two directions. `connections` counts those ever accepted, `cuts` the faults that
    have ended one.
    """

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = free_port()
        self.to_server = Direction()
        self.to_bus = Direction()
        self.connections = 0
        self.cuts = 0
        self.bytes_to_server = 0
        self.bytes_to_bus = 0
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self._changed = asyncio.Event()

    @property
    def open(self) -> int:
        """Connections that are passed on now."""
        return len(self._links)

    async def __aenter__(self) -> Self:
        """Listen."""
        await self.listen()
        return self

    async def __aexit__(self, *error: object) -> None:
        """Reset everything and stop listening."""
        await self.refuse()
        self.reset()
        await asyncio.sleep(0)  # connections accepted a moment ago begin, so that they can be ended
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.sleep(0)  # aborted transports close in the loop's next round

    async def listen(self) -> None:
        """Accept connections (again)."""
        if self._listener is None:
            self._listener = await asyncio.start_server(self._accept, HOST, self.port)

    async def refuse(self) -> None:
        """Refuse new connections, as a machine does on which the server does not run; open ones stay."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def reset(self) -> None:
        """RST every open connection, at both ends."""
        for link in list(self._links):
            self._cut(link, link.reset)

    def finish(self) -> None:
        """FIN every open connection, at both ends."""
        for link in list(self._links):
            self._cut(link, link.finish)

    def heal(self) -> None:
        """End all faults. A connection from which bytes have vanished is reset; others go on."""
        self.to_server, self.to_bus = Direction(), Direction()
        for link in list(self._links):
            if link.damaged:
                self._cut(link, link.reset)
        self._changed.set()
        self._changed = asyncio.Event()

    def _cut(self, link: _Link, how: Callable[[], None]) -> None:
        self.cuts += 1
        self._links.discard(link)
        how()

    async def _accept(self, bus_reader: asyncio.StreamReader, bus: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            server_reader, server = await asyncio.open_connection(HOST, self.target_port)
        except (OSError, asyncio.CancelledError):
            bus.transport.abort()
            return
        finally:
            self._tasks.discard(task)
        link = _Link(bus, server)
        self._links.add(link)
        for reader, writer, towards_server in ((bus_reader, server, True), (server_reader, bus, False)):
            pump = asyncio.create_task(self._pump(link, reader, writer, towards_server))
            link.pumps.append(pump)
            self._tasks.add(pump)
            pump.add_done_callback(self._tasks.discard)

    async def _pump(
        self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, towards_server: bool
    ) -> None:
        """Pass one direction of one connection on until it ends."""
        try:
            while data := await reader.read(READ_BYTES):
                await self._pass(link, writer, data, towards_server)
        except OSError:
            pass  # an end has reset its connection: the other one is closed, as a network would
        if link in self._links:
            self._links.discard(link)
            link.finish()

    def _direction(self, towards_server: bool) -> Direction:
        return self.to_server if towards_server else self.to_bus

    async def _pass(self, link: _Link, writer: asyncio.StreamWriter, data: bytes, towards_server: bool) -> None:
        while self._direction(towards_server).stalled:
            await self._changed.wait()
        fault = self._direction(towards_server)
        if fault.latency:
            await asyncio.sleep(fault.latency)
        if fault.cut_before is not None and fault.cut_before in data:
            fault.cut_before = None
            self._cut(link, link.reset)
            raise ConnectionResetError
        if fault.garbage is not None:
            data, fault.garbage, link.damaged = fault.garbage + data, None, True
        while data:
            fault = self._direction(towards_server)
            piece, data = self._next_piece(fault, data)
            if fault.black_hole:
                link.damaged = True
            else:
                await self._write(writer, piece, towards_server)
            if fault.cut_after is not None:
                fault.cut_after -= len(piece)
                if fault.cut_after <= 0:
                    fault.cut_after = None
                    self._cut(link, link.reset)
                    raise ConnectionResetError
            if data and fault.bytes_per_second is not None:
                await self._pause(len(piece) / fault.bytes_per_second)

    @staticmethod
    def _next_piece(fault: Direction, data: bytes) -> tuple[bytes, bytes]:
        size = len(data)
        if fault.bytes_per_second is not None:
            size = min(size, max(1, int(fault.bytes_per_second / 10)))
        if fault.cut_after is not None:
            size = min(size, max(1, fault.cut_after))
        return data[:size], data[size:]

    async def _write(self, writer: asyncio.StreamWriter, piece: bytes, towards_server: bool) -> None:
        if towards_server:
            self.bytes_to_server += len(piece)
        else:
            self.bytes_to_bus += len(piece)
        writer.write(piece)
        await writer.drain()

    async def _pause(self, seconds: float) -> None:
        """Wait, but no longer than the faults stay as they are."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)


def cut_in_a_stanza(proxy: Proxy, dice: random.Random) -> None:
    """After some bytes more towards the server, reset."""
    proxy.to_server.cut_after = dice.randrange(1, 3_000)


def cut_before_an_answer(proxy: Proxy, _dice: random.Random) -> None:
    """The server has stored an item; its yes does not arrive."""
    proxy.to_bus.cut_before = b"result"


def garble(proxy: Proxy, dice: random.Random) -> None:
    """Bytes that are no XML, towards the bus or the server."""
    dice.choice((proxy.to_bus, proxy.to_server)).garbage = dice.randbytes(dice.randrange(1, 64))


def swallow(proxy: Proxy, dice: random.Random) -> None:
    """A black hole in either direction."""
    dice.choice((proxy.to_bus, proxy.to_server)).black_hole = True


def stall(proxy: Proxy, dice: random.Random) -> None:
    """Nothing is taken any more in either direction."""
    dice.choice((proxy.to_bus, proxy.to_server)).stalled = True


def crawl(proxy: Proxy, dice: random.Random) -> None:
    """One byte a second in either direction."""
    dice.choice((proxy.to_bus, proxy.to_server)).bytes_per_second = 1


def delay(proxy: Proxy, dice: random.Random) -> None:
    """Latency of up to 300 ms, both ways."""
    proxy.to_bus.latency = proxy.to_server.latency = dice.uniform(0.01, 0.3)


def reset(proxy: Proxy, _dice: random.Random) -> None:
    """RST now."""
    proxy.reset()


def finish(proxy: Proxy, _dice: random.Random) -> None:
    """FIN now."""
    proxy.finish()


FAULTS: dict[str, Callable[[Proxy, random.Random], None]] = {
    fault.__name__: fault
    for fault in (reset, finish, swallow, stall, crawl, delay, cut_in_a_stanza, cut_before_an_answer, garble)
}
"""Every fault by name. Those that cut take effect at once or with the next bytes; the others last until `heal()`."""
