"""Long answers are cut to what fits a phone; `more` goes on. What is left is kept for each asker, for a while."""

from __future__ import annotations

from collections.abc import Hashable

from xmppbus import limits
from xmppbus.bot.remembering import Remembered
from xmppbus.interfaces import Clock
from xmppbus.people.catalogue import several

ANSWER_PAGES = 40
_MOST_CHARACTERS = ANSWER_PAGES * limits.ANSWER_CHARACTERS


class Pages:
    """What has not been read yet of each asker's last long answer."""

    def __init__(self, clock: Clock) -> None:
        self._rest: Remembered[str] = Remembered(clock, limits.REMEMBERED_SECONDS, limits.ASKERS)

    def first(self, who: Hashable, text: str) -> str:
        """The first page of an answer; the rest takes the place of what was left of an earlier one."""
        page, rest = cut(text[:_MOST_CHARACTERS])
        if not rest:
            return page
        self._rest.keep(who, rest)
        lines = rest.count("\n") + 1
        said = several("… {count} more line: `more`", "… {count} more lines: `more`", lines)
        return f"{page}\n{said.format(count=lines)}"

    def more(self, who: Hashable) -> str:
        """The next page; empty when there is none."""
        rest = self._rest.take(who)
        return self.first(who, rest) if rest else ""


def cut(text: str) -> tuple[str, str]:
    """A page, and what is left. Lines stay whole, unless one alone is longer than a page."""
    lines = text.split("\n")
    taken, characters = 0, 0
    for line in lines[: limits.ANSWER_LINES]:
        characters += len(line) + 1
        if characters > limits.ANSWER_CHARACTERS + 1:
            break
        taken += 1
    if not taken:
        return text[: limits.ANSWER_CHARACTERS], text[limits.ANSWER_CHARACTERS :]
    return "\n".join(lines[:taken]), "\n".join(lines[taken:])
