"""The journal in one SQLite file: a writer that commits whatever waits, a reader, and claims in memory."""

from __future__ import annotations

import asyncio
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from xmppbus import limits
from xmppbus.interfaces import Clock
from xmppbus.journal import (
    Appended,
    Delivery,
    Entry,
    Fate,
    JournalStatus,
    PlaceStatus,
    Replay,
    Routed,
    Run,
    Settled,
    Stop,
    Targets,
)
from xmppbus.route import Match, Target
from xmppbus.stores import opening
from xmppbus.stores.backlog import SqliteBacklog
from xmppbus.stores.claims import Claims
from xmppbus.stores.figures import JournalFigures
from xmppbus.stores.kept import SqliteKept
from xmppbus.stores.ledger import Effects, Ledger
from xmppbus.stores.operations import (
    Append,
    Beat,
    Claim,
    DropDead,
    MoveCursor,
    Replaying,
    RetryDead,
    Settlement,
    Settlements,
    weight_of,
)
from xmppbus.stores.people import SqlitePeople
from xmppbus.stores.pruning import Pruner, slices
from xmppbus.stores.reader import Reader
from xmppbus.stores.reserve import Reserve
from xmppbus.stores.room import EVER, Room
from xmppbus.stores.rows import milliseconds, moment_of
from xmppbus.stores.settling import portions
from xmppbus.stores.writer import Done, Writer


def _now() -> datetime:
    return datetime.now(UTC)


