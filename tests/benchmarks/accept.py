"""Events a second accepted, which means fsynced, by each door; the XMPP server is down, as it may be.

Each event has 500 bytes of JSON and a name of its own, and gets one delivery in the journal.

* `socket_vs_rabbitmq`: the Unix socket, one event a frame, pipelined with at most 1,000 unanswered, against RabbitMQ
  with a durable queue, persistent messages and publisher confirms, published with aio-pika at 64 in flight.
* `lines_vs_rabbitmq`: `xmppbus publish TYPE --lines` as a whole process, its input in a file, against the same.
* `http_batch_vs_rabbitmq`: POST /v1/events, CloudEvents batches of 100, on 4 kept connections, against the same.
* `http_single_vs_empty_handler`: POST /v1/events, one structured CloudEvent a request, on 16 kept connections, against
  an aiohttp handler that answers 202 and does nothing, with the same requests and the same client.

Figures beside them: the socket at 64 in flight, and a file that is fsynced after every record.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks import amqp_load, fsync_loop, http_load, unix_client
from tests.benchmarks.empty_handler import empty_handler
from tests.benchmarks.events import LOG_LINE, events
from tests.benchmarks.figures import Report, Settings, play
from tests.benchmarks.product import Product, Stream, program, state_directory
from tests.support.ports import free_port
from tests.support.rabbitmq import rabbitmq

ROUNDS = 5
QUICK_ROUNDS = 5
BATCH = 100
SOCKET_WINDOW = 1000
RABBITMQ_WINDOW = 64
BATCH_CONNECTIONS = 4
SINGLE_CONNECTIONS = 16
STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"
EVENT_TYPE = "bench.accept"


class Doors:
    """Each way in, timed for `count` events; the events are made before the clock starts."""

    def __init__(self, product: Product, count: int) -> None:
        self.product = product
        self.count = count

    def socket(self, window: int = SOCKET_WINDOW) -> float:
        """Pipelined frames."""
        payloads = list(events(self.count, EVENT_TYPE))
        with self.product.connect() as connection:
            answers = unix_client.publish(connection, payloads, window)
        if any(one["result"] != "new" for one in answers.results()):
            raise RuntimeError("an event was not new")
        return self.count / answers.seconds

    def lines(self) -> float:
        """A whole process with a file of lines."""
        path = self.product.directory / "lines"
        path.write_text("".join(f"{number} {LOG_LINE}\n" for number in range(self.count)))
        with path.open("rb") as source:
            begun = time.perf_counter()
            command = [program(), "publish", EVENT_TYPE, "--lines"]
            subprocess.run(
                command, stdin=source, stdout=subprocess.DEVNULL, env=self.product.environment, check=True, timeout=300
            )
            return self.count / (time.perf_counter() - begun)

    def batches(self) -> float:
        """HTTP, a hundred events a request."""
        bodies = list(events(self.count, EVENT_TYPE))
        batches = [b"[" + b",".join(bodies[at : at + BATCH]) + b"]" for at in range(0, self.count, BATCH)]
        requests = [http_load.request("/v1/events", BATCHED, batch) for batch in batches]
        return self.count / http_load.post_all(self.product.http_port, requests, BATCH_CONNECTIONS)

    def singles(self, port: int, count: int) -> float:
        """HTTP, one event a request; also what the empty handler is asked."""
        requests = [http_load.request("/v1/events", STRUCTURED, body) for body in events(count, EVENT_TYPE)]
        return count / http_load.post_all(port, requests, SINGLE_CONNECTIONS)


def server_that_is_down() -> Stream:
    """A stream to a port that nobody listens on."""
    return Stream("bus.localhost", "127.0.0.1", free_port(), "secret", "pubsub.localhost")


def players(doors: Doors, rabbitmq_url: str, empty_port: int, directory: Path) -> dict[str, Callable[[], float]]:
    """All contenders."""
    fewer = doors.count // 4

    def amqp() -> float:
        return amqp_load.rate(rabbitmq_url, list(events(fewer, EVENT_TYPE)), RABBITMQ_WINDOW)

    return {
        "socket": doors.socket,
        "rabbitmq": amqp,
        "lines": doors.lines,
        "http_batch": doors.batches,
        "http_single": lambda: doors.singles(doors.product.http_port, fewer),
        "empty_handler": lambda: doors.singles(empty_port, fewer),
        "socket_64_in_flight": lambda: doors.socket(RABBITMQ_WINDOW),
        "fsync_one_by_one": lambda: fsync_loop.rate(directory, list(events(fewer, EVENT_TYPE))),
    }


def run(settings: Settings) -> Report:
    """See the module."""
    report = Report()
    count = 12_000 if settings.quick else 40_000
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(state_directory())
        broker = stack.enter_context(rabbitmq())
        empty = stack.enter_context(empty_handler())
        product = Product(directory / "bus")
        stack.enter_context(product.daemon(server_that_is_down()))
        product.until_healthy()
        Doors(product, 2000).socket()  # what is imported or compiled once, is so now
        doors = Doors(product, count)
        scores = play(settings.rounds, players(doors, broker.url, empty, directory), settings.measuring_seconds())
    for name, rates in scores.items():
        report.rates(f"{name}_per_second", rates)
    for name in ("socket", "lines", "http_batch"):
        report.ratio(f"{name}_vs_rabbitmq", list(zip(scores[name], scores["rabbitmq"], strict=True)))
    report.ratio("http_single_vs_empty_handler", list(zip(scores["http_single"], scores["empty_handler"], strict=True)))
    report.figures["event_bytes"] = 500
    report.figures["events_a_round"] = count
    return report
