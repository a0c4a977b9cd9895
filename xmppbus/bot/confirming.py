"""What can't be undone is done once its asker has sent back a one-time word: in the same place, soon, and once."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Hashable
from typing import NamedTuple

from xmppbus import limits
from xmppbus.bot.command import Answer
from xmppbus.bot.remembering import Remembered
from xmppbus.interfaces import Clock

Work = Callable[[], Awaitable[Answer]]

_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"


class _Waiting(NamedTuple):
    word: str
    work: Work


def new_word() -> str:
    """A word that nobody says by chance, and that is typed on a phone in a moment: `bodeka`. One of 343,000."""
    return "".join(secrets.choice(_CONSONANTS) + secrets.choice(_VOWELS) for _ in range(3))


class Confirming:
    """What waits for its word: one thing for each asker and place."""

    def __init__(self, clock: Clock, word: Callable[[], str] = new_word) -> None:
        self._word = word
        self._waiting: Remembered[_Waiting] = Remembered(clock, limits.ONE_TIME_WORD_SECONDS, limits.ASKERS)

    def ask(self, who: Hashable, work: Work) -> str:
        """The word that lets it be done. What waited before is forgotten."""
        word = self._word()
        self._waiting.keep(who, _Waiting(word, work))
        return word

    def is_word(self, who: Hashable, said: str) -> bool:
        """Whether that is the word that is waited for: in a room it needs no name before it."""
        return self._look(who, said) is not None

    def confirmed(self, who: Hashable, said: str) -> Work | None:
        """What is to be done, if that is the word."""
        waiting = self._look(who, said)
        if waiting is None:
            return None
        self._waiting.take(who)
        return waiting.work

    def _look(self, who: Hashable, said: str) -> _Waiting | None:
        waiting = self._waiting.look(who)
        if waiting is None or not secrets.compare_digest(waiting.word.encode(), said.strip().casefold().encode()):
            return None
        return waiting
