"""Another program at a broker: it publishes with confirms, and consumes, with aio-pika itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage
from aiormq.abc import ChannelFrame
from pamqp import commands as spec
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from tests.support.waiting import until

FAULTS = aio_pika.exceptions.CONNECTION_EXCEPTIONS


class Client:
    """One connection, and a channel with confirms."""

    def __init__(self, connection: AbstractConnection, channel: AbstractChannel) -> None:
        self._connection = connection
        self.channel = channel

    async def send(self, key: str, body: bytes, *, exchange: str = "amq.topic", **properties: Any) -> None:
        """Persistently, and until it is confirmed. Who is not bound is not told."""
        to = await self.channel.get_exchange(exchange, ensure=False) if exchange else self.channel.default_exchange
        message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT, **properties)
        await to.publish(message, key, mandatory=False)

    async def send_raw(self, key: str, body: bytes, properties: dict[str, Any], put: Mapping[bytes, bytes]) -> None:
        """With bytes of the properties put in the place of others, as no decent library would send them."""
        header = ContentHeader(body_size=len(body), properties=spec.Basic.Properties(delivery_mode=2, **properties))
        publish = spec.Basic.Publish(exchange="amq.topic", routing_key=key)
        async with self._connection.channel(publisher_confirms=False) as channel:
            wire = await channel.get_underlay_channel()
            payload = ChannelFrame.marshall(wire.number, [publish, header, ContentBody(body)]).payload
            for old, new in put.items():
                assert old in payload
                assert len(old) == len(new)
                payload = payload.replace(old, new)
            await wire.connection.write_queue.put(ChannelFrame(payload, should_close=False, drain_future=None))

    async def queue(self, name: str, key: str = "", exchange: str = "amq.topic") -> None:
        """A durable queue, bound if a key is given."""
        queue = await self.channel.declare_queue(name, durable=True)
        if key:
            await queue.bind(exchange, key)

    async def get(self, name: str, *, timeout: float = 20) -> AbstractIncomingMessage:
        """The next of a queue, acknowledged."""
        queue = await self.channel.get_queue(name)
        found: list[AbstractIncomingMessage] = []

        async def there() -> bool:
            message = await queue.get(no_ack=True, fail=False)
            found.extend([message] if message else [])
            return bool(found)

        await until(there, timeout, f"a message in the queue {name}", poll=0.05)
        return found[0]

    async def all(self, name: str) -> list[AbstractIncomingMessage]:
        """What is in a queue now."""
        queue = await self.channel.get_queue(name)
        found = []
        while message := await queue.get(no_ack=True, fail=False):
            found.append(message)
        return found

    async def depth(self, name: str) -> int:
        """How many messages are ready in a queue."""
        queue = await self.channel.declare_queue(name, passive=True)
        return queue.declaration_result.message_count or 0


@contextlib.asynccontextmanager
async def client(url: str) -> AsyncIterator[Client]:
    """Connected, and closed at the end whatever has become of the broker."""
    connection = await aio_pika.connect(url)
    try:
        channel = connection.channel()
        await channel.initialize()
        yield Client(connection, channel)
    finally:
        with contextlib.suppress(*FAULTS, asyncio.TimeoutError):
            await asyncio.wait_for(connection.close(), 5)
