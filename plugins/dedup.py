"""The same event again within a window is held; the next that passes carries `held`, how many were.

via: [{dedup: {seconds: 60}}]
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from time import monotonic

from xmppbus.event import Event
from xmppbus.plugins import Registry

KEYS = 10_000  # the least recently seen are forgotten beyond this


class Dedup:
    """The last of each key: the same means key (or type), status, severity and summary."""

    def __init__(self, seconds: float = 60) -> None:
        self.seconds = seconds
        self.seen: OrderedDict[str, tuple[float, str, int]] = OrderedDict()

    async def analyze(self, event: Event) -> Sequence[Event]:
        key, now = event.get("key", event.type), monotonic()
        said = f"{event.get('status')} {event.severity} {event.summary}"
        passed, last, held = self.seen.pop(key, (now - self.seconds, "", 0))
        same = said == last and now - passed < self.seconds
        self.seen[key] = (passed, said, held + 1) if same else (now, said, 0)
        if len(self.seen) > KEYS:
            self.seen.popitem(last=False)
        return [] if same else [event.evolve(held=held) if held else event]


def register(registry: Registry) -> None:
    registry.analyzer("dedup", lambda options: Dedup(**options))
