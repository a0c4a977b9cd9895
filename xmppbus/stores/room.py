"""Whether the journal may grow: the bound on its size, and what is forgotten before it is refused."""

from __future__ import annotations

import time

from xmppbus import limits
from xmppbus.stores.ledger import Ledger
from xmppbus.stores.reader import Prunable, prunable

EVER = 2**62
"""Later than every sequence and every moment."""


class Room:
    """Asked by the writer before it accepts. Measures now and then, and the more often the less room is left."""

    def __init__(self, most_bytes: int, used_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.used_bytes = used_bytes
        self.most_names = _names(most_bytes)
        self.refusal = ""
        self._measured = 0.0
        self._appended_bytes = 0
        self._pruned_to = 0

    def change(self, most_bytes: int) -> None:
        """Another bound from now on, from whichever thread; the writer measures before it accepts the next."""
        self.most_names, self.most_bytes, self._measured = _names(most_bytes), most_bytes, 0.0
        if self.used_bytes < most_bytes:
            self.refusal = ""

    @property
    def tight(self) -> bool:
        """Whether pruning should make room before the bound is met."""
        return self.used_bytes > self.most_bytes * 0.9

    def __call__(self, ledger: Ledger) -> str:
        """Why nothing can be accepted now; empty when something can."""
        now = time.monotonic()
        appended = ledger.appended_bytes - self._appended_bytes
        plenty = not self.tight and appended < (self.most_bytes - self.used_bytes) // 8
        if plenty and now - self._measured < limits.ROOM_SECONDS:
            return ""
        self._measured, self._appended_bytes = now, ledger.appended_bytes
        self.used_bytes = ledger.used_bytes()
        if self.used_bytes < self.most_bytes or self._prune(ledger):
            self.refusal = ""
            return ""
        self.refusal = (
            f"the journal holds {self.used_bytes / limits.GIB:.2f} of at most {self.most_bytes / limits.GIB:.2f} GiB, "
            "all of it still to be delivered or dead; see `xmppbus status`, or raise `journal.keep.gib`"
        )
        return self.refusal

    def _prune(self, ledger: Ledger) -> bool:
        """Forget the oldest that was settled, for as long as senders may wait for it; whether that made room."""
        excess = ledger.counts.names - self.most_names
        if excess > 0:
            ledger.prune_names(min(excess, limits.PRUNE_EVENTS))
        deadline = time.monotonic() + limits.ROOM_PRUNE_SECONDS
        end = False
        while not end and self.used_bytes >= self.most_bytes and time.monotonic() < deadline:
            parameters = {"after": self._pruned_to, "before": EVER, "limit": limits.PRUNE_EVENTS}
            found = prunable(ledger.connection, parameters)
            if not self._forget(ledger, found, deadline):
                break
            end, self._pruned_to = found.end, 0 if found.end else found.scanned
        return self.used_bytes < self.most_bytes

    def _forget(self, ledger: Ledger, found: Prunable, deadline: float) -> bool:
        """Forget what was found, oldest first, until there is room or the time is up; whether it was all of it."""
        if narrow := [each for each in found.sequences if each not in found.wide]:
            ledger.prune(str(narrow))
            self.used_bytes = ledger.used_bytes()
        for sequence in sorted(found.wide):
            finished = False
            while not finished and self.used_bytes >= self.most_bytes and time.monotonic() < deadline:
                finished = ledger.narrow(sequence)
                self.used_bytes = ledger.used_bytes()
            if not finished:
                return False
            ledger.prune(str([sequence]))
        return True


def _names(most_bytes: int) -> int:
    """How many names of pruned events are kept."""
    return min(limits.NAMES, most_bytes // 4 // limits.NAME_BYTES)
