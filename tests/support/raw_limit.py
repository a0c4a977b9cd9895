"""The limit of a server: pre-serialised publishes on a blocking socket, pipelined through a sliding window.

Results are counted, not parsed, so that as little as possible of what is measured is ours. The first answer that is an
error ends the run, for an error is answered faster than a publish.
"""

from __future__ import annotations

import hashlib
import re
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from xml.sax.saxutils import quoteattr

WINDOW = 64
READ_BYTES = 262_144
TIMEOUT = 30.0
CLOSE_TIMEOUT = 2.0
ANSWER = b"<iq "
ERROR = re.compile(rb"<iq [^>]*type=['\"]error['\"][^>]*>.{0,600}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class LimitRun:
    """How many publishes were answered with a result, and in what time (first byte sent to last result read)."""

    published: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Publishes a second."""
        return self.published / self.seconds


class RawPublisher:
    """A component stream (XEP-0114) on a blocking socket that does nothing but publish."""

    def __init__(self, host: str, port: int, jid: str, secret: str) -> None:
        self.jid = jid
        self.socket = socket.create_connection((host, port), TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        header = (
            "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept'"
            f" xmlns:stream='http://etherx.jabber.org/streams' to={quoteattr(jid)}>"
        )
        self.socket.sendall(header.encode())
        opened = self.read_until(re.compile(rb"<stream:stream[^>]*\bid=['\"]([^'\"]*)['\"][^>]*>"))
        digest = hashlib.sha1(opened.group(1) + secret.encode(), usedforsecurity=False).hexdigest()
        self.socket.sendall(f"<handshake>{digest}</handshake>".encode())
        self.read_until(re.compile(rb"<handshake"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.socket.sendall(b"</stream:stream>")
            self.socket.settimeout(CLOSE_TIMEOUT)
            while self.read():  # until the server has ended it too, and routes nothing to it any more
                pass
        except OSError:
            pass
        finally:
            self.socket.close()

    def read_until(self, pattern: re.Pattern[bytes]) -> re.Match[bytes]:
        """Read until what has come matches."""
        data = b""
        while (found := pattern.search(data)) is None:
            more = self.read()
            if not more:
                raise ConnectionError(f"the server ended the stream: {data.decode(errors='replace')[:500]}")
            data += more
        return found

    def read(self) -> bytes:
        """What has arrived; acknowledges at once, so that no server waits for a delayed ACK."""
        data = self.socket.recv(READ_BYTES)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return data

    def publish_all(self, stanzas: Sequence[bytes], window: int = WINDOW) -> LimitRun:
        """Send each stanza, at most `window` unanswered; return when the last is answered."""
        total = len(stanzas)
        begun = time.perf_counter()
        sent = min(window, total)
        self.socket.sendall(b"".join(stanzas[:sent]))
        answered = 0
        tail = b""
        while answered < total:
            data = self.read()
            if not data:
                raise ConnectionError("the server ended the stream")
            seen = tail + data
            if b"error" in seen and (error := ERROR.search(seen)) is not None:
                raise ConnectionError(f"not a result: {error.group()[:600].decode(errors='replace')}")
            # The tail is one byte shorter than what is counted, so nothing is counted twice.
            answered += seen.count(ANSWER)
            tail = seen[-(len(ANSWER) - 1) :]
            due = min(total, answered + window)
            if due > sent:
                self.socket.sendall(b"".join(stanzas[sent:due]))
                sent = due
        return LimitRun(total, time.perf_counter() - begun)


def publish_stanza(jid: str, service: str, node: str, number: int, item_id: str, payload: bytes) -> bytes:
    """One serialised publish (XEP-0060 §7.1)."""
    head = (
        f"<iq type='set' id='r{number}' from={quoteattr(jid)} to={quoteattr(service)}>"
        f"<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node={quoteattr(node)}>"
        f"<item id={quoteattr(item_id)}>"
    )
    return head.encode() + payload + b"</item></publish></pubsub></iq>"
