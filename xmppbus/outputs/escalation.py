"""The output `escalation`: what a route with `escalate` brought to people goes to others, unless somebody has it.

Its places are names of routes. A delivery begins a chain in the journal; whenever a step of one is due, and nobody has
acknowledged, the deliveries of the step and the moment of the next are written in one commit. So a chain survives every
restart, and no step is taken twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast

from xmppbus import limits
from xmppbus.errors import Refused
from xmppbus.event import OURS, item_id_bytes
from xmppbus.house import House
from xmppbus.journal import DELIVERED, UNSENT, Delivery, Entry, Outcome, Verdict
from xmppbus.options import RouteOptions
from xmppbus.outputs.people import ALL, ForPeople
from xmppbus.people import escalating
from xmppbus.people.escalating import Chain
from xmppbus.people.incidents import UNACKNOWLEDGED, is_of_incident
from xmppbus.people.model import Escalation, Incident, Status
from xmppbus.people.store import People
from xmppbus.plugins import Registry
from xmppbus.route import ESCALATION, Routes, Target

log = logging.getLogger(__name__)

Name = tuple[str, str]
"""A chain's: its route, and its episode."""


class Waiting(NamedTuple):
    """A chain, and when its next step is due, on the clock that nobody sets (seconds)."""

    chain: Escalation
    due: float


