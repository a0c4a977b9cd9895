"""One queue: messages in batches, each settled by a verdict after it was accepted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from aio_pika.abc import AbstractChannel, ExchangeType
from aio_pika.exceptions import ChannelNotFoundEntity, ChannelPreconditionFailed
from aiormq.abc import AbstractChannel as Wire
from aiormq.abc import DeliveredMessage
from aiormq.exceptions import ChannelAccessRefused
from pamqp.common import FieldValue

from xmppbus import limits
from xmppbus.amqp.link import FAULTS, Away, Session
from xmppbus.amqp.message import Message, Source, Verdict

Handle = Callable[[str, Sequence[Message]], Awaitable[list[Verdict]]]
"""Accepts a batch of a queue's messages; one verdict each."""


class Taking(NamedTuple):
    """What becomes of the messages of a queue."""

    handle: Handle
    opened: Callable[[str], None]  # told once the broker hands out messages
    pause: Callable[[int], float]  # how many seconds to wait after so many vain tries


async def consume(session: Session, source: Source, prefetch: int, taking: Taking) -> None:
    """Until cancelled.

    What can't be taken now is kept unacknowledged and tried again: a message that is given back counts as a try at a
    queue with a delivery limit (quorum queues), and the broker drops it in the end, while only we are to blame.

    Raises `Away` where the queue can't be consumed; or what became of the channel.
    """
    channel = session.connection.channel(publisher_confirms=False)
    await channel.initialize(timeout=limits.BROKER_ANSWER_SECONDS)
    try:
        await _consume(channel, source, prefetch, taking)
    except ChannelNotFoundEntity as error:
        mend = "make the exchange" if source.exchange else "make the queue, or take it out of `queues`"
        raise Away(f"{error}; {mend}") from None
    except ChannelPreconditionFailed as error:
        raise Away(f"{error}; delete that queue on the broker, or give `queue` another name") from None
    except ChannelAccessRefused as error:
        raise Away(f"{error}; the right is given by `rabbitmqctl set_permissions`") from None
    finally:  # what is not settled goes back into the queue
        with suppress(*FAULTS):
            async with asyncio.timeout(limits.BROKER_CLOSE_SECONDS):
                await channel.close()


async def _consume(channel: AbstractChannel, source: Source, prefetch: int, taking: Taking) -> None:
    arrived: asyncio.Queue[DeliveredMessage | None] = asyncio.Queue()  # the broker keeps to the prefetch
    channel.close_callbacks.add(lambda *_: arrived.put_nowait(None))
    wire = await channel.get_underlay_channel()  # what the library makes of a message raises for strange properties
    wire.on_consumer_cancel_callbacks.add(lambda _: arrived.put_nowait(None))
    if source.exchange:
        await _declare(channel, source)
    await wire.basic_qos(prefetch_count=prefetch, timeout=limits.BROKER_ANSWER_SECONDS)
    await wire.basic_consume(source.queue, arrived.put, timeout=limits.BROKER_ANSWER_SECONDS)
    taking.opened(source.queue)
    held: list[DeliveredMessage] = []
    attempts = 0
    while True:
        if held:
            attempts += 1
            await asyncio.sleep(taking.pause(attempts))
            if channel.is_closed:  # they are somebody else's again, or come again
                raise Away("the channel was closed")
        else:
            attempts = 0
        batch = held or await _next(arrived, prefetch)
        # Whoever is cancelled in the middle still says yes to what was accepted, or it would come a second time.
        settling = asyncio.ensure_future(_take(wire, source.queue, batch, taking.handle))
        try:
            held = await asyncio.shield(settling)
        except asyncio.CancelledError:
            await asyncio.wait({settling}, timeout=limits.GRACE_SECONDS)
            if settling.done() and not settling.cancelled():
                settling.exception()
            raise


async def _declare(channel: AbstractChannel, source: Source) -> None:
    dead = await channel.declare_exchange(source.dead_letters, ExchangeType.FANOUT, durable=True)
    letters = await channel.declare_queue(source.dead_letters, durable=True)
    await letters.bind(dead)
    arguments: dict[str, FieldValue] = {"x-dead-letter-exchange": source.dead_letters}
    queue = await channel.declare_queue(source.queue, durable=True, arguments=arguments)
    for pattern in source.patterns:
        await queue.bind(source.exchange, pattern)


async def _next(arrived: asyncio.Queue[DeliveredMessage | None], most: int) -> list[DeliveredMessage]:
    """At least one; and what came with it, in order."""
    batch: list[DeliveredMessage] = []
    while not batch or (len(batch) < most and not arrived.empty()):
        message = await arrived.get()
        if message is None:
            raise Away("the broker has ended the subscription: the queue was deleted, or the channel closed")
        batch.append(message)
    return batch


async def _take(wire: Wire, queue: str, batch: Sequence[DeliveredMessage], handle: Handle) -> list[DeliveredMessage]:
    """Settle what can be settled; those that can't be taken now."""
    verdicts = await handle(queue, [message_of(each) for each in batch])
    found: dict[Verdict, list[DeliveredMessage]] = {verdict: [] for verdict in Verdict}
    for message, verdict in zip(batch, verdicts, strict=True):
        found[verdict].append(message)
    for each in found[Verdict.REJECT]:
        await wire.basic_reject(each.delivery_tag or 0, requeue=False, wait=False)
    good, later = found[Verdict.ACK], found[Verdict.LATER]
    if good and not later:  # all before the last are settled, so one word is enough
        await wire.basic_ack(good[-1].delivery_tag or 0, multiple=True)
    for each in good if later else ():
        await wire.basic_ack(each.delivery_tag or 0)
    return later


def message_of(delivered: DeliveredMessage) -> Message:
    """What the library read, as it is."""
    given = delivered.header.properties
    return Message(
        delivered.body,
        exchange=delivered.exchange or "",
        routing_key=delivered.routing_key or "",
        content_type=given.content_type or "",
        content_encoding=given.content_encoding or "",
        message_id=given.message_id or "",
        app_id=given.app_id or "",
        timestamp=given.timestamp,
        headers=given.headers or {},
    )
