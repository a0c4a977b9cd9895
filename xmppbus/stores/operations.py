"""What the writer thread is asked to do. Each operation is one change that happens wholly or not at all."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.journal import Appended, Entry, Result, Routed, State, Stop, Targets
from xmppbus.route import QUEUE, STATION, Target
from xmppbus.stores.ledger import Ledger
from xmppbus.stores.places import Place

log = logging.getLogger(__name__)


def weight_of(events: Iterable[Routed]) -> int:
    """What events weigh in a commit: pages, of which each event takes one at least."""
    return sum(1 + len(routed.event.encoded) // limits.PAGE_BYTES for routed in events)


class Operation:
    """One change. `write` runs in the writer thread, within a transaction, and may be run again after a roll-back."""

    needs_room: ClassVar[bool] = False  # refused while the journal is full
    future: asyncio.Future[Any]
    weight: int = 1  # pages, as `weight_of` counts them: bounds one commit

    def write(self, ledger: Ledger) -> Any:
        """Change the tables; what is returned becomes the future's result."""
        raise NotImplementedError


class Beat(Operation):
    """Nothing: its future says that the writer's thread lives."""

    def write(self, ledger: Ledger) -> None:
        """Nothing is written, so nothing is fsynced."""


@dataclass(slots=True)
class Append(Operation):
    """Keep events and their deliveries. The writer writes all appends of one commit together, so it has no `write`."""

    needs_room: ClassVar[bool] = True
    events: Sequence[Routed]
    weight: int = 1
    future: asyncio.Future[list[Appended]] = field(init=False)


@dataclass(slots=True)
class Claim:
    """A run that somebody works on: its deliveries that are not settled yet, with their places in the run."""

    number: int
    place: Place
    unsettled: dict[int, tuple[int, int, int]]  # a delivery: its index in the run, its sequence, when it was accepted
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)  # held while it is settled in several commits


@dataclass(slots=True)
class Settlement(Operation):
    """Outcomes of one run, sorted out: ranges (first, last) that were delivered, and the others one by one."""

    claim: Claim
    last: bool  # it ends the claim
    stop: Stop | None
    delivered: list[tuple[int, int]] = field(default_factory=list)
    dead: list[tuple[int, str, str]] = field(default_factory=list)
    stopped: list[tuple[int, str, str, int]] = field(default_factory=list)
    onward: list[tuple[int, Target]] = field(default_factory=list)
    events: list[Routed] = field(default_factory=list)
    taken: dict[int, tuple[int, int, int]] = field(
        default_factory=dict
    )  # from the claim; given back if the commit fails
    weight: int = 1
    future: asyncio.Future[tuple[int, int]] = field(init=False)

    def write(self, ledger: Ledger) -> tuple[int, int]:
        """How many became delivered and how many dead."""
        ledger.check_places(self.events)
        moment, place, delivered, dead = ledger.moment, self.claim.place.id, 0, 0
        for first, last in self.delivered:
            parameters = {"moment": moment, "place": place, "first": first, "last": last}
            delivered += ledger.execute("settle_delivered", parameters).rowcount
        for id_, condition, text in self.dead:
            reason = {"moment": moment, "id": id_, "condition": condition, "text": text}
            dead += ledger.execute("settle_dead", reason).rowcount
        for id_, condition, text, attempts in self.stopped:
            ledger.execute("note_attempt", {"id": id_, "condition": condition, "text": text, "attempts": attempts})
        ledger.effects.waiting[place] -= delivered + dead
        ledger.effects.dead += dead
        if self.onward:
            ledger.deliver(self.onward)
        if self.events:
            for routed, appended in zip(self.events, ledger.append(self.events), strict=True):
                if appended.result is Result.CONFLICT:
                    _tell_conflict(routed, appended)
        return delivered, dead

    @property
    def is_plain(self) -> bool:
        """Whether all there is to write is that deliveries were delivered: those in `taken`."""
        return not (self.dead or self.stopped or self.onward or self.events)

    @property
    def has_work(self) -> bool:
        """Whether anything is to be written."""
        return bool(self.delivered or self.dead or self.stopped or self.onward or self.events)


@dataclass(slots=True)
class Settlements(Operation):
    """Outcomes of many runs; what was delivered is written in one statement, however many places it is."""

    each: list[Settlement] = field(default_factory=list)
    weight: int = 1
    future: asyncio.Future[list[tuple[int, int]]] = field(init=False)

    def add(self, settlement: Settlement) -> None:
        """One more run."""
        self.each.append(settlement)
        self.weight += settlement.weight

    def write(self, ledger: Ledger) -> list[tuple[int, int]]:
        """For each run how many became delivered and how many dead."""
        plain = {
            id_: index for index, settlement in enumerate(self.each) if settlement.is_plain for id_ in settlement.taken
        }
        found = [(0, 0) if each.is_plain else each.write(ledger) for each in self.each]
        for id_ in ledger.settle_delivered(list(plain)):
            settlement = self.each[plain[id_]]
            ledger.effects.waiting[settlement.claim.place.id] -= 1
            found[plain[id_]] = found[plain[id_]][0] + 1, 0
        return found

    def tell(self, settled: Callable[[Settlement, Any], None], result: Any) -> None:
        """Say of each run what became of it, which is the same for all if nothing was written."""
        for index, settlement in enumerate(self.each):
            settled(settlement, result if isinstance(result, Exception) else result[index])


