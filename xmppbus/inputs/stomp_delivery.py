"""Subscriptions of a STOMP client: to a topic, which everybody gets, and to a queue, of which each event goes to one.

What was sent and is not acknowledged is bounded by the subscription's `prefetch-count`.
"""

from __future__ import annotations

import asyncio
import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import NamedTuple, Protocol

from xmppbus import limits
from xmppbus.errors import BusError, Code, Refused
from xmppbus.event import Event
from xmppbus.fields import SEVERITIES
from xmppbus.inputs.cloudevents_http import STRUCTURED, media_type
from xmppbus.inputs.stomp_events import Destination, body_of, destination_of, message_headers
from xmppbus.inputs.stomp_frames import Frame, encode
from xmppbus.inputs.stomp_topics import Topics
from xmppbus.journal import Entry
from xmppbus.queues import Consumer, Leased, LeaseLost, Queues
from xmppbus.route import Match
from xmppbus.web.tokens import Token

log = logging.getLogger("xmppbus.stomp")

AUTO = "auto"
MODES = (AUTO, "client", "client-individual")

_PATTERN = re.compile(r"(?:[A-Za-z0-9_-]+|\*|#)(?:\.(?:[A-Za-z0-9_-]+|\*|#))*")
_SEVERITY = re.compile(rf"(>=)?\s*({'|'.join(SEVERITIES)})")


class Wire(Protocol):
    """The connection, for those who write to it."""

    @property
    def is_ready(self) -> bool:
        """Whether it is open, and everything that was written is with the kernel."""

    def write(self, data: bytes) -> None:
        """Whole frames."""

    async def ready(self) -> None:
        """Return once `is_ready`, or the connection is gone."""

    def fail(self, refusal: Refused) -> None:
        """End it with an ERROR."""


class Wanted(NamedTuple):
    """What a SUBSCRIBE asks for."""

    id: str  # empty with STOMP 1.0, which need not give one
    destination: Destination
    ack: str
    prefetch: int
    whole: bool  # the body is the whole event
    severity: str


def wanted_of(frame: Frame, version: str) -> Wanted:
    """Raises `Refused` (usage)."""
    destination = destination_of(frame)
    if destination.kind == "topic" and not _PATTERN.fullmatch(destination.name):
        said = "is /topic/ and a type or a pattern: words joined by dots, * for one word, # for any number of them"
        raise Refused(Code.USAGE, said, field="destination")
    if "id" not in frame.headers and version != "1.0":
        raise Refused(Code.USAGE, "is missing; it names the subscription on this connection", field="id")
    if "selector" in frame.headers:
        raise Refused(Code.USAGE, "is not spoken here; use a pattern and `severity:>=warning`", field="selector")
    ack = frame.get("ack", AUTO)
    if ack not in MODES:
        raise Refused(Code.USAGE, f"is one of {', '.join(MODES)}, not {ack[:32]!r}", field="ack")
    return Wanted(frame.get("id"), destination, ack, _prefetch(frame), _whole(frame), _severity(frame))


def _prefetch(frame: Frame) -> int:
    given = frame.get("prefetch-count") or frame.get("activemq.prefetchSize")
    if not given:
        return limits.STOMP_PREFETCH
    if not given.isascii() or not given.isdecimal() or len(given) > 9 or not int(given):
        raise Refused(Code.USAGE, f"is a number from 1 up, not {given[:32]!r}", field="prefetch-count")
    return min(int(given), limits.QUEUE_PREFETCH)


def _whole(frame: Frame) -> bool:
    given = frame.get("accept")
    if given in ("", "*/*") or media_type(given)[0] == STRUCTURED:
        return given not in ("", "*/*")
    raise Refused(Code.USAGE, f"is {STRUCTURED}, for bodies that are whole events, or left out", field="accept")


def _severity(frame: Frame) -> str:
    given = frame.get("severity")
    found = _SEVERITY.fullmatch(given)
    if given and not found:
        said = f"is one of {', '.join(SEVERITIES)}, or >= and one of them"
        raise Refused(Code.USAGE, said, field="severity")
    return f"{found[1] or ''}{found[2]}" if found else ""


class Subscription(ABC):
    """One SUBSCRIBE. `out` has what was sent and waits for an ACK: its id there, and what it is to us."""

    def __init__(self, wire: Wire, version: str, number: int, wanted: Wanted) -> None:
        self.wanted = wanted
        self._wire = wire
        self._version = version
        self._number = number
        self._sent = 0
        self.out: dict[str, int] = {}

    @abstractmethod
    async def open(self) -> None:
        """Events come from now on. Raises `Refused`."""

    @abstractmethod
    def stop(self) -> None:
        """No more events; what is out can still be acknowledged."""

    @abstractmethod
    async def close(self) -> None:
        """What is out goes to others."""

    @abstractmethod
    async def settle(self, one: int, frame: Frame) -> None:
        """An ACK or NACK of what `covered` has found is on disk when this returns. Raises `Refused`."""

    def woken(self) -> None:  # noqa: B027  # not everybody has to be told
        """The connection takes more, or something was acknowledged."""

    def covered(self, ack_id: str) -> list[int] | None:
        """What an ACK or NACK of that id is about; it is out no more. None where it was not out."""
        if ack_id not in self.out:
            return None
        if self.wanted.ack == "client-individual":
            return [self.out.pop(ack_id)]
        found = []
        for each in list(self.out):
            found.append(self.out.pop(each))
            if each == ack_id:
                break
        return found

    def _send(self, event: Event, about: dict[str, str], one: int = 0) -> None:
        self._sent += 1
        name = f"{self._number}-{self._sent}"
        media, body = body_of(event, whole=self.wanted.whole)
        headers = {"subscription": self.wanted.id} if self.wanted.id else {}
        headers |= {"message-id": name, **about}
        if self.wanted.ack != AUTO:
            headers["ack"] = name
            self.out[name] = one
        self._wire.write(encode("MESSAGE", headers | message_headers(event, media), body, self._version))


