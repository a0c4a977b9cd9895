"""One run on its way to one node: the sliding window. Callbacks and counters, no task for an event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime

from xmppbus import limits
from xmppbus.errors import About, Refused
from xmppbus.journal import DELIVERED, UNSENT, Delivery, Outcome, Verdict
from xmppbus.xmpp.component import Stream
from xmppbus.xmpp.nodes import Node
from xmppbus.xmpp.pipeline import Answer
from xmppbus.xmpp.replies import NoAnswer, Unanswered, error_of
from xmppbus.xmpp.stanzas import Publish

_GOES_ON = (Verdict.DELIVERED, Verdict.DEAD)
_VAGUE = ("bad-request", "not-acceptable")
"""About the item only where the node takes others: a service may mean the node's configuration, or our request."""


class Publishing:
    """Publishes `deliveries` in order. After the first that is stopped or unknown nothing more is sent, and what is in
    flight is resolved. `alone` sends the first by itself, so that a refused place refuses before others are in flight.
    Those whose index is in `stored` are on the node already, and not sent. `takes`: the node has taken an item in this
    session.
    """

    def __init__(
        self,
        stream: Stream,
        node: Node,
        deliveries: Sequence[Delivery],
        now: datetime,
        *,
        alone: bool,
        stored: Collection[int] = (),
        takes: bool = False,
    ) -> None:
        self._stream = stream
        self._publish = Publish(stream.service, node.name, stream.sender, node.guard)
        self._deliveries = deliveries
        self._now = now
        self._stored = stored
        self.takes = takes
        self._full = min(limits.WINDOW_ITEMS, node.max_items) if node.persistent else limits.WINDOW_ITEMS
        self._window = 1 if alone else self._full
        self._outcomes: list[Outcome | None] = [None] * len(deliveries)
        self._sent = 0
        self._in_flight = 0
        self.published = False  # anything at all
        self.failed = False  # something was refused for the place's sake, or went unanswered
        self._bug: Exception | None = None
        self._queued = False
        self._wake = asyncio.Event()
        self.yielded = 0
        self.session = stream.session

    async def outcomes(self) -> AsyncIterator[Outcome]:
        """One for each delivery, in order, as soon as those before it are known."""
        self._pump()
        while self.yielded < len(self._deliveries):
            outcome = self._outcomes[self.yielded]
            if outcome is None and self.failed and self._in_flight == 0:
                if self._bug is not None:
                    raise self._bug
                outcome = UNSENT
            if outcome is None:
                self._wake.clear()
                await self._wake.wait()
                continue
            self.yielded += 1
            yield outcome

    def leave(self) -> None:
        """Send nothing more; answers that still come find nobody waiting. After the last outcome it changes nothing."""
        self.failed = self.failed or self.yielded < len(self._deliveries)

    def _pump(self) -> None:
        pipeline = self._stream.pipeline
        while not self.failed and self._sent < len(self._deliveries) and self._in_flight < self._window:
            if self._stream.session != self.session:
                self._settle(self._sent, Outcome(Verdict.STOPPED, Unanswered.DISCONNECTED.value))
                break
            if not pipeline.has_room:
                if not self._queued:
                    self._queued = True
                    pipeline.when_room(self._go_on)
                break
            index = self._sent
            self._sent += 1
            self._send(index)
        self._wake.set()

    def _go_on(self) -> None:
        """There is room on the stream."""
        self._queued = False
        try:
            self._pump()
        except Exception as error:  # whoever calls would log it, and the run would wait for ever
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """A bug: nothing more is sent, and the run raises it when what is in flight is resolved."""
        self._bug = self._bug or error
        self.failed = True
        self._wake.set()

    def _send(self, index: int) -> None:
        if index in self._stored:
            self._settle(index, DELIVERED)
            return
        delivery, pipeline = self._deliveries[index], self._stream.pipeline
        expires = delivery.event.get("expires")
        if expires and datetime.fromisoformat(expires.upper()) <= self._now:
            self._settle(index, Outcome(Verdict.DEAD, "expired", f"it expired at {expires}"))
            return
        request_id = pipeline.new_id()
        try:
            stanza = self._publish.stanza(request_id, delivery.item_id, delivery.event)
            pipeline.send(request_id, stanza, self._stream.service, self._answered, index)
            self._in_flight += 1
            self.published = True
        except Refused as refusal:
            self._settle(index, Outcome(Verdict.DEAD, "payload-too-big", refusal.message))
        except NoAnswer as error:
            self._settle(index, Outcome(Verdict.STOPPED, error.why.value))

    def _answered(self, index: int, answer: Answer) -> None:
        self._in_flight -= 1
        try:
            self._resolve(index, answer)
            self._pump()
        except Exception as error:  # the same
            self._fail(error)

    def _resolve(self, index: int, answer: Answer) -> None:
        outcome = outcome_of(answer)
        self.takes = self.takes or outcome is DELIVERED
        if outcome.condition in _VAGUE and not self.takes:
            outcome = outcome._replace(verdict=Verdict.STOPPED)
        self._settle(index, outcome)
        if outcome is DELIVERED:
            self._window = self._full

    def _settle(self, index: int, outcome: Outcome) -> None:
        self._outcomes[index] = outcome
        if outcome.verdict not in _GOES_ON:
            self.failed = True


def outcome_of(answer: Answer) -> Outcome:
    """What a service's answer to a publish says of the delivery; decided by condition, never by its type."""
    if isinstance(answer, Unanswered):
        return Outcome(Verdict.UNKNOWN, answer.value)
    if answer.get("type") == "result":
        return DELIVERED
    reply = error_of(answer)
    found = reply.condition
    verdict = Verdict.DEAD if found.about is About.EVENT else Verdict.STOPPED
    return Outcome(verdict, found.name, reply.text or found.advice)
