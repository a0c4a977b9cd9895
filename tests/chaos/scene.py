"""What every chaos test sets up: a server, the daemon, publishers at its doors, a subscriber, and the oracle's ledger.

pytest tests/chaos                                      the quick form, in some minutes
XMPPBUS_CHAOS=long pytest tests/chaos                   the whole programme: hundreds of kills, hours
XMPPBUS_CHAOS_SEED=12345 pytest tests/chaos -k kill     again, with the dice of a run that printed `seed 12345`
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from time import monotonic
from typing import Any

from tests.chaos.load import DOORS, Doors, Load
from tests.chaos.subscriber import Subscriber
from tests.support.daemon import Daemon
from tests.support.oracle import Ledger, Verdict, judge
from tests.support.server import Server, ServerFactory
from tests.support.waiting import until

LONG = os.environ.get("XMPPBUS_CHAOS") == "long"
SEED = int(os.environ["XMPPBUS_CHAOS_SEED"]) if "XMPPBUS_CHAOS_SEED" in os.environ else None
MAX_ITEMS = 100_000 if LONG else 10_000
NODES = ("chaos.one", "chaos.two", "chaos.three")
DRAIN_TIMEOUT = 120.0

# Storage that outlives a restart of Prosody and is quick enough for the load; caps above what the load makes.
KEEPING: dict[str, dict[str, Any]] = {
    "prosody": {"pubsub_storage": "sql", "pubsub_max_items": MAX_ITEMS},
    "ejabberd": {"pubsub_max_items": MAX_ITEMS},
}


async def on_both(
    own_server: ServerFactory, directory: Path, play: Callable[[Server, Path], Coroutine[Any, Any, None]]
) -> None:
    """The same on Prosody and on ejabberd, side by side: most of it is waiting. A failure of one ends both."""
    async with asyncio.TaskGroup() as group:
        for name, settings in KEEPING.items():
            group.create_task(play(await own_server(name, **settings), directory / name), name=name)


def times(quick: int, long: int) -> int:
    """How often, in the form that was asked for."""
    return long if LONG else quick


@dataclass
class Scene:
    """A running daemon on a running server, with everything that watches it."""

    server: Server
    daemon: Daemon
    ledger: Ledger
    load: Load
    subscriber: Subscriber
    figures: dict[str, list[float]] = field(default_factory=dict)

    def measured(self, what: str, seconds: float) -> None:
        """A figure for the summary; no test depends on it."""
        self.figures.setdefault(what, []).append(seconds)

    def fault(self) -> float:
        """Something is broken on purpose now."""
        now = monotonic()
        self.ledger.fault(now)
        return now

    async def until_accepted_since(self, moment: float, timeout: float) -> float:
        """Wait for a yes after that moment; the seconds that it took."""
        await until(lambda: self.load.first_yes_after(moment), timeout, "an event to be accepted again")
        found = self.load.first_yes_after(moment)
        assert found is not None
        return found - moment

    async def until_notified_since(self, moment: float, timeout: float) -> float:
        """Wait for a notification after that moment; the seconds that it took."""
        await until(lambda: self.subscriber.newest() > moment, timeout, "a notification to come again")
        found = self.subscriber.first_after(moment)
        assert found is not None
        return found - moment

    async def judged(self, *, notified_is_complete: bool, kept_is_complete: bool = True) -> Verdict:
        """When nothing waits any more: the oracle's verdict, printed with all figures."""
        await self.daemon.until_nothing_waits(DRAIN_TIMEOUT)
        missing = await self.load.find_later()
        kept = await self.subscriber.kept()
        await self._until_all_notified(notified_is_complete)
        verdict = judge(
            self.ledger,
            notified=self.subscriber.notifications,
            kept=kept,
            notified_is_complete=notified_is_complete,
            kept_is_complete=kept_is_complete,
        )
        lines = [f"{self.server.name}: {verdict}", *(f"{what}: {summary(each)}" for what, each in self.figures.items())]
        print("\n  ".join(lines), flush=True)
        assert not missing, f"the daemon never took these: {missing}"
        assert not self.load.refusals()
        assert not self.load.overtaken()
        dead = (await self.daemon.status())["journal"]["dead"]
        assert dead == 0, await self.daemon.run("dead", "list")
        return verdict

    async def _until_all_notified(self, wanted: bool) -> None:
        """A server answers a publish before its last notification has been written."""
        if not wanted:
            return
        expected = {yes.item_id for yes in self.ledger.accepted.values()}
        with contextlib.suppress(AssertionError):  # the oracle says which, and how many
            await until(lambda: expected <= {one.item_id for one in self.subscriber.notifications}, 5, "all of them")


def summary(found: Sequence[float]) -> str:
    """Count, median, p99 and largest of some seconds."""
    percentile = quantiles(found, n=100, method="inclusive")[98] if len(found) > 1 else found[0]
    return f"{len(found)} times, median {median(found):.3f} s, p99 {percentile:.3f} s, most {max(found):.3f} s"


@asynccontextmanager
async def scene(
    server: Server,
    directory: Path,
    *,
    port: int | None = None,
    doors: Doors = DOORS,
    pace: float = 1.0,
    nodes: Sequence[str] = NODES,
    config: Mapping[str, Any] | None = None,
) -> AsyncIterator[Scene]:
    """Everything started, the nodes made, the subscriber subscribed; no load yet. `pace` times the usual load."""
    profile = {"max_items": MAX_ITEMS, "access_model": "open"}
    daemon = Daemon(directory / "bus", server, port=port, node=profile, config=config)
    with Ledger(directory / "accepted", SEED) as ledger:
        async with daemon:
            for node in nodes:  # making it; before the subscriber is there, so not among what must be notified
                event = {"type": node, "source": "scene", "id": f"first of {node}", "data": "first"}
                ledger.attempt(event)
                names = ("--source", event["source"], "--id", event["id"])
                await daemon.command("publish", node, event["data"], *names, "--confirm")
            async with Subscriber(server, nodes) as subscriber:
                yield Scene(server, daemon, ledger, Load(daemon, ledger, nodes, doors=doors, pace=pace), subscriber)
