"""The one thread that reads the database. Each question is short, so that none waits long for another."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar

import msgspec

from xmppbus import limits
from xmppbus.errors import JournalFailed
from xmppbus.event import Event
from xmppbus.journal import Delivery, Entry, Fate
from xmppbus.route import QUEUE, Match, severity_matches, topic_matches
from xmppbus.stores import opening, queries, rows

SQL = queries.load("reading")

P = ParamSpec("P")
T = TypeVar("T")


class Slice(NamedTuple):
    """Entries that match among those up to `scanned`; `end` when there are no more."""

    entries: list[Entry]
    scanned: int
    end: bool


class Prunable(NamedTuple):
    """Entries that may be forgotten among those up to `scanned`; `end` when there is no older one.

    `wide` are those that have more deliveries than one commit should forget.
    """

    sequences: list[int]
    wide: set[int]
    scanned: int
    end: bool


class Reader:
    """Asks in its thread, answers in the loop."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal-reader")
        self._connection: sqlite3.Connection

    async def open(self, path: Path) -> None:
        """Connect."""
        self._connection = await asyncio.get_running_loop().run_in_executor(self._thread, opening.connect_reader, path)

    async def close(self) -> None:
        """Answer what was asked, then disconnect."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
        await asyncio.to_thread(self._thread.shutdown)

    async def ask(self, question: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one of the questions below in the thread. Raises `JournalFailed` when the disk fails."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, partial(question, *args, **kwargs))
        except sqlite3.DatabaseError as error:
            raise JournalFailed(f"the journal can't be read: {error}. Check the disk.") from error

    async def look(
        self, question: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Ask something else of the connection, in the same way."""
        return await self.ask(partial(question, self._connection), *args, **kwargs)

    def _one(self, name: str, parameters: Any = ()) -> Any:
        return self._connection.execute(SQL[name], parameters).fetchone()

    # --- questions ----------------------------------------------------------------------------------------------------

    def heads(self, places: Sequence[int], run: int) -> list[tuple[Delivery, ...]]:
        """The head of what waits at each place; fewer answers than places once they exceed CLAIM_BYTES."""
        most = max(run + 1, limits.CLAIM_BYTES // limits.DELIVERY_BYTES)
        parameters = {"places": json.dumps(list(places)), "run": run, "most": most}
        waiting = msgspec.json.decode(self._one("heads", parameters)[0], type=list[rows.Head])
        found = _runs(waiting, len(places), cut=len(waiting) == most)
        sequences = sorted({head.sequence for run_ in found for head in run_})
        events = rows.events_in(self._one("entries", (json.dumps(sequences),))[0])
        try:
            return [
                tuple([Delivery(id_, at, *events[at], again == 1, when) for _, id_, at, again, _, when in run_])
                for run_ in found
            ]
        except KeyError as error:
            raise rows.damaged(f"sequence {error}".encode()) from error

    def slice(self, after: int, until: int, limit: int, match: Sequence[Match], *, queues: bool = False) -> Slice:
        """At most `limit` entries that match, of a bounded number that is looked at."""
        most = limits.SCAN_EVENTS if match else min(limit, limits.SCAN_EVENTS)
        parameters: dict[str, int] = {"after": after, "until": until, "limit": most, "bytes": limits.READ_BYTES}
        there, looked_at, scanned, packed = self._one("slice", parameters)
        if not looked_at:
            return Slice([], after, end=True)
        matching = Matching(match, queues=queues)
        entries: list[Entry] = []
        for row in packed.split(b"\x1e"):
            fields = rows.entry_fields(row)
            if not matching.may(fields):
                continue
            entry = rows.entry_of(fields)
            if matching.does(entry):
                entries.append(entry)
                if len(entries) == limit:
                    return Slice(entries, entry.sequence, end=False)
        return Slice(entries, scanned, end=there == looked_at < most)

    def find(self, item_id: bytes) -> Entry | None:
        """The entry with an item id."""
        row = self._one("find", (item_id,))
        return rows.entry_of(rows.entry_fields(row[0])) if row else None

    def fates(self, sequence: int) -> list[Fate]:
        """What has become of each delivery of an entry."""
        return [rows.fate_of(row) for row in self._connection.execute(SQL["fates"], (sequence,))]

    def dead(self, match: Sequence[Match], before: int, limit: int) -> tuple[list[tuple[Fate, Entry]], int]:
        """Dead deliveries older than `before` that match, newest first, and where to go on (0 at the end)."""
        found = []
        slice_ = self._connection.execute(SQL["dead"], {"before": before, "limit": limits.RUN_EVENTS}).fetchall()
        for row in slice_:
            entry = rows.entry_of(rows.entry_fields(row[9]))
            if not match or any(each.matches(_without_queue(entry.event)) for each in match):
                found.append((rows.fate_of(row), entry))
        at_end = len(slice_) < limits.RUN_EVENTS
        return found[:limit], 0 if at_end else slice_[-1][0]

    def sequence_at(self, moment: int, newest: int) -> int:
        """The newest sequence accepted before a moment (milliseconds), by halving: acceptance is in order of time."""
        low, high = 0, newest  # every entry up to `low` is older, every one after `high` is not
        while low < high:
            middle = (low + high + 1) // 2
            row = self._one("accepted_from", (middle,))
            if row is None or row[0] > high or row[1] >= moment:
                high = middle - 1
            else:
                low = row[0]
        return low

    def cursor(self, consumer: str) -> int | None:
        """How far a consumer has read."""
        row = self._one("cursor", (consumer,))
        return row[0] if row else None

    def oldest(self, places: Sequence[int]) -> list[int | None]:
        """When the head of what waits at each place was accepted (milliseconds)."""
        packed = self._one("oldest_waiting", (json.dumps(list(places)),))[0]
        return [int(each) if each else None for each in packed.split(",")] if places else []

    def prunable(self, after: int, before: int) -> Prunable:
        """Entries accepted before a moment (milliseconds) all of whose deliveries were delivered; a bounded number."""
        parameters = {"after": after, "before": before, "limit": limits.PRUNE_EVENTS}  # each may have gone to thousands
        return prunable(self._connection, parameters)

    def used_bytes(self) -> int:
        """What the database holds; pages that are free again do not count."""
        return int(self._one("used_bytes")[0])

    def places_used(self) -> tuple[set[int], int]:
        """Places that a delivery up to the newest one names, and which one that is. Reads every delivery."""
        # One statement: what the writer adds meanwhile is after the newest of this answer, never beside it.
        packed, newest = self._one("places_used")
        return ({int(each) for each in packed.split(",")} if packed else set()), newest


def _without_queue(event: Event) -> Event:
    """As if it were everybody's: whoever looks for what is dead looks for events of queues as well."""
    if QUEUE not in event.fields:
        return event
    return Event({name: value for name, value in event.fields.items() if name != QUEUE})


def _runs(waiting: Sequence[rows.Head], places: int, *, cut: bool) -> list[list[rows.Head]]:
    """The run of each place, as far as CLAIM_BYTES reach; the last place that is known may have been `cut`.

    No run is cut by what others leave: after a crash it must reach as far as the one that is in doubt.
    """
    runs: list[list[rows.Head]] = []
    held: set[int] = set()  # an event that goes to many is held once
    total = size = 0
    for head in waiting:
        while len(runs) <= head.place:
            if total >= limits.CLAIM_BYTES:
                return runs
            runs.append([])
            size = 0
        size += head.size
        if size <= limits.RUN_BYTES or not runs[-1]:
            runs[-1].append(head)
            total += 0 if head.sequence in held else head.size
            held.add(head.sequence)
    if cut and len(runs) > 1:
        runs.pop()
    elif not cut:
        runs += [[] for _ in range(places - len(runs))]
    return runs


def prunable(connection: sqlite3.Connection, parameters: dict[str, int]) -> Prunable:
    """One slice of the search for what may be forgotten."""
    many = {"many": limits.WIDE_DELIVERIES}
    looked_at, scanned, oldest, *packed = connection.execute(SQL["prunable"], parameters | many).fetchone()
    if not looked_at:
        return Prunable([], set(), parameters["after"], end=True)
    sequences, wide = ([int(each) for each in numbers.split(",")] if numbers else [] for numbers in packed)
    end = looked_at < parameters["limit"] or oldest >= parameters["before"]
    return Prunable(sequences, set(wide), scanned, end)


class Matching:
    """Whether entries match, deciding by type and severity first: most need not be decoded."""

    def __init__(self, match: Sequence[Match], *, queues: bool = False) -> None:
        self._match = match
        self._queues = queues
        self._heads: dict[tuple[bytes, bytes], bool] = {}

    def may(self, fields: list[bytes]) -> bool:
        """Whether the fields of a row (`rows.entry_fields`) leave it open."""
        if not self._match:
            return True
        head = fields[4], fields[5]
        answer = self._heads.get(head)
        if answer is None:
            type_, severity = head[0].decode(), head[1].decode()
            answer = self._heads[head] = any(
                topic_matches(each.type, type_) and (not each.severity or severity_matches(each.severity, severity))
                for each in self._match
            )
        return answer

    def does(self, entry: Entry) -> bool:
        """Whether the entry, which may, does match. One of a queue alone never does, unless all of them are wanted."""
        if not self._match:
            return self._queues or QUEUE not in entry.event.fields
        return any(each.matches(entry.event) for each in self._match)
