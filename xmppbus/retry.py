"""When a place that was stopped is tried again. Pure: dice are passed in."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from xmppbus import limits

Dice = Callable[[], float]
"""Uniform in [0, 1)."""


class Retry(NamedTuple):
    """Full jitter between nothing and a bound that doubles from `first` up to `most` (seconds)."""

    first: float = limits.RETRY_FIRST_SECONDS
    most: float = limits.RETRY_MOST_SECONDS

    def decide(self, attempts: int, dice: Dice, retry_after: float = 0.0) -> float:
        """Seconds until the next attempt after `attempts` failed ones; never before the other side's `retry_after`."""
        bound = min(self.most, self.first * 2.0 ** min(attempts - 1, 32))
        return max(retry_after, bound * dice())
