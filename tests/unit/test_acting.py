"""What people do about incidents and events, on a real journal and with the output that folds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.journals import MovingClock
from xmppbus.bus import Bus
from xmppbus.errors import Code, Refused
from xmppbus.event import OURS, Event
from xmppbus.interfaces import Accepted
from xmppbus.outputs.people import ForPeople, people_work
from xmppbus.people.acting import Acted, Acting
from xmppbus.people.audience import Audience
from xmppbus.people.budget import Budget
from xmppbus.people.incidents import ACKNOWLEDGED, RESOLVED, RETRACTED, UNACKNOWLEDGED
from xmppbus.people.model import Incident, Status
from xmppbus.route import Address, Match, Route, Routes
from xmppbus.stores.sqlite import SqliteJournal

ROMEO, JULIET = "romeo@example.org", "juliet@example.org"
EVERYTHING = Routes([Route("people", Match(), (), (Address("people", "all"),))])


@dataclass
class Scene:
    """The house's door, and what folds behind it. Nothing is folded but when somebody waits for it."""

    journal: SqliteJournal
    clock: MovingClock
    bus: Bus
    output: ForPeople
    acting: Acting
    is_folding: bool = True

    async def accept(self, sent: Sequence[Mapping[str, Any]], *, time: str = "") -> list[Accepted | Refused]:
        """The door."""
        return await self.bus.accept(sent, time=time, is_ours=True)

    async def folded(self, sequence: int) -> None:
        """Works what waits, and then says so."""
        if not self.is_folding:
            return
        for run in await self.journal.claim("people", 1, 512):
            await self.journal.settle(run, [each async for each in people_work(self.output)(run)])
        await self.output.folded(sequence)

    async def publish(self, name: object, status: str = "firing", key: str = "disk", **fields: Any) -> str:
        """An event of an incident, folded; its item id."""
        sent = {"type": "disk.full", "source": "db1", "severity": "warning", "summary": f"{key} is full"}
        (answer,) = await self.accept([sent | {"id": str(name), "key": key, "status": status} | fields])
        assert isinstance(answer, Accepted)
        await self.folded(answer.sequence)
        return answer.item_id

    async def incident(self, key: str = "disk") -> Incident:
        """As it is kept."""
        found = await self.journal.people.incident(key)
        assert found is not None
        return found

    async def newest(self) -> Event:
        """What was accepted last."""
        entries = await self.journal.read(0, 1000)
        return entries[-1].event


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    clock = MovingClock()
    async with SqliteJournal(tmp_path / "journal.db", clock=clock) as journal:
        bus = Bus(journal, EVERYTHING, source="test", check_size=lambda _: None, clock=clock)
        output = ForPeople(
            journal,
            journal.people,
            Audience(journal.people, EVERYTHING, clock),
            budget=Budget(10),
            presence_of=lambda _: "unknown",
            is_room=lambda _: False,
            corrects=lambda _: True,
            zone=UTC,
            clock=clock,
        )
        found = Scene(journal, clock, bus, output, None)  # type: ignore[arg-type]  # it needs the scene's own door
        found.acting = Acting(found.accept, journal, journal.people, clock, found.folded)
        yield found


async def refused(code: Code, act: Any) -> str:
    """The words of a refusal."""
    with pytest.raises(Refused) as caught:
        await act
    assert caught.value.code is code
    return caught.value.message


async def test_an_acknowledgement_is_an_event_that_goes_along_the_routes(scene: Scene) -> None:
    """With the incident's own words; and says who, and by which door."""
    await scene.publish(1, link="https://example.org/")
    scene.clock.move(minutes=3)
    acted = await scene.acting.acknowledge("disk", by=JULIET, via="chat")
    assert acted == Acted(await scene.incident(), JULIET, scene.clock(), first=True)
    assert (acted.incident.status, acted.incident.by) == (Status.ACKNOWLEDGED, JULIET)
    event = await scene.newest()
    assert (event.type, event.source, event.id) == (ACKNOWLEDGED, OURS, f"{acted.incident.episode}/acknowledged/1")
    assert (event.severity, event.summary) == ("warning", "disk is full")
    assert event.get("data") == {"by": JULIET, "via": "chat"}
    assert event.get("link") == "https://example.org/"


