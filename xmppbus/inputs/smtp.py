"""The input `smtp`: mails of programs and old devices become events. 250 comes after the commit.

See docs/howto/mail.md.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import field

from xmppbus import limits
from xmppbus.errors import Code, ConfigInvalid, Refused
from xmppbus.house import House
from xmppbus.inputs.mail import NoSuchRecipientError, Target, events_of, target_of
from xmppbus.interfaces import Accept
from xmppbus.listening import is_loopback, listen_address, server_tls
from xmppbus.options import EventType, Section
from xmppbus.plugins import Registry
from xmppbus.web.tokens import Token, Tokens

if TYPE_CHECKING:
    from xmppbus.inputs.smtp_connection import Connections, Settings

log = logging.getLogger("xmppbus.smtp")

MISSING = "it needs the extra `smtp`, which is not installed here: pip install 'xmppbus[smtp]'"
_AGAIN_SECONDS = 5.0

REPLIES: dict[Code, str] = {
    Code.INVALID: "554 5.6.0",
    Code.TOO_BIG: "552 5.3.4",
    Code.CONFLICT: "250 2.0.0",  # it is on disk, under this name
    Code.USAGE: "554 5.6.0",
    Code.UNAUTHORIZED: "530 5.7.0",
    Code.FORBIDDEN: "550 5.7.1",
    Code.NOT_FOUND: "550 5.1.1",
    Code.MEDIA_TYPE: "554 5.6.1",
    Code.TOO_MANY: "451 4.7.0",
    Code.TIMEOUT: "451 4.4.0",
    Code.FULL: "452 4.3.1",
    Code.NODES: "452 4.3.1",
    Code.CLOSING: "451 4.3.2",
    Code.FAILED: "451 4.3.0",
    Code.NO_DAEMON: "451 4.3.0",
    Code.NOT_CONFIGURED: "554 5.3.5",
    Code.NO_PICTURE: "451 4.3.0",
}
"""What a mail's sender is told (RFC 5321 §4.2, RFC 3463): 4xx is about us, and it tries again; 5xx about the mail."""


class SmtpOptions(Section, frozen=True, kw_only=True):
    """Mails become events: whom a mail is to is the type, its subject the summary, its text the text. Needs the extra
    `smtp`. See [mail](../howto/mail.md)."""

    # Address and port. Beyond loopback it needs `tokens_file` and `certificate_file`.
    listen: str = "127.0.0.1:2525"
    # Types for recipients: for a whole address, for the part before the `@`, or for all others (`*`). Without one, the
    # part before the `@` is the type.
    recipients: dict[str, EventType] = field(default_factory=dict)
    # Tokens, made with `xmppbus token`: senders log in (AUTH PLAIN or LOGIN) with one as their password.
    tokens_file: str | None = None
    # TLS by STARTTLS: the certificate chain in PEM.
    certificate_file: str | None = None
    # And its key; it may be in the same file.
    key_file: str | None = None


