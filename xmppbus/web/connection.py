"""One HTTP connection with the deadlines and bounds that aiohttp has not: they are enforced by one sweep a second.

No timer is set for a request: a connection only notes when the first byte of a request came.
"""

from __future__ import annotations

import asyncio
import ipaddress
import resource
from typing import Any, Protocol, cast

from aiohttp import StreamReader, web
from aiohttp.web_protocol import RequestHandler

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.web.answers import refusal_answer

SWEEP_SECONDS = 1.0
_LATE = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_FULL_BODY = b'{"error":{"code":"too-many-requests","message":"too many open connections","retry_after":5}}'
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_FULL_BODY), _FULL_BODY)
)


class Streaming(Protocol):
    """Whoever writes to a connection for as long as it lasts, and is told how that goes."""

    def pause(self) -> None:
        """Enough waits to be sent."""

    def resume(self) -> None:
        """The other side reads again."""

    def lost(self) -> None:
        """It has left."""


class Connections:
    """All open connections of the listener, counted by address, and the sweep that ends the late ones."""

    def __init__(self) -> None:
        self.open: set[Connection] = set()
        self.refused = 0  # connections turned away
        self.late = 0  # connections ended by a deadline
        self.body_bytes = 0  # of unfinished bodies
        self._by_address: dict[str, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        # The journal, the socket and the stream need descriptors too: half of them are theirs.
        self._most = min(limits.CONNECTIONS, max(descriptors // 2, 16))

    def add(self, connection: Connection) -> bool:
        """Count it in; false when there are too many."""
        count = self._by_address.get(connection.address, 0)
        if count >= limits.CONNECTIONS_PER_ADDRESS or len(self.open) >= self._most:
            self.refused += 1
            return False
        self._by_address[connection.address] = count + 1
        self.open.add(connection)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep)
        return True

    def remove(self, connection: Connection) -> None:
        """Count it out."""
        if connection not in self.open:
            return
        self.open.remove(connection)
        left = self._by_address[connection.address] - 1
        if left:
            self._by_address[connection.address] = left
        else:
            del self._by_address[connection.address]

    def close(self) -> None:
        """Sweep no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in list(self.open):
            if connection.end_if_late(now):
                self.late += 1
        self._timer = loop.call_later(SWEEP_SECONDS, self._sweep) if self.open else None


class Connection(RequestHandler):
    """One connection. `begun` is when the first byte of an unfinished request came; 0 while nothing is owed."""

    __slots__ = (
        *("_connections", "_held", "address", "begun", "body", "handling", "leaving", "received", "stream", "stuck"),
    )

    def __init__(self, connections: Connections, manager: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            manager,
            loop=loop,
            keepalive_timeout=limits.HTTP_IDLE_SECONDS,
            access_log=None,  # type: ignore[arg-type]  # aiohttp takes None for "no access log"
            lingering_time=limits.HTTP_LINGER_SECONDS,
            auto_decompress=False,  # a small body must not become a large one
        )
        self._connections = connections
        self._held = 0
        self.address = ""
        self.begun = 0.0
        self.received = 0
        self.body: StreamReader | None = None  # while somebody waits for its rest
        self.handling = False
        self.leaving = False  # answered, though not all of the request was read
        self.stuck = 0.0  # since when the other side reads nothing
        self.stream: Streaming | None = None  # what is answered, if it has no end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it, or turn it away."""
        self.address = network(transport.get_extra_info("peername"))
        self.begun = self._loop.time()  # one who connects and says nothing is late too
        if self._connections.add(self):
            super().connection_made(transport)
        else:
            self._force_close = True
            cast(asyncio.Transport, transport).write(_FULL)
            transport.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Count it out."""
        self._connections.remove(self)
        super().connection_lost(exc)
        if self.stream is not None:
            self.stream.lost()

    def data_received(self, data: bytes) -> None:
        """Note when a request began."""
        if data and not self.begun:  # aiohttp calls it with nothing, to go on with what it held back
            self.begun = self._loop.time()
        self.received += len(data)
        super().data_received(data)

    def pause_writing(self) -> None:
        """The other side does not read."""
        self.stuck = self._loop.time()
        super().pause_writing()
        if self.stream is not None:
            self.stream.pause()

    def resume_writing(self) -> None:
        """It reads again."""
        self.stuck = 0.0
        super().resume_writing()
        if self.stream is not None:
            self.stream.resume()

    def handled(self, *, whole: bool) -> None:
        """A request has been dealt with; what has come meanwhile belongs to the next one."""
        self.handling = False
        self.received = 0
        self.leaving = not whole
        if self.begun:
            self.begun = self._loop.time()

    def reserve(self, count: int) -> None:
        """Take bytes out of what all unfinished bodies may hold together. Raises `Refused`."""
        if self._connections.body_bytes + count > limits.HTTP_BODIES_BYTES:
            raise Refused(Code.TOO_MANY, "too many large bodies at the same time; try again", retry_after=2)
        self._connections.body_bytes += count
        self._held += count

    def release(self) -> None:
        """Give them back."""
        self._connections.body_bytes -= self._held
        self._held = 0

    def end_if_late(self, now: float) -> bool:
        """End it where a deadline has passed."""
        transport = self.transport
        if transport is None:
            return False
        patience = limits.HTTP_WRITE_SECONDS if self.stream is None else limits.STREAM_STUCK_SECONDS
        if self.stuck and now - self.stuck > patience:
            transport.abort()
            return True
        return self.begun > 0 and (self._late_body(now) if self.body is not None else self._late_header(now, transport))

    def _late_body(self, now: float) -> bool:
        credit = self.received / limits.HTTP_BODY_BYTES_PER_SECOND
        if self.body is None or now - self.begun <= limits.HTTP_BODY_SECONDS + credit:
            return False
        self.body.set_exception(Refused(Code.TIMEOUT, "the body did not come in time; send it again"))
        return True

    def _late_header(self, now: float, transport: asyncio.Transport) -> bool:
        if self.handling or now - self.begun <= limits.HTTP_HEADER_SECONDS:
            return False
        if not self.leaving:
            transport.write(_LATE)
        self.force_close()
        return True

    def handle_error(self, request: web.BaseRequest, status: int = 500, *_: Any, **__: Any) -> Any:
        """What is not HTTP: 400, and not a word in the log, for its bytes may hold a token."""
        del request
        answer = refusal_answer(Refused(Code.USAGE, "this is not HTTP/1.1 as RFC 9112 has it"), status)
        answer.keep_alive = False
        return answer


def network(peer: Any) -> str:
    """Whom a connection counts for: the IPv4 address, or the /64 of an IPv6 one, which one machine may have whole."""
    if not isinstance(peer, tuple):
        return ""
    text = str(peer[0])
    if ":" not in text:
        return text
    address = ipaddress.IPv6Address(text.partition("%")[0])
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((address, 64), strict=False).network_address)