def _tell_conflict(routed: Routed, appended: Appended) -> None:
    """No sender waits for an answer about a derived event: the log is where its maker hears of it."""
    log.warning(
        "an event derived from %s is dropped: its source and id (%s) name another event already (sequence %d); "
        "give each its own id",
        routed.event.get("causedby", "another"),
        routed.event.name,
        appended.sequence,
    )


@dataclass(slots=True)
class RetryDead(Operation):
    """Put dead deliveries back to waiting."""

    deliveries: Sequence[int]
    future: asyncio.Future[int] = field(init=False)
    weight: int = 1

    def write(self, ledger: Ledger) -> int:
        found = ledger.execute("dead_places", (json.dumps(list(self.deliveries)),)).fetchall()
        ledger.effects.dead -= len(found)
        return ledger.wait_again(found)


@dataclass(slots=True)
class DropDead(Operation):
    """Forget dead deliveries."""

    deliveries: Sequence[int]
    future: asyncio.Future[int] = field(init=False)
    weight: int = 1

    def write(self, ledger: Ledger) -> int:
        found = ledger.execute("dead_places", (json.dumps(list(self.deliveries)),)).fetchall()
        ledger.execute("drop_deliveries", (json.dumps([id_ for id_, _ in found]),))
        ledger.effects.dead -= len(found)
        return len(found)


@dataclass(slots=True)
class Replaying(Operation):
    """Put settled deliveries of some entries back to waiting, and make those that are missing."""

    needs_room: ClassVar[bool] = True
    entries: Sequence[tuple[Entry, tuple[Target, ...]]]
    dry_run: bool
    future: asyncio.Future[tuple[int, int]] = field(init=False)
    weight: int = 1

    @classmethod
    def of(cls, entries: Sequence[Entry], targets: Targets, *, dry_run: bool) -> Replaying:
        """A replay of entries along the routes of today."""
        return cls([(entry, targets(entry.event)) for entry in entries], dry_run)

    def write(self, ledger: Ledger) -> tuple[int, int]:
        """How many deliveries went back to waiting, and how many were made."""
        again: list[tuple[int, int]] = []
        missing: list[tuple[int, Target]] = []
        dead = 0
        for entry, targets in self.entries:
            if not ledger.execute("entry_exists", (entry.sequence,)).fetchone():
                continue  # pruned in the meantime
            existing = set()
            for id_, place, state, output, address in ledger.execute("deliveries_of", (entry.sequence,)):
                existing.add(Target(output, address))
                if state != State.WAITING and output not in (STATION, QUEUE):
                    again.append((id_, place))
                    dead += state == State.DEAD
            # What was consumed from a queue is done; it is not done again because nodes get it again.
            wanted = (target for target in dict.fromkeys(targets) if target.output != QUEUE)
            missing += ((entry.sequence, target) for target in wanted if target not in existing)
        if not self.dry_run:
            ledger.effects.dead -= dead
            ledger.wait_again(again)
            ledger.deliver(missing)
        return len(again), len(missing)


@dataclass(slots=True)
class MoveCursor(Operation):
    """Remember how far a consumer has read."""

    consumer: str
    sequence: int
    future: asyncio.Future[None] = field(init=False)
    weight: int = 1

    def write(self, ledger: Ledger) -> None:
        consumers, known = ledger.execute("consumer_room", (self.consumer,)).fetchone()
        if not known and consumers >= limits.CONSUMERS:
            raise Refused(Code.TOO_MANY, f"there are {consumers} named consumers already; use one of them again")
        parameters = {"name": self.consumer, "sequence": self.sequence, "moment": ledger.moment}
        ledger.execute("move_cursor", parameters)


@dataclass(slots=True)
class Prune(Operation):
    """Forget entries that were settled, and the oldest names of those beyond what is kept."""

    sequences: Sequence[int]
    names: int
    future: asyncio.Future[tuple[int, int]] = field(init=False)
    weight: int = 1

    def write(self, ledger: Ledger) -> tuple[int, int]:
        """How many entries were forgotten, and the bytes that the database holds then."""
        pruned = ledger.prune(json.dumps(list(self.sequences))) if self.sequences else 0
        if self.names:
            ledger.prune_names(self.names)
        return pruned, ledger.used_bytes()


@dataclass(slots=True)
class Narrow(Operation):
    """Forget a slice of what was delivered of an entry that went to many and is about to be forgotten."""

    sequence: int
    future: asyncio.Future[bool] = field(init=False)
    weight: int = limits.ONWARD_SLICE

    def write(self, ledger: Ledger) -> bool:
        """True when nothing of it is left."""
        return ledger.narrow(self.sequence)


@dataclass(slots=True)
class PrunePlaces(Operation):
    """Forget places that no delivery up to `newest` names."""

    places: Sequence[tuple[int, Target]]
    newest: int
    future: asyncio.Future[None] = field(init=False)
    weight: int = 1

    def write(self, ledger: Ledger) -> None:
        for place, target in self.places:
            ledger.forget_place(place, target, self.newest)
