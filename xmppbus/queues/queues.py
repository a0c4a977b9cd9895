"""All queues of the house: those that were declared, which is durable, and those that something was just sent to."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import NamedTuple

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.fields import check_queue
from xmppbus.journal import Journal, PlaceStatus
from xmppbus.queues.broker import Broker, Consumer
from xmppbus.retry import Dice
from xmppbus.route import QUEUE, Target, topic_matches

DRAWER = "queues"


class Declared(NamedTuple):
    """A queue that is there whether something waits in it or not; with a pattern, events like it come to it."""

    pattern: str = ""


class QueueStatus(NamedTuple):
    """One queue; `waiting` is all that is in it, `leased` what of that somebody has."""

    name: str
    pattern: str
    declared: bool
    waiting: int
    leased: int
    later: int  # given back, and waiting for another try
    consumers: int


class Queues:
    """Open it when the journal is open."""

    def __init__(
        self, journal: Journal, *, ticks: Callable[[], float] = time.monotonic, dice: Dice = random.random
    ) -> None:
        self._journal = journal
        self._ticks = ticks
        self._dice = dice
        self._declared: dict[str, Declared] = {}
        self._brokers: dict[str, Broker] = {}
        self._turn = asyncio.Lock()
        self._targets: Callable[[str], tuple[Target, ...]] = _none

    async def open(self) -> None:
        """Read what was declared."""
        kept = await self._journal.kept.all(DRAWER)
        self._declared = {name: Declared(value["pattern"]) for name, value in kept.items()}
        self._route()

    async def close(self) -> None:
        """Hand out nothing more."""
        for broker in self._brokers.values():
            broker.close()

    def taking(self, type_: str) -> tuple[Target, ...]:
        """The queues to which events of a type come by their patterns."""
        return self._targets(type_)

    def all(self) -> Mapping[str, Declared]:
        """Those that were declared, by name."""
        return dict(self._declared)

    async def declare(self, name: str, pattern: str = "") -> None:
        """Let there be a queue, durably; with a pattern, every event whose type is like it comes to it from now on.

        The same again changes nothing, and so does a name without a pattern. Raises `Refused`: bad name, conflict when
        the queue has another pattern, too many.
        """
        check_queue("queue", name)
        async with self._turn:
            known = self._declared.get(name)
            if known and (known.pattern == pattern or not pattern):
                return
            if known and known.pattern:
                raise Refused(
                    Code.CONFLICT,
                    f"the queue {name} takes {known.pattern!r}, not {pattern!r}: give this one another name, leave the "
                    f"pattern out, or let the old one go with `xmppbus queue drop {name}`",
                )
            await self._journal.kept.keep(DRAWER, name, {"pattern": pattern})
            self._declared[name] = Declared(pattern)
            self._route()

    async def drop(self, name: str) -> bool:
        """Let a queue go: nothing comes to it by its pattern any more; whether it was declared. What waits in it stays
        until it is consumed or purged. Raises `Refused` while somebody consumes it."""
        broker = self._brokers.get(name)
        if broker and broker.consumers:
            raise Refused(Code.CONFLICT, f"{len(broker.consumers)} consume the queue {name}; stop them first")
        async with self._turn:
            await self._journal.kept.drop(DRAWER, name)
            found = self._declared.pop(name, None)
            self._route()
        return found is not None

    async def purge(self, name: str) -> int:
        """Forget what waits in a queue and nobody has; how many there were."""
        purged = await self._broker(name).purge()
        self._forget_idle()
        return purged

    def consumer(self, name: str, *, prefetch: int, lease_seconds: float | None = None) -> Consumer:
        """One more of those who compete for the events of a queue; enter it. Without `lease_seconds` what it takes is
        its own until it has left. Raises `Refused` for a bad name."""
        check_queue("queue", name)
        if not 1 <= prefetch <= limits.QUEUE_PREFETCH:
            raise Refused(Code.USAGE, f"a consumer takes 1 to {limits.QUEUE_PREFETCH} at once, not {prefetch}")
        return Consumer(partial(self._broker, name), prefetch, lease_seconds)

    def status(self, places: Sequence[PlaceStatus]) -> list[QueueStatus]:
        """Every queue that was declared, or in which something waits (`places` are the journal's), or that somebody
        consumes; by name."""
        waiting = {each.place: each.waiting for each in places if each.output == QUEUE}
        consumed = {name for name, each in self._brokers.items() if each.consumers}
        found = []
        for name in sorted({*self._declared, *waiting, *consumed}):
            declared, broker = self._declared.get(name), self._brokers.get(name)
            leased, later = (len(broker.leases.out), broker.leases.later) if broker else (0, 0)
            consumers = len(broker.consumers) if broker else 0
            pattern = declared.pattern if declared else ""
            found.append(
                QueueStatus(name, pattern, declared is not None, waiting.get(name, 0), leased, later, consumers)
            )
        return found

    def _broker(self, name: str) -> Broker:
        self._forget_idle()
        if name not in self._brokers:
            self._brokers[name] = Broker(name, self._journal, self._ticks, self._dice)
        return self._brokers[name]

    def _forget_idle(self) -> None:
        """A client that invents a name for each visit must not fill the memory."""
        for name, broker in [*self._brokers.items()]:
            if broker.is_idle:
                broker.close()
                del self._brokers[name]

    def _route(self) -> None:
        """Where events of a type go, for as long as the same queues are declared."""
        patterns = [(each.pattern, Target(QUEUE, name)) for name, each in self._declared.items() if each.pattern]
        self._targets = routing(patterns) if patterns else _none


def routing(patterns: list[tuple[str, Target]]) -> Callable[[str], tuple[Target, ...]]:
    """Which of the queues take events of a type. Pure."""

    @lru_cache(maxsize=limits.NODES)
    def targets(type_: str) -> tuple[Target, ...]:
        return tuple(target for pattern, target in patterns if topic_matches(pattern, type_))

    return targets


def _none(_: str) -> tuple[Target, ...]:
    return ()
