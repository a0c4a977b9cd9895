"""The door, counted: what was accepted and refused by each input, and how long a yes took."""

from __future__ import annotations

import time as clocks
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from xmppbus.bus import Bus
from xmppbus.errors import Refused
from xmppbus.interfaces import Accept, Accepted
from xmppbus.journal import Result
from xmppbus.running.watching import Watched
from xmppbus.stores.figures import COMMIT_SECONDS, Histogram

COMMAND = "command"
"""The input of what the command line publishes, and a bot in Python: they ask the bus themselves."""

HOUSE = "house"
"""The input of what the bus itself tells: an acknowledgement, a step of an escalation."""


class AcceptFigures:
    """Events by input, since the process began."""

    def __init__(self) -> None:
        self.new: Counter[str] = Counter()
        self.known: Counter[str] = Counter()
        self.refused: Counter[tuple[str, str]] = Counter()  # by input and code
        self.seconds = Histogram(COMMIT_SECONDS)

    def answered(self, name: str, answers: Sequence[Accepted | Refused], seconds: float) -> None:
        """What became of one batch."""
        new = known = 0
        for answer in answers:
            if isinstance(answer, Refused):
                self.refused[name, answer.code.value] += 1
            elif answer.result is Result.NEW:
                new += 1
            else:
                known += 1
        if new:
            self.new[name] += new
        if known:
            self.known[name] += known
        if new or known:
            self.seconds.observe(seconds, new + known)


class CountedBus(Bus):
    """A bus that counts; `door` is the way in of one input."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.figures = AcceptFigures()
        self.watched: Watched | None = None  # told of everything, while somebody looks on

    def door(self, name: str) -> Accept:
        """`accept` for the input of that name."""

        async def accept(sent: Sequence[Mapping[str, Any]], *, time: str = "") -> list[Accepted | Refused]:
            return await self._counted(name, sent, time, is_ours=False)

        return accept

    async def accept(
        self, sent: Sequence[Mapping[str, Any]], *, time: str = "", is_ours: bool = False
    ) -> list[Accepted | Refused]:
        """As `Bus.accept`."""
        return await self._counted(HOUSE if is_ours else COMMAND, sent, time, is_ours=is_ours)

    async def _counted(
        self, name: str, sent: Sequence[Mapping[str, Any]], time: str, *, is_ours: bool
    ) -> list[Accepted | Refused]:
        begun = clocks.perf_counter()
        try:
            answers = await super().accept(sent, time=time, is_ours=is_ours)
        except Refused as refusal:
            self.figures.refused[name, refusal.code.value] += len(sent)
            if self.watched and self.watched.anybody:
                self.watched.came(name, sent, [refusal] * len(sent), self.targets, self.source)
            raise
        self.figures.answered(name, answers, clocks.perf_counter() - begun)
        if self.watched and self.watched.anybody:
            self.watched.came(name, sent, answers, self.targets, self.source)
        return answers


def door_of(bus: Bus, name: str) -> Accept:
    """The way in of an input, counted where the bus counts."""
    return bus.door(name) if isinstance(bus, CountedBus) else bus.accept
