"""At most `count` events of a key in `seconds`; the next that passes carries `held`, how many did not."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from time import monotonic

from xmppbus.event import Event
from xmppbus.plugins import Registry

KEYS = 10_000  # beyond this, the keys not seen for longest are forgotten


class Throttle:
    """A window of times for each key; an event without a key is throttled by its type."""

    def __init__(self, count: int = 1, seconds: float = 60) -> None:
        self.count, self.seconds = count, seconds
        self.seen: OrderedDict[str, tuple[deque[float], int]] = OrderedDict()

    async def analyze(self, event: Event) -> Sequence[Event]:
        key, now = event.get("key", event.type), monotonic()
        times, held = self.seen.pop(key, (deque(), 0))
        while times and times[0] <= now - self.seconds:
            times.popleft()
        passes = len(times) < self.count
        self.seen[key] = (times, 0) if passes else (times, held + 1)
        if len(self.seen) > KEYS:
            self.seen.popitem(last=False)
        if not passes:
            return []
        times.append(now)
        return [event.evolve(held=held) if held else event]


def register(registry: Registry) -> None:
    registry.analyzer("throttle", lambda options: Throttle(**options))