async def test_the_first_wins_and_the_other_is_told_who(scene: Scene) -> None:
    """Also when both do it before either is folded."""
    await scene.publish(1)
    scene.is_folding = False
    first = await scene.acting.acknowledge("disk", by=JULIET, via="chat")
    assert (first.by, first.first, first.incident.status) == (JULIET, True, Status.FIRING)  # it is on disk
    scene.is_folding = True
    second = await scene.acting.acknowledge("disk", by=ROMEO, via="cli")
    assert (second.by, second.first, second.incident.status) == (JULIET, False, Status.ACKNOWLEDGED)
    third = await scene.acting.acknowledge("disk", by=ROMEO, via="cli")
    assert (third.by, third.first) == (JULIET, False)
    assert (await scene.acting.acknowledge("disk", by=JULIET, via="http")).first


async def test_of_many_at_once_one_is_first(scene: Scene) -> None:
    """And all are told the same."""
    await scene.publish(1)
    people = [f"p{number}@example.org" for number in range(20)]
    acts = await asyncio.gather(*(scene.acting.acknowledge("disk", by=each, via="chat") for each in people))
    assert len({each.by for each in acts}) == 1
    assert sum(each.first for each in acts) == 1
    assert (await scene.incident()).acknowledgements == 1


async def test_it_can_be_given_back_and_taken_again(scene: Scene) -> None:
    """By another one, too; each time it is an event of its own."""
    await scene.publish(1)
    await scene.acting.acknowledge("disk", by=JULIET, via="chat")
    back = await scene.acting.unacknowledge("disk", by=ROMEO, via="chat")
    assert (back.incident.status, back.by, back.first) == (Status.FIRING, ROMEO, True)
    assert (await scene.newest()).type == UNACKNOWLEDGED
    assert "nobody has acknowledged" in await refused(
        Code.CONFLICT, scene.acting.unacknowledge("disk", by=ROMEO, via="chat")
    )
    again = await scene.acting.acknowledge("disk", by=ROMEO, via="chat")
    assert (again.by, again.first, again.incident.acknowledgements) == (ROMEO, True, 2)
    assert again.incident.count == 1


async def test_an_incident_can_be_ended_by_hand(scene: Scene) -> None:
    """Whoever comes later is told who did."""
    await scene.publish(1)
    await scene.acting.acknowledge("disk", by=JULIET, via="chat")
    acted = await scene.acting.resolve("disk", by=ROMEO, via="cli")
    assert (acted.incident.status, acted.by, acted.first) == (Status.RESOLVED, ROMEO, True)
    assert (await scene.newest()).type == RESOLVED
    later = await scene.acting.resolve("disk", by=JULIET, via="cli")
    assert (later.by, later.first) == (ROMEO, False)
    await scene.publish(2)
    assert (await scene.acting.resolve("disk", by=JULIET, via="cli")).first


async def test_what_ended_by_itself_was_ended_by_nobody(scene: Scene) -> None:
    """And can't be acknowledged any more."""
    await scene.publish(1)
    await scene.acting.acknowledge("disk", by=JULIET, via="chat")
    await scene.publish(2, status="resolved")
    assert (await scene.acting.resolve("disk", by=ROMEO, via="cli")).by == ""
    scene.clock.move(minutes=5)
    for act in (scene.acting.acknowledge, scene.acting.unacknowledge):
        assert "resolved 5 min ago" in await refused(Code.CONFLICT, act("disk", by=ROMEO, via="chat"))


async def test_an_incident_is_named_by_its_key_or_one_of_its_events(scene: Scene) -> None:
    """Any of them: also the first, and the acknowledgement."""
    first = await scene.publish(1)
    await scene.publish(2)
    acted = await scene.acting.acknowledge(first, by=JULIET, via="chat")
    assert acted.first
    acknowledgement = (await scene.newest()).item_id
    assert (await scene.acting.resolve(acknowledgement, by=JULIET, via="chat")).first


