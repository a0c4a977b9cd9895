"""The door: check, route, keep, and only then say yes. And what goes on along a route after an analyzer."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.event import OUR_TYPES, OURS, Event, Named, now, parse
from xmppbus.fields import check_time
from xmppbus.interfaces import Accepted, Clock
from xmppbus.journal import Appended, Journal, Outcome, Result, Routed, Settled, Verdict
from xmppbus.route import QUEUE, Routes, Target

CheckSize = Callable[[Event], None]
"""Raises `Refused` for an event whose encoded item is over `limits.ITEM_BYTES`; the wire knows how large that is."""


def admit(fields: Mapping[str, Any], source: str, time: str, check_size: CheckSize, *, is_ours: bool = False) -> Named:
    """The door check, the same with and without a daemon: a checked event with a name. Raises `Refused`."""
    defaults = {"source": source, "time": time}
    if fields.get("id") is None:  # only then: the kernel's dice cost more than the whole check
        defaults["id"] = str(uuid.uuid4())
    named = parse(fields, defaults)
    check_size(named.event)
    if named.event.source == OURS and named.event.type in OUR_TYPES and not is_ours:
        raise Refused(
            Code.FORBIDDEN, f"`{named.event.type}` of the source `{OURS}` is the bus's own; name another source"
        )
    return named


class Bus:
    """Takes responsibility for events. Never waits for an output, an analyzer or a server."""

    def __init__(self, journal: Journal, routes: Routes, *, source: str, check_size: CheckSize, clock: Clock) -> None:
        self._journal = journal
        self.routes = routes  # of the config that holds now
        self.source = source  # of events that name none
        self._check_size = check_size
        self._clock = clock
        self._closing = False
        self.queues: Callable[[str], tuple[Target, ...]] = lambda _: ()  # those that take events of a type

    def close(self) -> None:
        """Say no from now on: the house is being left."""
        self._closing = True

    @property
    def closing(self) -> bool:
        """Whether the house is being left."""
        return self._closing

    async def accept(
        self, sent: Sequence[Mapping[str, Any]], *, time: str = "", is_ours: bool = False
    ) -> list[Accepted | Refused]:
        """As `interfaces.Accept` says; `is_ours` for what the house itself tells."""
        if self._closing:
            raise Refused(Code.CLOSING, "the daemon is stopping; try again in a moment", retry_after=2)
        if len(sent) > limits.BATCH_EVENTS:
            raise Refused(Code.TOO_BIG, f"{len(sent)} events in one batch of at most {limits.BATCH_EVENTS}")
        time = check_time(time) if time else now(self._clock)
        answers: list[Accepted | Refused | None] = []
        admitted: list[Routed] = []
        for fields in sent:
            try:
                event, content = admit(fields, self.source, time, self._check_size, is_ours=is_ours)
            except Refused as refusal:
                answers.append(refusal)
            else:
                answers.append(None)
                admitted.append(Routed(event, content, self.targets(event)))
        appended = iter(zip(admitted, await self._journal.append(admitted), strict=True)) if admitted else iter(())
        return [answer or _answer(*next(appended)) for answer in answers]

    def targets(self, event: Event) -> tuple[Target, ...]:
        """Where an event goes: to its queue alone, or along the routes and to the queues that take its type."""
        if name := event.fields.get(QUEUE):
            return (Target(QUEUE, name),)
        return self.routes.route(event) + self.queues(event.type)  # the journal makes one delivery to each

    def onward(self, station: str, delivery: int, event: Event, passed: Sequence[Event]) -> Settled:
        """What an analyzer's answer to an event comes to: the same event goes on, new ones go on beside it.

        A new event's name is derived from its cause, the station and its place in the answer, so that the same answer
        after a crash makes the same events.
        """
        same = any(each is event or each == event for each in passed)
        events: list[Routed] = []
        for index, each in enumerate(passed):
            if each is event or each == event:
                continue
            if event.get("hops", 0) >= limits.HOPS:
                text = f"derived from one another {limits.HOPS} times; is there a circle in the routes?"
                return Settled(delivery, Outcome(Verdict.DEAD, "loop", text))
            derived = _derived(station, event, index, each)
            others = self.routes.derived(station, derived) + self.queues(derived.type)
            targets = self.targets(derived) if QUEUE in derived.fields else others
            events.append(Routed(derived, _content(derived), targets))
        targets = self.routes.onward(station, event) if same else ()
        return Settled(delivery, Outcome(Verdict.DELIVERED), targets, tuple(events))


def _derived(station: str, cause: Event, index: int, event: Event) -> Event:
    changes: dict[str, Any] = {"causedby": cause.item_id, "hops": cause.get("hops", 0) + 1}
    if event.name == cause.name:
        changes["id"] = str(uuid.uuid5(uuid.UUID(cause.item_id), f"{station}/{index}"))
    return event.evolve(**changes)


def _content(event: Event) -> bytes:
    return blake2b(event.encoded, digest_size=16).digest()


def _answer(routed: Routed, appended: Appended) -> Accepted | Refused:
    if appended.result is Result.CONFLICT:
        message = f"source and id name another event already (sequence {appended.sequence}); give this one its own id"
        return Refused(Code.CONFLICT, message, field="id")
    return Accepted(appended.result, routed.event.item_id, appended.sequence, appended.deliveries)
