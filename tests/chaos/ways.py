"""Publishers at the ways in that are switched on by the config, as careful programs use them.

None of these is told a sequence: what they were told yes for is looked up in the end. RabbitMQ and Redis say yes
themselves, long before the bus does; then it is the bus's promise to fetch it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import smtplib
from abc import ABC, abstractmethod
from functools import partial
from time import monotonic
from typing import Any

import aio_pika
import aiohttp
import redis.asyncio as redis

from tests.chaos.load import ANSWER_SECONDS, Event, Publisher, PublisherKind
from tests.support.stomp_client import StompClient
from tests.support.waiting import until

AMQP_QUEUE, REDIS_STREAM = "chaos", "chaos"
FETCH_TIMEOUT = 60.0
FAULTS = (OSError, EOFError, TimeoutError, aiohttp.ClientError, smtplib.SMTPException)
CLOUDEVENT = "application/cloudevents+json"


def encoded(event: Event) -> bytes:
    """As CloudEvents JSON."""
    return json.dumps({"specversion": "1.0", **event}).encode()


class PatientPublisher(Publisher, ABC):
    """One event at a time, said again until `say` does not raise."""

    async def run(self, ending: asyncio.Event) -> None:
        """See Publisher."""
        while not ending.is_set():
            event = self.event()
            await self.until_yes(partial(self._said_yes, event))
            self.later.append(event)
            self.yes_times.append(monotonic())
            await self.pause(ending)
        await self.leave()

    async def _said_yes(self, event: Event) -> bool:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self.say(event)
        except FAULTS:
            await self.leave()
            return False
        return True

    @abstractmethod
    async def say(self, event: Event) -> None:
        """Send it, and return with the yes. Raises what the network raises."""

    async def leave(self) -> None:
        """Close what is open."""


class StompPublisher(PatientPublisher):
    """SEND with a receipt; one in five within a transaction."""

    def __init__(self, port: int, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._port = port
        self._client: StompClient | None = None
        self._transactions = 0

    async def say(self, event: Event) -> None:
        """See PatientPublisher."""
        if self._client is None:
            client = StompClient(self._port)
            await client.__aenter__()
            self._client = client
            await client.connect()
        body, headers = encoded(event), {"destination": f"/topic/{event['type']}", "content-type": CLOUDEVENT}
        headers["content-length"] = str(len(body))
        if self.dice.random() < 0.2:
            self._transactions += 1
            name = f"t{self._transactions}"
            self._client.say("BEGIN", transaction=name)
            self._client.say("SEND", headers, body, transaction=name)
            got = await self._client.ask("COMMIT", transaction=name)
        else:
            got = await self._client.ask("SEND", headers, body)
        if got.command != "RECEIPT":
            if "closing" not in got["message"]:
                self.refused(str(got))
            raise ConnectionError(got["message"])

    async def leave(self) -> None:
        """See PatientPublisher."""
        client, self._client = self._client, None
        if client:
            await client.__aexit__(None, None, None)


class WebhookPublisher(PatientPublisher):
    """A service that posts CloudEvents to the one address that it was given."""

    async def say(self, event: Event) -> None:
        """See PatientPublisher."""
        url = f"{self.daemon.url}/v1/webhooks/cloudevents"
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=encoded(event), headers={"Content-Type": CLOUDEVENT}) as answer,
        ):
            if answer.status >= 500:
                raise ConnectionError(answer.status)
            if answer.status not in (200, 202):
                self.refused(f"{answer.status} {await answer.text()}")


class AmqpPublisher(PatientPublisher):
    """A program that publishes to RabbitMQ with confirms; the bus consumes the queue."""

    def __init__(self, url: str, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._url = url
        self._connection: aio_pika.abc.AbstractConnection | None = None
        self._exchange: aio_pika.abc.AbstractExchange | None = None

    async def say(self, event: Event) -> None:
        """See PatientPublisher."""
        if self._exchange is None:
            self._connection = await aio_pika.connect(self._url)
            channel = await self._connection.channel()
            await channel.declare_queue(AMQP_QUEUE, durable=True)
            self._exchange = channel.default_exchange
        mode = aio_pika.DeliveryMode.PERSISTENT
        message = aio_pika.Message(encoded(event), content_type=CLOUDEVENT, delivery_mode=mode)
        await self._exchange.publish(message, AMQP_QUEUE, mandatory=True)

    async def leave(self) -> None:
        """See PatientPublisher."""
        if self._connection:
            await self._connection.close()
        self._connection = self._exchange = None

    async def found(self, event: Event) -> dict[str, Any] | None:
        """See Publisher."""
        return await fetched_by_now(self, event)


class RedisPublisher(PatientPublisher):
    """A program that adds to a Redis stream; the bus reads it as a consumer group."""

    def __init__(self, url: str, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._redis = redis.from_url(url)

    async def say(self, event: Event) -> None:
        """See PatientPublisher."""
        await self._redis.xadd(REDIS_STREAM, {"event": encoded(event)})

    async def leave(self) -> None:
        """See PatientPublisher."""
        await self._redis.aclose()

    async def found(self, event: Event) -> dict[str, Any] | None:
        """See Publisher."""
        return await fetched_by_now(self, event)


async def fetched_by_now(publisher: Publisher, event: Event) -> dict[str, Any] | None:
    """What the daemon has of an event that a broker has said yes for, once it has fetched it."""
    found: dict[str, Any] | None = None

    async def fetched() -> bool:
        nonlocal found
        found = await publisher.daemon.fetched(event["source"], event["id"])
        return found is not None

    with contextlib.suppress(AssertionError):
        await until(fetched, FETCH_TIMEOUT, "the daemon to fetch it")
    return found


class SmtpPublisher(PatientPublisher):
    """An old device that mails. The bus names what comes by mail itself: the names are read back in the end."""

    def __init__(self, port: int, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._port = port

    def event(self) -> Event:
        """A mail; what it becomes is not known yet."""
        self.count += 1
        subject, text = f"mail-{self.count}", f"Line one of {self.count}\nand two"
        return {"type": self.dice.choice(self.nodes), "source": self.name, "id": subject, "data": text}

    async def say(self, event: Event) -> None:
        """See PatientPublisher."""
        await asyncio.to_thread(self._send, event)

    def _send(self, event: Event) -> None:
        headers = f"From: ups@example.org\nSubject: {event['id']}\nMessage-ID: <{event['id']}@example.org>\n"
        with smtplib.SMTP("127.0.0.1", self._port, timeout=ANSWER_SECONDS) as smtp:
            smtp.sendmail("ups@example.org", [f"{event['type']}@localhost"], f"{headers}\n{event['data']}\n")

    async def find_later(self) -> list[str]:
        """See Publisher."""
        mails: dict[str, list[dict[str, Any]]] = {}
        for entry in await self._everything():
            if entry["event"].get("summary", "").startswith("mail-"):
                self.ledger.attempt(entry["event"])
                mails.setdefault(entry["event"]["summary"], []).append(entry)
        self.refusals += [f"{name} is there {len(each)} times" for name, each in mails.items() if len(each) > 1]
        for event in self.later:
            for entry in mails.get(event["id"], []):
                self.ledger.accept([(entry["event"], entry)])
                if entry["event"]["data"]["text"].strip() != event["data"]:
                    self.refusals.append(f"{event['id']} says {entry['event']['data']['text']!r}")
        return [event["id"] for event in self.later if event["id"] not in mails]

    async def _everything(self) -> list[dict[str, Any]]:
        """All that is in the journal."""
        lines: list[str] = []
        while (done := await self.daemon.run("get", "#", "-n", "1000", "--json")).code == 0:
            lines += done.out.splitlines()
        return [json.loads(line) for line in lines]


def at(make: Any, where: Any, often: float) -> tuple[PublisherKind, float]:
    """A door of `Doors`: a publisher that needs to know where."""
    return partial(make, where), often
