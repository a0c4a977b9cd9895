"""The chat plane's state, in the journal's file: the writer changes it, the reader answers, as for the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, ClassVar, TypeVar

from xmppbus import limits
from xmppbus.journal import Entry
from xmppbus.people.model import Copy, Counted, Escalation, Incident, Message, Person, Status, Subscription, Tally
from xmppbus.route import Match, Target
from xmppbus.stores import people_reading as reading
from xmppbus.stores import people_writing as writing
from xmppbus.stores.claims import Claims
from xmppbus.stores.ledger import Counts, Ledger
from xmppbus.stores.operations import Operation
from xmppbus.stores.reader import Reader
from xmppbus.stores.room import EVER
from xmppbus.stores.rows import milliseconds, moment_of
from xmppbus.stores.writer import Writer

T = TypeVar("T")


@dataclass(slots=True)
class Change(Operation):
    """One change of the chat plane's tables. Like settling it goes on while the disk is full."""

    change: Callable[[Ledger], Any]
    weight: int = 1
    future: asyncio.Future[Any] = field(init=False)

    def write(self, ledger: Ledger) -> Any:
        """What the change answers."""
        return self.change(ledger)


@dataclass(slots=True)
class Growth(Change):
    """One that nobody needs in order to go on delivering: refused while the disk is full."""

    needs_room: ClassVar[bool] = True


