"""What was accepted, and what became of it. What a journal does, not how: `stores/` has the how.

Survives `kill -9`. A `sequence` is an entry's place in time; it is never used again.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from xmppbus.event import Event
from xmppbus.route import Match, Target


class State(enum.IntEnum):
    """What has become of a delivery."""

    WAITING = 0  # for its turn, for its place, or for its output
    DELIVERED = 1  # the other side said yes
    DEAD = 2  # the other side's no was about the event itself; a person decides


class Routed(NamedTuple):
    """A new event on its way into the journal. `content` tells a repeat from a conflict (16 bytes)."""

    event: Event
    content: bytes
    targets: tuple[Target, ...]


class Result(enum.StrEnum):
    """What an append came to, for one event."""

    NEW = "new"
    KNOWN = "known"  # the same name with the same content: the old sequence, no new delivery
    CONFLICT = "conflict"  # the same name with other content: nothing was written


class Appended(NamedTuple):
    """One for each event of an append, in order. `sequence` is the old one for known and conflict."""

    result: Result
    sequence: int
    deliveries: int  # made for it; 0 when no route takes it


class Entry(NamedTuple):
    """An accepted event."""

    sequence: int
    item_id: str
    accepted: datetime
    event: Event


class Delivery(NamedTuple):
    """An event on its way to one address.

    `again` marks one that a person put back to waiting: its item may be on the node from the first time, so a look-up
    says nothing about it.
    """

    id: int
    sequence: int
    item_id: str
    event: Event
    again: bool = False
    accepted: int = 0  # when: milliseconds since 1970-01-01 in UTC
    attempts: int = 0  # so far; of a backlog's only


class Run(NamedTuple):
    """Some deliveries in a row for one place, oldest first, claimed until they are settled. `claim` is its ticket."""

    claim: int
    output: str
    place: str
    deliveries: tuple[Delivery, ...]


class Verdict(enum.Enum):
    """How one delivery of a run ended."""

    DELIVERED = "delivered"
    DEAD = "dead"  # an answer about the event
    STOPPED = "stopped"  # an answer about the place or about us: stays waiting, and the place stops
    UNKNOWN = "unknown"  # no answer: stays waiting; to be looked up before it is sent again
    UNSENT = "unsent"  # stays waiting, untouched, behind one that was stopped or is unknown


class Outcome(NamedTuple):
    """One for each delivery of a run, in order. `retry_after` (seconds) is the other side's wish."""

    verdict: Verdict
    condition: str = ""  # RFC 6120 §8.3.3, or the house's own; see errors.py
    text: str = ""
    retry_after: float = 0.0


DELIVERED = Outcome(Verdict.DELIVERED)
UNSENT = Outcome(Verdict.UNSENT)
HELD = "held"  # the condition of a place that is stopped although nothing is wrong


class Settled(NamedTuple):
    """The outcome of one delivery, and what goes on from it: the same entry to `onward`, and new events beside it."""

    delivery: int
    outcome: Outcome
    onward: tuple[Target, ...] = ()
    events: tuple[Routed, ...] = ()


class Stop(NamedTuple):
    """Why a place takes nothing at the moment, since when, and for how long still (seconds). Not durable."""

    condition: str
    text: str
    attempts: int
    seconds: float


class PlaceStatus(NamedTuple):
    """A place in `status`: `oldest` is when the head of what waits was accepted."""

    output: str
    place: str
    waiting: int
    oldest: datetime | None
    stop: Stop | None


class Fate(NamedTuple):
    """What has become of one delivery of an entry."""

    id: int
    sequence: int
    output: str
    place: str
    state: State
    condition: str
    text: str
    settled: datetime | None
    attempts: int


class JournalStatus(NamedTuple):
    """Figures for `status`: bytes on disk, the bound, and counts of the whole journal."""

    bytes: int
    most_bytes: int
    entries: int
    newest: int
    waiting: int
    dead: int
    accepting: bool
    reason: str  # why it does not accept, in plain words


class Replay(NamedTuple):
    """What a replay did, or in a dry run would do: deliveries put back to waiting, and made anew."""

    entries: int
    again: int
    made: int
    after: int  # the last sequence looked at; go on from here


Targets = Callable[[Event], tuple[Target, ...]]
"""Where the routes of today send an event."""


