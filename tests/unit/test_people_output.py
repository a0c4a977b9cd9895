"""The output `people`, on a real journal: folds incidents, and sends each event on to whoever wants to hear of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.journals import MovingClock, routed
from xmppbus import limits
from xmppbus.event import OURS
from xmppbus.journal import Routed, Settled, State
from xmppbus.outputs.people import ALL, ForPeople, people_work
from xmppbus.people.audience import Audience
from xmppbus.people.budget import Budget
from xmppbus.people.incidents import ACKNOWLEDGED, RETRACTED
from xmppbus.people.model import Copy, Incident, Message, Mute, Quiet, Status, Subscription
from xmppbus.route import Address, Match, Route, Routes, Target
from xmppbus.stores.sqlite import SqliteJournal

DIRECT = Route("direct", Match("direct.#"), (), (Address("chat", "romeo@example.org"),))
ROMEO, JULIET, NURSE, HALL = "romeo@example.org", "juliet@example.org", "nurse@example.org", "hall@muc.example.org"


@dataclass
class Scene:
    """An audience and the output, with a clock that stands still and presences that a test sets."""

    journal: SqliteJournal
    clock: MovingClock
    audience: Audience
    output: ForPeople
    shows: dict[str, str] = field(default_factory=dict)

    async def subscribe(self, owner: str, pattern: str = "#", severity: str = "", **more: Any) -> None:
        """As the command does."""
        wish = Subscription(owner=owner, pattern=pattern, severity=severity, created=self.clock(), **more)
        await self.audience.subscribe(wish)

    async def publish(self, name: object, **fields: Any) -> None:
        """An event whose only address is people."""
        await self.journal.append([event(name, **fields)])

    async def work(self) -> list[Settled]:
        """Work and settle whatever waits."""
        found: list[Settled] = []
        while runs := await self.journal.claim("people", 1, 512):
            for run in runs:
                settled = [each async for each in people_work(self.output)(run)]
                assert [each.delivery for each in settled] == [each.id for each in run.deliveries]
                await self.journal.settle(run, settled)
                found += settled
        return found

    async def told(self, name: object, **fields: Any) -> set[str]:
        """Where an event goes on to, as the config writes addresses."""
        await self.publish(name, **fields)
        *_, last = await self.work()
        return {f"{target.output}:{target.place}" for target in last.onward}

    async def incident(self, key: str = "disk") -> Incident:
        """As it is kept."""
        found = await self.journal.people.incident(key)
        assert found is not None
        return found

    async def hand_over(self, jid: str, severity: str = "warning", key: str = "disk") -> Copy:
        """What the chat output keeps once a message about the incident is with the server."""
        found = await self.incident(key)
        copy = Copy(key, jid, found.episode, f"00000000-0000-5000-8000-{len(jid):012}", found.sequence, severity)
        message = Message(copy.message_id, found.sequence, jid, 0, key, self.clock())
        await self.journal.people.handed_over([message], [copy])
        return copy


def event(name: object, **fields: Any) -> Routed:
    """A warning about a disk."""
    return routed(name, ALL, **{"type": "disk.full", "severity": "warning", "source": "db1"} | fields)


def firing(**fields: Any) -> dict[str, Any]:
    """Of the incident `disk`."""
    return {"key": "disk", "status": "firing"} | fields


@asynccontextmanager
async def opened(path: Path, per_minute: int = 1000, *, corrects: bool = True) -> AsyncIterator[Scene]:
    """A scene on the journal in `path`."""
    clock = MovingClock()
    async with SqliteJournal(path, clock=clock) as journal:
        audience = Audience(journal.people, Routes([DIRECT]), clock)
        await audience.open()
        shows: dict[str, str] = {}
        output = ForPeople(
            journal,
            journal.people,
            audience,
            budget=Budget(per_minute),
            presence_of=lambda jid: shows.get(jid, "unknown"),
            is_room=lambda jid: jid == HALL,
            corrects=lambda _: corrects,
            zone=UTC,
            clock=clock,
        )
        async with output:
            yield Scene(journal, clock, audience, output, shows)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with opened(tmp_path / "journal.db") as found:
        yield found


async def test_an_event_goes_on_to_whoever_wants_to_hear_of_it(scene: Scene) -> None:
    """Persons by chat, rooms to the room, digests where they are gathered, each with a delivery of its own."""
    await scene.subscribe(ROMEO, "disk.#", ">=warning")
    await scene.subscribe(JULIET, "user.#")
    await scene.subscribe(NURSE, digest_seconds=900)
    await scene.subscribe(HALL)
    assert await scene.told(1) == {f"chat:{ROMEO}", f"room:{HALL}", f"digest:{NURSE}"}
    fates = await scene.journal.fates(1)
    assert {(each.output, each.state) for each in fates} == {
        ("people", State.DELIVERED),
        *((output, State.WAITING) for output in ("chat", "room", "digest")),
    }
    assert await scene.told(2, severity="info") == {f"room:{HALL}", f"digest:{NURSE}"}


async def test_subscriptions_survive_a_restart(tmp_path: Path) -> None:
    """And mutes, and who is suspended."""
    async with opened(tmp_path / "journal.db") as first:
        for owner in (ROMEO, JULIET, NURSE):
            await first.subscribe(owner)
        await first.audience.mute(JULIET, Mute(pattern="disk.#"))
        await first.audience.suspend(NURSE, "gone")
    async with opened(tmp_path / "journal.db") as second:
        assert await second.told(1) == {f"chat:{ROMEO}"}
        assert second.audience.person(NURSE).suspended == "gone"
        await second.audience.resume(NURSE)
        await second.audience.unmute(JULIET, "disk.#")
        assert second.audience.persons() == []
        assert await second.told(2) == {f"chat:{ROMEO}", f"chat:{JULIET}", f"chat:{NURSE}"}


async def test_without_anybody_nothing_is_written_for_an_event(scene: Scene) -> None:
    """It is settled, and that is all."""
    for number in range(300):
        await scene.publish(number)
    assert {each.onward for each in await scene.work()} == {()}
    assert await scene.journal.people.incidents(list(Status), 10) == []


async def test_an_incident_is_folded_before_anybody_is_told(scene: Scene) -> None:
    """In the order in which its events were accepted, whoever listens."""
    for number, status in enumerate(["firing", "firing", "resolved", "firing"]):
        await scene.publish(number, **firing(status=status))
    await scene.work()
    found = await scene.incident()
    assert (found.status, found.count, found.sequence) == (Status.FIRING, 1, 4)


async def test_who_has_a_copy_gets_it_corrected_whatever_they_subscribed_to(scene: Scene) -> None:
    """The end of it too, whose severity is below what they wanted; and in its own episode only."""
    await scene.subscribe(ROMEO, "disk.#", ">=warning")
    assert await scene.told(1, **firing()) == {f"chat:{ROMEO}"}
    await scene.hand_over(ROMEO)
    await scene.audience.unsubscribe(ROMEO)
    assert await scene.told(2, **firing(status="resolved", severity="info")) == {f"chat:{ROMEO}"}
    assert await scene.told(3, **firing()) == set()


async def test_the_end_of_an_episode_is_told_although_the_next_one_has_begun(scene: Scene) -> None:
    """When a run is worked again, after a crash, the fold is ahead of it."""
    await scene.subscribe(ROMEO, "disk.#")
    await scene.told(1, **firing())
    await scene.hand_over(ROMEO)
    await scene.audience.unsubscribe(ROMEO)
    await scene.publish(2, **firing(status="resolved"))
    await scene.publish(3, **firing())
    (run,) = await scene.journal.claim("people", 1, 512)
    first = [each async for each in scene.output.work(run)]
    assert [each.onward for each in first] == [(Target("chat", ROMEO),), ()]
    assert [each async for each in scene.output.work(run)] == first


async def test_what_becomes_of_an_incident_concerns_whoever_wanted_to_hear_of_it(scene: Scene) -> None:
    """Also while their message is still on its way, and nothing says yet that they have it."""
    await scene.subscribe(ROMEO, "disk.#", ">=warning")
    await scene.subscribe(JULIET, "user.#")
    await scene.told(1, **firing())
    acknowledged = firing(type=ACKNOWLEDGED, source=OURS, status="acknowledged", data={"by": JULIET})
    assert await scene.told(2, **acknowledged) == {f"chat:{ROMEO}"}
    assert await scene.told(3, **firing(status="resolved", severity="info")) == {f"chat:{ROMEO}"}


async def test_what_changes_nothing_is_told_to_nobody(scene: Scene) -> None:
    """A second acknowledgement; but the end of what nobody knew is an event like any."""
    await scene.subscribe(ROMEO)
    await scene.told(1, **firing())
    assert await scene.told(2, **firing(status="acknowledged")) == {f"chat:{ROMEO}"}
    assert await scene.told(3, **firing(status="acknowledged")) == set()
    assert await scene.told(4, **firing(key="other", status="resolved")) == {f"chat:{ROMEO}"}


async def test_a_run_that_is_worked_twice_does_no_harm(scene: Scene) -> None:
    """As after a crash before it was settled: the same incident, the same addresses."""
    await scene.subscribe(ROMEO)
    for number in range(3):
        await scene.publish(number, **firing())
    (run,) = await scene.journal.claim("people", 1, 512)
    first = [each async for each in scene.output.work(run)]
    before = await scene.incident()
    assert [each async for each in scene.output.work(run)] == first
    assert await scene.incident() == before
    assert before.count == 3
    assert all(each.onward for each in first)


async def test_what_is_muted_is_not_told_for_so_long(scene: Scene) -> None:
    """A pattern, or one incident."""
    await scene.subscribe(ROMEO)
    await scene.audience.mute(ROMEO, Mute(pattern="disk.#", until=scene.clock() + timedelta(minutes=10)))
    await scene.audience.mute(ROMEO, Mute(key="cpu"))
    assert await scene.told(1) == set()
    assert await scene.told(2, type="user") == {f"chat:{ROMEO}"}
    assert await scene.told(3, **firing(type="user", key="cpu")) == set()
    scene.clock.move(minutes=10)
    assert await scene.told(4) == {f"chat:{ROMEO}"}


async def test_a_message_that_is_there_is_kept_true_while_it_is_muted(scene: Scene) -> None:
    """The correction disturbs nobody; what is worse than they know would, and so is kept from them."""
    await scene.subscribe(ROMEO)
    await scene.told(1, **firing())
    await scene.hand_over(ROMEO)
    await scene.audience.mute(ROMEO, Mute(key="disk"))
    assert await scene.told(2, **firing()) == {f"chat:{ROMEO}"}
    assert await scene.told(3, **firing(severity="critical")) == set()
    assert await scene.told(4, **firing(status="resolved")) == {f"chat:{ROMEO}"}


async def test_who_is_suspended_gets_nothing_at_all(scene: Scene) -> None:
    """Their JID is gone: not even a correction."""
    await scene.subscribe(ROMEO)
    await scene.told(1, **firing())
    await scene.hand_over(ROMEO)
    await scene.audience.suspend(ROMEO, "item-not-found")
    assert await scene.told(2, **firing()) == set()


async def test_quiet_hours_hold_what_does_not_break_through(scene: Scene) -> None:
    """By the severity of the incident, if it is one's."""
    await scene.subscribe(ROMEO, quiet=Quiet(start=11 * 60, end=13 * 60))
    assert await scene.told(1) == {f"digest:{ROMEO}"}
    assert await scene.told(2, severity="critical") == {f"chat:{ROMEO}"}
    scene.clock.move(hours=1)
    assert await scene.told(3) == {f"chat:{ROMEO}"}


