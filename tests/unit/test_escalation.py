"""Escalation between a real journal and a clock that the test moves: who is called, when, and who is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.folding import folding
from tests.support.journals import MovingClock
from tests.support.waiting import until
from xmppbus.bus import Bus
from xmppbus.config import load
from xmppbus.event import OURS
from xmppbus.house import House
from xmppbus.interfaces import Accepted
from xmppbus.journal import DELIVERED, Settled, State
from xmppbus.outputs.escalation import Escalations
from xmppbus.people import escalating
from xmppbus.people.audience import Audience
from xmppbus.people.escalating import Verdict
from xmppbus.people.incidents import ACKNOWLEDGED, RETRACTED
from xmppbus.people.model import Escalation, Incident, Message, Status, Subscription, message_id
from xmppbus.plugins import Registry
from xmppbus.route import Target
from xmppbus.stores.sqlite import SqliteJournal

CONFIG = """
xmpp: {{component: bus.example.org, pubsub_service: pubsub.example.org}}
bot: {{affiliations: {{romeo@example.org: owner}}}}
http: null
routes:
  - name: ops
    match: "disk.#"
    to: {to}
    escalate: {escalate}
"""
TO = "['chat:romeo@example.org']"
STEPS = "[{after: 5m, to: ['chat:juliet@example.org']}, {after: 10m, to: ['room:ops@muc.example.org', pager]}]"
DELIVERED_STEP = "[{after: 5m, unless: delivered, to: ['chat:juliet@example.org']}]"
FIRST, SECOND = {"chat:juliet@example.org"}, {"room:ops@muc.example.org", "pager:disk.full"}
FIRING = {"type": "disk.full", "key": "db1:/", "status": "firing", "severity": "warning", "summary": "91 %"}


@dataclass
class Scene:
    """An open house with nothing in it but the output; `ticks` is the clock that nobody sets."""

    journal: SqliteJournal
    clock: MovingClock
    bus: Bus
    output: Escalations
    audience: Audience
    ticks: float = 0.0

    async def publish(self, **fields: Any) -> Accepted:
        """Accept an event, and let the output begin what it begins."""
        (answer,) = await self.bus.accept([{"source": "db1", **fields}], is_ours=True)
        assert isinstance(answer, Accepted), answer
        for run in await self.journal.claim("escalation", 10, 100):
            outcomes = [each async for each in self.output.deliver_run(run.place, run.deliveries)]
            settled = [Settled(each.id, outcome) for each, outcome in zip(run.deliveries, outcomes, strict=True)]
            await self.journal.settle(run, settled)
        return answer

    async def acknowledge(self, number: int = 1) -> None:
        """As somebody does it in a chat."""
        (answer,) = await self.bus.accept(
            [{**FIRING, "type": ACKNOWLEDGED, "source": OURS, "id": str(number), "status": "acknowledged"}],
            is_ours=True,
        )
        assert isinstance(answer, Accepted)

    async def pass_by(self, *, jump: float = 0.0, **by: float) -> None:
        """Time passes; the wall clock may jump besides (seconds)."""
        self.ticks += timedelta(**by).total_seconds()
        self.clock.move(seconds=timedelta(**by).total_seconds() + jump)
        await self.output.look()

    async def deliver(self, output: str) -> None:
        """Say yes to all that waits there."""
        for run in await self.journal.claim(output, 10, 100):
            await self.journal.settle(run, [Settled(each.id, DELIVERED) for each in run.deliveries])

    async def called(self, event: Accepted) -> set[str]:
        """Where it went beyond the addresses of the route."""
        fates = await self.journal.fates(event.sequence)
        beside = {"chat:romeo@example.org", "pubsub:disk.full", "people:all", "escalation:ops"}
        found = [f"{fate.output}:{fate.place}" for fate in fates]
        assert len(found) == len(set(found))
        return set(found) - beside


async def is_over(scene: Scene) -> None:
    """The incident ends, and once it has been calm for a while so does its chain: till then it may fire again."""
    await scene.publish(**{**FIRING, "status": "resolved"})
    assert await scene.journal.people.escalations()
    await scene.pass_by(minutes=15)
    assert not await scene.journal.people.escalations()


@asynccontextmanager
async def opened(path: Path, clock: MovingClock, to: str = TO, escalate: str = STEPS) -> AsyncIterator[Scene]:
    """On what the last one left; the output is loaded, but looks only when the test says so."""
    (path / "xmppbus.yaml").write_text(CONFIG.format(to=to, escalate=escalate))
    config = load(path / "xmppbus.yaml", {"XMPPBUS_STATE": str(path), "XMPPBUS_XMPP_SECRET": "secret"})
    async with SqliteJournal(path / "journal.db", clock=clock) as journal:
        bus = Bus(journal, config.routes, source="house", check_size=lambda _: None, clock=clock)
        house = House(config, clock, clock(), journal, Registry(), bus, people=journal.people)
        async with folding(journal, config.routes, clock) as (house.outputs["people"], audience):
            output = Escalations(house, journal.people)
            found = Scene(journal, clock, bus, output, audience)
            house.ticks = lambda: found.ticks
            await output.load()
            yield found


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


@pytest.fixture
async def scene(tmp_path: Path, clock: MovingClock) -> AsyncIterator[Scene]:
    async with opened(tmp_path, clock) as found:
        yield found


async def test_what_nobody_acknowledges_goes_further_step_by_step(scene: Scene) -> None:
    """Each step counts from the one before it."""
    event = await scene.publish(**FIRING)
    await scene.pass_by(minutes=4, seconds=59)
    assert await scene.called(event) == set()
    assert scene.output.status()["chains"] == 1
    await scene.pass_by(seconds=1)
    assert await scene.called(event) == FIRST
    await scene.pass_by(minutes=9, seconds=59)
    assert await scene.called(event) == FIRST
    await scene.pass_by(seconds=1)
    assert await scene.called(event) == FIRST | SECOND
    await scene.pass_by(hours=1)
    assert scene.output.status() == {"state": "up", "chains": 0, "next": None}


async def test_an_acknowledgement_that_was_accepted_in_the_last_moment_stops_it(scene: Scene) -> None:
    """Although nothing had folded it before the step was due."""
    event = await scene.publish(**FIRING)
    await scene.acknowledge()
    await scene.pass_by(minutes=5)
    assert await scene.called(event) == set()
    await is_over(scene)


async def test_what_is_accepted_between_the_look_and_the_call_stops_it_all_the_same(scene: Scene) -> None:
    """The journal looks once more, in the commit that would call somebody."""
    event = await scene.publish(**FIRING)
    (chain,) = await scene.journal.people.escalations()
    targets = scene.output.chains["ops"].steps[0].targets((await scene.journal.read(0, 1))[0].event)
    accepted = asyncio.create_task(scene.acknowledge())  # in the same commit, or the one before
    await asyncio.sleep(0)
    assert not await scene.journal.people.escalate(chain, targets, None)
    await accepted
    assert await scene.called(event) == set()
    assert await scene.journal.people.escalations() == [chain]
    await scene.pass_by(minutes=6)
    assert await scene.called(event) == set()
    await is_over(scene)


@pytest.mark.parametrize("reaction", ["acknowledged", "resolved"])
async def test_a_reaction_between_two_steps_keeps_the_second_from_being_taken(scene: Scene, reaction: str) -> None:
    """The chain ends there."""
    event = await scene.publish(**FIRING)
    await scene.pass_by(minutes=5)
    await scene.publish(**{**FIRING, "status": reaction})
    await scene.pass_by(minutes=10)
    assert await scene.called(event) == FIRST


async def test_a_repeat_begins_no_chain_of_its_own_and_the_next_episode_does(scene: Scene) -> None:
    """One incident, one chain."""
    first = await scene.publish(**FIRING)
    await scene.pass_by(minutes=4)
    repeat = await scene.publish(**FIRING)
    await scene.pass_by(minutes=1)
    assert (await scene.called(first), await scene.called(repeat)) == (FIRST, set())
    await scene.publish(**{**FIRING, "status": "resolved"})
    again = await scene.publish(**FIRING)
    await scene.pass_by(minutes=5)
    assert await scene.called(again) == FIRST
    assert await scene.called(first) == FIRST


async def test_a_repeat_of_what_was_acknowledged_calls_nobody(scene: Scene) -> None:
    """The chain that an acknowledgement ended does not begin again."""
    event = await scene.publish(**FIRING)
    await scene.acknowledge()
    await scene.pass_by(minutes=5)
    repeat = await scene.publish(**FIRING)
    await scene.pass_by(hours=1)
    assert await scene.called(event) | await scene.called(repeat) == set()


async def test_an_event_that_is_no_incident_goes_further_unless_it_is_retracted(scene: Scene) -> None:
    """Nobody can acknowledge it."""
    kept = await scene.publish(type="disk.full", data="91 %")
    mistake = await scene.publish(type="disk.full", data="19 %")
    retraction = {"type": RETRACTED, "source": OURS, "id": f"{mistake.item_id}/retracted"}
    await scene.bus.accept([retraction], is_ours=True)
    await scene.pass_by(minutes=5)
    assert (await scene.called(kept), await scene.called(mistake)) == (FIRST, set())


async def test_what_is_over_before_the_output_looks_begins_nothing(scene: Scene) -> None:
    """After a crash it may look late."""
    await scene.bus.accept([{**FIRING, "source": "db1"}])
    await scene.publish(**{**FIRING, "status": "resolved"})
    assert scene.output.status()["chains"] == 0


async def test_a_chain_goes_on_after_a_restart_and_takes_no_step_twice(tmp_path: Path, clock: MovingClock) -> None:
    """What became due meanwhile is done at once; the next step counts from then."""
    async with opened(tmp_path, clock) as scene:
        event = await scene.publish(**FIRING)
    clock.move(hours=1)
    async with opened(tmp_path, clock) as scene:
        stale = await scene.journal.people.escalations()
        await scene.output.look()
        assert await scene.called(event) == FIRST
        assert not await scene.journal.people.escalate(stale[0], (), None)
        await scene.pass_by(minutes=9)
        assert await scene.called(event) == FIRST
    async with opened(tmp_path, clock) as scene:
        await scene.pass_by(minutes=1)
        assert await scene.called(event) == FIRST | SECOND
    async with opened(tmp_path, clock) as scene:
        assert scene.output.status()["chains"] == 0


async def test_an_acknowledgement_before_a_restart_counts_after_it(tmp_path: Path, clock: MovingClock) -> None:
    """It was accepted, though not folded, when the house was killed."""
    async with opened(tmp_path, clock) as scene:
        event = await scene.publish(**FIRING)
        await scene.acknowledge()
    clock.move(hours=1)
    async with opened(tmp_path, clock) as scene:
        await scene.output.look()
        assert await scene.called(event) == set()


async def test_jumps_of_the_wall_clock_do_no_harm(tmp_path: Path, clock: MovingClock) -> None:
    """While the house is open they change nothing; after a restart a clock that was put back costs one step's time."""
    async with opened(tmp_path, clock) as scene:
        event = await scene.publish(**FIRING)
        await scene.pass_by(minutes=4, jump=86_400)
        assert await scene.called(event) == set()
        await scene.pass_by(minutes=1, jump=-200_000)
        assert await scene.called(event) == FIRST
        clock.move(days=-3)
    async with opened(tmp_path, clock) as scene:
        await scene.pass_by(minutes=10)
        assert await scene.called(event) == FIRST | SECOND


