"""A connection to a broker, opened anew with backoff whenever it is lost; why it is not there, in plain words.

Not aio-pika's robust connection: that tries for ever without saying why, and brings channels back behind the caller,
who has to know that what was in flight is unknown (ADR 0019).
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from socket import gaierror
from typing import Any

import aio_pika
import aiormq
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import AMQPError, ProbableAuthenticationError
from pamqp.exceptions import PAMQPException

from xmppbus import limits
from xmppbus.amqp import tolerance
from xmppbus.amqp.options import Broker
from xmppbus.retry import Dice, Retry

log = logging.getLogger("xmppbus.amqp")

_AGAIN = Retry(limits.BROKER_AGAIN_FIRST_SECONDS, limits.BROKER_AGAIN_MOST_SECONDS)
_REFUSED = Retry(limits.BROKER_REFUSED_SECONDS, limits.BROKER_REFUSED_MOST_SECONDS)

LOST = "the connection was lost"

FAULTS = (AMQPError, PAMQPException, OSError, TimeoutError, aiormq.exceptions.ChannelInvalidStateError)
"""What the broker or the network can do to us; anything else is a bug."""


class Away(Exception):
    """The broker can't be used now; the text says why. `is_refusal` where only a person can change that."""

    def __init__(self, reason: str, *, is_refusal: bool = False) -> None:
        super().__init__(reason)
        self.is_refusal = is_refusal


class Link:
    """Keeps one connection. `state` is `connecting`, `up` or `down`; `reason` says why it is not up."""

    def __init__(self, broker: Broker, name: str, dice: Dice) -> None:
        self.broker = broker
        self.state = "connecting"
        self.reason = "it has not been there yet"
        self._name = name
        self._dice = dice
        tolerance.install()
        for library in ("aio_pika", "aiormq"):  # what they say at each try is said here, once
            logging.getLogger(library).setLevel(logging.CRITICAL)

    async def keep(self, work: Callable[[Session], Awaitable[None]]) -> None:
        """Connect, do `work` until the connection is lost, and again; until cancelled."""
        loop, attempts = asyncio.get_running_loop(), 0
        while True:
            begun, is_in = loop.time(), False
            try:
                async with self._session() as session:
                    is_in = True
                    self.state, self.reason = "up", ""
                    log.info("%s: connected to %s", self._name, self.broker.shown)
                    await session.do(work)
            except Away as away:
                error = away
            except FAULTS as fault:
                error = away_of(fault, self.broker)
                if str(error) == LOST and not is_in:
                    hint = "; perhaps it wants another `certificate_file` of us" if self.broker.tls else ""
                    error = Away(f"it has ended the connection during the login{hint}")
            attempts = 1 if loop.time() - begun >= limits.BROKER_STEADY_SECONDS else attempts + 1
            least = limits.BROKER_REFUSED_SECONDS if error.is_refusal else 0.0
            seconds = (_REFUSED if error.is_refusal else _AGAIN).decide(attempts, self._dice, least)
            if self.state != "down" or self.reason != str(error):
                log.warning("%s: %s is away: %s", self._name, self.broker.shown, error)
            self.state, self.reason = "down", str(error)
            await asyncio.sleep(seconds)

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[Session]:
        broker = self.broker
        connection = await aio_pika.connect(
            host=broker.host,
            port=broker.port,
            login=broker.user,
            password=broker.password,
            virtualhost=broker.vhost,
            ssl=broker.tls is not None,
            ssl_context=broker.tls,
            timeout=limits.BROKER_ANSWER_SECONDS,
            client_properties={"connection_name": f"xmppbus {self._name}", "product": "xmppbus"},
            heartbeat=broker.heartbeat,
        )
        try:
            yield Session(connection)
        finally:
            with suppress(*FAULTS):
                async with asyncio.timeout(limits.BROKER_CLOSE_SECONDS):
                    await connection.close()


class Session:
    """One connection while it lasts."""

    def __init__(self, connection: AbstractConnection) -> None:
        self.connection = connection
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        connection.close_callbacks.add(self._closed)

    async def do(self, work: Callable[[Session], Awaitable[None]]) -> None:
        """Until the work raises, or the connection is lost: then the work is cancelled, and this raises why."""
        task = asyncio.ensure_future(work(self))
        try:
            await asyncio.wait({task, self._lost}, return_when=asyncio.FIRST_COMPLETED)
            if self._lost.done():
                self._lost.result()
            await task
        finally:
            self._lost.cancel()
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled():
                task.exception()  # it was raised, or is about what was lost anyway

    def lose(self, reason: str) -> None:
        """Whoever has waited in vain for an answer wants another connection."""
        if not self._lost.done():
            self._lost.set_exception(Away(reason))

    def _closed(self, _: Any, error: BaseException | None = None) -> None:
        if self._lost.done():
            return
        if isinstance(error, Exception):
            self._lost.set_exception(error)
        else:
            self._lost.set_exception(Away("the connection was closed"))


def away_of(error: BaseException, broker: Broker) -> Away:
    """A fault in plain words, with what to do about it."""
    said = next(filter(None, (_known(each, broker) for each in _chain(error))), None)
    if said:
        return said
    text = str(error)
    if "Connection.OpenOk" in text:
        text = f"it refuses the virtual host `{broker.vhost}`: there is none, or `{broker.user}` has no right to it"
        return Away(text, is_refusal=True)
    if "unexpectedly closed" in text or "reset" in text:
        text = LOST
    return Away(text or type(error).__name__)


def _known(error: BaseException, broker: Broker) -> Away | None:
    where, text, is_refusal = f"{broker.host}:{broker.port}", "", False
    if isinstance(error, ProbableAuthenticationError):
        guest = "; RabbitMQ lets `guest` in from its own machine alone" if broker.user == "guest" else ""
        text, is_refusal = f"it refuses the user `{broker.user}`: the name or the password is wrong{guest}", True
    elif isinstance(error, ssl.SSLCertVerificationError):
        text = f"its certificate is not trusted: {error.verify_message}; name who signed it in `ca_file`"
        is_refusal = True
    elif isinstance(error, ssl.SSLError):
        said = error.reason or str(error)
        ours = "CERTIFICATE" in said or "UNKNOWN_CA" in said
        hint = "it wants another `certificate_file` of us" if ours else f"is {where} its port for TLS?"
        text, is_refusal = f"TLS failed ({said}); {hint}", True
    elif isinstance(error, ConnectionRefusedError):
        text = f"nothing listens on {where}"
    elif isinstance(error, gaierror):
        text = f"the name {broker.host} can't be looked up: {error.strerror}"
    elif isinstance(error, TimeoutError):
        text = f"{where} has not answered in time"
    return Away(text, is_refusal=is_refusal) if text else None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what caused it; aiormq wraps the system's errors."""
    each: BaseException | None = error
    for _ in range(8):
        if each is None:
            return
        yield each
        each = each.__cause__