async def test_whoever_is_away_has_the_harmless_held(scene: Scene) -> None:
    """By what their presence says; of whom we see none nothing is held."""
    await scene.subscribe(ROMEO)
    await scene.audience.alter(ROMEO, hold_below="error")
    assert await scene.told(1) == {f"chat:{ROMEO}"}
    scene.shows[ROMEO] = "dnd"
    assert await scene.told(2) == {f"digest:{ROMEO}"}
    assert await scene.told(3, severity="error") == {f"chat:{ROMEO}"}


async def test_a_correction_is_not_held_but_what_is_worse_is(scene: Scene) -> None:
    """Silence is what they asked for, not an old message."""
    await scene.subscribe(ROMEO, quiet=Quiet(start=11 * 60, end=13 * 60, breaks_through="critical"))
    assert await scene.told(1, **firing()) == {f"digest:{ROMEO}"}
    await scene.hand_over(ROMEO)
    assert await scene.told(2, **firing()) == {f"chat:{ROMEO}"}
    assert await scene.told(3, **firing(severity="error")) == {f"digest:{ROMEO}"}
    assert await scene.told(4, **firing(severity="critical")) == {f"chat:{ROMEO}"}


async def test_where_nothing_can_be_corrected_a_correction_is_a_message(tmp_path: Path) -> None:
    """In rooms, and with an account: it is held like any."""
    async with opened(tmp_path / "journal.db", corrects=False) as scene:
        await scene.subscribe(ROMEO, digest_seconds=60)
        await scene.told(1, **firing())
        await scene.hand_over(ROMEO)
        assert await scene.told(2, **firing()) == {f"digest:{ROMEO}"}


