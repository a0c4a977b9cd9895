"""The tables as the writer thread sees them: everything that changes them, within the transaction of one commit."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.event import item_id_bytes
from xmppbus.journal import Appended, Result, Routed
from xmppbus.route import Target
from xmppbus.stores import queries
from xmppbus.stores.rows import Insertion

_NAMES = Insertion("INSERT OR IGNORE INTO name (sequence, name, content)", 3)
_ENTRIES = Insertion("INSERT INTO entry (sequence, item_id, accepted, checksum, type, severity, event)", 7)
_DELIVERIES = Insertion("INSERT INTO delivery (id, sequence, place)", 3)
_ONWARD = Insertion("INSERT OR IGNORE INTO delivery (id, sequence, place)", 3)

_PLACES = Insertion("INSERT INTO place (id, output, address)", 3)

SQL = queries.load("writing")

_PEOPLE = ("chat", "digest")
"""Outputs whose places are people."""


def most_places(output: str) -> int:
    """How many places an output may have."""
    return limits.PEOPLE_PLACES if output in _PEOPLE else limits.NODES


@dataclass(slots=True)
class Effects:
    """What one commit changes in memory, once it is on disk."""

    places: list[tuple[int, Target]] = field(default_factory=list)
    forgotten: list[tuple[int, Target]] = field(default_factory=list)
    waiting: Counter[int] = field(default_factory=Counter)  # a place: how many more wait there
    entries: int = 0
    names: int = 0
    dead: int = 0
    newest: int = 0


@dataclass(slots=True)
class Counts:
    """What the journal holds, and the highest numbers it ever gave out."""

    sequence: int
    delivery: int
    entries: int
    names: int
    dead: int
    newest: int  # entry; some numbers above it may have been given out and not used
    tallied: int  # the newest sequence that the tally on disk covers


class Ledger:
    """Begin, change, commit or roll back. Numbers given out in what is rolled back are not used again."""

    def __init__(self, connection: sqlite3.Connection, counts: Counts, places: dict[Target, int]) -> None:
        self.connection = connection
        self.counts = counts
        self.moment = 0  # of this commit, milliseconds
        self.appended_bytes = 0  # event data since it was opened
        self.effects = Effects()
        self._places = places
        self._per_output = Counter(target.output for target in places)

    def begin(self, moment: int) -> None:
        """Start a commit at a moment (milliseconds)."""
        self.effects = Effects()
        self.moment = moment
        self.connection.execute("BEGIN IMMEDIATE")

    def commit(self) -> Effects:
        """Make it durable: it is fsynced when this returns."""
        effects, counts = self.effects, self.counts
        entries, names = counts.entries + effects.entries, counts.names + effects.names
        newest = max(counts.newest, effects.newest)
        tally = effects.entries < 0 or effects.names < 0 or newest - counts.tallied >= limits.TALLY_ENTRIES
        if tally:
            self.execute("tally", {"newest": newest, "entries": entries, "names": names})
        self.connection.execute("COMMIT")
        counts.entries, counts.names, counts.newest = entries, names, newest
        counts.dead += effects.dead
        if tally:
            counts.tallied = newest
        return effects

    def roll_back(self) -> None:
        """Forget what was changed since `begin`."""
        for _, target in self.effects.places:
            self._places.pop(target, None)
            self._per_output[target.output] -= 1
        for place, target in self.effects.forgotten:
            self._places[target] = place
            self._per_output[target.output] += 1
        self.effects = Effects()
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def execute(self, name: str, parameters: Any = ()) -> sqlite3.Cursor:
        """One statement of `sql/writing.sql`."""
        return self.connection.execute(SQL[name], parameters)

    def place_of(self, target: Target) -> int:
        """The number of a place; 0 when there is none."""
        return self._places.get(target, 0)

    # --- accepting ----------------------------------------------------------------------------------------------------

    def check_places(self, events: Iterable[Routed]) -> None:
        """Refuse what would name more places of an output than there may be; make the new ones."""
        known = self._places
        missing = {target: None for routed in events for target in routed.targets if target not in known}
        if missing:
            self._make_places(list(missing))

    def _make_places(self, targets: list[Target]) -> None:
        for output, more in Counter(target.output for target in targets).items():
            if self._per_output[output] + more > most_places(output):
                raise Refused(
                    Code.NODES,
                    f"{output} has {self._per_output[output]} places of at most {most_places(output)}; "
                    + (
                        "let fewer subscribe"
                        if output in _PEOPLE
                        else "use fewer types, and put what varies into subject or data"
                    ),
                )
        first = self.execute("highest_place").fetchone()[0] + 1
        values: list[Any] = []
        for place, target in enumerate(targets, first):
            values += (place, *target)
            self._places[target] = place
            self._per_output[target.output] += 1
            self.effects.places.append((place, target))
        _PLACES.write(self.connection, values)

    def append(self, events: Sequence[Routed]) -> list[Appended]:
        """Keep events whose places exist. One answer each, in order."""
        counts = self.counts
        first = counts.sequence + 1
        names: list[Any] = []
        for sequence, routed in enumerate(events, first):
            names += (sequence, item_id_bytes(*routed.event.name), routed.content)
        counts.sequence += len(events)
        inserted = _NAMES.write(self.connection, names)
        all_new = inserted == len(events)
        answers = None if all_new else [self._known(names[at : at + 3]) for at in range(0, len(names), 3)]
        self.effects.names += inserted
        return self._keep(events, names, answers, first)

    def _known(self, name: Sequence[Any]) -> Appended | None:
        """None for a name that has just been written, which is new."""
        sequence, item_id, content = name
        written, old_content = self.execute("known_name", (item_id,)).fetchone()
        if written == sequence:
            return None
        return Appended(Result.KNOWN if old_content == content else Result.CONFLICT, written, 0)

    def _keep(
        self, events: Sequence[Routed], names: list[Any], answers: list[Appended | None] | None, first: int
    ) -> list[Appended]:
        places, waiting, moment = self._places, self.effects.waiting, self.moment
        delivery = self.counts.delivery
        entries: list[Any] = []
        deliveries: list[Any] = []
        found: list[Appended] = []
        for index, (event, _, targets) in enumerate(events):
            answer = answers[index] if answers else None
            if answer is not None:
                found.append(answer)
                continue
            encoded = event.encoded
            self.appended_bytes += len(encoded)
            sequence = first + index
            entries += (
                sequence, names[3 * index + 1], moment, crc32(encoded), event.type, event.severity, encoded,
            )  # fmt: skip
            unique = targets if len(targets) < 2 else tuple(dict.fromkeys(targets))
            for target in unique:
                delivery += 1
                place = places[target]
                deliveries += (delivery, sequence, place)
                waiting[place] += 1
            found.append(Appended(Result.NEW, sequence, len(unique)))
        self.counts.delivery = delivery
        _ENTRIES.write(self.connection, entries)
        _DELIVERIES.write(self.connection, deliveries)
        if entries:
            self.effects.entries += len(entries) // 7
            self.effects.newest = entries[-7]
        return found

    def settle_delivered(self, deliveries: list[int]) -> list[int]:
        """Those of some deliveries, of any places, that waited, and are delivered now."""
        packed = str(deliveries)
        settled = self.execute("settle_many", (self.moment, packed)).rowcount if deliveries else 0
        if settled == len(deliveries):
            return deliveries
        # Whoever waits is delivered now; one that is gone was dropped while it was on its way.
        return [id_ for (id_,) in self.execute("deliveries_there", (packed,))]

    # --- going on -----------------------------------------------------------------------------------------------------

    def deliver(self, onward: Sequence[tuple[int, Target]]) -> int:
        """Deliveries of existing entries; one that exists is not made again. How many were made."""
        missing = {target: None for _, target in onward if target not in self._places}
        if missing:
            self._make_places(list(missing))
        rows: list[Any] = []
        for delivery, (sequence, target) in enumerate(onward, self.counts.delivery + 1):
            rows += (delivery, sequence, self._places[target])
        self.counts.delivery += len(onward)
        made = _ONWARD.write(self.connection, rows)
        if made == len(onward):
            self.effects.waiting.update(rows[2::3])
        else:
            there = self.execute("deliveries_made", (rows[0], rows[-3])).fetchall()
            self.effects.waiting.update(place for (place,) in there)
        return made

    def wait_again(self, deliveries: Iterable[tuple[int, int]]) -> int:
        """Put settled deliveries, given with their places, behind what waits; how many there were."""
        number = 0
        for delivery, place in deliveries:
            self.counts.delivery += 1
            self.execute("wait_again", {"new": self.counts.delivery, "old": delivery})
            self.effects.waiting[place] += 1
            number += 1
        # AUTOINCREMENT takes note of rows that are inserted, not of those whose id changes.
        self.execute("note_highest_delivery", (self.counts.delivery,))
        return number

    # --- forgetting ---------------------------------------------------------------------------------------------------

    def prune(self, sequences: str) -> int:
        """Forget those of some entries (a JSON array) all of whose deliveries were delivered; how many they were."""
        pruned = self.execute("prune_entries", {"sequences": sequences}).rowcount
        for name in ("prune_deliveries", "prune_messages", "prune_escalations"):
            self.execute(name, {"sequences": sequences})
        self.effects.entries -= pruned
        return pruned

    def narrow(self, sequence: int) -> bool:
        """Forget a slice of what was delivered of an entry that went to many; True when nothing of it is left."""
        slice_ = {"sequence": sequence, "most": limits.ONWARD_SLICE}
        left = [self.execute(f"narrow_{what}", slice_).rowcount for what in ("deliveries", "messages")]
        return max(left) < limits.ONWARD_SLICE

    def prune_names(self, most: int) -> int:
        """Forget the oldest names of entries that are forgotten."""
        pruned = self.execute("prune_names", {"most": most}).rowcount
        self.effects.names -= pruned
        return pruned

    def forget_place(self, place: int, target: Target, newest: int) -> None:
        """A place that no delivery up to `newest` names; one that a later delivery names stays."""
        if self._places.get(target) != place:
            return
        if self.execute("prune_place", {"place": place, "newest": newest}).rowcount:
            del self._places[target]
            self._per_output[target.output] -= 1
            self.effects.forgotten.append((place, target))

    def used_bytes(self) -> int:
        """What the database holds; pages that are free again do not count."""
        return int(self.execute("used_bytes").fetchone()[0])