class SqliteJournal:
    """A `Journal` (see `xmppbus/journal.py`) in the file `path`, open within `async with`.

    Raises `JournalHeld` at once when another process has it open, and `JournalFailed` for a file that is no journal.
    Keeps what was delivered for `keep_days`, and less when the file reaches `most_bytes`.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        keep_days: float = limits.KEEP_DAYS,
        most_bytes: int = limits.JOURNAL_GIB * limits.GIB,
        clock: Clock = _now,
    ) -> None:
        self.path = Path(path)
        self.keep_days = keep_days
        self.most_bytes = most_bytes
        self._clock = clock
        self._lock = opening.Lock(self.path)
        self._positions: OrderedDict[tuple[int, tuple[Match, ...], bool], int] = OrderedDict()
        self._claims: Claims
        self._ledger: Ledger
        self._room: Room
        self._writer: Writer
        self._pruner: Pruner
        self._reader: Reader
        self.people: SqlitePeople
        self.kept: SqliteKept

    # --- lifecycle ----------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> SqliteJournal:
        await asyncio.to_thread(opening.make_private, self.path)
        self._lock.take()
        try:
            reserve = Reserve(self.path.with_name(self.path.name + ".reserve"))
            opened = await asyncio.to_thread(opening.open_writer, self.path, reserve)
            self._claims = Claims(opened.places, opened.waiting)
            self._ledger = Ledger(opened.connection, opened.counts, opened.places)
            self._room = Room(self.most_bytes, opened.used_bytes)
            self._newest = opened.counts.newest
            self._reader = Reader()
            await self._reader.open(self.path)
            self._writer = Writer(
                self.path,
                self._ledger,
                reserve=reserve,
                room=self._room,
                moment=self._moment,
                committed=self._committed,
                figures=self._claims.figures,
            )
            self._pruner = Pruner(self._reader, self._writer, self._room, opened.counts, self._claims.schedule)
            self.people = SqlitePeople(self._writer, self._reader, self._claims, opened.counts)
            self.kept = SqliteKept(self._writer, self._reader)
            self._writer.start()
        except BaseException:
            self._lock.release()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._writer.close()
        await self._reader.close()
        self._ledger.connection.close()
        self._claims.close()
        self._lock.release()

    def keep(self, *, days: float, most_bytes: int) -> None:
        """Other bounds from now on."""
        self.keep_days, self.most_bytes = days, most_bytes
        self._room.change(most_bytes)

    async def beat(self) -> None:
        """Return when the writer's thread has answered. Raises `JournalFailed`."""
        await self._writer.submit(Beat())

    @property
    def failed(self) -> asyncio.Future[None]:
        """Raises `JournalFailed` once the disk has failed: from then on the journal answers nothing else."""
        return self._writer.failed

    @property
    def figures(self) -> JournalFigures:
        """What it has counted of its own work."""
        return self._claims.figures

    def on_settled(self, tell: Callable[[Settlement], None] | None) -> None:
        """Tell of what is settled, from now on; or nobody."""
        self._claims.on_settled = tell

    def _moment(self) -> int:
        return milliseconds(self._clock())

    # --- accepting and delivering -------------------------------------------------------------------------------------

    async def append(self, events: Sequence[Routed]) -> list[Appended]:
        """Keep events and their deliveries, in one commit and fsynced.

        `Refused` (journal-full, too-many-nodes, closing) keeps none of them.
        """
        if not events:
            return []
        answers: list[Appended] = await self._writer.submit(Append(events, weight_of(events)))
        return answers

    async def claim(self, output: str, places: int, run: int) -> list[Run]:
        """The head runs of at most `places` places of `output` that wait, are due and are not claimed.

        A run is bounded by `run`, `limits.RUN_EVENTS` and `limits.RUN_BYTES`. Due places take turns.
        """
        taken = self._claims.take(output, places)
        if not taken:
            return []
        heads: list[tuple[Delivery, ...]] = []
        try:
            heads = await self._reader.ask(
                self._reader.heads, [place.id for place in taken], min(run, limits.RUN_EVENTS)
            )
        finally:
            runs = self._claims.give(taken, heads)
        return runs

    async def settle(
        self, run: Run, settled: Sequence[Settled], *, more: bool = False, stop: Stop | None = None
    ) -> None:
        """Write outcomes and what goes on from them, in one commit, or in several where that is much: each delivery is
        settled by the last commit of what goes on from it. Ends the claim unless `more`.

        A run whose claim is void changes nothing. `Refused` (too-many-nodes): what is not settled stays claimed.
        """
        claim = self._claims.holds(run)
        if claim is None:
            return
        *parts, rest = portions(settled, limits.ONWARD_SLICE)
        if parts or claim.turn.locked():
            async with claim.turn:  # what goes on to a place gets there in the order of the run
                for part in parts:
                    await self._settle(claim, part, more=True, stop=None)
                await self._settle(claim, rest, more=more, stop=stop)
        else:
            await self._settle(claim, rest, more=more, stop=stop)

    async def _settle(self, claim: Claim, settled: Sequence[Settled], *, more: bool, stop: Stop | None) -> None:
        settlement = self._claims.sort_out(claim, settled, last=not more, stop=stop)
        if settlement.has_work:
            await self._writer.submit(settlement)
        else:
            self._claims.settled(settlement, (0, 0), 0)
            self._claims.changed()

    async def settle_many(self, settled: Sequence[tuple[Run, Sequence[Settled], Stop | None]]) -> None:
        """Settle many runs and end their claims, in one commit. Runs whose claims are void change nothing."""
        found = Settlements()
        for run, outcomes, stop in settled:
            if claim := self._claims.holds(run):
                settlement = self._claims.sort_out(claim, outcomes, last=True, stop=stop)
                if settlement.has_work:
                    found.add(settlement)
                else:
                    self._claims.settled(settlement, (0, 0), 0)
        if found.each:
            await self._writer.submit(found)
        elif settled:
            self._claims.changed()

    def backlog(self, target: Target, more: Callable[[], None]) -> SqliteBacklog:
        """What waits at a place that nobody claims; `more` is called when more does."""
        return SqliteBacklog(target, more, self._claims, self._reader, self._writer)

    # --- reading ------------------------------------------------------------------------------------------------------

    async def read(self, after: int, limit: int, match: Sequence[Match] = (), *, queues: bool = False) -> list[Entry]:
        """Entries after a sequence, oldest first, that match any of `match`; without it all, with `queues` those of a
        queue alone as well.

        Fewer than `limit` when there are no more, or when they hold more than `limits.READ_BYTES`.
        """
        self._claims.changes.look()
        wanted = tuple(match)
        position = max(after, self._positions.pop((after, wanted, queues), 0))
        found: list[Entry] = []
        size = 0
        while len(found) < limit and position < self._newest:
            if size >= limits.READ_BYTES:
                self._claims.changes.look_again()
                break
            most = limit - len(found)
            slice_ = await self._reader.ask(self._reader.slice, position, EVER, most, wanted, queues=queues)
            found += slice_.entries
            size += sum(len(entry.event.encoded) for entry in slice_.entries)
            position = max(position, slice_.scanned)
            if slice_.end:
                break
        self._positions[found[-1].sequence if found else after, wanted, queues] = position
        if len(self._positions) > limits.READ_POSITIONS:
            self._positions.popitem(last=False)
        return found

    async def changed(self, timeout: timedelta) -> None:
        """Return at the next commit, the next moment a stopped place is due, or after `timeout`.

        A commit after this task's last look at the journal counts: between a look and the wait nothing is missed.
        """
        await self._claims.changes.wait(timeout)

    async def find(self, item_id: str) -> Entry | None:
        """The entry with that item id; None when it never was, or has been pruned."""
        self._claims.changes.look()
        try:
            name = uuid.UUID(item_id).bytes
        except ValueError:
            return None
        return await self._reader.ask(self._reader.find, name)

    async def sequence_at(self, moment: datetime) -> int:
        """The newest sequence accepted before a moment: `read(after=...)` goes on from there."""
        return await self._reader.ask(self._reader.sequence_at, milliseconds(moment), self._newest)

    async def fates(self, sequence: int) -> list[Fate]:
        """What has become of each delivery of an entry."""
        self._claims.changes.look()
        return await self._reader.ask(self._reader.fates, sequence)

    async def dead(self, match: Sequence[Match], limit: int) -> list[tuple[Fate, Entry]]:
        """Dead deliveries with their entries, newest first."""
        found: list[tuple[Fate, Entry]] = []
        before = EVER
        while before and len(found) < limit:
            more, before = await self._reader.ask(self._reader.dead, tuple(match), before, limit - len(found))
            found += more
        return found

    async def cursor(self, consumer: str) -> int | None:
        """How far a named consumer has read; None when nobody knows it."""
        return await self._reader.ask(self._reader.cursor, consumer)

    async def places(self) -> list[PlaceStatus]:
        """Every place where something waits or that is stopped."""
        self._claims.changes.look()
        now = asyncio.get_running_loop().time()
        shown = [place for place in self._claims.schedule if place.waiting > 0 or place.stop]
        found = []
        for part in slices(shown, limits.RUN_EVENTS):
            oldest = await self._reader.ask(self._reader.oldest, [place.id for place in part])
            for place, stamp in zip(part, oldest, strict=True):
                when = None if stamp is None else moment_of(stamp)
                output, address = place.target
                found.append(PlaceStatus(output, address, place.waiting, when, place.stop_at(now)))
        return found

    async def status(self) -> JournalStatus:
        """Figures for `status`."""
        if not self.failed.done():
            self._room.used_bytes = await self._reader.ask(self._reader.used_bytes)
        counts = self._ledger.counts
        refusal = self._writer.refusal or self._room.refusal
        return JournalStatus(
            bytes=self._room.used_bytes,
            most_bytes=self.most_bytes,
            entries=counts.entries,
            newest=self._newest,
            waiting=self._claims.schedule.waiting,
            dead=counts.dead,
            accepting=not refusal,
            reason=refusal,
        )

    # --- what people decide -------------------------------------------------------------------------------------------

    async def retry_dead(self, deliveries: Sequence[int]) -> int:
        """Put dead deliveries back to waiting, behind what waits, marked `again`; how many there were."""
        return int(await self._writer.submit(RetryDead(deliveries)))

    async def drop_dead(self, deliveries: Sequence[int]) -> int:
        """Forget dead deliveries; how many there were."""
        return int(await self._writer.submit(DropDead(deliveries)))

    async def replay(
        self, after: int, until: int, limit: int, match: Sequence[Match], targets: Targets, *, dry_run: bool
    ) -> Replay:
        """One slice of a replay: entries after `after` up to `until` that match, at most `limit` of them.

        `after` of the answer is `until` when there are no more.
        """
        wanted = tuple(match)
        position, end = after, False
        entries: list[Entry] = []
        while not end and not entries:
            entries, scanned, end = await self._reader.ask(self._reader.slice, position, until, limit, wanted)
            position = max(position, scanned)
        again = made = 0
        if entries:
            replaying = Replaying.of(entries, targets, dry_run=dry_run)
            again, made = await self._writer.submit(replaying)
        return Replay(len(entries), again, made, until if end else position)

    async def move_cursor(self, consumer: str, sequence: int) -> None:
        """Remember how far a named consumer has read (never backwards)."""
        await self._writer.submit(MoveCursor(consumer, sequence))

    # --- forgetting ---------------------------------------------------------------------------------------------------

    async def prune(self, older_than: timedelta | None = None) -> int:
        """Forget what was settled and is older than that (else `keep_days`), or more than fits; how many entries.

        In small commits, between which appends go on. Call it now and then.
        """
        seconds = self.keep_days * 86_400 if older_than is None else older_than.total_seconds()
        before = self._moment() - int(seconds * 1000)
        pruned = await self._pruner.prune(before)
        await self.people.prune(before)
        return pruned

    # --- after a commit -----------------------------------------------------------------------------------------------

    def _committed(self, effects: Effects, done: Iterable[Done]) -> None:
        self._claims.committed(effects)
        self._newest = max(self._newest, effects.newest)
        settled = partial(self._claims.settled, moment=self._moment())
        for operation, result in done:
            if isinstance(operation, Settlement):
                settled(operation, result)
            elif isinstance(operation, Settlements):
                operation.tell(settled, result)
        self._claims.changed()
