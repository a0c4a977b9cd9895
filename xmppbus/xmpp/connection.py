"""One connection to the server, from TCP to an established session, on slixmpp. Made anew for every attempt.

slixmpp does the stream, STARTTLS, SASL and binding. What it would do afterwards is not used: it would queue what is
sent while offline, scan all handlers for each answer, and never notice a half-open connection (docs/adr/0005).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

import slixmpp
from slixmpp.xmlstream import XMLStream

from xmppbus import limits
from xmppbus.errors import BusError
from xmppbus.xmpp.redaction import redact
from xmppbus.xmpp.replies import stream_error_of

log = logging.getLogger(__name__)

DIRECT_TLS_PORT = 5223

_STREAM_ERROR = "{http://etherx.jabber.org/streams}error"
_SASL_FAILURE = "{urn:ietf:params:xml:ns:xmpp-sasl}failure"


class Address(NamedTuple):
    """Whom to connect to, and as whom. `jid` is a domain (component) or a bare JID (account). Without a host the DNS
    records of its domain say where (RFC 6120 §3.2, XEP-0368)."""

    jid: str
    secret: str
    host: str
    port: int
    is_component: bool
    resource: str = ""
    ca_file: str = ""


class Ended(BusError):
    """A connection was not made, or has ended. `condition` is the stream's, or one of ours: unreachable, tls, timeout,
    closed."""

    def __init__(self, condition: str, text: str) -> None:
        super().__init__(f"{condition}: {text}" if text else condition)
        self.condition = condition
        self.text = text


async def unreachable(address: Address) -> Ended | None:
    """Why there is nobody to talk to; None when the port is open. It costs next to nothing."""
    try:
        async with asyncio.timeout(limits.CONNECT_DEADLINE_SECONDS):
            _, writer = await asyncio.open_connection(address.host, address.port)
    except (OSError, TimeoutError) as error:
        return Ended("unreachable", str(error))
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return None


Take = Callable[[Element], bool]


class _Wire(XMLStream):
    """What both kinds of stream do beside slixmpp: socket options, raw stanzas first, and why it ended."""

    take: Take
    ended: asyncio.Future[Ended]
    received: int
    failure: Ended | None = None  # of the last place that was tried, where DNS names several
    has_places = False

    def watch(self, take: Take) -> None:
        """Look at every stanza before slixmpp does; `take` says whether it has dealt with it."""
        self.take = take
        self.received = 0
        self.ended = asyncio.get_running_loop().create_future()
        self.whitespace_keepalive_interval = 86_400  # our own ping notices more
        self.add_event_handler("connection_failed", self._failed)
        self.add_event_handler("ssl_invalid_chain", self._untrusted)
        self.add_event_handler("disconnected", self._disconnected)
        self.add_event_handler("reconnect_delay", self._tried_all)

    def end(self, condition: str, text: str) -> None:
        """Note why; the first reason is the one that counts."""
        if not self.ended.done():
            self.ended.set_result(Ended(condition, text))

    def connection_made(self, transport: asyncio.BaseTransport, send_event: bool = True) -> None:
        """See asyncio.Protocol. slixmpp never calls its own `configure_socket`."""
        _configure(transport.get_extra_info("socket"))
        super().connection_made(transport, send_event)

    def data_received(self, data: bytes | str) -> None:
        """See asyncio.Protocol."""
        self.received += 1
        super().data_received(data)
        if self.transport is not None:
            # An acknowledgement that waits 40 ms for company stalls a server that writes with Nagle's algorithm.
            sock = self.transport.get_extra_info("socket")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def _spawn_event(self, xml: Element) -> None:
        if xml.tag == _STREAM_ERROR:
            error = stream_error_of(xml)
            self.end(error.name, error.text)
        elif xml.tag == _SASL_FAILURE:
            self._refused(xml)
        try:
            taken = self.take(xml)
        except Exception:  # the house is kept alive: nobody's stanza ends the stream, and no error is answered
            log.exception("a stanza could not be dealt with")
            taken = True
        if not taken:
            super()._spawn_event(xml)

    def _refused(self, xml: Element) -> None:
        error = next((child.tag.rpartition("}")[2] for child in xml), "not-authorized")
        if "mechanism" not in error and error != "aborted":  # slixmpp tries its next mechanism for those
            self.end("not-authorized", error)

    def _failed(self, reason: object) -> None:
        self.failure = Ended("tls" if isinstance(reason, ssl.SSLError) else "unreachable", str(reason))
        if not self.has_places:
            self._tried_all(None)

    def _tried_all(self, _: object) -> None:
        if self.failure is not None:
            self.end(self.failure.condition, self.failure.text)

    def _untrusted(self, reason: object) -> None:
        self.end("tls", str(reason))

    def _disconnected(self, reason: object) -> None:
        condition = "tls" if isinstance(reason, ssl.SSLError) else "closed"
        self.end(condition, str(reason or "the server closed the connection"))


class _ComponentStream(_Wire, slixmpp.ComponentXMPP):
    """XEP-0114."""


class _ClientStream(_Wire, slixmpp.ClientXMPP):
    """RFC 6120; TLS is required and verified, XEP-0198 is not used."""


class Connection:
    """One attempt, and the session that comes of it."""

    def __init__(self, address: Address, take: Take) -> None:
        """Must be called within the running loop, which slixmpp binds."""
        self.address = address
        self._stream: Any = _component(address) if address.is_component else _client(address)
        self._stream.watch(take)
        self._started = asyncio.Event()
        self._stream.add_event_handler("session_start", self._start)
        redact()

    @property
    def jid(self) -> str:
        """Ours: the domain of a component, the full JID of an account once it is bound."""
        return str(self._stream.boundjid)

    @property
    def received(self) -> int:
        """How many times something has arrived."""
        count: int = self._stream.received
        return count

    def write(self, data: bytes) -> None:
        """Put bytes on the wire; after the end they go nowhere."""
        if self._stream.transport is not None:
            self._stream.transport.write(data)

    async def open(self) -> None:
        """Return when the session is established. Raises `Ended` when it is not within the deadline."""
        self._stream.has_places = not self.address.host
        self._stream.connect(self.address.host or None, self.address.port if self.address.host else None)
        started = asyncio.ensure_future(self._started.wait())
        try:
            await asyncio.wait(
                (started, self._stream.ended),
                timeout=limits.CONNECT_DEADLINE_SECONDS,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            started.cancel()
        if self._stream.ended.done():
            raise self._stream.ended.result()
        if not self._started.is_set():
            raise Ended("timeout", f"no session within {limits.CONNECT_DEADLINE_SECONDS:g} s")

    async def until_ended(self) -> Ended:
        """Wait for the end of the session, whoever ends it."""
        found: Ended = await asyncio.shield(self._stream.ended)
        return found

    def end(self, condition: str, text: str) -> None:
        """Give it up, for a reason of ours."""
        self._stream.end(condition, text)

    async def close(self) -> None:
        """Close the stream, then the socket; harmless at any moment, and nothing of it is left behind."""
        stream = self._stream
        has_ended = stream.ended.done()  # then nobody is there to close it in order with
        stream.end("closed", "closed by us")
        stream.cancel_connection_attempt()
        try:
            if stream.transport is not None and not has_ended:
                closing = stream.disconnect(wait=limits.CLOSE_SECONDS, ignore_send_queue=True)
                await asyncio.wait((closing,), timeout=limits.CLOSE_SECONDS + 1)
        finally:
            stream.abort()
            # The task that empties slixmpp's queue holds the stream: without this neither would ever be freed.
            if stream._run_out_filters is not None:
                stream._run_out_filters.cancel()

    def _start(self, _: object) -> None:
        self._started.set()


def _component(address: Address) -> _ComponentStream:
    stream: _ComponentStream = _ComponentStream(  # type: ignore[no-untyped-call]  # slixmpp has no types there
        address.jid, address.secret, address.host, address.port
    )
    return stream


def _client(address: Address) -> _ClientStream:
    context = ssl.create_default_context(cafile=address.ca_file or None)
    stream = _ClientStream(f"{address.jid}/{address.resource}", address.secret, ssl_context=context)
    stream.enable_plaintext = False
    # TLS from the first byte has a port of its own (XEP-0368 §2); slixmpp would try it everywhere, and fail first.
    stream.enable_direct_tls = not address.host or address.port == DIRECT_TLS_PORT
    stream.enable_starttls = not address.host or not stream.enable_direct_tls
    return stream


def _configure(sock: socket.socket | None) -> None:
    if sock is None:
        return
    with contextlib.suppress(OSError):  # not a TCP socket, or an option that this kernel lacks
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, limits.KEEPALIVE_SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, limits.KEEPALIVE_SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(limits.TCP_USER_TIMEOUT_SECONDS * 1000))
