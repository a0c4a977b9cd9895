"""What an input, an output and an analyzer are, and what they are given."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from xmppbus.errors import Refused
from xmppbus.event import Event
from xmppbus.journal import Delivery, Outcome, Result


class Accepted(NamedTuple):
    """The house's yes: the event is on disk. `deliveries` is 0 when no route takes it, which its sender is told."""

    result: Result  # new or known
    item_id: str
    sequence: int
    deliveries: int


class Accept(Protocol):
    """The one way in. Returns after the commit, one answer for each event, in order."""

    async def __call__(self, sent: Sequence[Mapping[str, Any]], *, time: str = "") -> list[Accepted | Refused]:
        """Take responsibility for events, given as CloudEvents JSON objects.

        A bad one gets its `Refused` in its place in the list and never fails its neighbours. Raises `Refused` when the
        house accepts nothing at all (full, closing). `time` (RFC 3339) is when they came, if that was not now.
        """


class Input(Protocol):
    """A way in. Says yes to its sender only after `await accept(...)` returned."""

    async def run(self, accept: Accept) -> None:
        """Take events until cancelled. A crash restarts it with backoff."""

    def status(self) -> Mapping[str, Any]:
        """What `xmppbus status` shows of it; `state` is one word."""


class Output(Protocol):
    """A way out. Entered before the first delivery, left after the last."""

    async def __aenter__(self) -> Output: ...

    async def __aexit__(self, *exc_info: object) -> None: ...

    async def ready(self) -> None:
        """Return when deliveries make sense: while it waits, nothing is claimed."""

    def deliver_run(self, place: str, deliveries: Sequence[Delivery]) -> AsyncIterator[Outcome]:
        """Deliver in order and yield one outcome each, in order; called twice with the same event it must do no harm.

        After the first that is stopped or unknown, nothing more is sent; what was in flight is still resolved.
        """

    def status(self) -> Mapping[str, Any]:
        """What `xmppbus status` shows of it; `state` is one word."""


class Analyzer(Protocol):
    """A station on a route."""

    async def analyze(self, event: Event) -> Sequence[Event]:
        """The events that go on: none stops it, itself lets it pass, new ones (`event.evolve`) go on beside it."""


class Clock(Protocol):
    """Now, in UTC. Passed in, so that a test can say when it is."""

    def __call__(self) -> datetime: ...
