"""Delivers to many places at once: one delivery for each of thousands of people costs little only in company."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol

from xmppbus.journal import Outcome, Run


class ManyOutput(Protocol):
    """A way out that works the runs of many places in one go. Entered before the first, left after the last."""

    async def __aenter__(self) -> ManyOutput: ...

    async def __aexit__(self, *exc_info: object) -> None: ...

    async def ready(self) -> None:
        """Return when deliveries make sense: while it waits, nothing is claimed."""

    def deliver_many(self, runs: Sequence[Run]) -> AsyncIterator[tuple[Run, list[Outcome]]]:
        """Deliver runs of different places, each in order. Yields every run once, in any order, as soon as it is
        known what became of it: one outcome for each of its deliveries, in order, as in `Output.deliver_run`.

        A run that is never yielded is a bug, which stops its place. May be called again while it works.
        Called twice with the same event it must do no harm.
        """

    def status(self) -> Mapping[str, Any]:
        """What `xmppbus status` shows of it; `state` is one word."""
