"""Who is told of an event, and which way: at once, or held in a digest. Pure: clock and presence are passed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo

from xmppbus.event import Event
from xmppbus.people.audience import CHAT, DIGEST, ROOM, Audience
from xmppbus.people.budget import Budget
from xmppbus.people.holding import Hold, held, quiet_hold
from xmppbus.people.incidents import has_risen
from xmppbus.people.model import Copy, Incident, Person, Quiet, Subscription
from xmppbus.route import Target


class Addressing:
    """For the events of one moment: what is the same for thousands of people is worked out once."""

    def __init__(
        self,
        audience: Audience,
        budget: Budget,
        *,
        presence_of: Callable[[str], str],
        is_room: Callable[[str], bool],
        corrects: Callable[[str], bool],
        is_awaited: Callable[[str], bool],
        zone: tzinfo,
        now: datetime,
    ) -> None:
        """`corrects` when a message to a JID can be corrected after others were sent; never so in rooms. `is_awaited`
        while what was sent to it has come back, and is to be tried again."""
        self._audience = audience
        self._budget = budget
        self._presence_of = presence_of
        self._is_room = is_room
        self._corrects = corrects
        self._is_awaited = is_awaited
        self._zone = zone
        self._now = now
        self._quiet: dict[tuple[Quiet, str], Hold | None] = {}

    def targets(self, event: Event, incident: Incident | None, copies: Mapping[str, Copy]) -> tuple[Target, ...]:
        """One for everybody who wants to hear of it, or has a copy of its incident, by JID in `copies`."""
        found: list[Target] = []
        subscriptions = self._audience.matching(event, incident)
        for subscription in subscriptions:
            copy = copies.get(subscription.owner) if copies else None
            target = self._target(subscription.owner, subscription, event, incident, copy)
            if target is not None:
                found.append(target)
        if copies:
            told = {each.owner for each in subscriptions}
            for jid, copy in copies.items():
                if jid not in told and (target := self._target(jid, None, event, incident, copy)) is not None:
                    found.append(target)
        return tuple(found)

    def mending(self, event: Event, incident: Incident | None, copies: Mapping[str, Copy]) -> tuple[Target, ...]:
        """One for everybody who has a copy of its incident: of what has expired nobody else is told."""
        wanted = ((jid, self._audience.most_urgent(jid, event, incident), copy) for jid, copy in copies.items())
        found = (self._target(jid, subscription, event, incident, copy) for jid, subscription, copy in wanted)
        return tuple(target for target in found if target is not None)

    def _target(
        self, jid: str, subscription: Subscription | None, event: Event, incident: Incident | None, copy: Copy | None
    ) -> Target | None:
        """None: it is not told, since it does not want to be, or can't."""
        person = self._audience.known(jid)
        if person is not None and person.suspended:
            return None
        output = ROOM if self._is_room(jid) else CHAT
        if output == ROOM or not self._is_silent(jid, incident, copy):
            if person is not None and self._audience.muted(jid, event, incident, self._now):
                return None
            severity = incident.severity if incident else event.severity
            if subscription is not None and self._is_held(jid, subscription, person, severity):
                return Target(DIGEST, jid)
        is_told = not self._is_awaited(jid) and self._budget.take(jid, self._now)
        return Target(output if is_told else DIGEST, jid)

    def _is_silent(self, jid: str, incident: Incident | None, copy: Copy | None) -> bool:
        """Whether it is the correction of a message that is there: that disturbs nobody, and should not be late."""
        if incident is None or copy is None or not self._corrects(jid):
            return False
        return not has_risen(incident, above=copy.severity)

    def _is_held(self, jid: str, subscription: Subscription, person: Person | None, severity: str) -> bool:
        if subscription.digest_seconds or subscription.digest_events:
            return True
        if subscription.quiet is not None and self._quiet_hold(subscription.quiet, severity):
            return True
        if person is None or not person.hold_below:
            return False
        show = self._presence_of(jid)
        return held(subscription, person, severity, show=show, now=self._now, zone=self._zone) is not None

    def _quiet_hold(self, quiet: Quiet, severity: str) -> Hold | None:
        key = (quiet, severity)
        if key not in self._quiet:
            self._quiet[key] = quiet_hold(quiet, severity, self._now, self._zone)
        return self._quiet[key]
