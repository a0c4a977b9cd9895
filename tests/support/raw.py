"""Small XMPP clients on asyncio and expat, for looking at the product from outside.

They share no line with the product and none with slixmpp: what they saw is what was on the wire. A component
(XEP-0114) and an account (RFC 6120: STARTTLS, SASL, bind) are the same stream after their log-in.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import itertools
import secrets
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from tests.support.raw_xml import PUBSUB_EVENT, Stanza, StanzaReader, local_name

READ_BYTES = 65_536
TIMEOUT = 10.0
CLOSE_TIMEOUT = 2.0
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
TLS = "urn:ietf:params:xml:ns:xmpp-tls"
BIND = "urn:ietf:params:xml:ns:xmpp-bind"


class RawError(Exception):
    """The other side said no (`condition` is its word for it) or the stream ended."""

    def __init__(self, condition: str, detail: str = "") -> None:
        super().__init__(f"{condition}: {detail}" if detail else condition)
        self.condition = condition


@dataclass(frozen=True, slots=True)
class Notification:
    """One item of one event notification (XEP-0060 §7.1.2.1), as it came."""

    node: str
    item_id: str
    payload: bytes
    monotonic: float
    service: str = ""
    retracted: bool = False


class RawStream:
    """One XML stream: sends bytes, answers IQs to whoever asked, records notifications."""

    def __init__(self, jid: str) -> None:
        self.jid = jid
        self.notifications: list[Notification] = []
        self.stanzas: list[Stanza] = []
        self.closed = asyncio.Event()
        self.close_reason = ""
        self.on_notification: Callable[[Notification], None] | None = None
        self.on_request: Callable[[Stanza], str | None] | None = None  # the whole answer; None: none at all
        self._arrived = asyncio.Condition()
        self._pending: dict[str, asyncio.Future[Stanza]] = {}
        self._ids: Iterator[int] = itertools.count(1)
        self._prefix = secrets.token_hex(4)
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self._xml = StanzaReader()
        self._early: list[Stanza] = []
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self, host: str, port: int) -> None:
        """Connect the socket; the log-in is the caller's."""
        self._reader, self._writer = await asyncio.wait_for(asyncio.open_connection(host, port), TIMEOUT)

    def write(self, data: bytes | str) -> None:
        """Put bytes on the wire as they are."""
        self._writer.write(data.encode() if isinstance(data, str) else data)

    async def drain(self) -> None:
        """Wait until the socket takes more."""
        await self._writer.drain()

    async def start_stream(self, header: str) -> dict[str, str]:
        """Send a stream header, return the attributes of the one that answers."""
        self._xml = StanzaReader()
        self._early = []
        self.write(header)
        while self._xml.stream_attributes is None:
            await self._read_early()
        return self._xml.stream_attributes

    async def next_stanza(self) -> Stanza:
        """During a log-in only: the next element of the stream."""
        while not self._early:
            await self._read_early()
        return self._early.pop(0)

    async def _read_early(self) -> None:
        data = await asyncio.wait_for(self._reader.read(READ_BYTES), TIMEOUT)
        if not data:
            raise RawError("closed", "the server ended the stream during the log-in")
        self._early += self._xml.feed(data)

    async def start_tls(self, context: ssl.SSLContext, domain: str) -> None:
        """Upgrade the socket after the server's `<proceed/>`."""
        await asyncio.wait_for(self._writer.start_tls(context, server_hostname=domain), TIMEOUT)

    def run(self) -> None:
        """Logged in: from here on a task reads, and `iq` answers."""
        self._task = asyncio.create_task(self._read_forever(), name=f"raw stream {self.jid}")

    async def _read_forever(self) -> None:
        try:
            for stanza in self._early:
                self._take(stanza)
            while data := await self._reader.read(READ_BYTES):
                await self._take_all(self._xml.feed(data))
        except (OSError, expat.ExpatError) as error:
            self.close_reason = self.close_reason or str(error)
        finally:
            self.closed.set()
            for waiting in self._pending.values():
                if not waiting.done():
                    waiting.set_exception(RawError("closed", self.close_reason))
            async with self._arrived:
                self._arrived.notify_all()

    async def _take_all(self, stanzas: list[Stanza]) -> None:
        for stanza in stanzas:
            self._take(stanza)
        if stanzas:
            async with self._arrived:
                self._arrived.notify_all()

    def _take(self, stanza: Stanza) -> None:
        if stanza.name == "iq":
            self._take_iq(stanza)
        elif stanza.name == "error":
            self.close_reason = local_name(stanza.element[0].tag) if len(stanza.element) else "stream error"
        elif stanza.name == "message" and (event := stanza.find(PUBSUB_EVENT, "items")) is not None:
            for notification in notifications(stanza, event.get("node", "")):
                self.notifications.append(notification)
                if self.on_notification is not None:
                    self.on_notification(notification)
        else:
            self.stanzas.append(stanza)

    def _take_iq(self, stanza: Stanza) -> None:
        if stanza.get("type") in {"result", "error"}:
            waiting = self._pending.pop(stanza.get("id"), None)
            if waiting is not None and not waiting.done():
                waiting.set_result(stanza)
            return
        if self.on_request is not None:
            self.write(self.on_request(stanza) or "")
            return
        answer = "result" if stanza.find("urn:xmpp:ping", "ping") is not None else "error"
        inner = "" if answer == "result" else SERVICE_UNAVAILABLE
        self.write(
            f"<iq type='{answer}' id={quoteattr(stanza.get('id'))} to={quoteattr(stanza.get('from'))}"
            f" from={quoteattr(stanza.get('to') or self.jid)}>{inner}</iq>"
        )

    async def iq(self, kind: str, to: str, inner: str, timeout: float = TIMEOUT) -> Stanza:
        """Send one IQ and return its result; an error raises `RawError` with its condition."""
        if self.closed.is_set():
            raise RawError("closed", self.close_reason)
        iq_id = f"{self._prefix}-{next(self._ids)}"
        waiting = asyncio.get_running_loop().create_future()
        self._pending[iq_id] = waiting
        address = f" to={quoteattr(to)}" if to else ""
        sender = f" from={quoteattr(self.jid)}" if self.jid else ""
        self.write(f"<iq type='{kind}' id='{iq_id}'{address}{sender}>{inner}</iq>")
        try:
            answer: Stanza = await asyncio.wait_for(waiting, timeout)
        finally:
            self._pending.pop(iq_id, None)
        if answer.get("type") == "error":
            raise RawError(answer.condition() or "undefined-condition", to)
        return answer

    async def until(self, true: Callable[[], bool], timeout: float = TIMEOUT) -> None:
        """Wait until something that arrived makes the condition true; raises `TimeoutError`."""
        async with asyncio.timeout(timeout), self._arrived:
            await self._arrived.wait_for(lambda: true() or self.closed.is_set())
        if not true():
            raise RawError("closed", self.close_reason)

    async def until_notified(self, item_id: str, timeout: float = TIMEOUT) -> Notification:
        """The first notification of that item, waiting for it if need be."""

        def seen() -> Notification | None:
            return next((one for one in self.notifications if one.item_id == item_id), None)

        await self.until(lambda: seen() is not None, timeout)
        found = seen()
        assert found is not None
        return found

    async def close(self) -> None:
        """End the stream and the socket; harmless the second time.

        Waits for the server's end too: ejabberd goes on routing to a connection that it has not ended yet, and what
        comes for the next connection of the same component is lost there.
        """
        with contextlib.suppress(OSError, RuntimeError, TimeoutError):
            self.write("</stream:stream>")
            await asyncio.wait_for(self._writer.drain(), 1)
            if self._task is not None:
                await asyncio.wait_for(self.closed.wait(), CLOSE_TIMEOUT)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._writer.close()
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            await asyncio.wait_for(self._writer.wait_closed(), 1)