class TopicSubscription(Subscription):
    """Every event that matches, from now on, and that the token may read."""

    def __init__(
        self, wire: Wire, version: str, number: int, wanted: Wanted, topics: Topics, *, token: Token | None
    ) -> None:
        super().__init__(wire, version, number, wanted)
        self.position = 0
        self._topics = topics
        self._token = token
        self._match = Match(wanted.destination.name, wanted.severity)

    async def open(self) -> None:
        """As `Subscription` says."""
        await self._topics.join(self)

    def stop(self) -> None:
        """As `Subscription` says."""
        self._topics.leave(self)

    async def close(self) -> None:
        """Nobody else is waiting for what is out: others have got it, too."""
        self.stop()

    async def settle(self, one: int, frame: Frame) -> None:
        """There is room for another."""

    def woken(self) -> None:
        """As `Subscription` says."""
        self._topics.wake(self)

    @property
    def is_ready(self) -> bool:
        """As `Reader` says."""
        return self._wire.is_ready and len(self.out) < self.wanted.prefetch

    def offer(self, entries: Sequence[Entry]) -> bool:
        """As `Reader` says."""
        for entry in entries:
            if entry.sequence <= self.position:
                continue
            event = entry.event
            if self._match.matches(event) and (self._token is None or self._token.may("read", event.type)):
                if not self.is_ready:
                    return False
                self._send(event, _about(f"/topic/{event.type}", entry.item_id, entry.sequence))
            self.position = entry.sequence
        return True


def _about(destination: str, item_id: str, sequence: int) -> dict[str, str]:
    return {"destination": destination, "item-id": item_id, "sequence": str(sequence)}


class QueueSubscription(Subscription):
    """Of each event of the queue one consumer gets it; it is done once that has said so, or another's."""

    def __init__(self, wire: Wire, version: str, number: int, wanted: Wanted, queues: Queues) -> None:
        super().__init__(wire, version, number, wanted)
        self._queues = queues
        self._consumer: Consumer
        self._stack = AsyncExitStack()
        self._pump: asyncio.Task[None] | None = None
        self._done: set[asyncio.Task[None]] = set()  # with `auto`: being written down

    async def open(self) -> None:
        """As `Subscription` says."""
        wanted = self.wanted
        consumer = self._queues.consumer(wanted.destination.name, prefetch=wanted.prefetch)
        self._consumer = await self._stack.enter_async_context(consumer)
        self._pump = asyncio.create_task(self._run())

    def stop(self) -> None:
        """As `Subscription` says."""
        if self._pump:
            self._pump.cancel()

    async def close(self) -> None:
        """As `Subscription` says."""
        self.stop()
        if self._pump:
            await asyncio.wait([self._pump])
        if self._done:
            await asyncio.wait(self._done)
        await self._stack.aclose()
        self.out.clear()

    async def _run(self) -> None:
        try:
            while True:
                leased = await self._consumer.take()
                await self._wire.ready()
                self._hand(leased)
                if self.wanted.ack == AUTO:
                    await self._wire.ready()
                    if not self._wire.is_ready:
                        return  # it is gone, and may not have it
                    task = asyncio.create_task(self._consumed(leased.id))
                    self._done.add(task)
                    task.add_done_callback(self._done.discard)
        except Refused as refusal:
            self._wire.fail(refusal)
        except Exception as error:  # the house is kept alive: one connection's bug is not the others'
            log.exception("a subscription failed")
            self._wire.fail(Refused(Code.FAILED, f"a bug: {type(error).__name__}; see the log"))

    def _hand(self, leased: Leased) -> None:
        about = _about(str(self.wanted.destination), leased.item_id, leased.sequence)
        if leased.attempt > 1:
            about |= {"redelivered": "true", "attempt": str(leased.attempt)}
        self._send(leased.event, about, leased.id)

    async def _consumed(self, lease: int) -> None:
        try:
            await self._consumer.ack(lease)
        except LeaseLost:
            pass  # it is another's by now, or nobody's any more
        except BusError as error:
            self._wire.fail(Refused(Code.FAILED, f"what was consumed could not be written down: {error}"))

    async def settle(self, one: int, frame: Frame) -> None:
        """As `Subscription` says."""
        try:
            if frame.command == "ACK":
                await self._consumer.ack(one)
            elif frame.get("requeue", "true").lower() in ("true", "1", "yes"):
                await self._consumer.requeue(one, frame.get("reason")[: limits.OUTCOME_CHARACTERS])
            else:
                await self._consumer.reject(one, frame.get("reason")[: limits.OUTCOME_CHARACTERS])
        except LeaseLost as error:
            raise Refused(Code.NOT_FOUND, f"is out no more: {error}", field="id") from error
