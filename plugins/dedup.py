"""The same event again within `seconds` is held; the next that passes carries `held`, how many were."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from time import monotonic

from xmppbus.event import Event
from xmppbus.plugins import Registry

KEYS = 10_000  # beyond this, the keys not seen for longest are forgotten


class Dedup:
    """The last of each key (or type); the same means status, severity and summary."""

    def __init__(self, seconds: float = 60) -> None:
        self.seconds = seconds
        self.seen: OrderedDict[str, tuple[float, str, int]] = OrderedDict()

    async def analyze(self, event: Event) -> Sequence[Event]:
        key, now = event.get("key", event.type), monotonic()
        said = f"{event.get('status')} {event.severity} {event.summary}"
        passed, last, held = self.seen.pop(key, (now, "", 0))
        same = said == last and now - passed < self.seconds
        self.seen[key] = (passed, said, held + 1) if same else (now, said, 0)
        if len(self.seen) > KEYS:
            self.seen.popitem(last=False)
        if same:
            return []
        return [event.evolve(held=held) if held else event]


def register(registry: Registry) -> None:
    registry.analyzer("dedup", lambda options: Dedup(**options))