async def test_whoever_has_no_budget_left_gets_a_digest(tmp_path: Path) -> None:
    """Corrections included; it fills up again, and the others are not touched."""
    async with opened(tmp_path / "journal.db", per_minute=2) as scene:
        await scene.subscribe(ROMEO)
        assert await scene.told(1) == {f"chat:{ROMEO}"}
        assert await scene.told(2, **firing()) == {f"chat:{ROMEO}"}
        await scene.hand_over(ROMEO)
        await scene.subscribe(JULIET)
        assert await scene.told(3, **firing()) == {f"digest:{ROMEO}", f"chat:{JULIET}"}
        scene.clock.move(seconds=30)
        assert await scene.told(4) == {f"chat:{ROMEO}", f"chat:{JULIET}"}


async def test_what_has_expired_goes_to_nobody(scene: Scene) -> None:
    """Its incident is folded all the same: it did happen."""
    await scene.subscribe(ROMEO)
    assert await scene.told(1, **firing(expires="2026-01-31T11:59:59Z")) == set()
    assert (await scene.incident()).status is Status.FIRING
    assert await scene.told(2, expires="2026-01-31T12:00:01Z") == {f"chat:{ROMEO}"}


async def test_a_retraction_goes_to_whoever_was_told_or_is_about_to_be(scene: Scene) -> None:
    """What waits for them is dropped, from digests too, and nobody else hears of it."""
    await scene.subscribe(ROMEO)
    await scene.subscribe(NURSE, digest_seconds=900)
    await scene.told(1)
    entry = await scene.journal.find(event(1).event.item_id)
    assert entry is not None
    sent = Message("00000000-0000-5000-8000-000000000001", entry.sequence, HALL, 0, "", scene.clock())
    await scene.journal.people.handed_over([sent], [])
    await scene.subscribe(JULIET)
    retraction = {"type": RETRACTED, "source": OURS, "data": {"item": entry.item_id, "by": ROMEO}}
    assert await scene.told(2, **retraction) == {f"chat:{ROMEO}", f"room:{HALL}"}
    assert await scene.journal.people.waiting(Target("digest", NURSE), 10) == []
    assert [each.sequence for each in await scene.journal.people.waiting(Target("chat", ROMEO), 10)] == [2]
    unknown = {"type": RETRACTED, "source": OURS, "data": {"item": "nothing"}}
    assert await scene.told(3, **unknown) == set()


