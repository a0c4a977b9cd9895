"""How many messages a JID may be sent a minute. Pure: the clock is passed in."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime
from typing import NamedTuple

from xmppbus import limits


class _Left(NamedTuple):
    messages: float
    at: datetime


class Budget:
    """A token bucket for each JID: `per_minute` messages at once, and as many again spread over each minute."""

    def __init__(self, per_minute: int, most: int = limits.BUDGETS) -> None:
        self._most_messages = float(per_minute)
        self._per_second = per_minute / 60
        self._most = most
        self._left: OrderedDict[str, _Left] = OrderedDict()

    def change(self, per_minute: int) -> None:
        """Another bound from now on; nobody has more left than that."""
        self._most_messages = float(per_minute)
        self._per_second = per_minute / 60

    def __len__(self) -> int:
        return len(self._left)

    def take(self, jid: str, now: datetime) -> bool:
        """Take one message from what a JID has left; False, and nothing taken, when it is spent."""
        left = self._now(jid, now)
        if left < 1:
            if now < self._left[jid].at:
                self._keep(jid, left, now)  # a clock that was set back holds nobody up until it is there again
            return False
        self._keep(jid, left - 1, now)
        return True

    def spend(self, jid: str, now: datetime) -> None:
        """Take one although it may be spent already: what was sent all the same is paid for later."""
        self._keep(jid, max(self._now(jid, now) - 1, -self._most_messages), now)

    def seconds(self, jid: str, now: datetime) -> float:
        """How long until a JID may be sent a message again; 0 when it may be now."""
        return max(0.0, (1 - self._now(jid, now)) / self._per_second)

    def _now(self, jid: str, now: datetime) -> float:
        left = self._left.get(jid)
        if left is None:
            return self._most_messages
        passed = max(0.0, (now - left.at).total_seconds())  # a clock that was set back gives nothing
        return min(self._most_messages, left.messages + passed * self._per_second)

    def _keep(self, jid: str, messages: float, now: datetime) -> None:
        self._left[jid] = _Left(messages, now)
        self._left.move_to_end(jid)
        if len(self._left) > self._most:
            self._left.popitem(last=False)
