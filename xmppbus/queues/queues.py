"""All queues of the house: those that were declared, which is durable, and those that something was just sent to."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import NamedTuple, Self

from xmppbus import limits
from xmppbus.errors import BusError, Code, Refused
from xmppbus.fields import check_queue
from xmppbus.interfaces import Clock
from xmppbus.journal import Journal, PlaceStatus
from xmppbus.queues.broker import Broker, Consumer, Times
from xmppbus.retry import Dice
from xmppbus.route import QUEUE, Target, topic_matches

log = logging.getLogger("xmppbus.queues")

DRAWER = "queues"


def _now() -> datetime:
    return datetime.now(UTC)


class Declared(NamedTuple):
    """A queue that is there whether something waits in it or not; with a pattern, events like it come to it. One that
    expires goes, with what is in it, when nobody has consumed it for so long."""

    pattern: str = ""
    expire: float = 0.0  # seconds; 0 is never
    used: float = 0.0  # when somebody consumed it last, in seconds since 1970; only kept of one that expires


class QueueStatus(NamedTuple):
    """One queue; `waiting` is all that is in it, `leased` what of that somebody has."""

    name: str
    pattern: str = ""
    declared: bool = False
    waiting: int = 0
    leased: int = 0
    later: int = 0  # given back, and waiting for another try
    consumers: int = 0
    expire_seconds: float | None = None


class Queues:
    """Enter it when the journal is open, and leave it before that is closed."""

    def __init__(
        self,
        journal: Journal,
        *,
        ticks: Callable[[], float] = time.monotonic,
        dice: Dice = random.random,
        returning_seconds: float = 0.0,
        clock: Clock = _now,
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._returning_seconds = returning_seconds
        self._opens = 0.0  # when those whose consumers may come back with them are handed out
        self._returning: set[str] = set()
        self._ticks = ticks
        self._dice = dice
        self._declared: dict[str, Declared] = {}
        self._brokers: dict[str, Broker] = {}
        self._visits: dict[str, float] = {}  # of those that expire, since it was kept last
        self._turn = asyncio.Lock()
        self._expiring: asyncio.Task[None]
        self._targets: Callable[[str], tuple[Target, ...]] = _none

    async def __aenter__(self) -> Self:
        await self.open()
        self._expiring = asyncio.create_task(self._look_for_expired())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._expiring.cancel()
        await asyncio.wait([self._expiring])
        await self.close()

    async def _look_for_expired(self) -> None:
        while True:
            await asyncio.sleep(limits.PRUNE_SECONDS)
            try:
                await self.expire()
            except BusError as error:  # a full disk; it is tried again
                log.warning("queues that nobody uses can't be dropped now: %s", error)

    async def open(self) -> None:
        """Read what was declared."""
        kept = await self._journal.kept.all(DRAWER)
        self._declared = {name: self._opened(Declared(**value)) for name, value in kept.items()}
        if self._returning_seconds:
            self._opens = self._ticks() + self._returning_seconds
            self._returning = {each.place for each in await self._journal.places() if each.output == QUEUE}
        self._route()

    async def close(self) -> None:
        """Hand out nothing more."""
        for broker in self._brokers.values():
            broker.close()
        for broker in [*self._brokers.values()]:
            await broker.settled_all()

    def taking(self, type_: str) -> tuple[Target, ...]:
        """The queues to which events of a type come by their patterns."""
        return self._targets(type_)

    def all(self) -> Mapping[str, Declared]:
        """Those that were declared, by name."""
        return dict(self._declared)

    async def declare(self, name: str, pattern: str = "", expire: float = 0.0) -> None:
        """Let there be a queue, durably; with a pattern, every event whose type is like it comes to it from now on.
        With `expire` (seconds) it goes, with what is in it, when nobody has consumed it for so long.

        The same again changes nothing, and so does a name without a pattern. Raises `Refused`: bad name, conflict when
        the queue has another pattern, too many.
        """
        check_queue("queue", name)
        async with self._turn:
            known = self._declared.get(name)
            if known and known.pattern and not pattern:
                pattern = known.pattern
            if known and known.pattern == pattern and (not expire or known.expire == expire):
                return
            if known and known.pattern not in ("", pattern):
                raise Refused(
                    Code.CONFLICT,
                    f"the queue {name} takes {known.pattern!r}, not {pattern!r}: give this one another name, leave the "
                    f"pattern out, or let the old one go with `xmppbus queue drop {name}`",
                )
            found = Declared(pattern, expire or (known.expire if known else 0.0))
            await self._keep(name, found._replace(used=self._clock().timestamp() if found.expire else 0.0))
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

    async def expire(self) -> list[str]:
        """Drop the queues that nobody has consumed for as long as they were to be kept; their names."""
        now = self._clock().timestamp()
        gone = []
        for name, declared in [*self._declared.items()]:
            broker = self._brokers.get(name)
            if not declared.expire:
                continue
            visited = now if broker and broker.consumers else self._visits.pop(name, 0.0)
            if visited > declared.used:
                await self._keep(name, declared._replace(used=visited))
            if now - max(visited, declared.used) >= declared.expire:
                await self.drop(name)
                await self.purge(name)
                gone.append(name)
                log.info("the queue %s is gone: nobody has consumed it for %g s", name, declared.expire)
        return gone

    def _opened(self, declared: Declared) -> Declared:
        """While the daemon was away nobody could consume it: whoever does may come back first."""
        least = self._clock().timestamp() - declared.expire + limits.QUEUE_EXPIRE_LEAST_SECONDS
        return declared._replace(used=max(declared.used, least)) if declared.expire else declared

    async def _keep(self, name: str, declared: Declared) -> None:
        await self._journal.kept.keep(
            DRAWER, name, {each: value for each, value in declared._asdict().items() if value}
        )
        self._declared[name] = declared

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
        return Consumer(partial(self._visited, name), prefetch, lease_seconds)

    def status(self, places: Sequence[PlaceStatus]) -> list[QueueStatus]:
        """Every queue that was declared, or in which something waits (`places` are the journal's), or that somebody
        consumes; by name."""
        waiting = {each.place: each.waiting for each in places if each.output == QUEUE}
        consumed = {name for name, each in self._brokers.items() if each.consumers}
        found = []
        for name in sorted({*self._declared, *waiting, *consumed}):
            declared, broker = self._declared.get(name), self._brokers.get(name)
            found.append(
                QueueStatus(
                    name,
                    pattern=declared.pattern if declared else "",
                    declared=declared is not None,
                    waiting=waiting.get(name, 0),
                    leased=len(broker.leases.out) if broker else 0,
                    later=broker.leases.later if broker else 0,
                    consumers=len(broker.consumers) if broker else 0,
                    expire_seconds=(declared.expire or None) if declared else None,
                )
            )
        return found

    def _visited(self, name: str) -> Broker:
        """Somebody consumes it: it does not expire for as long as it was to be kept, from now."""
        found = self._declared.get(name)
        if found and found.expire:
            self._visits[name] = self._clock().timestamp()
        return self._broker(name)

    def _broker(self, name: str) -> Broker:
        self._forget_idle()
        if name not in self._brokers:
            opens = self._opens if name in self._returning else 0.0
            self._brokers[name] = Broker(name, self._journal, Times(self._ticks, self._clock), self._dice, opens)
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
