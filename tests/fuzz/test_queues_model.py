"""Queues against a model of them: each event is one's at a time, and none is lost, whatever is done in whatever order.

`XMPPBUS_FUZZ_RUNS=10000 pytest tests/fuzz/test_queues_model.py` is the long form.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.journals import routed
from xmppbus import limits
from xmppbus.queues import Consumer, Leased, LeaseLost, Queues
from xmppbus.route import Target
from xmppbus.stores.sqlite import SqliteJournal

NAMES = ("a", "b")


@dataclass
class Known:
    """One queue of the model: deliveries, by number."""

    ready: dict[int, int] = field(default_factory=dict)  # how often each was tried
    later: dict[int, float] = field(default_factory=dict)  # when it is due; it is in `tries` as well
    tries: dict[int, int] = field(default_factory=dict)
    newest: int = 0  # that was handed out
    unseen: int = 0  # sent, and not handed out yet: their numbers are not known

    @property
    def waiting(self) -> int:
        """All that is in it, but what somebody has."""
        return len(self.ready) + len(self.later) + self.unseen


@dataclass
class Held:
    """What somebody has, or had."""

    leased: Leased
    until: float


@dataclass
class Person:
    """A consumer of the model."""

    queue: str
    prefetch: int
    seconds: float | None
    consumer: Consumer
    out: dict[int, Held] = field(default_factory=dict)
    lost: list[Leased] = field(default_factory=list)


class QueuesMachine(RuleBasedStateMachine):
    """Does something with both, and compares what they hold after each step."""

    @initialize()
    def start(self) -> None:
        """A new journal."""
        self.directory = Path(tempfile.mkdtemp(prefix="queues-model-"))
        self.runner = asyncio.Runner()
        self.now = 1_000.0
        self.sent = 0
        self.known = {name: Known() for name in NAMES}
        self.people: list[Person] = []
        self.items: dict[int, str] = {}
        self.small = patch.object(limits, "QUEUE_WINDOW", 5)
        self.small.start()
        self.open()

    def do(self, action: Coroutine[Any, Any, Any]) -> Any:
        """Wait for it."""
        return self.runner.run(action)

    def open(self) -> None:
        """Open the journal that is in the directory."""
        self.journal = SqliteJournal(self.directory / "journal.db")
        self.do(self.journal.__aenter__())
        self.queues = Queues(self.journal, ticks=lambda: self.now, dice=lambda: 1.0)
        self.do(self.queues.open())

    def close(self) -> None:
        """As the house does."""
        self.do(self.queues.close())
        self.do(self.journal.__aexit__())

    def teardown(self) -> None:
        """Close it and throw it away."""
        if hasattr(self, "queues"):
            self.close()
            self.small.stop()
            self.runner.close()
            shutil.rmtree(self.directory)

    def back(self, person: Person, delivery: int) -> None:
        """It is anybody's again."""
        person.lost.append(person.out.pop(delivery).leased)
        known = self.known[person.queue]
        known.ready[delivery] = known.tries[delivery]

    # --- what is done -------------------------------------------------------------------------------------------------

    @rule(name=st.sampled_from(NAMES), number=st.integers(1, 12))
    def send(self, name: str, number: int) -> None:
        """Some events."""
        events = [routed(self.sent + each, Target("queue", name), queue=name) for each in range(number)]
        self.sent += number
        self.do(self.journal.append(events))
        self.known[name].unseen += number

    @precondition(lambda self: len(self.people) < 4)
    @rule(name=st.sampled_from(NAMES), prefetch=st.integers(1, 6), seconds=st.sampled_from([None, 10.0, 100.0]))
    def enter(self, name: str, prefetch: int, seconds: float | None) -> None:
        """One more consumes."""
        consumer = self.queues.consumer(name, prefetch=prefetch, lease_seconds=seconds)
        self.do(consumer.__aenter__())
        self.people.append(Person(name, prefetch, seconds, consumer))

    @precondition(lambda self: self.people)
    @rule(which=st.integers(0, 3))
    def leave(self, which: int) -> None:
        """One less; what it has is anybody's."""
        person = self.people.pop(which % len(self.people))

        async def leave() -> None:
            await person.consumer.__aexit__(None, None, None)

        self.do(leave())
        for delivery in [*person.out]:
            self.back(person, delivery)

    @precondition(lambda self: self.people)
    @rule(which=st.integers(0, 3), times=st.integers(1, 8))
    def take(self, which: int, times: int) -> None:
        """What is ready, but nothing that somebody has; nothing only if there is nothing."""
        person = self.people[which % len(self.people)]
        known = self.known[person.queue]
        for _ in range(times):
            leased = self.do(person.consumer.take_now())
            if leased is None:
                assert len(person.out) >= person.prefetch or not (known.ready or known.unseen)
                return
            assert len(person.out) < person.prefetch
            assert not any(leased.id in each.out for each in self.people)
            if leased.id in known.tries:
                assert leased.attempt == known.ready.pop(leased.id) + 1
            else:
                assert leased.attempt == 1
                known.unseen -= 1
                known.tries[leased.id] = 0
                assert leased.id > known.newest, "what nobody had is handed out in order"
                known.newest = leased.id
            self.items[leased.id] = leased.item_id
            until = self.now + person.seconds if person.seconds else float("inf")
            person.out[leased.id] = Held(leased, until)

    @precondition(lambda self: any(person.out for person in self.people))
    @rule(which=st.integers(0, 20), word=st.sampled_from(["ack", "ack", "requeue", "reject", "release", "renew"]))
    def say(self, which: int, word: str) -> None:
        """What became of one."""
        person, delivery = self.some([(each, id_) for each in self.people for id_ in each.out], which)
        known = self.known[person.queue]
        said = getattr(person.consumer, word)(delivery)
        if word == "renew":
            if person.seconds:
                person.out[delivery].until = self.now + person.seconds
            return
        self.do(said)
        if word == "release":
            self.back(person, delivery)
            person.lost.pop()
            return
        person.lost.append(person.out.pop(delivery).leased)
        if word == "requeue":
            known.later[delivery] = self.now + min(300.0, 2.0 ** known.tries[delivery])
            known.tries[delivery] += 1
        else:
            del known.tries[delivery]

    @precondition(lambda self: any(person.lost for person in self.people))
    @rule(which=st.integers(0, 20), word=st.sampled_from(["ack", "requeue", "reject", "release"]))
    def say_late(self, which: int, word: str) -> None:
        """What one no longer has is none of one's business."""
        person, leased = self.some([(each, lost) for each in self.people for lost in each.lost], which)
        if leased.id not in person.out:
            with pytest.raises(LeaseLost):
                self.do(getattr(person.consumer, word)(leased.id))

    @precondition(lambda self: self.people and self.items)
    @rule(who=st.integers(0, 3), which=st.integers(0, 50))
    def adopt(self, who: int, which: int) -> None:
        """What one had in another life is one's own if it waits and nobody has it."""
        person = self.people[who % len(self.people)]
        known = self.known[person.queue]
        delivery = self.some(sorted(self.items), which)
        adopting = person.consumer.adopt(delivery, self.items[delivery])
        if delivery not in known.ready and delivery not in known.later:
            with pytest.raises(LeaseLost):
                self.do(adopting)
            return
        leased = self.do(adopting)
        known.ready.pop(delivery, None)
        known.later.pop(delivery, None)
        person.out[delivery] = Held(leased, self.now + person.seconds if person.seconds else float("inf"))

    @rule(seconds=st.sampled_from([0.5, 1.0, 11.0, 400.0]))
    def wait(self, seconds: float) -> None:
        """Leases run out, and what was given back is ready."""
        self.now += seconds

        async def turn() -> None:
            for broker in self.queues._brokers.values():
                broker._turn()

        self.do(turn())
        for person in self.people:
            for delivery, held in [*person.out.items()]:
                if held.until <= self.now:
                    self.back(person, delivery)
        for known in self.known.values():
            for delivery, due in [*known.later.items()]:
                if due <= self.now:
                    del known.later[delivery]
                    known.ready[delivery] = known.tries[delivery]

    @rule(name=st.sampled_from(NAMES))
    def purge(self, name: str) -> None:
        """All but what somebody has."""
        known = self.known[name]
        assert self.do(self.queues.purge(name)) == known.waiting
        for delivery in (*known.ready, *known.later):
            del known.tries[delivery]
        known.ready.clear()
        known.later.clear()
        known.unseen = 0

    @rule()
    def reopen(self) -> None:
        """Nobody has anything, and nothing has to wait."""
        self.close()
        for person in self.people:
            for delivery in [*person.out]:
                self.back(person, delivery)
        self.people.clear()
        for known in self.known.values():
            known.ready = dict(known.tries)
            known.later.clear()
        self.open()

    def some(self, found: list[Any], which: int) -> Any:
        """One of them."""
        return found[which % len(found)]

    # --- what is compared ---------------------------------------------------------------------------------------------

    @invariant()
    def same(self) -> None:
        """What is in each queue, and what of it somebody has."""
        if not hasattr(self, "queues"):
            return
        status = {each.name: each for each in self.queues.status(self.do(self.journal.places()))}
        for name, known in self.known.items():
            people = [person for person in self.people if person.queue == name]
            out = sum(len(person.out) for person in people)
            found = status.get(name)
            assert (found.waiting if found else 0) == known.waiting + out
            assert (found.leased if found else 0) == out
            assert (found.consumers if found else 0) == len(people)


TestQueuesModel = QueuesMachine.TestCase
TestQueuesModel.settings = settings(
    max_examples=int(os.environ.get("XMPPBUS_FUZZ_RUNS", "25")),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)
