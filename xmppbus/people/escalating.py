"""Whether an escalation goes on, ends, or waits a little: decided from what is known, without looking at anything."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from xmppbus import limits
from xmppbus.event import Event
from xmppbus.journal import Fate, State
from xmppbus.options import RouteOptions
from xmppbus.people.catalogue import _
from xmppbus.people.durations import duration, lasting
from xmppbus.people.model import Escalation, Incident, Message, Status
from xmppbus.route import Address, Route, Target

_PERSON, _ROOM = "chat", "room"


class Step(NamedTuple):
    """So long after the event, or after the step before, it goes to more addresses, unless somebody has it."""

    seconds: float
    unless: str  # `acknowledged`, or `delivered`
    to: tuple[Address, ...]

    def targets(self, event: Event) -> tuple[Target, ...]:
        """Whom it calls."""
        return tuple(Target(address.output, address.place or event.type) for address in self.to)


class Chain(NamedTuple):
    """The steps of a route."""

    route: Route
    steps: tuple[Step, ...]

    def called(self, event: Event, step: int) -> tuple[Target, ...]:
        """Who has been called before a step: the addresses of the route, and of all steps before."""
        to = [*self.route.to, *(address for each in self.steps[:step] for address in each.to)]
        return tuple(Target(address.output, address.place or event.type) for address in to)

    def note(self, step: int) -> str:
        """What whoever is called in a step is told beside the event."""
        text = _("escalated: nobody acknowledged within {lasting}")
        if self.steps[step].unless == "delivered":
            text = _("escalated: nobody got it within {lasting}")
        return text.format(lasting=lasting(sum(each.seconds for each in self.steps[: step + 1])))


class Verdict(enum.Enum):
    """What becomes of a step that is due."""

    CALL = "call"
    WAIT = "wait"  # somebody has it, or it is calm just now: it may fire again
    END = "end"  # it is over


def chains(routes: Iterable[Route], options: Sequence[RouteOptions]) -> dict[str, Chain]:
    """By the name of the route; only routes that escalate."""
    given = {each.name: each.escalate for each in options}
    return {
        route.name: Chain(
            route,
            tuple(
                Step((duration(step.after) or timedelta()).total_seconds(), step.unless, to)
                for step, to in zip(given[route.name], route.escalate, strict=True)
            ),
        )
        for route in routes
        if route.escalate
    }


def decide(escalation: Escalation, incident: Incident | None, now: datetime) -> Verdict:
    """By how the incident stands. An event that is none can't be acknowledged."""
    if not escalation.key:
        return Verdict.CALL
    if incident is None or incident.episode != escalation.episode:
        return Verdict.END
    if incident.status is Status.FIRING:
        return Verdict.CALL
    is_calm = incident.resolved and now - incident.resolved >= timedelta(seconds=limits.FLAPPING_SECONDS)
    # One that flaps, or is about to, keeps its episode, and so does one that is given back: nothing else would begin a
    # chain when it fires again.
    return Verdict.END if incident.status is Status.RESOLVED and is_calm else Verdict.WAIT


def has_it(called: Sequence[Target], messages: Sequence[Message], fates: Sequence[Fate]) -> bool:
    """Whether it has reached somebody: a client of a person said so (XEP-0184), or the address of a machine said yes.

    Where people or rooms were called it is they who count: that a node has it too says of nobody that they know.
    """
    if any(message.received or message.displayed for message in messages):
        return True
    people = [target for target in called if target.output in (_PERSON, _ROOM)]
    count = {target for target in people if target.output == _ROOM} if people else set(called)
    return any(fate.state is State.DELIVERED and (fate.output, fate.place) in count for fate in fates)
