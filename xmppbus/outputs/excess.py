"""What a route sends to somebody beyond the budget goes on to the digest: a storm is one message, whoever sends it.

What people have subscribed to is counted where it is addressed (`people.addressing`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime

from xmppbus.journal import Delivery, Run
from xmppbus.outputs.known import Known
from xmppbus.outputs.wording import Note, no_note
from xmppbus.people.audience import DIGEST, Audience
from xmppbus.people.budget import Budget
from xmppbus.people.store import People
from xmppbus.people.telling import is_retraction, key_of
from xmppbus.route import Target


class Excess:
    """Of one output that tells people."""

    def __init__(self, output: str, people: People, audience: Audience, budget: Budget, note: Note = no_note) -> None:
        """With a `note` somebody is called because others have not reacted: that is never held."""
        self._output = output
        self._people = people
        self._audience = audience
        self._budget = budget
        self._note = note

    async def move(self, runs: Iterable[Run], known: Known, now: datetime) -> frozenset[int]:
        """Takes what is counted here from the budgets. What they have no room for waits in a digest when this returns;
        the ids of those deliveries, for which nothing is left to be said."""
        routed: dict[int, set[str]] = {}  # by entry: the same for everybody
        moved: dict[int, tuple[int, str]] = {}
        for run in runs:
            for each in run.deliveries:
                places = routed.get(each.sequence)
                if places is None:
                    places = routed[each.sequence] = self._places(each)
                is_counted = run.place in places and self._rings(run.place, each, known)
                if is_counted and not self._budget.take(run.place, now):
                    moved[each.id] = (each.sequence, run.place)
        await asyncio.gather(
            *(self._people.deliver_again(sequence, Target(DIGEST, place)) for sequence, place in moved.values())
        )
        return frozenset(moved)

    def _places(self, delivery: Delivery) -> set[str]:
        """To whom routes send it."""
        return {target.place for target in self._audience.routed(delivery.event) if target.output == self._output}

    def _rings(self, jid: str, delivery: Delivery, known: Known) -> bool:
        """Whether it is a new message, and may wait. What mends one is counted where it is addressed."""
        incident = known.incidents.get(key_of(delivery.event))
        if is_retraction(delivery.event) or (incident is not None and known.has_copy(jid, incident)):
            return False
        return not self._note(delivery.sequence, jid)
