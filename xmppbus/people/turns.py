"""Whose turn it is to tell somebody something: one output at a time, since each goes by what the other has told."""

from __future__ import annotations

from xmppbus import limits
from xmppbus.journal import HELD, Outcome, Verdict
from xmppbus.people.store import People
from xmppbus.route import Target

NOT_YET = Outcome(Verdict.STOPPED, HELD, "it is being told something else", limits.TURN_SECONDS)


class Turns:
    """By JID. A place that finds it is another output's turn waits, and is woken when that is over."""

    def __init__(self, people: People) -> None:
        self._people = people
        self._whose: dict[str, str] = {}
        self._waiting: dict[str, Target] = {}

    def take(self, output: str, jid: str) -> bool:
        """Whether an output may tell a JID something, until it says that its turn is over."""
        if self._whose.setdefault(jid, output) == output:
            return True
        self._waiting[jid] = Target(output, jid)
        return False

    def over(self, output: str, jid: str) -> None:
        """What the JID was told is written down. Twice is harmless."""
        if self._whose.get(jid) == output:
            del self._whose[jid]
            if target := self._waiting.pop(jid, None):
                self._people.wake(target)
