"""Events for journals, and a clock that a test moves."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

from xmppbus.event import parse
from xmppbus.journal import DELIVERED, Entry, Journal, Outcome, Routed, Run, Settled, Stop, Verdict
from xmppbus.route import Target
from xmppbus.stores.sqlite import SqliteJournal

OpenJournal = Callable[..., AbstractAsyncContextManager[SqliteJournal]]
"""Opens the test's journal, again and again; takes the settings of the implementation."""

FORBIDDEN = Outcome(Verdict.STOPPED, "forbidden", "no right to publish")
TOO_BIG = Outcome(Verdict.DEAD, "payload-too-big", "over 250000 bytes")
UNKNOWN = Outcome(Verdict.UNKNOWN, "timeout")


class MovingClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 31, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        """Forwards, or (negative) backwards; takes what `timedelta` takes."""
        self.now += timedelta(**by)


def routed(name: object, *to: Target | str, type: str = "user.signup", **fields: Any) -> Routed:  # noqa: A002  # the field's name
    """An event with its deliveries; `to` are nodes of `pubsub` or targets, and its type's node when there are none."""
    sent = {"id": str(name), "source": "test", "type": type, "data": f"event {name}", **fields}
    named = parse(sent, {"time": "2026-01-31T12:00:00Z"})
    targets = tuple(Target("pubsub", each) if isinstance(each, str) else each for each in to or (type,))
    return Routed(named.event, named.content, targets)


def unrouted(name: object) -> Routed:
    """An event that no route takes."""
    return routed(name)._replace(targets=())


def outcomes(run: Run, *given: Outcome) -> list[Settled]:
    """One outcome for each delivery of a run; the last one given is that of all others."""
    padded = [*given, *[given[-1]] * (len(run.deliveries) - len(given))]
    return [Settled(delivery.id, outcome) for delivery, outcome in zip(run.deliveries, padded, strict=False)]


def ids(run: Run) -> list[str]:
    """The ids of a run's events, in order."""
    return [delivery.event.id for delivery in run.deliveries]


async def take(journal: Journal, output: str = "pubsub", run: int = 100) -> Run:
    """The run of the only place that is due."""
    (only,) = await journal.claim(output, 10, run)
    return only


async def deliver_all(journal: Journal, output: str = "pubsub") -> list[str]:
    """Deliver whatever is due; the ids in order of delivery."""
    delivered = []
    while runs := await journal.claim(output, 10, 100):
        for run in runs:
            delivered += ids(run)
            await journal.settle(run, outcomes(run, DELIVERED))
    return delivered


async def read_all(journal: Journal) -> list[Entry]:
    """Every entry, read in as many steps as it takes."""
    found: list[Entry] = []
    while more := await journal.read(found[-1].sequence if found else 0, 1_000):
        found += more
    return found


def stop(seconds: float, condition: str = "forbidden") -> Stop:
    """A first stop."""
    return Stop(condition, "no right to publish", 1, seconds)
