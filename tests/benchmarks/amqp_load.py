"""RabbitMQ as a yardstick of "accepted and on disk".

A durable queue, persistent messages, publisher confirms; the client is aio-pika.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import aio_pika

IN_FLIGHT = 64
QUEUE = "benchmark"


async def confirm_all(url: str, bodies: Sequence[bytes], in_flight: int) -> float:
    """Publish each, at most `in_flight` unconfirmed; seconds from the first to the last confirm."""
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel(publisher_confirms=True)
        await channel.declare_queue(QUEUE, durable=True)
        messages = iter([aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT) for body in bodies])
        exchange = channel.default_exchange

        async def worker() -> None:
            for message in messages:
                # `mandatory`: without it RabbitMQ confirms what it could not route anywhere.
                await exchange.publish(message, QUEUE, mandatory=True)

        begun = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(in_flight):
                group.create_task(worker())
        seconds = time.perf_counter() - begun
        await channel.queue_delete(QUEUE)
    return seconds


def rate(url: str, bodies: Sequence[bytes], in_flight: int = IN_FLIGHT) -> float:
    """Messages a second."""
    return len(bodies) / asyncio.run(confirm_all(url, bodies, in_flight))
