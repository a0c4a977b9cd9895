"""The door to people: every event comes by here, in one order, is folded into its incident, and goes on to each
subscriber as a delivery of its own. Nothing is sent from here, so it needs no server.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import tzinfo
from typing import Any, NamedTuple

from xmppbus import limits
from xmppbus.deliver import Work
from xmppbus.interfaces import Clock
from xmppbus.journal import DELIVERED, UNSENT, Delivery, Journal, Outcome, Run, Settled, State
from xmppbus.people.addressing import Addressing
from xmppbus.people.audience import CHAT, DIGEST, ROOM, Audience
from xmppbus.people.budget import Budget
from xmppbus.people.incidents import Happened, fold, moment_of
from xmppbus.people.model import Copy, Incident, Status
from xmppbus.people.store import People
from xmppbus.people.telling import expiry, is_retraction, key_of, retracted_item
from xmppbus.route import Target

log = logging.getLogger(__name__)

ALL = Target("people", "all")
"""The one place: so the order of all events is one."""


class _Folded(NamedTuple):
    """A delivery's incident as its event left it; `tells` is False when it changed nothing and is news to nobody."""

    incident: Incident | None
    tells: bool = True


_NONE = _Folded(None)


class _Known(NamedTuple):
    """What telling some events takes."""

    folded: dict[int, _Folded]  # by delivery
    copies: dict[str, list[Copy]]  # by key
    addressing: Addressing