class SqlitePeople:
    """`People` (see `xmppbus/people/store.py`) in the file of a journal that is open."""

    def __init__(self, writer: Writer, reader: Reader, claims: Claims, counts: Counts) -> None:
        self._writer = writer
        self._reader = reader
        self._claims = claims
        self._counts = counts
        self._types = _Types(reader)

    async def _change(self, change: Callable[[Ledger], T], weight: int = 1) -> T:
        found: T = await self._writer.submit(Change(change, weight))
        return found

    # --- who wants what -----------------------------------------------------------------------------------------------

    async def subscriptions(self) -> list[Subscription]:
        """All of them, oldest first."""
        return await self._reader.look(reading.subscriptions)

    async def subscribe(self, subscription: Subscription) -> Subscription:
        """Keep it, with an id; one of the same owner and pattern is replaced. `Refused` (too-many-requests,
        journal-full)."""
        found: Subscription = await self._writer.submit(Growth(partial(writing.subscribe, subscription=subscription)))
        return found

    async def unsubscribe(self, subscriptions: Sequence[int]) -> int:
        """Forget them; how many there were."""
        return await self._change(partial(writing.unsubscribe, subscriptions=subscriptions))

    async def persons(self) -> list[Person]:
        """Everybody of whom something is kept."""
        return await self._reader.look(reading.persons)

    async def keep_person(self, person: Person) -> None:
        """Keep it in the place of what was kept of the same JID. `Refused` beyond `limits.PERSONS`."""
        await self._change(partial(writing.keep_person, person=person))

    async def forget_person(self, jid: str) -> None:
        """Forget it."""
        await self._change(partial(writing.forget_person, jid=jid))

    async def tally(self) -> Tally:
        """How much there is of all this."""
        return await self._reader.look(reading.tally)

    # --- incidents, and who has which message about them --------------------------------------------------------------

    async def incident(self, key: str) -> Incident | None:
        """The last episode of that key."""
        return await self._reader.look(reading.incident, key)

    async def incidents(self, statuses: Sequence[Status], limit: int) -> list[Incident]:
        """Those that stand so, newest first."""
        return await self._reader.look(reading.incidents, statuses, limit)

    async def keep_incidents(self, incidents: Sequence[Incident]) -> None:
        """Keep them; one whose `sequence` is not above that of what is kept of the same key changes nothing."""
        if incidents:
            await self._change(partial(writing.keep_incidents, incidents=incidents), len(incidents))

    async def copies_of(self, key: str) -> list[Copy]:
        """Who has a message about that incident."""
        return await self._reader.look(reading.copies_of, key)

    async def copies(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Copy]:
        """The copies for (key, JID)."""
        return await self._reader.look(reading.copies, keys) if keys else {}

    async def outdate(self, copy: Copy) -> None:
        """A correction of it did not come: it does not show what its incident has come to."""
        await self._change(partial(writing.outdate, copy=copy))

    # --- the ledger ---------------------------------------------------------------------------------------------------

    async def handed_over(self, messages: Sequence[Message], copies: Sequence[Copy]) -> None:
        """Messages that the server has been given, and the copies that they make or change. Twice is harmless."""
        if messages or copies:
            change = partial(writing.handed_over, messages=messages, copies=copies)
            await self._change(change, len(messages) + len(copies))

    async def message(self, message_id: str) -> Message | None:
        """The message with that id."""
        return await self._reader.look(reading.message, message_id)

    async def messages_of(self, sequence: int) -> list[Message]:
        """What was sent of an event, to whom, and what came back; oldest first."""
        return await self._reader.look(reading.messages_of, sequence)

    async def received(self, message_ids: Sequence[str], moment: datetime) -> None:
        """Receipts (XEP-0184) came; the first counts."""
        change = partial(writing.received, message_ids=message_ids, moment=milliseconds(moment))
        await self._change(change, len(message_ids))

    async def displayed(self, message_ids: Sequence[str], moment: datetime) -> None:
        """Markers (XEP-0333) came; the first counts. Whatever was sent to that JID before it is displayed, too, and
        what corrects it and was received."""
        change = partial(writing.displayed, message_ids=message_ids, moment=milliseconds(moment))
        await self._change(change, len(message_ids))

    async def bounced(self, message_id: str, condition: str, text: str) -> None:
        """It came back with an error."""
        await self._change(partial(writing.bounced, message_id=message_id, condition=condition, text=text))

    # --- escalation ---------------------------------------------------------------------------------------------------

    async def escalations(self) -> list[Escalation]:
        """Every chain that waits, the next due first."""
        return await self._reader.look(reading.escalations)

    async def begin_escalation(self, escalation: Escalation) -> None:
        """Keep it; one of the same route and episode that is there, or ever was, changes nothing. `Refused` beyond
        `limits.ESCALATIONS`."""
        await self._change(partial(writing.begin_escalation, escalation=escalation))

    async def escalate(self, escalation: Escalation, targets: Sequence[Target], following: datetime | None) -> bool:
        """In one commit: make the deliveries of its step, and go on to the next one, due at `following` (None: the
        chain ends). False, and nothing done, when that step is done already or the chain has ended; or, with targets,
        when somebody has its incident, though that be accepted and not folded yet.

        A delivery of the same event to the same place that was made before goes back to waiting, marked `again`.
        """
        due = None if following is None else milliseconds(following)
        return await self._change(partial(writing.escalate, escalation=escalation, targets=tuple(targets), due=due))

    async def end_escalations(self, episode: str) -> int:
        """Nobody needs to be called any more; how many chains ended."""
        return await self._change(partial(writing.end_escalations, episode=episode))

    # --- what people ask ----------------------------------------------------------------------------------------------

    async def types(self, limit: int) -> list[Counted]:
        """Types seen, the most recent first."""
        return await self._types.counted(limit, self._counts.newest)

    async def last(self, limit: int, match: Match) -> list[Entry]:
        """The newest entries that match, newest first. Looks at `limits.LOOK_BACK_EVENTS` entries at most."""
        return await self._look_back(limit, reading.like(match))

    async def search(self, words: Sequence[str], limit: int) -> list[Entry]:
        """The newest entries in whose type, summary or text all the words are, in any case. The same bound."""
        return await self._look_back(limit, reading.holding(words))

    async def _look_back(self, limit: int, wanted: reading.Wanted) -> list[Entry]:
        found: list[Entry] = []
        before, left = EVER, limits.LOOK_BACK_EVENTS
        most = limit  # mostly the newest are wanted; only who looks for something rare reads far, and in large slices
        while len(found) < limit and left > 0:
            slice_ = await self._reader.look(reading.slice_back, before, min(most, left), limit - len(found), wanted)
            if not slice_.looked_at:
                break
            found += slice_.entries
            before, left, most = slice_.scanned, left - slice_.looked_at, most * 10
        return found

    # --- deliveries ---------------------------------------------------------------------------------------------------

    async def deliver_again(self, sequence: int, target: Target) -> bool:
        """A delivery of that entry waits there from now on, behind what waits already, marked `again` if there was one
        before. False when the entry has been pruned."""
        return await self._change(partial(writing.deliver_again, sequence=sequence, target=target))

    async def mend(self, jid: str) -> int:
        """Whatever a JID has a message about, which says otherwise than things stand, is delivered to it; how many
        incidents it is."""
        behind = await self._reader.look(reading.behind, jid)
        for sequence in behind:
            await self.deliver_again(sequence, Target("chat", jid))
        return len(behind)

    async def send_again(self, message: Message) -> None:
        """Everything that a message told, which has come back, waits again where it was told from, as with
        `deliver_again`: also what is not settled yet, because the message was still on its way."""
        await self._change(partial(writing.send_again, message=message))

    def count_waiting(self, target: Target) -> int:
        """How much waits at a place."""
        place = self._claims.place_of(target)
        return place.waiting if place else 0

    async def drop_waiting(self, target: Target, sequences: Sequence[int] | None = None) -> int:
        """Forget what waits at a place (all of it, or these), because nobody wants it any more; how many it was."""
        total, position = 0, -1
        while position:
            after = max(position, 0)
            dropped, position = await self._change(
                partial(writing.drop_waiting, target=target, sequences=sequences, after=after), limits.ONWARD_SLICE
            )
            total += dropped
        return total

    async def waiting(self, target: Target, limit: int, skip: int = 0) -> list[Entry]:
        """What waits at a place, oldest first, the first `skip` of it left out."""
        place = self._claims.place_of(target)
        return await self._reader.look(reading.waiting, place.id, limit, skip) if place else []

    def wake(self, target: Target) -> None:
        """A place that was held is due now. Nothing is written."""
        self._claims.wake(target)

    # --- forgetting ---------------------------------------------------------------------------------------------------

    async def prune(self, before: int) -> None:
        """Forget messages whose entries are gone, and incidents that were resolved before a moment (milliseconds),
        or are beyond what is kept, with their copies; in small commits."""
        while await self._change(writing.prune_messages, limits.ONWARD_SLICE) == limits.ONWARD_SLICE:
            pass
        keys = await self._reader.look(reading.incidents_prunable, before)
        while keys:
            keys = keys[await self._change(partial(writing.forget_incidents, keys=keys), limits.ONWARD_SLICE) :]
        while keys := await self._reader.look(reading.copies_excess):
            while keys:
                keys = keys[await self._change(partial(writing.forget_copies, keys=keys), limits.ONWARD_SLICE) :]


class _Types:
    """Counts types once, in slices, and from then on what has come since."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._turn = asyncio.Lock()
        self._seen: dict[str, tuple[int, int]] = {}
        self._position = 0
        self._anew = 0.0  # when they are counted anew, as old entries are forgotten

    async def counted(self, limit: int, newest: int) -> list[Counted]:
        """The most recent first."""
        async with self._turn:
            now = asyncio.get_running_loop().time()
            if now >= self._anew:
                self._seen.clear()
                self._position = max(0, newest - limits.TYPES_EVENTS)
                self._anew = now + limits.TYPES_SECONDS
            while self._position < newest:
                until = min(newest, self._position + limits.SCAN_EVENTS)
                for type_, times, last in await self._reader.look(reading.types, self._position, until):
                    before, _ = self._seen.get(type_, (0, 0))
                    self._seen[type_] = before + times, last
                self._position = until
            recent = sorted(self._seen.items(), key=lambda item: item[1][1], reverse=True)[:limit]
        return [Counted(type_, times, moment_of(last)) for type_, (times, last) in recent]