class Kept(Protocol):
    """What parts of the house keep beside events, in drawers. A drawer's name says what is in it: `queues`."""

    async def all(self, drawer: str) -> dict[str, Any]:
        """Everything in a drawer, by name."""

    async def keep(self, drawer: str, name: str, value: Any) -> None:
        """Keep a value (whatever JSON can say) in the place of the one before, on disk when this returns. `Refused`
        (too-many-requests, journal-full)."""

    async def drop(self, drawer: str, name: str) -> bool:
        """Forget it; whether it was there."""


class Backlog(Protocol):
    """What waits at one place whose deliveries are taken one by one, in any order, by its one holder: a queue's."""

    async def after(self, delivery: int, limit: int) -> list[Delivery]:
        """Oldest first, what waits behind a delivery."""

    async def these(self, deliveries: Sequence[int]) -> list[Delivery]:
        """Those of some deliveries that wait there, oldest first."""

    async def settle(self, outcomes: Sequence[tuple[Delivery, Outcome]]) -> None:
        """Write what became of them, in one commit. What does not wait any more stays as it is."""

    async def drop(self, most: int, without: Sequence[int]) -> int:
        """Forget what waits there, the oldest first, but for these; how many there were."""

    def close(self) -> None:
        """Be told nothing more."""


class Journal(Protocol):
    """What was accepted, and what became of it; survives kill -9."""

    def backlog(self, target: Target, more: Callable[[], None]) -> Backlog:
        """What waits at a place that nobody claims; `more` is called when more does."""

    @property
    def kept(self) -> Kept:
        """What parts of the house keep in it beside events."""

    async def append(self, events: Sequence[Routed]) -> list[Appended]:
        """Keep events and their deliveries, in one commit and fsynced. `Refused` (journal-full) keeps none of them."""

    async def claim(self, output: str, places: int, run: int) -> list[Run]:
        """The head runs of at most `places` places of `output` that wait, are due and are not claimed."""

    async def settle(
        self, run: Run, settled: Sequence[Settled], *, more: bool = False, stop: Stop | None = None
    ) -> None:
        """Write outcomes and what goes on from them, in one commit. Ends the claim unless `more`.

        Waiting stays whatever is not delivered or dead. `stop` stops the place; without it the place is due at once.
        A run whose claim is void changes nothing, onward deliveries included.
        """

    async def settle_many(self, settled: Sequence[tuple[Run, Sequence[Settled], Stop | None]]) -> None:
        """Settle many runs and end their claims, in one commit."""

    async def read(self, after: int, limit: int, match: Sequence[Match] = (), *, queues: bool = False) -> list[Entry]:
        """Entries after a sequence, oldest first, that match any of `match`, or without that all; but those of a queue
        alone only with `queues`, for whoever has to know which sequences there are."""

    async def changed(self, timeout: timedelta) -> None:
        """Return at the next commit, the next moment a stopped place is due, or after `timeout`."""

    async def find(self, item_id: str) -> Entry | None:
        """The entry with that item id; None when it never was, or has been pruned."""

    async def sequence_at(self, moment: datetime) -> int:
        """The newest sequence accepted before a moment: `read(after=...)` goes on from there."""

    async def fates(self, sequence: int) -> list[Fate]:
        """What has become of each delivery of an entry."""

    async def dead(self, match: Sequence[Match], limit: int) -> list[tuple[Fate, Entry]]:
        """Dead deliveries with their entries, newest first."""

    async def retry_dead(self, deliveries: Sequence[int]) -> int:
        """Put dead deliveries back to waiting, behind what waits, marked `again`; how many there were."""

    async def drop_dead(self, deliveries: Sequence[int]) -> int:
        """Forget dead deliveries; how many there were."""

    async def replay(
        self, after: int, until: int, limit: int, match: Sequence[Match], targets: Targets, *, dry_run: bool
    ) -> Replay:
        """One slice of a replay: entries after `after` up to `until` that match, at most `limit` of them.

        Settled deliveries to addresses (not to stations) go back to waiting behind what waits, marked `again`; those
        of `targets` that an entry has none for are made. Waiting ones stay as they are.
        """

    async def cursor(self, consumer: str) -> int | None:
        """How far a named consumer has read; None when nobody knows it."""

    async def move_cursor(self, consumer: str, sequence: int) -> None:
        """Remember how far a named consumer has read (never backwards)."""

    async def places(self) -> list[PlaceStatus]:
        """Every place where something waits or that is stopped."""

    async def status(self) -> JournalStatus:
        """Figures for `status`."""
