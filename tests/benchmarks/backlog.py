"""A long outage: a million events accepted with the server down, the daemon killed and started again, all drained.

* `last_tenth_vs_first`: publishes a second over the last tenth of the drain against the first tenth, by the journal's
  note of when each delivery was settled. One is what a queue costs whose size does not matter.

Figures: `rss_mib`, the largest resident set of the daemon over all of it; `cold_start_s`, from fork to the first event
accepted, with the whole backlog in the journal, after SIGKILL; accepting and draining rates by tenths. The node is not
persistent, so the drain goes at the server's own rate; events have 500 bytes. `--quick` has 100,000 of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from dataclasses import dataclass

from tests.benchmarks import unix_client
from tests.benchmarks.events import event_bytes, events
from tests.benchmarks.figures import Report, Settings, Stopwatch, rounded, say
from tests.benchmarks.product import NotSettled, Product, Stream, state_directory
from tests.benchmarks.servers import NODE, make_server, stream_to
from tests.support.server import Server

ROUNDS = 1
QUICK_ROUNDS = 1
EVENT_TYPE = "bench.backlog"
EVENT_BYTES = 500
COUNT = 1_000_000
QUICK_COUNT = 100_000
TENTHS = 10
WINDOW = 1000
DRAIN_SECONDS = 1200.0
QUICK_END_SECONDS = 44.0
LEAST_BORDERS = 3


@dataclass(slots=True)
class Preloaded:
    """What was accepted: the item ids at the borders of the tenths, and the rate of each tenth."""

    borders: list[str]
    per_second: list[float]


def preload(product: Product, count: int) -> Preloaded:
    """Accept over the socket, a tenth at a time, so that this process needs little memory too."""
    found = Preloaded([], [])
    with product.connect() as connection:
        for _ in range(TENTHS):
            payloads = list(events(count // TENTHS, EVENT_TYPE, EVENT_BYTES))
            answers = unix_client.publish(connection, payloads, WINDOW)
            results = answers.results()
            found.borders += [results[0]["id"]] if not found.borders else []
            found.borders.append(results[-1]["id"])
            found.per_second.append(len(payloads) / answers.seconds)
            say(f"accepted a tenth at {rounded(found.per_second[-1])}/s")
    return found


def cold_start(product: Product, stream: Stream) -> float:
    """Seconds from fork to the first yes."""
    begun = time.perf_counter()
    product.start(stream)
    with product.connect() as connection:
        unix_client.publish(connection, [event_bytes(EVENT_TYPE, EVENT_BYTES)], 1).results()
    return time.perf_counter() - begun


def drain(product: Product, server: Server, borders: list[str], timeout: float) -> list[float]:
    """Start the server, wait until nothing waits or the time is over; the seconds that each whole tenth took."""
    asyncio.run(server.start())
    with contextlib.suppress(TimeoutError):
        product.until_waiting(0, timeout, poll=1.0)
    times = []
    for item_id in borders:
        try:
            times.append(product.settled(item_id))
        except NotSettled:
            break
    if len(times) < LEAST_BORDERS:
        raise TimeoutError(f"only {max(0, len(times) - 1)} tenths were drained in {timeout:.0f} s: {product.status()}")
    return [later - earlier for earlier, later in itertools.pairwise(times)]


def run(settings: Settings) -> Report:
    """See the module."""
    report = Report()
    watch = Stopwatch()
    count = QUICK_COUNT if settings.quick else COUNT
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(state_directory())
        server = make_server(settings.server, directory / "server")
        server.directory.mkdir(parents=True, exist_ok=True)
        stack.callback(lambda: asyncio.run(server.stop()))
        product = Product(directory / "bus", node=NODE)
        stack.callback(product.stop)
        product.start(stream_to(server))
        loaded = preload(product, count)
        accepting = product.largest_resident_bytes()
        product.kill()
        report.figures["cold_start_s"] = rounded(cold_start(product, stream_to(server)))
        left = QUICK_END_SECONDS - watch.seconds if settings.quick else DRAIN_SECONDS
        seconds = drain(product, server, loaded.borders, left)
        draining = product.largest_resident_bytes()
        report.figures["journal_bytes"] = sum(path.stat().st_size for path in product.directory.glob("journal.db*"))
    rates = [count / TENTHS / taken for taken in seconds]
    report.ratios["last_tenth_vs_first"] = rounded(rates[-1] / rates[0])
    report.figures["events"] = count
    report.figures["drained_tenths"] = len(rates)
    report.figures["rss_mib"] = rounded(max(accepting, draining) / 2**20)
    report.figures["rss_mib_accepting"] = rounded(accepting / 2**20)
    report.figures["rss_mib_draining"] = rounded(draining / 2**20)
    report.figures["accept_per_second_by_tenth"] = [rounded(rate) for rate in loaded.per_second]
    report.figures["drain_per_second_by_tenth"] = [rounded(rate) for rate in rates]
    report.figures["drain_s"] = rounded(sum(seconds))
    return report
