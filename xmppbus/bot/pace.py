"""Nobody is flooded with answers, and two programs that answer each other are stopped. Pure, but for its table."""

from __future__ import annotations

import enum
from collections.abc import Hashable
from datetime import datetime, timedelta

from xmppbus import limits
from xmppbus.bot.remembering import Remembered
from xmppbus.interfaces import Clock

_MINUTE = timedelta(minutes=1)


class Speech(enum.Enum):
    """Whether an answer is said."""

    SAY = "say"
    STOP = "stop"  # say instead, once, that nothing is said for a while
    SILENT = "silent"


class _Counted:
    """The answers to one JID in the present minute."""

    __slots__ = ("answers", "same", "silent_until", "since", "text")

    def __init__(self, now: datetime) -> None:
        self.since = now
        self.answers = 0
        self.text = 0  # the hash of the last answer
        self.same = 0
        self.silent_until: datetime | None = None


class Pace:
    """How many answers each JID got of late."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        lasts = 60.0 + limits.SILENCE_SECONDS
        self._counted: Remembered[_Counted] = Remembered(clock, lasts, limits.ASKERS)

    def is_silent(self, jid: Hashable) -> bool:
        """Whether nothing is said to it for now, so that nothing need be done for it either."""
        counted = self._counted.look(jid)
        return bool(counted and counted.silent_until and self._clock() < counted.silent_until)

    def answer(self, jid: Hashable, text: str) -> Speech:
        """Count an answer."""
        now = self._clock()
        counted = self._counted.look(jid)
        if counted is None or (now >= counted.silent_until if counted.silent_until else now - counted.since >= _MINUTE):
            counted = _Counted(now)
            self._counted.keep(jid, counted)
        if counted.silent_until is not None:
            return Speech.SILENT
        counted.answers += 1
        counted.same = counted.same + 1 if counted.text == hash(text) else 1
        counted.text = hash(text)
        if counted.answers <= limits.ANSWERS_PER_MINUTE and counted.same <= limits.SAME_ANSWERS_PER_MINUTE:
            return Speech.SAY
        counted.silent_until = now + timedelta(seconds=limits.SILENCE_SECONDS)
        return Speech.STOP
