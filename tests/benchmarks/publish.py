"""Journal to node: how fast the bus publishes what it has accepted, against what the server can take at all.

* `publish_vs_raw`: the smaller of the two ratios below.
* `publish_vs_raw_0_subscribers`, `publish_vs_raw_1_subscriber`: publishes a second. Ours: the events are in the journal
  (`synchronous=FULL`) before the daemon is started; the clock is the journal's own note of when each delivery was
  settled, from the commit that settled the event at 5 % to the last one. So it measures claim, look-up in the journal,
  publish, the server's result, and the commit that writes it down. The baseline: a blocking socket that pipelines
  pre-serialised publishes through a window of 64, in the name of the same component, on the same node, which the
  product made (not persistent, access model `open`), on the same server process, with the payload of one of the
  product's own items, under other ids.

The subscriber is a component's JID that counts notifications in a process of its own, in both turns of a round.
"""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from pathlib import Path

from tests.benchmarks import unix_client
from tests.benchmarks.events import events
from tests.benchmarks.figures import Report, Settings, play
from tests.benchmarks.product import Product, state_directory
from tests.benchmarks.servers import NODE, closed, make_node, stream_to, xmpp_server
from tests.benchmarks.watcher import Watcher
from tests.support.raw_limit import RawPublisher, publish_stanza
from tests.support.server import Server

ROUNDS = 5
QUICK_ROUNDS = 5
EVENT_TYPE = "bench.publish"
EVENT_BYTES = 300
COUNT = {"prosody": 20_000, "ejabberd": 50_000}
QUICK_COUNT = {"prosody": 4_000, "ejabberd": 10_000}
DRAIN_SECONDS = 240.0
BEGINS = 0.05


class Pair:
    """The product and the raw socket, each in turn the server's only publisher."""

    def __init__(self, directory: Path, server: Server, count: int) -> None:
        self.server = server
        self.count = count
        self.stream = stream_to(server)
        self.product = Product(directory / "bus", node=NODE)
        self.payload = make_node(self.product, server, EVENT_TYPE, EVENT_BYTES)
        self.watcher: Watcher | None = None
        self.limit_per_second = 0.0

    def raw(self) -> float:
        """The limit."""
        node, service, jid = EVENT_TYPE, self.server.pubsub_service, self.stream.component
        stanzas = [
            publish_stanza(jid, service, node, number, str(uuid.uuid4()), self.payload) for number in range(self.count)
        ]
        with RawPublisher(self.server.host, self.server.component_port, jid, self.server.secret) as publisher:
            self._expect()
            self.limit_per_second = publisher.publish_all(stanzas).per_second
        self._seen()
        return self.limit_per_second

    def ours(self) -> float:
        """Accept while the server seems to be down; then start on what is in the journal."""
        with self.product.daemon(closed(self.stream)), self.product.connect() as connection:
            answers = unix_client.publish(connection, list(events(self.count, EVENT_TYPE, EVENT_BYTES)), 1000)
        ids = [one["id"] for one in answers.results()]
        self._expect()
        with self.product.daemon(self.stream):
            # To ask how far it is costs a daemon on a busy machine something: not before it can be nearly done.
            time.sleep(0.9 * self.count / self.limit_per_second)
            self._seen()
            self.product.until_waiting(0, DRAIN_SECONDS)
            first, begun = self._settled_first(ids)
            seconds = self.product.settled(ids[-1]) - begun
        return (self.count - first - 1) / seconds

    def _settled_first(self, ids: list[str]) -> tuple[int, float]:
        """The last event of the commit that settled the event at 5 %, and when that was.

        Many are settled in one commit; to count from one in the middle of it would count the others as ours.
        """
        first = round(self.count * BEGINS)
        begun = self.product.settled(ids[first])
        inside, outside = first, self.count - 1
        while outside - inside > 1:
            middle = min((inside + outside) // 2, inside + 128)
            if self.product.settled(ids[middle]) > begun:
                outside = middle
            else:
                inside = middle
        return inside, begun

    def _expect(self) -> None:
        if self.watcher is not None:
            self.watcher.expect(self.count)

    def _seen(self) -> None:
        if self.watcher is not None:
            self.watcher.seen()


def run(settings: Settings) -> Report:
    """See the module."""
    report = Report()
    count = (QUICK_COUNT if settings.quick else COUNT)[settings.server]
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(state_directory())
        server = stack.enter_context(xmpp_server(settings.server, directory / "server"))
        pair = Pair(directory, server, count)
        without = play(settings.rounds, {"raw": pair.raw, "ours": pair.ours}, settings.measuring_seconds(2))
        pair.watcher = stack.enter_context(
            Watcher(
                server.host,
                server.component_port,
                server.component_jids[1],
                server.secret,
                server.pubsub_service,
                EVENT_TYPE,
            )
        )
        beside = play(settings.rounds, {"raw": pair.raw, "ours": pair.ours}, settings.measuring_seconds(2))
    for name, scores in (("0_subscribers", without), ("1_subscriber", beside)):
        report.rates(f"raw_per_second_{name}", scores["raw"])
        report.rates(f"publish_per_second_{name}", scores["ours"])
        report.ratio(f"publish_vs_raw_{name}", list(zip(scores["ours"], scores["raw"], strict=True)))
    report.ratios["publish_vs_raw"] = min(report.ratios.values())
    report.figures["item_payload_bytes"] = len(pair.payload)
    report.figures["events_a_round"] = count
    report.figures["node"] = json.dumps(NODE)
    return report
