"""The door, with a real journal behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from xmppbus import limits
from xmppbus.bus import Bus
from xmppbus.errors import Code, Refused
from xmppbus.event import Event
from xmppbus.interfaces import Accepted
from xmppbus.journal import Result, Verdict
from xmppbus.route import Address, Match, Route, Routes, Target, default_route
from xmppbus.stores.sqlite import SqliteJournal
from xmppbus.xmpp.stanzas import check_size

ROUTES = Routes(
    [default_route("pubsub"), Route("ops", Match("disk.#"), ("dedup", "throttle"), (Address("room", "r"),))]
)


def clock() -> datetime:
    return datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    async with SqliteJournal(tmp_path / "journal.db") as opened:
        yield opened


@pytest.fixture
def bus(journal: SqliteJournal) -> Bus:
    return Bus(journal, ROUTES, source="host", check_size=check_size, clock=clock)


async def test_a_yes_means_it_can_be_found_in_the_journal(bus: Bus, journal: SqliteJournal) -> None:
    """With its id, its time and one delivery for each address."""
    (yes,) = await bus.accept([{"type": "disk.full", "data": "91 %"}])
    assert isinstance(yes, Accepted)
    entry = await journal.find(yes.item_id)
    assert entry
    assert entry.event.time == "2026-01-31T12:00:00.000Z"
    assert {(fate.output, fate.place) for fate in await journal.fates(entry.sequence)} == {
        ("pubsub", "disk.full"),
        ("via", "ops/0"),
    }


async def test_a_bad_event_never_fails_its_neighbours(bus: Bus) -> None:
    """Each gets its own answer, in order."""
    answers = await bus.accept(
        [{"type": "a"}, {"type": "not a type"}, {"type": "b", "data": "x" * limits.ITEM_BYTES}, {"type": "c"}]
    )
    assert [type(each) for each in answers] == [Accepted, Refused, Refused, Accepted]
    assert isinstance(answers[2], Refused)
    assert answers[2].code is Code.TOO_BIG


async def test_nobody_speaks_as_the_bus_itself(bus: Bus) -> None:
    """It would obey: take back what others published, or acknowledge in somebody's name. Other types of that source, as
    of a host of that name, are anybody's."""
    retraction = {"type": "event.retracted", "source": "xmppbus", "data": {"item": "x", "by": "romeo"}}
    forged, other = await bus.accept([retraction, {"type": "host.up", "source": "xmppbus"}])
    assert isinstance(forged, Refused)
    assert forged.code is Code.FORBIDDEN
    assert isinstance(other, Accepted)
    (own,) = await bus.accept([retraction], is_ours=True)
    assert isinstance(own, Accepted)


async def test_the_same_event_again_is_known_and_another_by_its_name_is_a_conflict(bus: Bus) -> None:
    """A sender may repeat itself as often as it likes."""
    sent = {"type": "a", "id": "1", "data": 1}
    (first,) = await bus.accept([sent])
    again, other = await bus.accept([sent, {**sent, "data": 2}], time="2026-02-01T00:00:00Z")
    assert isinstance(first, Accepted)
    assert again == Accepted(Result.KNOWN, first.item_id, first.sequence, 0)
    assert isinstance(other, Refused)
    assert other.code is Code.CONFLICT


async def test_a_batch_over_its_bound_is_refused_whole(bus: Bus) -> None:
    """One commit stays short."""
    with pytest.raises(Refused, match=str(limits.BATCH_EVENTS)):
        await bus.accept([{"type": "a"}] * (limits.BATCH_EVENTS + 1))


async def test_a_closing_house_says_no_and_keeps_nothing(bus: Bus, journal: SqliteJournal) -> None:
    """And when to come back."""
    bus.close()
    with pytest.raises(Refused) as caught:
        await bus.accept([{"type": "a"}])
    assert caught.value.code is Code.CLOSING
    assert caught.value.retry_after
    assert (await journal.status()).entries == 0


def event(**fields: object) -> Event:
    return Event({"type": "disk.full", "id": "1", "source": "host", "time": "2026-01-31T12:00:00Z", **fields})


def test_an_analyzer_that_answers_nothing_stops_the_event(bus: Bus) -> None:
    """It is settled and goes nowhere."""
    settled = bus.onward("ops/0", 7, event(), [])
    assert (settled.outcome.verdict, settled.onward, settled.events) == (Verdict.DELIVERED, (), ())


def test_an_analyzer_that_answers_the_event_lets_it_pass(bus: Bus) -> None:
    """To the next station."""
    assert bus.onward("ops/0", 7, event(), [event()]).onward == (Target("via", "ops/1"),)


def test_new_events_go_on_beside_it_with_names_that_a_repeat_makes_again(bus: Bus) -> None:
    """So a crash between analyzing and settling makes no second event."""
    cause = event()
    answer = [cause, cause.evolve(held=3), cause.evolve(type="disk.report", id="mine")]
    once, twice = (bus.onward("ops/1", 7, cause, answer) for _ in range(2))
    assert once == twice
    held, report = (each.event for each in once.events)
    assert held.get("held") == 3
    assert held.get("causedby") == cause.item_id
    assert held.name != cause.name
    assert report.id == "mine"
    assert once.events[1].targets == (Target("room", "r"),)


def test_a_circle_of_analyzers_ends_as_a_dead_delivery(bus: Bus) -> None:
    """And says what to look for."""
    settled = bus.onward("ops/0", 7, event(hops=limits.HOPS), [event(held=1)])
    assert settled.outcome.verdict is Verdict.DEAD
    assert "circle" in settled.outcome.text


async def test_when_events_came_is_checked_like_their_own_times(bus: Bus) -> None:
    """An input of a plugin may be wrong about it; a wrong one would stand in every item."""
    with pytest.raises(Refused, match="RFC 3339"):
        await bus.accept([{"type": "a"}], time="\x1b[31m")
