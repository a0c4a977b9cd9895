"""From the yes to the notification, one event at a time, with one subscriber.

* `p50_vs_raw`: ours is the time from the daemon's answer "it is on disk" (read from the Unix socket) to the moment at
  which the subscriber has read the notification. The baseline is the time from a raw component's publish being written
  to the notification. Same server process, same node (not persistent, `open`), same subscriber, same payload, same
  client code; in each round the daemon and the raw component take turns, as a component's name can be held only once.

A notification may come before the answer is read; that counts as its (negative) difference. Figures: p50, p90, p99 and
maximum of both, and `sent_to_notified`: ours from the frame being written, which contains the fsync.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.benchmarks import unix_client
from tests.benchmarks.events import event_bytes
from tests.benchmarks.figures import Report, Settings, percentile, play, spread
from tests.benchmarks.product import Product, state_directory
from tests.benchmarks.servers import NODE, make_node, stream_to, xmpp_server
from tests.support import raw, raw_pubsub
from tests.support.raw_limit import publish_stanza
from tests.support.server import Server

ROUNDS = 5
QUICK_ROUNDS = 5
EVENT_TYPE = "bench.latency"
EVENT_BYTES = 300
WARM_UP = 50


class Notified:
    """The next notification, awaited one at a time."""

    def __init__(self, watcher: raw.RawStream) -> None:
        self.times: asyncio.Queue[raw.Notification] = asyncio.Queue()
        watcher.on_notification = self.times.put_nowait

    async def time_of(self, item_id: str) -> float:
        """When this item came; any other is an error here."""
        notification = await asyncio.wait_for(self.times.get(), 20)
        if notification.item_id != item_id:
            raise RuntimeError(f"expected {item_id}, saw {notification.item_id}")
        return notification.monotonic


class Turns:
    """Both sides of the comparison; every measured time is kept."""

    def __init__(self, directory: Path, server: Server, count: int) -> None:
        self.server = server
        self.count = count
        self.product = Product(directory / "bus", node=NODE)
        self.payload = make_node(self.product, server, EVENT_TYPE, EVENT_BYTES)
        self.after_yes: list[float] = []
        self.after_sending: list[float] = []
        self.raw_times: list[float] = []

    async def _watched(self, turn: Callable[[Notified], Awaitable[None]]) -> None:
        server = self.server
        watcher = await raw.component(server.host, server.component_port, server.component_jids[1], server.secret)
        async with watcher:
            await raw_pubsub.subscribe(watcher, server.pubsub_service, EVENT_TYPE)
            await turn(Notified(watcher))

    def ours(self) -> float:
        """Seconds, p50 of this round."""
        with self.product.daemon(stream_to(self.server)):
            asyncio.run(self._watched(self._our_turn))
        return percentile(self.after_yes[-self.count :], 50)

    async def _our_turn(self, notified: Notified) -> None:
        reader, writer = await asyncio.open_unix_connection(str(self.product.socket))
        for number in range(self.count + WARM_UP):
            frame = unix_client.publish_frame(event_bytes(EVENT_TYPE, EVENT_BYTES))
            sent = time.monotonic()
            writer.write(frame)
            header = await reader.readexactly(unix_client.HEADER.size)
            answer = await reader.readexactly(unix_client.HEADER.unpack(header)[1])
            accepted = time.monotonic()
            seen = await notified.time_of(json.loads(answer)["id"])
            if number >= WARM_UP:
                self.after_yes.append(seen - accepted)
                self.after_sending.append(seen - sent)
        writer.close()
        await writer.wait_closed()

    def raw(self) -> float:
        """Seconds, p50 of this round."""
        asyncio.run(self._watched(self._raw_turn))
        return percentile(self.raw_times[-self.count :], 50)

    async def _raw_turn(self, notified: Notified) -> None:
        server = self.server
        publisher = await raw.component(server.host, server.component_port, server.component_jid, server.secret)
        async with publisher:
            for number in range(self.count + WARM_UP):
                item_id = str(uuid.uuid4())
                stanza = publish_stanza(publisher.jid, server.pubsub_service, EVENT_TYPE, number, item_id, self.payload)
                sent = time.monotonic()
                publisher.write(stanza)
                seen = await notified.time_of(item_id)
                if number >= WARM_UP:
                    self.raw_times.append(seen - sent)


def run(settings: Settings) -> Report:
    """See the module."""
    report = Report()
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(state_directory())
        server = stack.enter_context(xmpp_server(settings.server, directory / "server"))
        turns = Turns(directory, server, 500 if settings.quick else 2000)
        scores = play(settings.rounds, {"raw": turns.raw, "ours": turns.ours}, settings.measuring_seconds())
    report.ratio("p50_vs_raw", list(zip(scores["ours"], scores["raw"], strict=True)))
    report.figures["accepted_to_notified_ms"] = spread(turns.after_yes)
    report.figures["sent_to_notified_ms"] = spread(turns.after_sending)
    report.figures["raw_publish_to_notified_ms"] = spread(turns.raw_times)
    return report
