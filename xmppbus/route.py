"""Which events go where: patterns, matches, addresses and routes. Pure; no plugin code, no subscription of a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from xmppbus.event import OURS, Event
from xmppbus.fields import SEVERITIES

DEFAULT_ROUTE = "default"
STATION = "via"
"""The output name under which a station's deliveries are kept: its place is `ROUTE/STEP`."""
QUEUE = "queue"
"""The output whose places are queues: what waits there is taken by whoever consumes it. Also the field of an event that
is of one queue alone, which nobody else hears of."""
ESCALATION = "escalation"
"""The output whose places are names of routes: it waits whether somebody reacts, and calls others if nobody does."""

_RANK = {name: rank for rank, name in enumerate(SEVERITIES)}


@lru_cache(maxsize=4096)
def topic_matches(pattern: str, topic: str) -> bool:
    """AMQP 0-9-1 §3.1.3.3 topic patterns: `*` is exactly one word, `#` any number of words, none included."""
    return _words_match(tuple(pattern.split(".")), tuple(topic.split(".")))


def _words_match(pattern: tuple[str, ...], words: tuple[str, ...]) -> bool:
    # One row of the table of prefixes at a time: no backtracking, however many `#` the pattern has.
    reached = [True] + [False] * len(words)
    for part in pattern:
        if part == "#":
            following = list(reached)
            for index in range(1, len(reached)):
                following[index] = following[index] or following[index - 1]
        else:
            following = [False] * len(reached)
            for index, word in enumerate(words, start=1):
                following[index] = reached[index - 1] and part in ("*", word)
        reached = following
    return reached[-1]


class Match(NamedTuple):
    """What an event must be like: every part that is given must hold."""

    type: str = "#"
    severity: str = ""  # "warning" is exactly that; ">=warning" is that or worse
    source: str = ""
    subject: str = ""
    key: str = ""

    def matches(self, event: Event) -> bool:
        """Whether the event is like this; one of a queue alone is like nothing."""
        if QUEUE in event.fields:
            return False
        if self.type != "#" and not topic_matches(self.type, event.type):
            return False
        if self.severity and not severity_matches(self.severity, event.severity):
            return False
        return (
            (not self.source or event.source == self.source)
            and (not self.subject or event.get("subject") == self.subject)
            and (not self.key or event.get("key") == self.key)
        )


def severity_matches(wanted: str, severity: str) -> bool:
    """`>=warning` is warning or worse; a bare word is exactly that severity."""
    if wanted.startswith(">="):
        return _RANK[severity] >= _RANK[wanted[2:].strip()]
    return severity == wanted


class Address(NamedTuple):
    """A target as the config writes it: `OUTPUT` or `OUTPUT:PLACE`. Without a place, the place is the event's type."""

    output: str
    place: str = ""

    @classmethod
    def parse(cls, text: str) -> Address:
        """`pubsub`, `pubsub:ops.disk`, `room:ops@muc.example.org`."""
        output, _, place = text.partition(":")
        return cls(output, place)


class Target(NamedTuple):
    """One address of one event: what a delivery is made for."""

    output: str
    place: str


class Route(NamedTuple):
    """Events like `match` go through the analyzers of `via`, in order, and then to every address of `to`."""

    name: str
    match: Match
    via: tuple[str, ...]
    to: tuple[Address, ...]
    escalate: tuple[tuple[Address, ...], ...] = ()  # whom to call, step by step, if nobody reacts

    def targets(self, event: Event, step: int) -> tuple[Target, ...]:
        """Where the event goes at a step: the station of that step, or, past the last one, the addresses."""
        if step < len(self.via):
            return (Target(STATION, f"{self.name}/{step}"),)
        to = (*self.to, Address(ESCALATION, self.name)) if self.escalate else self.to
        return tuple(Target(address.output, address.place or event.type) for address in to)


def default_route(output: str) -> Route:
    """Every event to the node of its type, so that publishing needs no route at all."""
    return Route(DEFAULT_ROUTE, Match(), (), (Address(output),))


PEOPLE_ROUTE = Route(".people", Match(), (), (Address("people", "all"),))
"""Every event, past every route, to those who match it with people's subscriptions; no route can be called like it."""


def owners_route(jids: Sequence[str]) -> Route:
    """What the bot's owners are told whether they have subscribed to it or not: that somebody can't be reached."""
    match = Match(type="person.#", source=OURS)
    return Route(".owners", match, (), tuple(Address("chat", jid) for jid in jids))


class Routes:
    """All routes of the house. A route of the config named `default` takes the built-in one's place."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._by_name = {route.name: route for route in routes}

    def __iter__(self) -> Iterator[Route]:
        return iter(self._by_name.values())

    def route(self, event: Event) -> tuple[Target, ...]:
        """The targets of a new event, each once however many routes name it."""
        found: dict[Target, None] = {}
        for route in self._by_name.values():
            if route.match.matches(event):
                found.update(dict.fromkeys(route.targets(event, 0)))
        return tuple(found)

    def onward(self, station: str, event: Event) -> tuple[Target, ...]:
        """Where an event goes after the station `ROUTE/STEP`; nowhere when the route has gone from the config."""
        name, _, step = station.rpartition("/")
        route = self._by_name.get(name)
        return route.targets(event, int(step) + 1) if route else ()

    def derived(self, station: str, event: Event) -> tuple[Target, ...]:
        """Where an event goes that an analyzer made there: on along the route, and to people like every other."""
        people = self._by_name.get(PEOPLE_ROUTE.name)
        return (*self.onward(station, event), *(people.targets(event, 0) if people else ()))