SERVICE_UNAVAILABLE = "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"


def notifications(stanza: Stanza, node: str) -> Iterator[Notification]:
    """The items and retractions of one event message, in document order."""
    now = time.monotonic()
    service = stanza.get("from")
    items = stanza.element.iter(f"{{{PUBSUB_EVENT}}}item")
    for item, payload in zip(items, stanza.payloads, strict=True):
        yield Notification(node, item.get("id", ""), payload, now, service)
    for retract in stanza.element.iter(f"{{{PUBSUB_EVENT}}}retract"):
        yield Notification(node, retract.get("id", ""), b"", now, service, retracted=True)


async def component(host: str, port: int, jid: str, secret: str) -> RawStream:
    """A stream as an external component (XEP-0114 §3), ready for use."""
    stream = RawStream(jid)
    await stream.open(host, port)
    try:
        attributes = await stream.start_stream(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept'"
            f" xmlns:stream='http://etherx.jabber.org/streams' to={quoteattr(jid)}>"
        )
        digest = hashlib.sha1((attributes.get("id", "") + secret).encode(), usedforsecurity=False).hexdigest()
        stream.write(f"<handshake>{digest}</handshake>")
        answer = await stream.next_stanza()
        if answer.name != "handshake":
            raise RawError(local_name(answer.element[0].tag) if len(answer.element) else answer.name)
    except BaseException:
        await stream.close()
        raise
    stream.run()
    return stream


