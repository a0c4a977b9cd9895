"""What waits at a place whose deliveries are taken one by one, in any order: a queue's. `Backlog` in a SQLite file."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from xmppbus import limits
from xmppbus.journal import Delivery, Outcome, Settled
from xmppbus.route import Target
from xmppbus.stores import queries, rows
from xmppbus.stores.claims import UNCLAIMED, Claims
from xmppbus.stores.ledger import Ledger
from xmppbus.stores.operations import Claim, Operation
from xmppbus.stores.places import Place
from xmppbus.stores.reader import SQL as READING
from xmppbus.stores.reader import Reader
from xmppbus.stores.writer import Writer

if TYPE_CHECKING:
    import asyncio
    import sqlite3

SQL = queries.load("backlog")


class _Head(NamedTuple):
    """A delivery that waits, without its event."""

    id: int
    sequence: int
    again: int
    accepted: int
    attempts: int
    size: int


class SqliteBacklog:
    """`Backlog` (see `xmppbus/journal.py`) in the file of a journal that is open."""

    def __init__(
        self, target: Target, more: Callable[[], None], claims: Claims, reader: Reader, writer: Writer
    ) -> None:
        self._target = target
        self._claims = claims
        self._reader = reader
        self._writer = writer
        self._claims.schedule.watchers[target] = more

    async def after(self, delivery: int, limit: int) -> list[Delivery]:
        """Oldest first, what waits behind a delivery; fewer than `limit` when they hold much."""
        return await self._ask("after", after=delivery, most=limit)

    async def these(self, deliveries: Sequence[int]) -> list[Delivery]:
        """Those of some deliveries that wait there, oldest first; the first of them when they hold much."""
        return await self._ask("these", deliveries=json.dumps(list(deliveries)))

    async def settle(self, outcomes: Sequence[tuple[Delivery, Outcome]]) -> None:
        """Write what became of them, in one commit. What does not wait any more stays as it is."""
        place = self._place()
        if place is None:
            return
        # Two apart: no two of them are neighbours, for what is between them may wait.
        unsettled = {each.id: (2 * index, each.sequence, each.accepted) for index, (each, _) in enumerate(outcomes)}
        claim = Claim(UNCLAIMED, place, unsettled)
        settled = [Settled(each.id, outcome) for each, outcome in outcomes]
        await self._writer.submit(self._claims.sort_out(claim, settled, last=False, stop=None))

    async def drop(self, most: int, without: Sequence[int]) -> int:
        """Forget what waits there, the oldest first, but for these; how many there were."""
        place = self._place()
        return int(await self._writer.submit(Drop(place.id, most, without))) if place else 0

    def close(self) -> None:
        """Be told nothing more."""
        self._claims.schedule.watchers.pop(self._target, None)

    def _place(self) -> Place | None:
        return self._claims.schedule.find(self._target)

    async def _ask(self, name: str, **parameters: Any) -> list[Delivery]:
        place = self._place()
        if place is None:
            return []
        return await self._reader.look(partial(_waiting, name=name, parameters={"place": place.id, **parameters}))


def _waiting(connection: sqlite3.Connection, name: str, parameters: dict[str, Any]) -> list[Delivery]:
    (packed,) = connection.execute(SQL[name], parameters).fetchone()
    heads = _bounded(msgspec.json.decode(packed, type=list[_Head]))
    sequences = json.dumps([head.sequence for head in heads])
    events = rows.events_in(connection.execute(READING["entries"], (sequences,)).fetchone()[0])
    try:
        return [Delivery(id_, at, *events[at], again == 1, when, tries) for id_, at, again, when, tries, _ in heads]
    except KeyError as error:
        raise rows.damaged(f"sequence {error}".encode()) from error


def _bounded(heads: list[_Head]) -> list[_Head]:
    """Those at the front that fit into memory, one at least."""
    size = 0
    for index, head in enumerate(heads):
        size += head.size
        if index and size > limits.QUEUE_WINDOW_BYTES:
            return heads[:index]
    return heads


@dataclass(slots=True)
class Drop(Operation):
    """Forget what waits at a place, the oldest first, but for some."""

    place: int
    most: int
    without: Sequence[int]
    future: asyncio.Future[int] = field(init=False)
    weight: int = limits.ONWARD_SLICE

    def write(self, ledger: Ledger) -> int:
        """How many there were."""
        parameters = {"place": self.place, "most": self.most, "without": json.dumps(list(self.without))}
        dropped = ledger.connection.execute(SQL["drop"], parameters).rowcount
        ledger.effects.waiting[self.place] -= dropped
        return dropped
