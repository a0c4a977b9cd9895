"""One SMTP connection with the bounds that aiosmtpd has not: on connections, on time, and on bytes of unfinished mails.

The only module that knows aiosmtpd; it is imported when the input `smtp` is switched on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import ssl
from collections.abc import Callable
from typing import Any, NamedTuple

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from xmppbus import limits

logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # it has people's addresses, and speaks of every stranger

_FULL = b"421 4.3.2 too many connections; try again\r\n"
_LATE = b"421 4.4.2 this took too long; connect again\r\n"
_MUCH = b"552 5.3.4 the mail is too large, and does not end\r\n"
_BUSY = b"452 4.3.1 too many large mails at the same time; try again\r\n"
_HTTP = b"421 4.7.0 this is SMTP, and no web page's business\r\n"
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_FLUSH_SECONDS = 5.0


class Settings(NamedTuple):
    """What connections are made with. `check` says whose token a password is, or None where there are none."""

    hostname: str
    context: ssl.SSLContext | None
    check: Callable[[str], object | None] | None
    auth_requires_tls: bool


class Connections:
    """All open connections of the listener."""

    def __init__(self) -> None:
        self.open: set[Connection] = set()
        self.refused = 0  # turned away, or ended for somebody else's sake
        self.late = 0  # ended by a deadline
        self.held = 0  # bytes of unfinished mails

    def make(self, handler: object, settings: Settings) -> asyncio.Protocol:
        """For a connection that has just come. When there are too many, whoever has not finished a command for longest
        has to go; where all of them are at work, it is the new one."""
        if len(self.open) >= limits.SMTP_CONNECTIONS:
            self.refused += 1
            slowest = min(self.open, key=lambda each: each.since)
            if slowest.loop.time() - slowest.since < limits.SMTP_EVICT_SECONDS:
                return TurnedAway()
            slowest.end(_FULL)
        connection = Connection(handler, self, settings)
        self.open.add(connection)
        return connection


class TurnedAway(asyncio.Protocol):
    """A connection for which there is no place: aiosmtpd would take two milliseconds to say so."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say so."""
        if isinstance(transport, asyncio.WriteTransport):
            transport.write(_FULL)
        transport.close()


class Connection(SMTP):
    """One of them. `since` is when its last command began, `held` what came since then."""

    def __init__(self, handler: object, connections: Connections, settings: Settings) -> None:
        check = settings.check
        super().__init__(
            handler,
            data_size_limit=limits.MAIL_BYTES,
            enable_SMTPUTF8=True,
            hostname=settings.hostname,
            ident="xmppbus",
            tls_context=settings.context,
            timeout=limits.SMTP_SECONDS,
            auth_require_tls=settings.auth_requires_tls,
            auth_exclude_mechanism=() if check else ("LOGIN", "PLAIN"),
            authenticator=_authenticator(check) if check else None,
            command_call_limit=limits.SMTP_COMMANDS,
            loop=asyncio.get_running_loop(),
        )
        # A page whose name was made to point here (DNS rebinding) chooses any method; browsers say this behind it.
        self._smtp_methods["HOST:"] = self.smtp_POST
        self._connections = connections
        self.since = self.loop.time()
        self.held = 0

    def connection_lost(self, error: Exception | None) -> None:
        """Count it out."""
        self._connections.open.discard(self)
        self._release()
        super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        """Count what has to be kept until the mail is whole."""
        self.held += len(data)
        self._connections.held += len(data)
        if self.held > 2 * limits.MAIL_BYTES:
            self.end(_MUCH)
        elif self._connections.held > limits.SMTP_BUFFER_BYTES:
            self.end(_BUSY)
        else:
            super().data_received(data)

    async def push(self, status: str | bytes) -> None:
        """One line: aiosmtpd repeats what somebody said, control characters and all."""
        content = status.encode("utf-8", "replace") if isinstance(status, str) else status
        await super().push(_CONTROL.sub(b"?", content))

    async def smtp_POST(self, _argument: str | None) -> None:  # noqa: N802  # aiosmtpd looks for it by this name
        """A web page may have the browser of this machine post to us, with the commands of a mail in the body."""
        self.end(_HTTP)

    smtp_GET = smtp_PUT = smtp_HEAD = smtp_OPTIONS = smtp_CONNECT = smtp_POST  # noqa: N815  # the same

    def _release(self) -> None:
        self._connections.held -= self.held
        self.held = 0

    def _reset_timeout(self, duration: float | None = None) -> None:
        """aiosmtpd calls it when a command begins; a whole mail is one command."""
        self.since = self.loop.time()
        self._release()
        super()._reset_timeout(duration)

    def _timeout_cb(self) -> None:
        """aiosmtpd calls it when a command has taken too long."""
        self._connections.late += 1
        self.end(_LATE)

    def end(self, word: bytes) -> None:
        """Say why, and go: also when the other side does not read."""
        self._connections.open.discard(self)
        transport = self.transport
        if isinstance(transport, asyncio.Transport):
            with contextlib.suppress(OSError, RuntimeError):
                transport.write(word)
                transport.close()
            self.loop.call_later(_FLUSH_SECONDS, transport.abort)


def _authenticator(check: Callable[[str], object | None]) -> Callable[..., AuthResult]:
    """The password of PLAIN and LOGIN is a token; the user name may be anything."""

    def authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, given: object) -> AuthResult:
        presented = given.password.decode(errors="surrogateescape") if isinstance(given, LoginPassword) else ""
        token = check(presented)
        return AuthResult(success=token is not None, handled=False, auth_data=token)

    return authenticate