def unverified_tls() -> ssl.SSLContext:
    """TLS to a throw-away server on loopback whose certificate nobody signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def account(
    host: str, port: int, jid: str, password: str, *, tls: ssl.SSLContext | None = None, resource: str = ""
) -> RawStream:
    """A stream as a user's client: STARTTLS if offered, SASL, bind, presence sent; `jid` becomes the full one."""
    local, _, domain = jid.partition("@")
    stream = RawStream(jid)
    await stream.open(host, port)
    try:
        features = await start_client_stream(stream, domain)
        if features.find(TLS, "starttls") is not None:
            stream.write(f"<starttls xmlns='{TLS}'/>")
            if (answer := await stream.next_stanza()).name != "proceed":
                raise RawError("tls", answer.name)
            await stream.start_tls(tls or unverified_tls(), domain)
            features = await start_client_stream(stream, domain)
        await authenticate(stream, features, local, password)
        await start_client_stream(stream, domain)
        stream.run()
        await bind(stream, resource)
    except BaseException:
        await stream.close()
        raise
    stream.write("<presence/>")
    return stream


async def start_client_stream(stream: RawStream, domain: str) -> Stanza:
    """Open (again) a client stream, return its features."""
    await stream.start_stream(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:client' version='1.0'"
        f" xmlns:stream='http://etherx.jabber.org/streams' to={quoteattr(domain)}>"
    )
    features = await stream.next_stanza()
    if features.name != "features":
        raise RawError("stream", features.name)
    return features


async def bind(stream: RawStream, resource: str) -> None:
    """Resource binding (RFC 6120 §7)."""
    wish = f"<resource>{escape(resource)}</resource>" if resource else ""
    stream.jid = ""  # before there is a full JID an IQ carries no `from`
    answer = await stream.iq("set", "", f"<bind xmlns='{BIND}'>{wish}</bind>")
    full = answer.find(BIND, "jid")
    if full is None or full.text is None:
        raise RawError("bind", "the server gave no JID")
    stream.jid = full.text


async def authenticate(stream: RawStream, features: Stanza, user: str, password: str) -> None:
    """SCRAM-SHA-1 (RFC 5802) if offered, else PLAIN (RFC 4616)."""
    offered = {element.text for element in features.element.iter(f"{{{SASL}}}mechanism")}
    if "SCRAM-SHA-1" in offered:
        await authenticate_scram(stream, user, password)
    elif "PLAIN" in offered:
        token = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        stream.write(f"<auth xmlns='{SASL}' mechanism='PLAIN'>{token}</auth>")
        await expect_sasl(stream, "success")
    else:
        raise RawError("not-authorized", f"no usable mechanism among {sorted(filter(None, offered))}")


async def expect_sasl(stream: RawStream, name: str) -> bytes:
    """The decoded content of the next SASL element, which must be that one."""
    answer = await stream.next_stanza()
    if answer.name != name:
        raise RawError(local_name(answer.element[0].tag) if len(answer.element) else answer.name, "sasl")
    return base64.b64decode(answer.element.text or "")


async def authenticate_scram(stream: RawStream, user: str, password: str) -> None:
    """The client's half of SCRAM-SHA-1 without channel binding; the server's signature is checked too."""
    nonce = secrets.token_hex(16)
    first = f"n={user.replace('=', '=3D').replace(',', '=2C')},r={nonce}"
    token = base64.b64encode(f"n,,{first}".encode()).decode()
    stream.write(f"<auth xmlns='{SASL}' mechanism='SCRAM-SHA-1'>{token}</auth>")
    challenge = (await expect_sasl(stream, "challenge")).decode()
    fields = dict(part.split("=", 1) for part in challenge.split(","))
    if not fields["r"].startswith(nonce):
        raise RawError("scram", "the server's nonce does not continue ours")
    salted = hashlib.pbkdf2_hmac("sha1", password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
    final = f"c=biws,r={fields['r']}"
    signed = f"{first},{challenge},{final}".encode()
    client_key = hmac.digest(salted, b"Client Key", "sha1")
    stored_key = hashlib.sha1(client_key, usedforsecurity=False).digest()
    signature = hmac.digest(stored_key, signed, "sha1")
    proof = base64.b64encode(bytes(a ^ b for a, b in zip(client_key, signature, strict=True))).decode()
    stream.write(f"<response xmlns='{SASL}'>{base64.b64encode(f'{final},p={proof}'.encode()).decode()}</response>")
    verdict = (await expect_sasl(stream, "success")).decode()
    expected = hmac.digest(hmac.digest(salted, b"Server Key", "sha1"), signed, "sha1")
    if verdict and base64.b64decode(verdict.removeprefix("v=")) != expected:
        raise RawError("scram", "the server's signature is wrong")
