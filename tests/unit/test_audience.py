"""Who listens: in memory for each event, and on disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.journals import MovingClock
from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.event import Event
from xmppbus.people.audience import Audience
from xmppbus.people.model import Mute, Person, Subscription
from xmppbus.route import Routes
from xmppbus.stores.sqlite import SqliteJournal

ROMEO = "romeo@example.org"


@pytest.fixture
def clock() -> MovingClock:
    return MovingClock()


@pytest.fixture
async def journal(tmp_path: Path, clock: MovingClock) -> AsyncIterator[SqliteJournal]:
    async with SqliteJournal(tmp_path / "journal.db", clock=clock) as opened:
        yield opened


@pytest.fixture
async def audience(journal: SqliteJournal, clock: MovingClock) -> Audience:
    return await loaded(journal, clock)


async def loaded(journal: SqliteJournal, clock: MovingClock) -> Audience:
    """As after a restart."""
    found = Audience(journal.people, Routes([]), clock)
    await found.open()
    return found


def wish(pattern: str, clock: MovingClock, severity: str = "") -> Subscription:
    """Of Romeo's."""
    return Subscription(owner=ROMEO, pattern=pattern, severity=severity, created=clock())


async def test_what_is_in_memory_is_what_is_on_disk(
    audience: Audience, journal: SqliteJournal, clock: MovingClock
) -> None:
    """After every change, and however many come at once."""
    await asyncio.gather(*(audience.subscribe(wish(f"a{number}", clock)) for number in range(20)))
    await audience.subscribe(wish("a1", clock, ">=error"))
    await asyncio.gather(*(audience.unsubscribe(ROMEO, f"a{number}") for number in range(5, 15)))
    await asyncio.gather(
        audience.alter(ROMEO, hold_below="error"),
        audience.alter(ROMEO, sees_us=True),
        audience.mute(ROMEO, Mute(pattern="b.#")),
        audience.mute(ROMEO, Mute(key="disk")),
        audience.suspend("nurse@example.org", "gone"),
    )
    again = await loaded(journal, clock)
    assert again.interests.of(ROMEO) == audience.interests.of(ROMEO)
    assert len(again.interests) == 10
    assert sorted(again.persons(), key=lambda each: each.jid) == sorted(audience.persons(), key=lambda each: each.jid)
    person = again.person(ROMEO)
    assert (person.hold_below, person.sees_us, len(person.mutes)) == ("error", True, 2)


async def test_of_whom_there_is_nothing_to_know_nothing_is_kept(audience: Audience, journal: SqliteJournal) -> None:
    """Whoever asks gets somebody whom nothing is known of."""
    await audience.suspend(ROMEO, "gone")
    await audience.alter(ROMEO, bounces=3)
    assert [each.jid for each in await journal.people.persons()] == [ROMEO]
    assert await audience.resume(ROMEO) == Person(jid=ROMEO) == audience.person(ROMEO)
    assert await journal.people.persons() == []
    assert audience.known(ROMEO) is None


async def test_a_mute_takes_the_place_of_one_of_the_same(audience: Audience, clock: MovingClock) -> None:
    """Those that are over go with it; their number is bounded."""
    soon = clock() + timedelta(minutes=1)
    await audience.mute(ROMEO, Mute(pattern="a.#", until=soon))
    await audience.mute(ROMEO, Mute(pattern="a.#"))
    await audience.mute(ROMEO, Mute(key="disk", until=soon))
    assert audience.person(ROMEO).mutes == (Mute(pattern="a.#"), Mute(key="disk", until=soon))
    clock.move(minutes=1)
    assert audience.muted(ROMEO, Event({"type": "user", "key": "disk"})) is None
    for number in range(limits.MUTES_OF_ONE - 1):
        await audience.mute(ROMEO, Mute(key=str(number)))
    with pytest.raises(Refused) as caught:
        await audience.mute(ROMEO, Mute(key="one more"))
    assert caught.value.code is Code.TOO_MANY
    assert await audience.unmute(ROMEO, "a.#") == [Mute(pattern="a.#")]
    assert len(await audience.unmute(ROMEO)) == limits.MUTES_OF_ONE - 1
    assert await audience.unmute(ROMEO) == []
    assert audience.persons() == []


async def test_a_subscription_that_is_refused_is_not_in_memory(
    audience: Audience, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is promised that is not on disk."""
    monkeypatch.setattr("xmppbus.limits.SUBSCRIPTIONS_OF_ONE", 1)
    await audience.subscribe(wish("a", clock))
    with pytest.raises(Refused):
        await audience.subscribe(wish("b", clock))
    assert [each.pattern for each in audience.interests.of(ROMEO)] == ["a"]


async def test_unsubscribing_from_everything_forgets_it_all(audience: Audience, clock: MovingClock) -> None:
    """What is known of the person stays."""
    await audience.subscribe(wish("a", clock))
    await audience.subscribe(wish("b", clock))
    await audience.alter(ROMEO, sees_us=True)
    assert [each.pattern for each in await audience.unsubscribe(ROMEO)] == ["a", "b"]
    assert (audience.interests.owners(), audience.person(ROMEO).sees_us) == ([], True)
    await audience.forget(ROMEO)
    assert audience.persons() == []
