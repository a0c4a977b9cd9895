"""Events a second that one consumer takes from a durable queue and acknowledges one by one.

Each event has 500 bytes of JSON; all of them wait in the queue before the clock starts. The XMPP server is down.

* `prefetch_100_vs_rabbitmq`: `xmppbus queue consume --prefetch 100` over the Unix socket, where each acknowledgement is
  answered when it is on disk, against RabbitMQ: a durable queue, persistent messages, aio-pika with a prefetch of 100.
  RabbitMQ does not say when an acknowledgement is on disk, so nobody waits for that there.
* `prefetch_1_vs_rabbitmq`: the same with one event at a time, where ours waits for a disk each time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable

from tests.benchmarks import queue_consumers, unix_client
from tests.benchmarks.accept import server_that_is_down
from tests.benchmarks.events import events
from tests.benchmarks.figures import Report, Settings, play
from tests.benchmarks.product import Product, state_directory
from tests.support.rabbitmq import rabbitmq

ROUNDS = 5
QUICK_ROUNDS = 3
EVENT_TYPE = "bench.queue"
WINDOW = 1_000


def fill(product: Product, count: int) -> None:
    """Events of the queue alone."""
    bodies = [json.loads(body) | {"queue": queue_consumers.QUEUE} for body in events(count, EVENT_TYPE)]
    with product.connect() as connection:
        answers = unix_client.publish(connection, [json.dumps(body).encode() for body in bodies], WINDOW)
    if any(one["result"] != "new" for one in answers.results()):
        raise RuntimeError("an event was not new")


def players(product: Product, url: str, count: int) -> dict[str, Callable[[], float]]:
    """Both sides; one at a time takes a tenth."""

    def ours(prefetch: int, number: int) -> float:
        fill(product, number)
        return number / asyncio.run(queue_consumers.consume(product.socket, number, prefetch))

    def rabbit(prefetch: int, number: int) -> float:
        asyncio.run(queue_consumers.fill_amqp(url, list(events(number, EVENT_TYPE))))
        return number / asyncio.run(queue_consumers.consume_amqp(url, number, prefetch))

    return {
        "prefetch_100": lambda: ours(100, count),
        "rabbitmq_100": lambda: rabbit(100, count),
        "prefetch_1": lambda: ours(1, count // 10),
        "rabbitmq_1": lambda: rabbit(1, count // 10),
    }


def run(settings: Settings) -> Report:
    """See the module."""
    report = Report()
    count = 4_000 if settings.quick else 20_000
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(state_directory())
        broker = stack.enter_context(rabbitmq())
        product = Product(directory / "bus")
        stack.enter_context(product.daemon(server_that_is_down()))
        product.until_healthy()
        scores = play(settings.rounds, players(product, broker.url, count), settings.measuring_seconds())
    for name, rates in scores.items():
        report.rates(f"{name}_per_second", rates)
    for prefetch in (100, 1):
        pairs = list(zip(scores[f"prefetch_{prefetch}"], scores[f"rabbitmq_{prefetch}"], strict=True))
        report.ratio(f"prefetch_{prefetch}_vs_rabbitmq", pairs)
    report.figures["event_bytes"] = 500
    report.figures["events_a_round"] = count
    return report