async def test_a_chain_whose_route_no_longer_escalates_ends(tmp_path: Path, clock: MovingClock) -> None:
    """Nobody is called by a config of yesterday."""
    async with opened(tmp_path, clock) as scene:
        event = await scene.publish(**FIRING)
    async with opened(tmp_path, clock, escalate="[]") as scene:
        await scene.pass_by(hours=1)
        assert await scene.called(event) == set()
        assert not await scene.journal.people.escalations()


async def test_who_had_the_event_already_is_called_all_the_same(scene: Scene) -> None:
    """A subscriber's delivery goes back to waiting, marked as one that is made again."""
    await scene.audience.subscribe(Subscription(owner="juliet@example.org", pattern="#", created=scene.clock()))
    event = await scene.publish(**FIRING)

    async def subscriber_is_told() -> bool:
        return await scene.called(event) == FIRST

    await until(subscriber_is_told, 10, "the subscriber's delivery")
    await scene.deliver("chat")
    await scene.pass_by(minutes=5)
    (calling,) = await scene.journal.claim("chat", 1, 1)
    assert (calling.place, calling.deliveries[0].again) == ("juliet@example.org", True)
    assert await scene.called(event) == FIRST


# --- unless: delivered ------------------------------------------------------------------------------------------------


def messages(event: Accepted, jid: str = "romeo@example.org") -> Sequence[Message]:
    return [Message(message_id(event.item_id, jid, 0), event.sequence, jid, 0, "db1:/")]