async def test_unsubscribing_drops_what_waits_because_of_it(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not what another subscription wants, nor what a route sends, nor what keeps a message true; bit by bit."""
    monkeypatch.setattr(limits, "WAITING_LOOKED_AT", 2)
    await scene.subscribe(ROMEO)
    await scene.subscribe(ROMEO, "user.#")
    await scene.subscribe(JULIET)
    for number, type_ in enumerate(["disk.full", "user.signup", "direct.line"]):
        await scene.told(number, type=type_)
    await scene.told("open", **firing())
    await scene.hand_over(ROMEO)
    await scene.told("repeat", **firing())
    assert [each.pattern for each in await scene.audience.unsubscribe(ROMEO, "#")] == ["#"]
    left = [each.event.type for each in await scene.journal.people.waiting(Target("chat", ROMEO), 10)]
    assert left == ["user.signup", "direct.line", "disk.full", "disk.full"]
    assert len(await scene.journal.people.waiting(Target("chat", JULIET), 10)) == 5
    assert await scene.audience.unsubscribe(ROMEO, "#") == []


async def test_whoever_waits_for_an_event_to_be_folded_goes_on_when_it_is(scene: Scene) -> None:
    """At once when it has been, or never will be."""
    await scene.publish(1, **firing())
    waiting = asyncio.create_task(scene.output.folded(1))
    await asyncio.sleep(0)
    await scene.work()
    async with asyncio.timeout(2):
        await waiting
        assert (await scene.incident()).sequence == 1
        await scene.output.folded(1)
        await scene.output.folded(99)


async def test_after_a_restart_nobody_waits_for_what_was_folded_before(tmp_path: Path) -> None:
    """The place says what is still to come."""
    async with opened(tmp_path / "journal.db") as first:
        await first.told(1, **firing())
        await first.publish(2, **firing())
    async with opened(tmp_path / "journal.db") as second:
        async with asyncio.timeout(2):
            await second.output.folded(1)
        waiting = asyncio.create_task(second.output.folded(2))
        await second.work()
        async with asyncio.timeout(2):
            await waiting
        assert (await second.incident()).count == 2


async def test_an_event_for_ten_thousand_is_bounded_in_memory(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of a run waits for the next one, untouched and in order."""
    monkeypatch.setattr("xmppbus.limits.ONWARD_TARGETS", 100)
    monkeypatch.setattr("xmppbus.limits.FOLD_EVENTS", 10)
    for number in range(20):
        await scene.subscribe(f"p{number}@example.org")
    for number in range(25):
        await scene.publish(number)
    (run,) = await scene.journal.claim("people", 1, 512)
    settled = [each async for each in scene.output.work(run)]
    assert [len(each.onward) for each in settled] == [20] * 5 + [0] * 20
    await scene.journal.settle(run, settled)
    await scene.work()
    assert len(await scene.journal.people.waiting(Target("chat", "p7@example.org"), 100)) == 25