class Escalations:
    """The output `escalation`.

    The wall clock says when a step is due, for after a restart; till then it is waited for by the clock that nobody
    sets, so that a jump of the wall clock does no harm, and after a restart never for longer than the step says.
    """

    def __init__(self, house: House, people: People) -> None:
        self._house = house
        self._people = people
        self.chains = escalating.chains(house.routes, house.options.routes)
        self._waiting: dict[Name, Waiting] = {}
        self._notes: OrderedDict[tuple[int, Target], str] = OrderedDict()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    # --- its life -----------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Escalations:
        await self.load()
        self._task = asyncio.create_task(self._run(), name=ESCALATION)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    def take(self, routes: Routes, options: Sequence[RouteOptions]) -> None:
        """Go by these routes from now on. A chain whose route or step has gone ends when it would be due."""
        self.chains = escalating.chains(routes, options)

    async def ready(self) -> None:
        """It needs no server."""

    def status(self) -> Mapping[str, Any]:
        """How many chains wait, and when the next of them is due."""
        due = min((each.chain.due for each in self._waiting.values()), default=None)
        return {"state": "up", "chains": len(self._waiting), "next": due.isoformat() if due else None}

    async def load(self) -> None:
        """Take up what waited when the house was left, or killed."""
        for chain in await self._people.escalations():
            self._wait_for(chain)

    def note(self, sequence: int, target: Target) -> str:
        """What whoever is called is told beside the event: `escalated: nobody acknowledged within 5 min`. Empty for a
        delivery that no step made. In memory: of what was called before a restart nothing is said."""
        return self._notes.get((sequence, target), "")

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            seconds = await self.look()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._changed.wait()

    # --- beginning ----------------------------------------------------------------------------------------------------

    async def deliver_run(self, place: str, deliveries: Sequence[Delivery]) -> AsyncIterator[Outcome]:
        """Begin a chain for each event that needs one; a repeat of an incident needs none of its own."""
        chain = self.chains.get(place)  # a route may have lost its `escalate`: then nobody is to be called
        stopped = await self._begin_all(chain, deliveries) if chain else None
        for index in range(len(deliveries)):
            yield DELIVERED if stopped is None else UNSENT if index else stopped

    async def _begin_all(self, chain: Chain, deliveries: Sequence[Delivery]) -> Outcome | None:
        """Why it can't be done now, else None."""
        try:
            await self._folded(deliveries[-1].sequence)
            begun: dict[str, Escalation] = {}
            for delivery in deliveries:
                found = await self._begun_by(chain, delivery)
                if found and (found.route, found.episode) not in self._waiting:
                    begun.setdefault(found.episode, found)
            await asyncio.gather(*(self._people.begin_escalation(each) for each in begun.values()))
        except TimeoutError:
            return Outcome(Verdict.STOPPED, "timeout", "the output people is behind: nobody knows how incidents stand")
        except Refused as refusal:
            return Outcome(Verdict.STOPPED, "resource-constraint", refusal.message)
        if begun:
            # What is there is asked for, and not believed: of a chain that has ended the journal begins no other.
            there = {(each.route, each.episode): each for each in await self._people.escalations()}
            for each in begun.values():
                if (name := (each.route, each.episode)) in there:
                    self._wait_for(there[name])
            self._changed.set()
        return None

    async def _begun_by(self, chain: Chain, delivery: Delivery) -> Escalation | None:
        """The chain that an event begins; none if it is about an incident that does not fire (any more)."""
        event, episode, key = delivery.event, delivery.item_id, ""
        if is_of_incident(event):
            if event.get("status") != Status.FIRING or event.type == UNACKNOWLEDGED:
                return None
            key = event.get("key")
            incident = await self._people.incident(key)
            if incident is None or incident.sequence < delivery.sequence:
                await self._check_folded(delivery.sequence)
            if incident is None or incident.status is not Status.FIRING:
                return None
            episode = incident.episode
        due = self._house.clock() + timedelta(seconds=chain.steps[0].seconds)
        return Escalation(chain.route.name, episode, key, delivery.sequence, 0, due)

    async def _check_folded(self, sequence: int) -> None:
        """Raise TimeoutError for an event that is not folded yet, though it was waited for."""
        head = await self._people.waiting(ALL, 1)
        if head and head[0].sequence <= sequence:
            raise TimeoutError

    # --- going on -----------------------------------------------------------------------------------------------------

    async def look(self) -> float | None:
        """Take every step that is due. How many seconds until the next one is; None when no chain waits."""
        while self._waiting:
            name, first = min(self._waiting.items(), key=lambda each: each[1].due)
            seconds = first.due - self._house.ticks()
            if seconds > 0:
                return seconds
            try:
                await self._take(name, first.chain)
            except Exception:  # the house is kept alive: what can't be looked at now is looked at again
                log.exception(
                    "an escalation along the route %s has to wait", first.chain.route, extra=_about(first.chain)
                )
                later = self._house.ticks() + limits.ESCALATION_AGAIN_SECONDS
                self._waiting[name] = first._replace(due=later)
        return None

    async def _take(self, name: Name, escalation: Escalation) -> None:
        chain = self.chains.get(escalation.route)
        entry = await self._entry(escalation.sequence)
        following = None
        if chain is None or entry is None or escalation.step >= len(chain.steps):
            text = "the escalation of %s ends: its route, its step or its event is gone"
            log.info(text, escalation.route, extra=_about(escalation, entry))
            await self._people.escalate(escalation, (), None)
        else:
            verdict = await self._verdict(escalation, chain, entry)
            if verdict is escalating.Verdict.WAIT:
                self._wait_for(escalation, chain.steps[escalation.step].seconds)
                return
            if verdict is escalating.Verdict.CALL:
                called, following = await self._call(escalation, chain, entry)
                if not called and escalation in await self._people.escalations():
                    # Somebody has acknowledged since it was looked at: that ends it when it is looked at again.
                    self._wait_for(escalation, limits.ESCALATION_AGAIN_SECONDS)
                    return
            else:
                # Only this one: another route's may go on for as long as nobody *acknowledged*.
                await self._people.escalate(escalation, (), None)
        self._waiting.pop(name, None)
        if following:
            self._wait_for(following)

    async def _call(self, escalation: Escalation, chain: Chain, entry: Entry) -> tuple[bool, Escalation | None]:
        """Take the step. Whether it was taken, and the next one."""
        step = escalation.step
        targets = chain.steps[step].targets(entry.event)
        due: datetime | None = None
        if step + 1 < len(chain.steps):
            due = self._house.clock() + timedelta(seconds=chain.steps[step + 1].seconds)
        self._notes |= {(entry.sequence, target): chain.note(step) for target in targets}  # it may be sent at once
        while len(self._notes) > limits.ESCALATIONS:
            self._notes.popitem(last=False)
        if not await self._people.escalate(escalation, targets, due):
            return False, None
        said = ", ".join(f"{target.output}:{target.place}" for target in targets)
        log.info("%s goes to %s; %s", entry.item_id, said, chain.note(step), extra=_about(escalation, entry))
        return True, escalation._replace(step=step + 1, due=due) if due else None

    async def _verdict(self, escalation: Escalation, chain: Chain, entry: Entry) -> escalating.Verdict:
        """Looked at after everything that was accepted before now has been folded."""
        journal = self._house.journal
        incident: Incident | None = None
        if escalation.key:
            try:
                await self._folded((await journal.status()).newest)
            except TimeoutError:  # better once too often than nobody at all
                log.warning("the output people is behind: who has acknowledged just now is not known")
            incident = await self._people.incident(escalation.key)
        verdict = escalating.decide(escalation, incident, self._house.clock())
        if verdict is not escalating.Verdict.CALL:
            return verdict
        if await journal.find(str(uuid.UUID(bytes=item_id_bytes(OURS, f"{entry.item_id}/retracted")))):
            return escalating.Verdict.END
        if chain.steps[escalation.step].unless == "delivered":
            messages = await self._people.messages_of(entry.sequence)
            if incident and incident.sequence != entry.sequence:
                messages += await self._people.messages_of(incident.sequence)
            called = chain.called(entry.event, escalation.step)
            if escalating.has_it(called, messages, await journal.fates(entry.sequence)):
                return escalating.Verdict.END
        return escalating.Verdict.CALL

    async def _entry(self, sequence: int) -> Entry | None:
        found = await self._house.journal.read(sequence - 1, 1)
        return found[0] if found and found[0].sequence == sequence else None

    async def _folded(self, sequence: int) -> None:
        """Raises TimeoutError."""
        folds = cast("ForPeople", self._house.outputs["people"])
        async with asyncio.timeout(limits.ESCALATION_FOLD_SECONDS):
            await folds.folded(sequence)

    def _wait_for(self, escalation: Escalation, seconds: float | None = None) -> None:
        """From now on; a chain that is not known to any route is looked at, and ended, at once."""
        chain = self.chains.get(escalation.route)
        known = chain is not None and escalation.step < len(chain.steps)
        most = chain.steps[escalation.step].seconds if chain and known else 0.0
        left = (escalation.due - self._house.clock()).total_seconds() if seconds is None else seconds
        due = self._house.ticks() + min(max(left, 0.0), most)
        self._waiting[escalation.route, escalation.episode] = Waiting(escalation, due)


def _about(escalation: Escalation, entry: Entry | None = None) -> dict[str, object]:
    """For the log."""
    found = {"route": escalation.route, "step": escalation.step, "sequence": escalation.sequence}
    return {**found, "event_id": entry.item_id} if entry else found


def register(registry: Registry) -> None:
    """Offer the output `escalation`; routes with `escalate` need it, and none names it."""
    registry.output(ESCALATION, _make)


def _make(house: House, options: Mapping[str, Any]) -> Escalations:
    if options:
        raise ValueError("the output escalation has no options of its own; see `escalate` of a route")
    if house.people is None:
        raise ValueError("escalations need the bot, which knows who acknowledged what; write `bot:` into the config")
    return Escalations(house, house.people)
