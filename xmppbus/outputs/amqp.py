"""Events go to an exchange of an AMQP 0-9-1 broker: persistent, mandatory, and delivered when the broker has confirmed.

A place is `EXCHANGE/KEY`; `EXCHANGE/` has each event's type as its key. An output that a route names without a place
uses the exchange of its options, and its places are the types.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, field

from xmppbus import limits
from xmppbus.amqp.options import BrokerOptions, broker_of
from xmppbus.interfaces import Clock
from xmppbus.journal import UNSENT, Delivery, Outcome, Verdict
from xmppbus.options import Section
from xmppbus.outputs.linked import Linked
from xmppbus.plugins import Registry

if TYPE_CHECKING:
    from xmppbus.amqp.link import Link, Session
    from xmppbus.amqp.publishing import Outlet
    from xmppbus.house import House


ExchangeName = Annotated[
    str,
    Meta(
        max_length=limits.AMQP_NAME_CHARACTERS,
        pattern=r"^[^/\x00-\x1f\x7f]*\Z",
        description="an exchange's name; empty is the default exchange, whose routing keys are names of queues",
    ),
]


class AmqpOutputOptions(Section, frozen=True, kw_only=True):
    """Events are published on an exchange of RabbitMQ, or another broker that speaks AMQP 0-9-1
    ([more](../howto/rabbitmq.md)). Needs the extra `amqp`."""

    broker: BrokerOptions = field(default_factory=BrokerOptions)  # where it is, and who we are there
    # Where a route's `amqp` goes, with the event's type as routing key. `amqp:EXCHANGE/KEY` names another.
    exchange: ExchangeName = "amq.topic"
    # An event that no queue is bound for is kept here, and tried again. `false`: the broker drops it.
    mandatory: bool = True


class Amqp(Linked["Session"]):
    """As `interfaces.Output` says."""

    def __init__(self, link: Link, options: AmqpOutputOptions, clock: Clock) -> None:
        super().__init__(link.keep)
        self._link = link
        self._options = options
        self._clock = clock
        self._idle: dict[str, list[Outlet]] = {}  # channels by exchange, of this session

    def status(self) -> Mapping[str, Any]:
        """See `docs/reference/status.md`."""
        return {"state": self._link.state, "reason": self._link.reason, "broker": self._link.broker.shown}

    async def deliver_run(self, place: str, deliveries: Sequence[Delivery]) -> AsyncIterator[Outcome]:
        """As `interfaces.Output` says. The first on a channel goes alone, and opens the window with its yes.

        No two runs share a channel: aiormq tells what was returned by its message-id, which is the item's, and one
        event may be on its way to several places at once.
        """
        exchange, key = target_of(place, self._options.exchange)
        outlet = await self._borrow(exchange)
        if isinstance(outlet, Outcome):
            yield outlet
            for _ in deliveries[1:]:
                yield UNSENT
            return
        now, sent, failed = self._clock(), 0, False
        flying: deque[asyncio.Task[Outcome]] = deque()
        try:
            while True:
                window = limits.WINDOW_ITEMS if outlet.opened else 1
                while not failed and sent < len(deliveries) and len(flying) < window:
                    # Tasks begin in the order in which they are made, and wait for the channel in that order.
                    flying.append(asyncio.create_task(self._publish(outlet, key, deliveries[sent], now)))
                    sent += 1
                if not flying:
                    break
                outcome = await flying[0]
                flying.popleft()
                failed = failed or outcome.verdict not in (Verdict.DELIVERED, Verdict.DEAD)
                yield outcome
            for _ in deliveries[sent:]:
                yield UNSENT
        finally:
            for task in flying:
                task.cancel()
            if flying:
                await asyncio.wait(flying)
            await self._give_back(exchange, outlet, is_clean=not flying)

    async def _publish(self, outlet: Outlet, key: str, delivery: Delivery, now: datetime) -> Outcome:
        event = delivery.event
        expires = event.get("expires")
        if expires and datetime.fromisoformat(expires.upper()) <= now:
            return Outcome(Verdict.DEAD, "expired", f"it expired at {expires}")
        mandatory = self._options.mandatory
        return await outlet.publish(key or event.type, event, mandatory=mandatory, broker=self._link.broker)

    async def _hold(self, session: Session) -> None:
        self._idle = {}
        await super()._hold(session)

    async def _borrow(self, exchange: str) -> Outlet | Outcome:
        """A channel to an exchange that nobody else uses; or why there is none."""
        from xmppbus.amqp.link import FAULTS
        from xmppbus.amqp.publishing import open_outlet, outcome_of

        idle = self._idle.get(exchange, [])
        while idle:
            outlet = idle.pop()
            if not outlet.is_closed:
                return outlet
        if self.session is None:
            return Outcome(Verdict.STOPPED, "not-connected", self._link.reason)
        try:
            return await open_outlet(self.session, exchange)
        except FAULTS as error:
            outcome = outcome_of(error, exchange, "", self._link.broker, alone=False)
            return outcome._replace(verdict=Verdict.STOPPED)  # nothing was sent

    async def _give_back(self, exchange: str, outlet: Outlet, *, is_clean: bool) -> None:
        """One on which something is still in flight is of no use to anybody else."""
        if is_clean and not outlet.is_closed and outlet.session is self.session:
            self._idle.setdefault(exchange, []).append(outlet)
        else:
            await outlet.close()


def target_of(place: str, exchange: str) -> tuple[str, str]:
    """Exchange and routing key of a place; an empty key is the event's type."""
    if "/" not in place:
        return exchange, place
    named, _, key = place.partition("/")
    return named, key


def build(house: House, options: AmqpOutputOptions) -> Amqp:
    """For the registry."""
    broker = broker_of(options.broker, house.config.environ)
    from xmppbus.amqp.link import Link  # brings aio-pika, which nobody else has to have

    return Amqp(Link(broker, "amqp output", random.random), options, house.clock)


def register(registry: Registry) -> None:
    """Offer this output."""
    registry.output("amqp", build, options=AmqpOutputOptions)