async def test_a_receipt_is_enough_where_the_step_says_delivered(tmp_path: Path, clock: MovingClock) -> None:
    """Handed to the server is not."""
    async with opened(tmp_path, clock, escalate=DELIVERED_STEP) as scene:
        silent = await scene.publish(**FIRING)
        there = await scene.publish(**{**FIRING, "key": "db2:/"})
        await scene.deliver("chat")
        await scene.deliver("pubsub")
        for event in (silent, there):
            await scene.journal.people.handed_over(messages(event), ())
        await scene.journal.people.received([messages(there)[0].id], clock())
        await scene.pass_by(minutes=5)
        assert (await scene.called(silent), await scene.called(there)) == (FIRST, set())


async def test_an_acknowledgement_ends_that_too(tmp_path: Path, clock: MovingClock) -> None:
    """Whoever acknowledges has it."""
    async with opened(tmp_path, clock, escalate=DELIVERED_STEP) as scene:
        event = await scene.publish(**FIRING)
        await scene.acknowledge()
        await scene.pass_by(minutes=5)
        assert await scene.called(event) == set()


@pytest.mark.parametrize(
    ("to", "yes", "ends"),
    [
        ("['pager:ops']", "pager", True),
        ("['pager:ops']", "none", False),
        ("[pager, 'chat:romeo@example.org']", "pager", False),
        ("[pager, 'room:a@muc.example.org']", "pager", False),
        ("[pager, 'room:a@muc.example.org']", "room", True),
    ],
)
async def test_a_yes_of_a_machine_counts_where_no_people_are_called(
    tmp_path: Path, clock: MovingClock, to: str, yes: str, ends: bool
) -> None:
    """That a machine took it says of nobody that they know; a room's reflection does."""
    async with opened(tmp_path, clock, to, DELIVERED_STEP) as scene:
        event = await scene.publish(**FIRING)
        await scene.deliver(yes)
        await scene.pass_by(minutes=5)
        fates = await scene.journal.fates(event.sequence)
        assert any(fate.place == "juliet@example.org" for fate in fates) is not ends


