"""Consumers of a queue, over the Unix socket and over AMQP; both are at the same events, in processes of their own.

Each side speaks its own language, from one asyncio program: `xmppbus queue consume` in lines, and aio-pika.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Sequence
from pathlib import Path

import aio_pika

from xmppbus.inputs import frames

QUEUE = "benchmark"
FRAME_BYTES = 1_048_576


async def consume(path: Path, count: int, prefetch: int) -> float:
    """Seconds from the connection until `count` events were taken and acknowledged, each by itself."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(path))
    begun = time.perf_counter()
    reader, writer = await asyncio.open_unix_connection(sock=connection)
    arguments = ("queue", "consume", QUEUE, "--prefetch", str(prefetch))
    writer.write(
        b"".join(
            [
                frames.pack(frames.VERSION, frames.PROTOCOL),
                *(frames.pack(frames.ARGUMENT, each.encode()) for each in arguments),
                frames.pack(frames.GO),
            ]
        )
    )
    splitter, held, outbox, asked, done = frames.Splitter(FRAME_BYTES), b"", bytearray(), False, 0
    while done < count:
        for kind, payload in splitter.feed(await reader.read(262_144)):
            if kind == frames.ASK:
                asked = True
            elif kind == frames.OUTPUT:
                *lines, held = (held + payload).split(b"\n")
                for line in lines:
                    said = json.loads(line)
                    if "lease" in said:
                        outbox += b'{"ack":%d}\n' % said["lease"]
                    else:
                        done += 1
            elif kind != frames.WATCH:
                raise RuntimeError(f"{kind!r}: {payload!r}")
        if asked and outbox:
            writer.write(frames.pack(frames.CONTENT, bytes(outbox)))
            outbox.clear()
            asked = False
    seconds = time.perf_counter() - begun
    writer.close()
    await writer.wait_closed()
    return seconds


async def fill_amqp(url: str, bodies: Sequence[bytes]) -> None:
    """A durable queue with persistent messages, and nothing else in it."""
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        await channel.queue_delete(QUEUE)
        await channel.declare_queue(QUEUE, durable=True)
        messages = iter([aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT) for body in bodies])

        async def publish() -> None:
            for message in messages:
                await channel.default_exchange.publish(message, QUEUE)

        async with asyncio.TaskGroup() as group:
            for _ in range(64):
                group.create_task(publish())


async def consume_amqp(url: str, count: int, prefetch: int) -> float:
    """The same, of a classic durable queue: RabbitMQ's acknowledgements are not confirmed, so there the last is not
    waited for."""
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=prefetch)
        queue = await channel.declare_queue(QUEUE, durable=True)
        begun = time.perf_counter()
        done = 0
        async with queue.iterator() as messages:
            async for message in messages:
                await message.ack()
                done += 1
                if done == count:
                    break
        return time.perf_counter() - begun