class ForPeople:
    """An `Output` whose deliveries go on: work its runs with `people_work`."""

    def __init__(
        self,
        journal: Journal,
        store: People,
        audience: Audience,
        *,
        budget: Budget,
        presence_of: Callable[[str], str],
        is_room: Callable[[str], bool],
        corrects: Callable[[str], bool],
        is_awaited: Callable[[str], bool] = lambda _: False,
        zone: tzinfo,
        clock: Clock,
    ) -> None:
        """`corrects`: whether every message of the bot's to a JID can be corrected; not with an account, and not where
        a client would show nothing."""
        self._journal = journal
        self._store = store
        self._audience = audience
        self._budget = budget
        self._presence_of = presence_of
        self._is_room = is_room
        self._corrects = corrects
        self._is_awaited = is_awaited
        self.zone = zone  # of the config that holds now
        self._clock = clock
        self._incidents: OrderedDict[str, Incident] = OrderedDict()
        self._newest = 0  # the newest event that is folded
        self._advanced = asyncio.Event()

    async def __aenter__(self) -> ForPeople:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Everything it knows is in the journal."""

    async def ready(self) -> None:
        """It needs no server."""

    def status(self) -> Mapping[str, Any]:
        """See `docs/reference/status.md`."""
        return {"state": "up", "subscriptions": len(self._audience.interests)}

    def deliver_run(self, place: str, deliveries: Sequence[Delivery]) -> AsyncIterator[Outcome]:
        """Outcomes alone would lose what goes on from them."""
        raise NotImplementedError("the runs of `people` are worked with `people_work`")

    # --- folding ------------------------------------------------------------------------------------------------------

    async def folded(self, sequence: int) -> None:
        """Return once every event up to `sequence` is folded into its incident; or, when that does not go on for a
        while (it shows in `status`), without it: whoever waits then tells what is known.
        """
        while self._newest < sequence:
            self._advanced.clear()
            newest = self._newest
            head = await self._store.waiting(ALL, 1)
            if not head or head[0].sequence > sequence:
                return  # it has been by, before we were started, or never comes by: analyzers' events do not
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limits.FOLD_SECONDS):
                    await self._advanced.wait()
            if self._newest == newest and not self._advanced.is_set():
                log.warning("event %d is not folded yet; going on without it", sequence, extra={"sequence": sequence})
                return

    async def work(self, run: Run) -> AsyncGenerator[Settled, None]:
        """As `deliver.Work` says: each event goes on to everybody who wants to hear of it."""
        left = limits.ONWARD_TARGETS
        for start in range(0, len(run.deliveries), limits.FOLD_EVENTS):
            chunk = run.deliveries[start : start + limits.FOLD_EVENTS]
            known = await self._look_up(chunk) if left > 0 else None
            for delivery in chunk:
                if known is None or left <= 0:
                    yield Settled(delivery.id, UNSENT)
                    continue
                onward = await self._onward(delivery, known)
                left -= len(onward)
                yield Settled(delivery.id, DELIVERED, onward)

    async def _look_up(self, chunk: Sequence[Delivery]) -> _Known:
        folded = await self._fold(chunk)
        copies = await self._copies({key_of(each.event) for each in chunk if each.id in folded})
        addressing = Addressing(
            self._audience,
            self._budget,
            presence_of=self._presence_of,
            is_room=self._is_room,
            corrects=self._corrects,
            is_awaited=self._is_awaited,
            zone=self.zone,
            now=self._clock(),
        )
        return _Known(folded, copies, addressing)

    async def _onward(self, delivery: Delivery, known: _Known) -> tuple[Target, ...]:
        event = delivery.event
        incident, tells = known.folded.get(delivery.id, _NONE)
        if is_retraction(event):
            return await self._retracted(retracted_item(event))
        if not tells:
            return ()
        copies: dict[str, Copy] = {}
        if incident is not None:
            have = known.copies.get(incident.key, ())
            copies = {each.jid: each for each in have if _concerns(each, delivery, incident)}
        if expiry(event, self._clock()):
            return known.addressing.mending(event, incident, copies)
        return known.addressing.targets(event, incident, copies)

    async def _fold(self, chunk: Sequence[Delivery]) -> dict[int, _Folded]:
        """What the events come to, by delivery; written down before anybody is told."""
        incidents = await self._known({key for each in chunk if (key := key_of(each.event))})
        found: dict[int, _Folded] = {}
        changed: dict[str, Incident] = {}
        for delivery in chunk:
            key = key_of(delivery.event)
            if not key:
                continue
            before = incidents.get(key)
            moment = moment_of(delivery.event, self._clock())
            incident = fold(before, Happened(delivery.sequence, delivery.item_id, delivery.event, moment))
            is_news = incident is not before or incident is None or delivery.sequence <= incident.sequence
            found[delivery.id] = _Folded(incident, is_news)
            if incident is not None and incident is not before:
                incidents[key] = changed[key] = incident
        await self._store.keep_incidents(list(changed.values()))
        for key, incident in changed.items():
            self._remember(key, incident)
        self._newest = max(self._newest, chunk[-1].sequence)
        self._advanced.set()
        return found

    async def _known(self, keys: Iterable[str]) -> dict[str, Incident]:
        found = {key: self._incidents[key] for key in keys if key in self._incidents}
        missing = [key for key in keys if key not in found]
        read = await asyncio.gather(*map(self._store.incident, missing))
        return found | {key: incident for key, incident in zip(missing, read, strict=True) if incident is not None}

    def _remember(self, key: str, incident: Incident) -> None:
        self._incidents[key] = incident
        self._incidents.move_to_end(key)
        if len(self._incidents) > limits.INCIDENTS_IN_MEMORY:
            self._incidents.popitem(last=False)

    # --- telling ------------------------------------------------------------------------------------------------------

    async def _copies(self, keys: Iterable[str]) -> dict[str, list[Copy]]:
        """Who has a message about an incident; asked after it was written down, so whoever hands one over meanwhile
        and looks again then finds what we do not."""
        wanted = list(keys)
        found = await asyncio.gather(*map(self._store.copies_of, wanted))
        return {
            key: [each for each in copies if each.message_id]
            for key, copies in zip(wanted, found, strict=True)
            if copies
        }

    async def _retracted(self, item_id: str) -> tuple[Target, ...]:
        """Everybody who was told of it, or is about to be; who is not yet is told nothing."""
        entry = await self._journal.find(item_id)
        if entry is None:
            return ()
        told = {each.jid for each in await self._store.messages_of(entry.sequence) if not each.bounced}
        fates = [each for each in await self._journal.fates(entry.sequence) if each.output in (CHAT, ROOM, DIGEST)]
        told.update(each.place for each in fates if each.output != DIGEST)
        waiting = [Target(each.output, each.place) for each in fates if each.state is State.WAITING]
        await asyncio.gather(*(self._store.drop_waiting(each, [entry.sequence]) for each in waiting))
        return tuple(Target(ROOM if self._is_room(jid) else CHAT, jid) for jid in sorted(told))


def _concerns(copy: Copy, delivery: Delivery, incident: Incident) -> bool:
    """Whether a message about an incident has to be corrected because of an event: one of its episode; or, where the
    incident is in the next one already, as when a run is worked again, the end of an earlier one."""
    if copy.episode == incident.episode:
        return True
    is_end = delivery.event.get("status") == Status.RESOLVED and delivery.sequence < incident.sequence
    return is_end and copy.sequence < delivery.sequence


def people_work(output: ForPeople) -> Work:
    """Work runs with the output `people`: what goes on from an event is settled with it."""
    return output.work