# --- the decision -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flapping", [True, False])
def test_an_incident_that_is_calm_just_now_keeps_its_chain(clock: MovingClock, flapping: bool) -> None:
    """If it fires again in the same episode it would begin no other; once it has been calm for long, it ends."""
    escalation = Escalation("ops", "episode", "db1:/", 1, 0, clock())
    incident = Incident(
        key="db1:/",
        episode="episode",
        sequence=9,
        status=Status.RESOLVED,
        severity="warning",
        worst="warning",
        type="disk.full",
        summary="",
        opened=clock(),
        resolved=clock(),
        flapping=flapping,
    )
    assert escalating.decide(escalation, incident, clock()) is Verdict.WAIT
    assert escalating.decide(escalation, incident, clock() + timedelta(minutes=10)) is Verdict.END
    assert escalating.decide(escalation._replace(episode="other"), incident, clock()) is Verdict.END


async def test_the_note_says_what_did_not_happen_and_for_how_long(scene: Scene) -> None:
    """What whoever is called is told beside the event."""
    event = await scene.publish(**FIRING)
    await scene.pass_by(minutes=5)
    fates = {fate.output: fate.state for fate in await scene.journal.fates(event.sequence)}
    assert fates["escalation"] is State.DELIVERED
    assert scene.output.note(event.sequence, Target("chat", "juliet@example.org")) == scene.output.chains["ops"].note(0)
    assert scene.output.note(event.sequence, Target("chat", "romeo@example.org")) == ""
    chain = scene.output.chains["ops"]
    assert chain.note(0) == "escalated: nobody acknowledged within 5 min"
    assert chain.note(1) == "escalated: nobody acknowledged within 15 min"
