"""One event to thousands of people: how fast the bus hands it to the server, against what the server can take at all.

* `chat_vs_raw`: the smaller of the two ratios below (in `--quick` there is only the first).
* `chat_vs_raw_1000`, `chat_vs_raw_10000`: messages a second, for so many subscribers. Ours: from the moment at which
  the event is written to the socket to the arrival of the last message, event after event; so it measures the yes,
  the match, a delivery of its own for everybody in the journal (`synchronous=FULL`), claim, rendering, sending, and
  whatever of the ledger and of settling is done before the last message is on its way. The baseline: a blocking socket
  that writes the same bytes (the product's stanzas, for the same JIDs, made beforehand) in the name of the same
  component to the same server process.

The recipients are JIDs of a second component: its stream is read by a process of its own that counts messages, in both
turns of a round. So every message is routed by the server, and none is stored.

Figures: the daemon's largest resident set after the first event of the largest round, and after all of them; and
`settled_per_second`: the same until nothing waits in the journal any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.benchmarks import unix_client
from tests.benchmarks.events import event_bytes
from tests.benchmarks.figures import Report, Settings, play, say
from tests.benchmarks.product import Product, state_directory
from tests.benchmarks.servers import NODE, stream_to, xmpp_server
from tests.benchmarks.watcher import Watcher
from tests.support.raw_limit import RawPublisher
from tests.support.server import Server
from xmppbus.event import Event
from xmppbus.people.model import Subscription, message_id
from xmppbus.people.texts import event_text
from xmppbus.stores.sqlite import SqliteJournal
from xmppbus.xmpp.messages import Message

ROUNDS = 5
QUICK_ROUNDS = 3
EVENT_TYPE = "bench.fanout"
EVENT_BYTES = 300
SIZES = (1_000, 10_000)
MESSAGES_A_TURN = 30_000
QUICK_MESSAGES_A_TURN = 10_000
MIB = 1024 * 1024


class Turns:
    """The product and the raw socket, each in turn the server's only talker."""

    def __init__(self, directory: Path, server: Server, watcher: Watcher, subscribers: int, events: int) -> None:
        self.server = server
        self.watcher = watcher
        self.subscribers = subscribers
        self.events = events
        bot = {"messages_per_minute": 6_000}
        self.product = Product(directory / f"bus-{subscribers}", node=NODE, more={"bot": bot})
        self.jids = [f"user{number}@{server.component_jids[1]}" for number in range(subscribers)]
        self.resident: tuple[int, int] = (0, 0)
        self.settled: list[float] = []
        asyncio.run(self._subscribe())

    async def _subscribe(self) -> None:
        """Into the journal, as ten thousand people would from their clients."""
        now = datetime.now(UTC)
        async with SqliteJournal(self.product.directory / "journal.db") as journal:
            for start in range(0, self.subscribers, 500):
                wanted = (
                    Subscription(owner=jid, pattern=EVENT_TYPE, created=now) for jid in self.jids[start : start + 500]
                )
                await asyncio.gather(*map(journal.people.subscribe, wanted))

    def ours(self) -> float:
        """Messages a second; one event more, to begin with, is not counted."""
        with self.product.daemon(stream_to(self.server)), self.product.connect() as connection:
            self._tell(connection)
            first = self.product.largest_resident_bytes()
            begun = time.monotonic()
            seconds = sum(self._tell(connection) for _ in range(self.events))
            self.product.until_waiting(0, 60, 0.05)
            self.settled.append(self.subscribers * self.events / (time.monotonic() - begun))
            self.resident = max(self.resident, (first, self.product.largest_resident_bytes()), key=max)
        return self.subscribers * self.events / seconds

    def _tell(self, connection: socket.socket) -> float:
        event = event_bytes(EVENT_TYPE, EVENT_BYTES)
        self.watcher.expect(self.subscribers)
        begun = time.monotonic()
        unix_client.publish(connection, [event], 1).results()
        return self.watcher.seen()[1] - begun

    def raw(self) -> float:
        """The limit."""
        sent = b"".join(self._stanzas() for _ in range(self.events))
        server = self.server
        with RawPublisher(server.host, server.component_port, server.component_jid, server.secret) as stream:
            self.watcher.expect(self.subscribers * self.events)
            begun = time.monotonic()
            stream.socket.sendall(sent)
            seconds = self.watcher.seen()[1] - begun
        return self.subscribers * self.events / seconds

    def _stanzas(self) -> bytes:
        event = Event.decode(event_bytes(EVENT_TYPE, EVENT_BYTES))
        message = Message(f"bot@{self.server.component_jid}/xmppbus", event_text(event))
        return b"".join(message.stanza(jid, message_id(event.item_id, jid, 0)) for jid in self.jids)


def run(settings: Settings) -> Report:
    """See the module."""
    report = Report()
    sizes = SIZES[:1] if settings.quick else SIZES
    messages = QUICK_MESSAGES_A_TURN if settings.quick else MESSAGES_A_TURN
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(state_directory())
        server = stack.enter_context(xmpp_server(settings.server, directory / "server"))
        watcher = stack.enter_context(
            Watcher(server.host, server.component_port, server.component_jids[1], server.secret, "")
        )
        for size in sizes:
            turns = Turns(directory, server, watcher, size, messages // size)
            scores = play(settings.rounds, {"raw": turns.raw, "ours": turns.ours}, settings.measuring_seconds())
            report.rates(f"raw_per_second_{size}", scores["raw"])
            report.rates(f"chat_per_second_{size}", scores["ours"])
            report.rates(f"settled_per_second_{size}", turns.settled)
            report.ratio(f"chat_vs_raw_{size}", list(zip(scores["ours"], scores["raw"], strict=True)))
            report.figures[f"resident_mib_{size}"] = [round(each / MIB, 1) for each in turns.resident]
            say(f"{size}: {turns.resident}")
    report.ratios["chat_vs_raw"] = min(report.ratios.values())
    report.figures["message_bytes"] = len(turns._stanzas()) // turns.subscribers
    return report
