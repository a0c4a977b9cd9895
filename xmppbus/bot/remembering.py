"""Something for each of many askers: so many of them, for so long, and forgotten then."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from xmppbus.interfaces import Clock

_What = TypeVar("_What")


class Remembered(Generic[_What]):
    """At most `most` things by who they belong to; beyond it whoever was idle for longest is forgotten."""

    def __init__(self, clock: Clock, seconds: float, most: int) -> None:
        self._clock = clock
        self._lasts = timedelta(seconds=seconds)
        self._most = most
        self._kept: OrderedDict[Hashable, tuple[datetime, _What]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, who: Hashable, what: _What) -> None:
        """Remember it, in the place of what was remembered before."""
        self._kept.pop(who, None)
        self._kept[who] = (self._clock(), what)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def look(self, who: Hashable) -> _What | None:
        """What is remembered, if its time is not up."""
        found = self._kept.get(who)
        if found is None:
            return None
        since, what = found
        if not since <= self._clock() < since + self._lasts:
            del self._kept[who]
            return None
        return what

    def take(self, who: Hashable) -> _What | None:
        """The same, and it is forgotten."""
        found = self.look(who)
        self._kept.pop(who, None)
        return found
