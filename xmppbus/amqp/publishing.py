"""Messages to one exchange, each confirmed by the broker; what it says of one, as an outcome."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from aio_pika import DeliveryMode
from aio_pika import Message as Outgoing
from aio_pika.abc import AbstractChannel, AbstractExchange
from aio_pika.exceptions import ChannelNotFoundEntity, ChannelPreconditionFailed, DeliveryError, PublishError
from aiormq.exceptions import ChannelAccessRefused

from xmppbus import limits
from xmppbus.amqp.link import FAULTS, Session, away_of
from xmppbus.amqp.options import Broker
from xmppbus.event import Event
from xmppbus.journal import DELIVERED, Outcome, Verdict

STRUCTURED = "application/cloudevents+json"


class Outlet:
    """A channel to one exchange. `opened` once the broker has confirmed something there."""

    def __init__(self, session: Session, channel: AbstractChannel, exchange: AbstractExchange) -> None:
        self.session = session
        self._channel = channel
        self._exchange = exchange
        self.opened = False

    @property
    def is_closed(self) -> bool:
        """The broker closes a channel with the first mistake."""
        return self._channel.is_closed

    async def close(self) -> None:
        """Use it no more."""
        with suppress(*FAULTS):
            async with asyncio.timeout(limits.BROKER_CLOSE_SECONDS):
                await self._channel.close()

    async def publish(self, key: str, event: Event, *, mandatory: bool, broker: Broker) -> Outcome:
        """Sent, kept by the broker on disk, and confirmed; or why not."""
        alone = not self.opened
        message = Outgoing(
            event.encoded,
            content_type=STRUCTURED,
            message_id=event.item_id,
            type=event.type,
            app_id="xmppbus",
            delivery_mode=DeliveryMode.PERSISTENT,
        )
        try:
            await self._exchange.publish(message, key, mandatory=mandatory, timeout=limits.AMQP_CONFIRM_SECONDS)
        except TimeoutError:
            # What is unconfirmed may be kept or not; on a new connection it is sent again under the same id.
            seconds = limits.AMQP_CONFIRM_SECONDS
            text = f"the broker has confirmed nothing for {seconds:g} s; is it short of memory or disk?"
            self.session.lose(text)
            return Outcome(Verdict.UNKNOWN, "timeout", text)
        except FAULTS as error:
            return outcome_of(error, self._exchange.name, key, broker, alone=alone)
        self.opened = True
        return DELIVERED


async def open_outlet(session: Session, exchange: str) -> Outlet:
    """Raises one of `FAULTS`; the exchange has to be there."""
    channel = session.connection.channel(publisher_confirms=True, on_return_raises=True)
    await channel.initialize(timeout=limits.BROKER_ANSWER_SECONDS)
    try:
        async with asyncio.timeout(limits.BROKER_ANSWER_SECONDS):
            found = await channel.get_exchange(exchange, ensure=True) if exchange else channel.default_exchange
    except BaseException:
        with suppress(*FAULTS):
            await channel.close()
        raise
    return Outlet(session, channel, found)


def outcome_of(error: BaseException, exchange: str, key: str, broker: Broker, *, alone: bool) -> Outcome:
    """What a broker's no, or a lost connection, says of a delivery. Only of one that was in flight `alone` is it
    certain that the broker means it."""
    text = str(error)
    if isinstance(error, PublishError):
        said = (
            f"no queue is bound to the exchange `{exchange}` for the key `{key}`; bind one, or set `mandatory: false`"
        )
        outcome = Outcome(Verdict.STOPPED, "recipient-unavailable", said)
    elif isinstance(error, DeliveryError):
        said = "the broker did not keep it: a queue is full, or its disk failed; see its log"
        outcome = Outcome(Verdict.STOPPED, "resource-constraint", said)
    elif isinstance(error, ChannelNotFoundEntity):
        outcome = Outcome(Verdict.STOPPED, "item-not-found", f"{text}; make the exchange, or name another")
    elif isinstance(error, ChannelAccessRefused):
        said = f"{text}; the right to write is given by `rabbitmqctl set_permissions`"
        outcome = Outcome(Verdict.STOPPED, "forbidden", said)
    elif isinstance(error, ChannelPreconditionFailed) and "message size" in text:
        outcome = Outcome(Verdict.DEAD if alone else Verdict.UNKNOWN, "payload-too-big", text)
    elif isinstance(error, ChannelPreconditionFailed):
        outcome = Outcome(Verdict.STOPPED, "precondition-not-met", text)
    else:
        outcome = Outcome(Verdict.UNKNOWN, "not-connected", str(away_of(error, broker)))
    return outcome
