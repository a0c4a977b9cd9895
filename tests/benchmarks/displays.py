"""A thousand displays and a hundred events a second: what an event on a display costs, and how late it is there.

1,000 clients read server-sent events, 100 of them (one in ten) never do after the first bytes. Events of 500 bytes are
published by HTTP, one a request.

* `delivered_vs_bare`: processor time of the whole daemon for each event that a client has read, against that of an
  aiohttp server (`StreamResponse.write`) in a loop that writes the same bytes to the same clients, as many events in
  one go as come in the time for which we gather them, and accepts, keeps and looks up nothing. 0.7 means that ours
  takes 1 / 0.7 of the bare loop's time.
* `delivered_vs_one_by_one`: the same loop, which writes each event by itself: what a display is usually fed with.

Figures: `p99_ms` (p50, p90, p99 and maximum in `late_ms`), from before the request that publishes is sent, and so
with the fsync, to the client's `recv`, of every event at every client that reads; processor time an event in
microseconds; and the largest resident set of the daemon.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from tests.benchmarks import http_load
from tests.benchmarks.bare_stream import bare_stream, stamped
from tests.benchmarks.events import event_bytes
from tests.benchmarks.figures import Report, Settings, play, rounded
from tests.benchmarks.product import Product, state_directory
from xmppbus import limits

ROUNDS = 5
QUICK_ROUNDS = 2
CLIENTS = 1_000
SILENT = 100
RATE = 100
EVENT_TYPE = "bench.displays"
TAIL_SECONDS = 0.5
WARM_UP_SECONDS = 1.0
TICKS = os.sysconf("SC_CLK_TCK")
MIB = 1024 * 1024


class Clients:
    """All clients of one turn."""

    def __init__(self, port: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.stream_clients", str(port), str(CLIENTS - SILENT), str(SILENT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        self._expect("ready")
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.kill()
        self._process.wait()

    def go(self) -> None:
        """Count from now on."""
        self._say("go")

    def stop(self) -> dict[str, Any]:
        """How many events came, and how late."""
        self._say("stop")
        assert self._process.stdout is not None
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def _say(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()

    def _expect(self, word: str) -> None:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if line != word:
            raise RuntimeError(f"the clients said {line!r}, not {word}")


class Turns:
    """Each side: how many events are delivered for a second of processor time."""

    def __init__(self, product: Product, seconds: float) -> None:
        self.product = product
        self.seconds = seconds
        self.late: list[dict[str, float]] = []
        self.missed = 0

    def ours(self) -> float:
        """The product."""
        with Clients(self.product.http_port) as clients, publishing(self.product.http_port) as publish:
            publish(WARM_UP_SECONDS)
            time.sleep(TAIL_SECONDS)  # the warm-up's last events must not be counted
            clients.go()
            begun = processor_seconds(self.product.pid)
            published = publish(self.seconds)
            time.sleep(TAIL_SECONDS)  # what is on its way belongs to the turn; a fixed time costs both sides the same
            took = processor_seconds(self.product.pid) - begun
            found = clients.stop()
        self.late.append(found["late_ms"])
        self.missed += published * (CLIENTS - SILENT) - found["delivered"]
        return float(found["delivered"]) / took

    def bare(self, together: int) -> float:
        """The loop."""
        with bare_stream(RATE, together) as (port, pid), Clients(port) as clients:
            time.sleep(WARM_UP_SECONDS)  # the loop writes by itself: a turn is a time, not a condition
            clients.go()
            begun = processor_seconds(pid)
            time.sleep(self.seconds)  # the turn
            took = processor_seconds(pid) - begun
            return float(clients.stop()["delivered"]) / took


@contextlib.contextmanager
def publishing(port: int) -> Iterator[Callable[[float], int]]:
    """Publishes for so many seconds at the rate, on one kept connection, and says how many events it was."""
    with socket.create_connection(("127.0.0.1", port), 30) as door:
        door.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def publish(seconds: float) -> int:
            count, begun = int(seconds * RATE), time.monotonic()
            for number in range(count):
                time.sleep(max(0.0, begun + number / RATE - time.monotonic()))  # this is the rate
                body = stamped(event_bytes(EVENT_TYPE))
                door.sendall(http_load.request("/v1/events", "application/json", body))
                answer = bytearray()
                while not http_load.complete(answer):
                    answer += http_load.read(door)
            return count

        yield publish


def processor_seconds(pid: int) -> float:
    """Of all threads of a process so far, the kernel's work for it included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def run(settings: Settings) -> Report:
    """See the module."""
    report = Report()
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(state_directory())
        product = Product(directory / "bus")
        stack.enter_context(product.daemon(None))
        product.until_healthy()
        turns = Turns(product, 4.0 if settings.quick else 10.0)
        players = {
            "ours": turns.ours,
            "bare": lambda: turns.bare(round(limits.STREAM_TICK_SECONDS * RATE)),
            "bare_one_by_one": lambda: turns.bare(1),
        }
        scores = play(settings.rounds, players, settings.measuring_seconds())
        report.figures["resident_mib"] = rounded(product.largest_resident_bytes() / MIB)
    for name, rates in scores.items():
        report.rates(f"{name}_delivered_per_processor_second", rates)
        report.figures[f"{name}_microseconds"] = rounded(1e6 / sorted(rates)[len(rates) // 2])
    report.ratio("delivered_vs_bare", list(zip(scores["ours"], scores["bare"], strict=True)))
    report.ratio("delivered_vs_one_by_one", list(zip(scores["ours"], scores["bare_one_by_one"], strict=True)))
    late = sorted(turns.late, key=lambda each: each["p99"])[len(turns.late) // 2]
    report.figures |= {"p99_ms": late["p99"], "late_ms": late, "late_ms_rounds": turns.late, "missed": turns.missed}
    report.figures |= {"clients": CLIENTS, "never_reading": SILENT, "events_per_second": RATE}
    return report
