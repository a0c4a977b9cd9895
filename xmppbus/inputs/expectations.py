"""What is expected to come again and again, and how long it has been silent. Pure: the clock that nobody sets
(`ticks`, seconds) is given with each question, so a changed clock or a machine that slept is no silence.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from xmppbus.event import OURS, Event
from xmppbus.fields import check
from xmppbus.journal import Entry
from xmppbus.people.durations import lasting
from xmppbus.route import Match

MISSED = "expect.missed"
"""The type of what is told: firing when it is silent, resolved when it is back."""


class Expectation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What somebody expects; times in seconds, moments in RFC 3339."""

    name: str
    type: str  # a pattern
    every: float
    grace: float = 0.0
    key: str = ""
    source: str = ""
    severity: str = "error"
    made: str = ""
    heard: str = ""  # when it came last
    item: str = ""  # and the item id of that
    missed: str = ""  # since when it is known to be silent

    @property
    def match(self) -> Match:
        """Which events are meant."""
        return Match(self.type, source=self.source, key=self.key)

    def told(self, status: str, silent: float, item: str = "") -> dict[str, Any]:
        """The event that says that it is missed, or (resolved) back, after so many seconds of silence."""
        firing = status == "firing"
        known = {
            "expectation": self.name,
            "type": self.type,
            "every_seconds": self.every,
            "grace_seconds": self.grace,
            "silent_seconds": round(silent),
            "last": self.heard or None,
            "item": item or self.item or None,
        }
        expected = f"it is expected every {lasting(self.every)}"
        missing = f"{self.name}: {'silent' if self.heard else 'never came'} for {lasting(silent)}; {expected}"
        back = f"{self.name}: came again after {lasting(silent)} of silence"
        return {
            "source": OURS,
            # The same after a crash, so it is said once.
            "id": f"expect/{self.name}/{self.heard or self.made}"
            if firing
            else f"expect/{self.name}/{self.missed}/over",
            "type": MISSED,
            "key": f"expect:{self.name}",
            "status": status,
            "severity": self.severity if firing else "info",
            "summary": missing if firing else back,
            "data": known,
        }

    def removed(self) -> dict[str, Any]:
        """The event that ends the silence of what nobody expects any more."""
        return {**self.told("resolved", 0.0), "summary": f"{self.name}: is not expected any more"}


@dataclass(slots=True)
class _Watched:
    expectation: Expectation
    since: float  # ticks of when it was heard
    not_before: float  # ticks before which nothing is said about it
    is_kept: bool = True  # on disk, as it is


class Expectations:
    """All of them, indexed by the first word of their patterns, for every event is looked at."""

    def __init__(self) -> None:
        self._all: dict[str, _Watched] = {}
        self._by_word: dict[str, dict[str, _Watched]] = defaultdict(dict)

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Expectation]:
        return iter([each.expectation for each in self._all.values()])

    def get(self, name: str) -> Expectation | None:
        """The one of that name."""
        found = self._all.get(name)
        return found.expectation if found else None

    def silent(self, name: str, ticks: float) -> float:
        """For how many seconds it has not come."""
        return max(0.0, ticks - self._all[name].since)

    def put(self, expectation: Expectation, since: float, not_before: float = 0.0) -> None:
        """Expect it, in the place of the one of its name."""
        self.drop(expectation.name)
        watched = _Watched(expectation, since, not_before)
        self._all[expectation.name] = watched
        self._by_word[_word(expectation.type)][expectation.name] = watched

    def drop(self, name: str) -> None:
        """Expect it no more."""
        watched = self._all.pop(name, None)
        if watched:
            del self._by_word[_word(watched.expectation.type)][name]

    def hear(self, entry: Entry, ticks: float) -> list[tuple[Expectation, float]]:
        """An event came. Those that were missed and are back now, with how long they were silent."""
        event = entry.event
        if _is_our_own(event):
            return []
        back: list[tuple[Expectation, float]] = []
        for watched in [*self._by_word.get(_word(event.type), {}).values(), *self._by_word.get("#", {}).values()]:
            if not watched.expectation.match.matches(event):
                continue
            if watched.expectation.missed:
                back.append((watched.expectation, max(0.0, ticks - watched.since)))
            watched.since = max(watched.since, ticks)
            heard = entry.accepted.isoformat(timespec="milliseconds")
            watched.expectation = msgspec.structs.replace(watched.expectation, heard=heard, item=entry.item_id)
            watched.is_kept = False
        return back

    def changed(self, expectation: Expectation) -> None:
        """The same one, with something new to remember."""
        watched = self._all[expectation.name]
        watched.expectation = expectation
        watched.is_kept = False

    def due(self, ticks: float) -> list[tuple[Expectation, float]]:
        """Those that are missed from now on, with how long they have been silent."""
        return [
            (each.expectation, ticks - each.since)
            for each in self._all.values()
            if not each.expectation.missed and _due(each) <= ticks
        ]

    def next_due(self, ticks: float) -> float:
        """In how many seconds somebody may be missed; infinity when nobody can be."""
        waiting = (_due(each) - ticks for each in self._all.values() if not each.expectation.missed)
        return max(0.0, min(waiting, default=float("inf")))

    def to_keep(self) -> Iterable[Expectation]:
        """Those that have changed since this was asked; they have to be written."""
        for each in self._all.values():
            if not each.is_kept:
                each.is_kept = True
                yield each.expectation


def checked(expectation: Expectation) -> Expectation:
    """One that can be told of. Raises `Refused`."""
    check(expectation.told("firing", 0.0))
    return expectation


def _due(watched: _Watched) -> float:
    return max(watched.since + watched.expectation.every + watched.expectation.grace, watched.not_before)


def _word(pattern: str) -> str:
    """The first word; `#` where that can be any."""
    first = pattern.partition(".")[0]
    return "#" if first in ("*", "#") else first


def _is_our_own(event: Event) -> bool:
    return event.source == OURS and event.type == MISSED
