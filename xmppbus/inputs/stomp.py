"""The input `stomp`: programs publish, subscribe and share work over STOMP 1.0, 1.1 and 1.2.

`docs/reference/stomp.md` has the frames, `docs/howto/stomp.md` the first steps. Switched on by `inputs: {stomp: {}}`.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from xmppbus import limits
from xmppbus.bus import admit
from xmppbus.event import now
from xmppbus.inputs.stomp_connection import Connection, Connections
from xmppbus.inputs.stomp_session import Session
from xmppbus.inputs.stomp_topics import Topics
from xmppbus.interfaces import Accept
from xmppbus.listening import is_loopback, listen_address, server_tls
from xmppbus.options import Name, Section
from xmppbus.plugins import Registry
from xmppbus.web.tokens import Tokens
from xmppbus.xmpp.stanzas import check_size

if TYPE_CHECKING:
    from xmppbus.house import House

log = logging.getLogger("xmppbus.stomp")


class StompOptions(Section, frozen=True, kw_only=True):
    """The STOMP listener. Tokens are required as soon as it is not on loopback."""

    listen: str = "127.0.0.1:61613"  # address and port; `[::1]:61613` for IPv6, port 0 for any that is free
    # Hashed tokens, as `xmppbus token` writes them: the passcode of CONNECT is one. That of `http` unless it is given.
    tokens_file: Name | None = None
    certificate_file: Name | None = None  # PEM file; with `key_file` it makes the listener speak TLS, and only that
    key_file: Name | None = None  # PEM file


class StompInput:
    """The port is bound when this is made, so that one that is taken is said before anything else begins."""

    def __init__(self, house: House, options: StompOptions, others: WeakSet[StompInput]) -> None:
        self.accept: Accept = house.bus.accept
        self.queues = house.queues
        self.topics = Topics(house.journal)
        self.program = f"xmppbus/{version('xmppbus')}"
        self._house = house
        self._options = options
        self._host, self._port = listen_address(options.listen)
        self._tokens: Tokens | None = None
        self._tokens_file = ""
        self._tls = server_tls(options.certificate_file, options.key_file)
        if self.tokens is None and not is_loopback(self._host):
            raise ValueError(
                f"listen: {self._host} can be reached from other machines, so tokens are needed: make one with "
                "`xmppbus token add NAME publish:PATTERN read:PATTERN` and name the file in tokens_file, or listen on "
                "127.0.0.1"
            )
        self._others = others
        self._listener = self._bind()
        others.add(self)
        self._connections = Connections()
        self._opened = 0
        self._state = "starting"

    @property
    def tokens(self) -> Tokens | None:
        """Whom to let in, as of now: the file of `http` may be another after a reload. None where everybody may."""
        http = self._house.options.http
        wanted = self._options.tokens_file or (http.tokens_file if http else None) or ""
        if wanted != self._tokens_file and (wanted or is_loopback(self._host)):
            self._tokens = Tokens(Path(wanted)) if wanted else None  # a reload has looked whether it can be read
            self._tokens_file = wanted
        return self._tokens

    def check(self, fields: Mapping[str, Any]) -> None:
        """As `Door` says."""
        admit(fields, self._house.bus.source, now(self._house.clock), check_size)

    async def run(self, accept: Accept) -> None:
        """As `interfaces.Input` says."""
        self.accept = accept
        if self._listener.fileno() < 0:
            self._listener = self._bind()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            self._connection,
            sock=self._listener,
            ssl=self._tls,
            ssl_handshake_timeout=limits.STOMP_CONNECT_SECONDS if self._tls else None,
            backlog=limits.CONNECTIONS_WAITING,
        )
        self._state = "up"
        log.info("listening on %s", self.address)
        topics = asyncio.create_task(self.topics.run())
        try:
            await asyncio.shield(topics)
        finally:
            self._state = "closed"
            server.close()
            await self._connections.close()
            topics.cancel()
            await asyncio.wait([topics])

    def _connection(self) -> Connection:
        self._opened += 1
        number = self._opened
        return Connection(self._connections, lambda wire: Session(self, wire, number))

    @property
    def address(self) -> str:
        """Where it listens, with the actual port."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'stomp+ssl' if self._tls else 'stomp'}://{host}:{self._port}"

    def status(self) -> Mapping[str, Any]:
        """As `interfaces.Input` says."""
        found: dict[str, Any] = {
            "state": self._state,
            "address": self.address,
            "connections": len(self._connections.open),
            "connections_refused": self._connections.refused,
            "connections_late": self._connections.late,
            "subscriptions": sum(len(each.session.subscriptions) for each in self._connections.open),
        }
        if self._tokens and self._tokens.warning:
            found["notice"] = self._tokens.warning
        return found

    def _bind(self) -> socket.socket:
        """One that listens there already is shared: a reload makes the new input before the old one is gone."""
        for other in self._others:
            if other is not self and other._options.listen == self._options.listen and other._listener.fileno() >= 0:
                found = other._listener.dup()
                break
        else:
            found = _listening(self._host, self._port, self._options.listen)
        self._port = found.getsockname()[1]
        return found


def _listening(host: str, port: int, listen: str) -> socket.socket:
    try:
        if not host:
            both = socket.has_dualstack_ipv6()
            family = socket.AF_INET6 if both else socket.AF_INET
            return socket.create_server(("", port), family=family, dualstack_ipv6=both)
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ValueError(f"listen: {_why_not(listen, error)}") from error


def _why_not(listen: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"{listen} is taken by another program (`ss -ltnp` shows which; perhaps another STOMP broker): end it, or "
            "choose another port"
        )
    if error.errno == errno.EACCES:
        return f"{listen} needs a right that this user has not; choose a port from 1024 up"
    return f"{listen} can't be used: {error.strerror or error} (`ip address` shows this machine's addresses)"


def register(registry: Registry) -> None:
    """Offer this input."""
    others: WeakSet[StompInput] = WeakSet()

    def make(house: House, options: StompOptions) -> StompInput:
        return StompInput(house, options, others)

    registry.input("stomp", make, StompOptions)