class SmtpInput:
    """The listener, and what it does with a mail. The methods `handle_...` are called by aiosmtpd."""

    def __init__(self, house: House, options: SmtpOptions, settings: Settings, tokens: Tokens | None) -> None:
        from xmppbus.inputs.smtp_connection import Connections

        self._house, self._options, self._settings, self._tokens = house, options, settings, tokens
        self._rules = {address.lower(): event_type for address, event_type in options.recipients.items()}
        self._accept: Accept = house.bus.accept
        self._connections: Connections = Connections()
        self._reading = asyncio.Semaphore(limits.SMTP_READERS)
        self._accepted = self._refused = 0
        self._problem = "it has not begun"
        self.address = ""

    async def run(self, accept: Accept) -> None:
        """Listen until cancelled; where the address can't be had, say so and try again."""
        self._accept = accept
        host, port = listen_address(self._options.listen)
        make = partial(self._connections.make, self, self._settings)
        while True:
            try:
                loop = asyncio.get_running_loop()
                server = await loop.create_server(make, host or None, port, backlog=limits.CONNECTIONS_WAITING)
            except OSError as error:
                problem = f"can't listen on {self._options.listen}: {error.strerror or error}"
                if problem != self._problem:
                    log.error("%s; trying again", problem)
                self._problem = problem
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            try:
                await self._serve(server)
            finally:
                server.close()
                for each in list(self._connections.open):
                    each.end(b"421 4.3.2 the bus is closing; try again\r\n")

    async def _serve(self, server: asyncio.Server) -> None:
        host, port = server.sockets[0].getsockname()[:2]
        self.address = f"smtp://[{host}]:{port}" if ":" in host else f"smtp://{host}:{port}"
        self._problem = ""
        log.info("listening on %s", self.address)
        await asyncio.Event().wait()

    def status(self) -> Mapping[str, Any]:
        """State, address, connections, and how many mails became events."""
        found = self._connections
        told = {"address": self.address, "connections": len(found.open), "turned_away": found.refused}
        counted: dict[str, Any] = {"late": found.late, "accepted": self._accepted, "refused": self._refused}
        if self._tokens is not None and self._tokens.warning:
            counted["notice"] = self._tokens.warning
        if self._problem:
            return {"state": "down", "reason": self._problem, **counted}
        return {"state": "up", **told, **counted}

    # --- called by aiosmtpd -------------------------------------------------------------------------------------------

    async def handle_EHLO(  # noqa: N802  # aiosmtpd's name
        self, _server: Any, session: Any, _envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        """Without tokens nobody can log in, so that is not offered."""
        session.host_name = hostname
        return [each for each in responses if each.strip() != "250-AUTH"]

    async def handle_MAIL(  # noqa: N802  # aiosmtpd's name
        self, _server: Any, _session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        """Anybody may send; a bounce has no sender (RFC 5321 §4.5.5), which aiosmtpd takes for no MAIL at all."""
        envelope.mail_from = address or "<>"
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self, _server: Any, session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        """The recipient's type must be one, and the sender's token must be for it."""
        if len(envelope.rcpt_tos) >= limits.MAIL_RECIPIENTS:
            return f"452 4.5.3 at most {limits.MAIL_RECIPIENTS} recipients; send the others another copy"
        try:
            target = target_of(address, self._rules)
        except NoSuchRecipientError as error:
            return f"550 5.1.1 {error}"
        if self._tokens is not None:
            token = session.auth_data
            if not isinstance(token, Token) or not self._tokens.holds(token):
                return "530 5.7.0 log in first (AUTH PLAIN or LOGIN): any name, and a token as the password"
            if not token.may("publish", target.type):
                return f"550 5.7.1 this token may not publish {target.type}"
        envelope.rcpt_tos.append(target)
        return f"250 2.1.5 it will be {target.type}"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802  # aiosmtpd's name
        """A whole mail: yes when its events are on disk."""
        try:
            item_ids = await self._take(envelope.content, envelope.rcpt_tos)
        except Refused as refusal:
            self._refused += 1
            return f"{REPLIES[refusal.code]} {in_one_line(str(refusal))}"
        self._accepted += 1
        return f"250 2.0.0 kept as {' '.join(item_ids)}"[:500]

    async def handle_exception(self, error: Exception) -> str:
        """What aiosmtpd, or the standard library's reader of addresses, did not expect."""
        log.warning("a sender was told to try again: %s", type(error).__name__)
        return "451 4.3.0 this could not be dealt with; try again"

    async def _take(self, content: bytes, targets: list[Target]) -> list[str]:
        async with self._reading:
            events = await asyncio.to_thread(events_of, content, targets, self._house.clock())
        answers = await self._accept(events)
        refused = [each for each in answers if isinstance(each, Refused) and each.code is not Code.CONFLICT]
        if refused:
            # One that asks to try again comes first: what is on disk already is known the next time.
            raise min(refused, key=lambda each: REPLIES[each.code])
        return [each.item_id for each in answers if not isinstance(each, Refused)]


def in_one_line(text: str) -> str:
    """As an SMTP reply has it: visible ASCII, and short (RFC 5321 §4.5.3.1.5)."""
    plain = "".join(each if each.isascii() and each.isprintable() else "?" for each in text)
    return plain[:400]


def build(house: House, options: SmtpOptions) -> SmtpInput:
    """Raises `ValueError`."""
    return SmtpInput(house, options, *settings_of(options))


def settings_of(options: SmtpOptions) -> tuple[Settings, Tokens | None]:
    """What connections are made with. Raises `ValueError` where it would be open to others, or lacks what it needs."""
    host, _ = listen_address(options.listen)
    if importlib.util.find_spec("aiosmtpd") is None:
        raise ValueError(MISSING)
    if not is_loopback(host):
        if not options.tokens_file:
            raise ValueError(
                f"others can reach {options.listen}, and could send whatever they like: name a `tokens_file` (`xmppbus "
                "token add` makes it), or listen on 127.0.0.1"
            )
        if not options.certificate_file:
            raise ValueError(f"tokens would be read on their way to {options.listen}: name a `certificate_file`")
    for address in options.recipients:
        if "+" in address or not address.strip() or address != address.strip():
            raise ValueError(f"`{address}` in `recipients` is no address, nor what stands before its `@` and `+`")
    try:
        tokens = Tokens(Path(options.tokens_file)) if options.tokens_file else None
    except ConfigInvalid as error:
        raise ValueError(str(error)) from None
    context = server_tls(options.certificate_file, options.key_file)
    from xmppbus.inputs.smtp_connection import Settings

    check = tokens.check if tokens else None
    return Settings(os.uname().nodename, context, check, auth_requires_tls=context is not None), tokens


def register(registry: Registry) -> None:
    """Offer this input."""
    registry.input("smtp", build, SmtpOptions)
