"""A journal against a model of it: whatever is done in whatever order, both say the same.

`XMPPBUS_FUZZ_RUNS=10000 pytest tests/fuzz/test_journal_model.py` is the long form.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.journals import FORBIDDEN, TOO_BIG, UNKNOWN, MovingClock, routed, stop
from xmppbus.event import Event
from xmppbus.journal import DELIVERED, UNSENT, Outcome, Result, Routed, Run, Settled, State, Verdict
from xmppbus.route import STATION, Target
from xmppbus.stores.sqlite import SqliteJournal

TARGETS = (
    Target("pubsub", "a"), Target("pubsub", "b"), Target("chat", "a"), Target(STATION, "ops/0"), Target("pubsub", "c"),
)  # fmt: skip
OUTPUTS = ("pubsub", "chat", STATION)
KEEP_DAYS = 10

targets = st.lists(st.sampled_from(TARGETS), max_size=3, unique=True).map(tuple)
events = st.builds(
    lambda name, data, to: routed(name, data=data)._replace(targets=to),
    st.integers(0, 40),
    st.sampled_from(["yes", "yes", "yes", "no"]),
    targets,
)
outcomes = st.sampled_from([DELIVERED, DELIVERED, DELIVERED, TOO_BIG, TOO_BIG, FORBIDDEN, UNKNOWN, UNSENT])


class Step(NamedTuple):
    """What becomes of one delivery."""

    outcome: Outcome
    onward: tuple[Target, ...]
    new: tuple[Routed, ...]


patterns = st.lists(st.builds(Step, outcomes, targets, st.lists(events, max_size=1).map(tuple)), min_size=1, max_size=5)
"""What becomes of the deliveries of a run, one after another, from the start again when it is longer."""


@dataclass
class Known:
    """An entry of the model; `fates` are in the order in which its deliveries were made or put back."""

    name: str
    accepted: int  # day
    states: dict[Target, State] = field(default_factory=dict)


@dataclass
class Held:
    """A claim of the model: the entries of its run that are not settled yet."""

    run: Run
    target: Target
    open: dict[int, Known]


class JournalMachine(RuleBasedStateMachine):
    """Does something with both, and compares what they hold after each step."""

    @initialize()
    def start(self) -> None:
        """A new journal."""
        self.directory = Path(tempfile.mkdtemp(prefix="journal-model-"))
        self.runner = asyncio.Runner()
        self.clock = MovingClock()
        self.day = 0
        self.steps = 0
        self.names: dict[str, tuple[int, bytes]] = {}
        self.entries: dict[int, Known] = {}
        self.waiting: dict[Target, list[tuple[int, bool]]] = {target: [] for target in TARGETS}
        self.stopped: set[Target] = set()
        self.held: list[Held] = []
        self.void: list[Run] = []
        self.open()

    def do(self, action: Coroutine[Any, Any, Any]) -> Any:
        """Wait for the journal."""
        return self.runner.run(action)

    def open(self) -> None:
        """Open the journal that is in the directory."""
        self.journal = SqliteJournal(self.directory / "journal.db", keep_days=KEEP_DAYS, clock=self.clock)
        self.do(self.journal.__aenter__())

    def teardown(self) -> None:
        """Close it and throw it away."""
        if hasattr(self, "journal"):
            self.do(self.journal.__aexit__())
            self.runner.close()
            shutil.rmtree(self.directory)

    # --- the model ----------------------------------------------------------------------------------------------------

    def keep(self, event: Routed, sequence: int) -> None:
        """A new entry."""
        self.names[event.event.id] = sequence, event.content
        self.entries[sequence] = Known(event.event.id, self.day)
        for target in event.targets:
            self.wait(sequence, target, again=False)

    def wait(self, sequence: int, target: Target, *, again: bool) -> None:
        """A delivery waits, behind what waits."""
        self.entries[sequence].states[target] = State.WAITING
        self.waiting[target].append((sequence, again))

    def claimed(self) -> set[Target]:
        """Places that somebody works on."""
        return {held.target for held in self.held}

    def has_dead(self) -> bool:
        """Whether a person could act."""
        return any(State.DEAD in known.states.values() for known in self.entries.values())

    def due(self, output: str) -> set[Target]:
        """Places that may be claimed."""
        held = self.claimed() | self.stopped
        return {target for target in TARGETS if target.output == output and self.waiting[target]} - held

    # --- what is done -------------------------------------------------------------------------------------------------

    @rule(batches=st.lists(st.lists(events, min_size=1, max_size=8), min_size=1, max_size=4))
    def append(self, batches: list[list[Routed]]) -> None:
        """Several senders at once."""

        async def send() -> list[Any]:
            return await asyncio.gather(*(self.journal.append(batch) for batch in batches))

        for batch, answers in zip(batches, self.do(send()), strict=True):
            for event, answer in zip(batch, answers, strict=True):
                known = self.names.get(event.event.id)
                if known is None:
                    assert answer.result is Result.NEW
                    assert answer.deliveries == len(event.targets)
                    assert answer.sequence > max(self.entries, default=0)
                    self.keep(event, answer.sequence)
                else:
                    expected = Result.KNOWN if known[1] == event.content else Result.CONFLICT
                    assert answer == (expected, known[0], 0)

    @rule(output=st.sampled_from(OUTPUTS), places=st.integers(1, 4), run=st.sampled_from([1, 3, 100]))
    def claim(self, output: str, places: int, run: int) -> None:
        """The heads of places that are due."""
        due = self.due(output)
        runs = self.do(self.journal.claim(output, places, run))
        assert len(runs) == min(places, len(due))
        for each in runs:
            target = Target(each.output, each.place)
            assert target in due
            due.remove(target)
            head = self.waiting[target][:run]
            assert [(delivery.sequence, delivery.again) for delivery in each.deliveries] == head
            assert [delivery.event.id for delivery in each.deliveries] == [self.entries[at].name for at, _ in head]
            self.held.append(Held(each, target, {one.id: self.entries[one.sequence] for one in each.deliveries}))

    @precondition(lambda self: self.held)
    @rule(
        which=st.integers(0, 10),
        pattern=patterns,
        most=st.sampled_from([100, 100, 2, 1, 0]),
        backwards=st.booleans(),
        more=st.booleans(),
        stops=st.sampled_from([None, None, None, 0.0, 3600.0]),
    )
    def settle(
        self, which: int, pattern: list[Step], most: int, backwards: bool, more: bool, stops: float | None
    ) -> None:
        """Any outcomes, in any order, with what goes on from them."""
        held = self.held[which % len(self.held)]
        steps = list(zip(held.run.deliveries, cycle(pattern), strict=False))[:most]
        settled, going_on = [], []
        for delivery, step in reversed(steps) if backwards else steps:
            goes_on = held.target.output == STATION and step.outcome is DELIVERED
            onward, new = (step.onward, step.new) if goes_on else ((), ())
            settled.append(Settled(delivery.id, step.outcome, onward, new))
            if delivery.id in held.open:
                going_on.append((delivery.sequence, onward, new))
                self.note(held, delivery.id, delivery.sequence, step.outcome)
        self.do(self.journal.settle(held.run, settled, more=more, stop=None if stops is None else stop(stops)))
        for sequence, onward, _ in going_on:
            for target in onward:
                if target not in self.entries[sequence].states:
                    self.wait(sequence, target, again=False)
        self.learn([event for _, _, new in going_on for event in new])
        if not more:
            self.held.remove(held)
            self.void.append(held.run)
            self.stopped.discard(held.target)
            if stops:
                self.stopped.add(held.target)

    @rule(pattern=patterns)
    def work(self, pattern: list[Step]) -> None:
        """Whatever is due, to the end."""
        for output in OUTPUTS:
            self.claim(output, len(TARGETS), 100)
        while self.held:
            self.settle(0, pattern, 100, backwards=False, more=False, stops=None)

    def note(self, held: Held, delivery: int, sequence: int, outcome: Outcome) -> None:
        """The outcome of a delivery that was waiting."""
        state = {Verdict.DELIVERED: State.DELIVERED, Verdict.DEAD: State.DEAD}.get(outcome.verdict)
        if state is not None:
            held.open.pop(delivery).states[held.target] = state
            self.waiting[held.target] = [each for each in self.waiting[held.target] if each[0] != sequence]

    def learn(self, new: list[Routed]) -> None:
        """New events from an analyzer; the journal tells nobody their sequences, so they are looked up."""
        for event in new:
            if event.event.id not in self.names:
                self.keep(event, self.do(self.journal.find(event.event.item_id)).sequence)

    @precondition(lambda self: self.void)
    @rule(data=st.data())
    def settle_late(self, data: st.DataObject) -> None:
        """Nothing changes."""
        run = data.draw(st.sampled_from(self.void))
        settled = [Settled(each.id, DELIVERED, TARGETS, (routed("late"),)) for each in run.deliveries]
        self.do(self.journal.settle(run, settled))

    @rule()
    def reopen(self) -> None:
        """Claims are void, stops are forgotten."""
        self.do(self.journal.__aexit__())
        self.void += [held.run for held in self.held]
        self.held.clear()
        self.stopped.clear()
        self.open()

    @precondition(lambda self: self.has_dead())
    @rule(drop=st.booleans(), every=st.integers(1, 3))
    def act_on_dead(self, drop: bool, every: int) -> None:
        """Retry or drop some."""
        dead = self.do(self.journal.dead([], 1_000))
        expected = {
            (at, to) for at, known in self.entries.items() for to, is_ in known.states.items() if is_ is State.DEAD
        }
        assert {(fate.sequence, Target(fate.output, fate.place)) for fate, _ in dead} == expected
        some = dead[::every]
        act = self.journal.drop_dead if drop else self.journal.retry_dead
        assert self.do(act([fate.id for fate, _ in some])) == len(some)
        for fate, _ in sorted(some, key=lambda each: each[0].id):
            target = Target(fate.output, fate.place)
            if drop:
                del self.entries[fate.sequence].states[target]
            else:
                self.wait(fate.sequence, target, again=True)

    @precondition(lambda self: self.entries)
    @rule(to=targets, dry_run=st.booleans())
    def replay(self, to: tuple[Target, ...], dry_run: bool) -> None:
        """Everything that is there, along routes of today."""

        def today(_: Event) -> tuple[Target, ...]:
            return to

        newest = max(self.entries, default=0)
        before = {sequence: self.do(self.journal.fates(sequence)) for sequence in sorted(self.entries)}
        answer = self.do(self.journal.replay(0, newest, 1_000, [], today, dry_run=dry_run))
        again, missing = [], []
        for sequence, fates in before.items():
            known = self.entries[sequence]
            again += [
                (sequence, Target(fate.output, fate.place))
                for fate in fates
                if fate.state is not State.WAITING and fate.output != STATION
            ]
            missing += [(sequence, target) for target in to if target not in known.states]
        assert answer == (len(before), len(again), len(missing), newest)
        if not dry_run:
            for sequence, target in again:
                self.wait(sequence, target, again=True)
            for sequence, target in missing:
                self.wait(sequence, target, again=False)

    @precondition(lambda self: self.entries)
    @rule(days=st.sampled_from([0, 1, 5, KEEP_DAYS + 1]))
    def prune(self, days: int) -> None:
        """Only what is old and delivered everywhere."""
        self.clock.move(days=days)
        self.day += days
        old = [
            sequence
            for sequence, known in self.entries.items()
            if known.accepted < self.day - KEEP_DAYS
            and all(state is State.DELIVERED for state in known.states.values())
        ]
        assert self.do(self.journal.prune()) == len(old)
        for sequence in old:
            del self.entries[sequence]

    # --- what is compared ---------------------------------------------------------------------------------------------

    @invariant()
    def same(self) -> None:
        """Entries, fates, places, counts."""
        if not hasattr(self, "journal"):
            return
        self.do(self.compare())

    async def compare(self) -> None:
        """Ask for everything at once."""
        entries = await self.journal.read(0, 1_000)
        assert [(entry.sequence, entry.event.id) for entry in entries] == sorted(
            (sequence, known.name) for sequence, known in self.entries.items()
        )
        self.steps += 1
        for sequence, known in self.entries.items():
            if (sequence + self.steps) % 4:
                continue  # the others are looked at after the next steps
            fates = await self.journal.fates(sequence)
            assert {Target(fate.output, fate.place): fate.state for fate in fates} == known.states
        places = {Target(each.output, each.place): each.waiting for each in await self.journal.places() if each.waiting}
        assert places == {target: len(waiting) for target, waiting in self.waiting.items() if waiting}
        status = await self.journal.status()
        states = [state for known in self.entries.values() for state in known.states.values()]
        assert (status.entries, status.waiting, status.dead, status.accepting) == (
            len(self.entries),
            states.count(State.WAITING),
            states.count(State.DEAD),
            True,
        )


TestJournalModel = JournalMachine.TestCase
TestJournalModel.settings = settings(
    max_examples=int(os.environ.get("XMPPBUS_FUZZ_RUNS", "40")),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)
