"""Messages of an AMQP 0-9-1 broker become events: acknowledged only when they are on disk here.

What can't be an event is rejected, which the broker's dead-letter exchange gets. What we can't take now goes back into
the queue, and nothing more is fetched for a while. A message that comes again has the same name, so it is known.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta, field

from xmppbus import limits
from xmppbus.amqp.message import Message, Source, Verdict
from xmppbus.amqp.options import BrokerName, BrokerOptions, broker_of
from xmppbus.errors import Refused
from xmppbus.inputs.amqp_messages import Rule, event_of
from xmppbus.inputs.brokered import accept_all, is_about_us
from xmppbus.interfaces import Accept
from xmppbus.options import EventType, Name, Section
from xmppbus.plugins import Registry
from xmppbus.retry import Retry

if TYPE_CHECKING:
    from xmppbus.amqp.link import Link, Session
    from xmppbus.house import House

log = logging.getLogger("xmppbus.amqp")

_AGAIN = Retry()


class AmqpBindingOptions(Section, frozen=True, kw_only=True):
    """A durable queue of our own, declared where it is missing, and bound to an exchange that is there."""

    queue: BrokerName  # its name; it keeps what comes while we are away
    exchange: BrokerName = "amq.topic"  # where it is bound
    # Routing keys; of a topic exchange patterns: `*` is one word, `#` any number. One that is taken out stays bound on
    # the broker until it is unbound there.
    patterns: Annotated[list[BrokerName], Meta(min_length=1)] = field(default_factory=lambda: ["#"])
    # An exchange and a queue of this name are declared, and get what can't be an event; the queue's name and `.dead`
    # unless it is given.
    dead_letters: BrokerName | None = None


class AmqpInputOptions(Section, frozen=True, kw_only=True):
    """Messages of RabbitMQ, or another broker that speaks AMQP 0-9-1, become events ([more](../howto/rabbitmq.md)).
    Needs the extra `amqp`."""

    broker: BrokerOptions = field(default_factory=BrokerOptions)  # where it is, and who we are there
    # Queues that are there, and are consumed as they are.
    queues: Annotated[list[BrokerName], Meta(max_length=limits.AMQP_QUEUES)] = field(default_factory=list)
    # Queues of our own, bound to exchanges.
    bindings: Annotated[list[AmqpBindingOptions], Meta(max_length=limits.AMQP_QUEUES)] = field(default_factory=list)
    # So many messages of a queue are fetched before the first is acknowledged.
    prefetch: Annotated[int, Meta(ge=1, le=limits.AMQP_PREFETCH_MOST)] = limits.AMQP_PREFETCH
    type: EventType | None = None  # of events whose message names none; made of the routing key unless it is given
    source: Name | None = None  # of the same; the message's app-id, or `amqp:EXCHANGE`, unless it is given
    # What a message without a message-id is called. `new`: something new each time it comes, so that one that is
    # delivered again can be a second event. `content`: by what is in it, so that two that are the same are one.
    without_id: Literal["new", "content"] = "new"


class AmqpInput:
    """As `interfaces.Input` says."""

    def __init__(self, link: Link, options: AmqpInputOptions) -> None:
        self._link = link
        self._options = options
        self._rule = Rule(options.type or "", options.source or "", options.without_id == "content")
        self._sources = [Source(name) for name in options.queues] + [
            Source(each.queue, each.exchange, tuple(each.patterns), each.dead_letters or f"{each.queue}.dead")
            for each in options.bindings
        ]
        self._waiting: dict[str, str] = {}  # queues that are not consumed, and why
        self._full: set[str] = set()  # those of them whose messages we could not take
        self._accepted = self._rejected = self._put_off = 0

    async def run(self, accept: Accept) -> None:
        """As `interfaces.Input` says."""

        async def work(session: Session) -> None:
            self._waiting = {each.queue: "it is being opened" for each in self._sources} | self._waiting
            async with asyncio.TaskGroup() as group:
                for source in self._sources:
                    group.create_task(self._consume(session, source, accept))

        await self._link.keep(work)

    def status(self) -> Mapping[str, Any]:
        """See `docs/reference/status.md`."""
        link = self._link
        waits = link.state == "up" and self._waiting
        reason = "; ".join(f"{queue}: {why}" for queue, why in self._waiting.items()) if waits else link.reason
        return {
            "state": "waiting" if waits else link.state,
            "reason": reason,
            "broker": link.broker.shown,
            "queues": [each.queue for each in self._sources],
            "accepted": self._accepted,
            "rejected": self._rejected,
            "put_off": self._put_off,
        }

    async def _consume(self, session: Session, source: Source, accept: Accept) -> None:
        """One queue on a channel of its own: what is wrong with it is not the others' matter."""
        from xmppbus.amqp.consuming import Taking, consume
        from xmppbus.amqp.link import FAULTS, Away, away_of

        attempts = 0

        async def handle(queue: str, messages: Sequence[Message]) -> list[Verdict]:
            nonlocal attempts
            verdicts = await self._handle(accept, queue, messages)
            if Verdict.LATER not in verdicts:
                attempts = 0
                self._full.discard(queue)
                self._opened(queue)
            return verdicts

        while True:
            try:
                await consume(session, source, self._options.prefetch, Taking(handle, self._opened, _pause))
            except Away as away:
                self._stopped(source.queue, str(away))
            except FAULTS as fault:
                self._stopped(source.queue, str(away_of(fault, self._link.broker)))
            attempts += 1
            await asyncio.sleep(_pause(attempts))

    def _opened(self, queue: str) -> None:
        """The broker hands out its messages."""
        if queue not in self._full:
            self._waiting.pop(queue, None)

    def _stopped(self, queue: str, reason: str) -> None:
        if self._waiting.get(queue) != reason:
            log.warning("the queue %s is not consumed: %s", queue, reason)
        self._waiting[queue] = reason

    async def _handle(self, accept: Accept, queue: str, messages: Sequence[Message]) -> list[Verdict]:
        answers = await accept_all(accept, [self._read(each, queue) for each in messages])
        verdicts = []
        for answer, message in zip(answers, messages, strict=True):
            if not isinstance(answer, Refused):
                self._accepted += 1
                verdicts.append(Verdict.ACK)
            elif is_about_us(answer):
                self._put_off += 1
                self._full.add(queue)
                self._stopped(queue, f"its messages wait there: {answer}")
                verdicts.append(Verdict.LATER)
            else:
                self._rejected += 1
                self._reject(queue, message, answer)
                verdicts.append(Verdict.REJECT)
        return verdicts

    def _read(self, message: Message, queue: str) -> dict[str, Any] | Refused:
        try:
            return event_of(message, queue, self._rule)
        except Refused as refusal:
            return refusal

    def _reject(self, queue: str, message: Message, refusal: Refused) -> None:
        log.error(
            "a message of the queue %s (message-id %r, routing key %r) can't be an event: %s. It is rejected: the "
            "queue's dead-letter exchange gets it, and without one it is gone; docs/howto/rabbitmq.md says how to "
            "give a queue one",
            queue,
            message.message_id[:80],
            message.routing_key[:80],
            refusal,
        )


def _pause(attempts: int) -> float:
    return _AGAIN.decide(attempts, random.random)


def build(house: House, options: AmqpInputOptions) -> AmqpInput:
    """For the registry."""
    broker = broker_of(options.broker, house.config.environ)
    names = [*options.queues, *(each.queue for each in options.bindings)]
    if not names:
        raise ValueError("it has nothing to consume: name `queues` that are there, or `bindings` of one of your own")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise ValueError(f"the queue `{twice}` is here twice; a binding has a queue of its own")
    from xmppbus.amqp.link import Link  # brings aio-pika, which nobody else has to have

    return AmqpInput(Link(broker, "amqp input", random.random), options)


def register(registry: Registry) -> None:
    """Offer this input."""
    registry.input("amqp", build, AmqpInputOptions)