async def test_what_nobody_knows_can_not_be_acted_on(scene: Scene) -> None:
    """Neither a key, nor an id, nor an event that is no incident's."""
    assert "'disk'" in await refused(Code.NOT_FOUND, scene.acting.acknowledge("disk", by=JULIET, via="chat"))
    item = await scene.publish(1, status="resolved")
    assert "no incident" in await refused(Code.NOT_FOUND, scene.acting.acknowledge(item, by=JULIET, via="chat"))
    assert await refused(Code.NOT_FOUND, scene.acting.acknowledge(by=JULIET, via="chat"))


async def test_without_a_name_it_is_the_only_one(scene: Scene) -> None:
    """Of several somebody has to say which."""
    await scene.publish(1, key="disk")
    assert (await scene.acting.acknowledge(by=JULIET, via="chat")).incident.key == "disk"
    await scene.publish(2, key="cpu")
    assert (await scene.acting.acknowledge(by=JULIET, via="chat")).incident.key == "cpu"
    listed = await refused(Code.CONFLICT, scene.acting.resolve(by=JULIET, via="chat"))
    assert "disk (disk is full)" in listed
    assert "cpu (cpu is full)" in listed
    for number in range(10):
        await scene.publish(f"more {number}", key=f"key{number}")
    assert "and more" in await refused(Code.CONFLICT, scene.acting.resolve(by=JULIET, via="chat"))


async def test_a_name_that_was_taken_in_vain_stands_in_nobodys_way(scene: Scene) -> None:
    """An acknowledgement that came just after the end; then it flaps, and fires in the same episode again."""
    await scene.publish("open")
    for number in range(2):
        await scene.publish(f"end {number}", status="resolved")
        await scene.publish(f"again {number}")
    flapping = await scene.incident()
    assert flapping.flapping
    late: dict[str, Any] = {
        "type": ACKNOWLEDGED,
        "source": OURS,
        "id": f"{flapping.episode}/acknowledged/1",
        "data": {"by": ROMEO},
    }
    await scene.publish("end", status="resolved")
    await scene.publish("late", status="acknowledged", **late)
    await scene.publish("once more")
    assert (await scene.incident()).episode == flapping.episode
    acted = await scene.acting.acknowledge("disk", by=JULIET, via="chat")
    assert (acted.by, acted.first, acted.incident.status) == (JULIET, True, Status.ACKNOWLEDGED)


async def test_an_event_is_taken_back_once(scene: Scene) -> None:
    """With nothing of what it said; the second is told who was first."""
    item = await scene.publish(1, summary="a secret")
    scene.clock.move(minutes=1)
    first = await scene.acting.retract(item, by=JULIET, via="chat")
    assert (first.entry.item_id, first.by, first.moment, first.first) == (item, JULIET, scene.clock(), True)
    event = await scene.newest()
    assert (event.type, event.id, event.get("data")["item"]) == (RETRACTED, f"{item}/retracted", item)
    assert b"secret" not in event.encoded
    scene.clock.move(minutes=1)
    second = await scene.acting.retract(item, by=ROMEO, via="chat")
    assert (second.by, second.first, second.moment) == (JULIET, False, scene.clock() - timedelta(minutes=1))


async def test_neither_a_retraction_nor_what_never_was_can_be_taken_back(scene: Scene) -> None:
    """The words say what to do."""
    assert "never was" in await refused(Code.NOT_FOUND, scene.acting.retract("nothing", by=JULIET, via="chat"))
    await scene.acting.retract(await scene.publish(1), by=JULIET, via="chat")
    retraction = (await scene.newest()).item_id
    assert "another id" in await refused(Code.CONFLICT, scene.acting.retract(retraction, by=JULIET, via="chat"))


async def test_a_door_that_says_no_says_no_to_people_too(scene: Scene) -> None:
    """Nothing is told that is not on disk."""
    item = await scene.publish(1)
    scene.bus.close()
    assert await refused(Code.CLOSING, scene.acting.acknowledge("disk", by=JULIET, via="chat"))
    assert await refused(Code.CLOSING, scene.acting.retract(item, by=JULIET, via="chat"))
