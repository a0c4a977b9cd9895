"""What people ask the journal, and what waits for them: dropped, held, woken, settled in company."""

from datetime import timedelta

import pytest

from tests.support.journals import MovingClock, OpenJournal, deliver_all, ids, outcomes, routed, stop, take
from tests.support.people_nouns import JULIET, ROMEO
from xmppbus import limits
from xmppbus.journal import DELIVERED, HELD, Outcome, State, Stop, Verdict
from xmppbus.route import Match, Target
from xmppbus.stores.sqlite import SqliteJournal

# --- what people ask --------------------------------------------------------------------------------------------------


async def test_types_are_counted_with_what_comes_later(journal: SqliteJournal, clock: MovingClock) -> None:
    """The most recent first."""
    await journal.append([routed(1, type="disk.full"), routed(2, type="disk.full")])
    clock.move(seconds=1)
    await journal.append([routed(3, type="user.signup")])
    assert [(each.type, each.times) for each in await journal.people.types(10)] == [
        ("user.signup", 1),
        ("disk.full", 2),
    ]
    clock.move(seconds=1)
    await journal.append([routed(4, type="disk.full")])
    first = (await journal.people.types(1))[0]
    assert (first.type, first.times, first.last) == ("disk.full", 3, clock.now)


async def test_the_newest_that_match_come_first(journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    """However far back, within a bound."""
    monkeypatch.setattr(limits, "SCAN_EVENTS", 10)
    monkeypatch.setattr(limits, "LOOK_BACK_EVENTS", 45)
    await journal.append([routed(n, type="disk.full" if n % 10 == 0 else "user.signup") for n in range(100)])
    found = await journal.people.last(3, Match("disk.#"))
    assert [entry.event.id for entry in found] == ["90", "80", "70"]
    assert [entry.event.id for entry in await journal.people.last(9, Match("disk.#"))] == ["90", "80", "70", "60"]
    assert [entry.event.id for entry in await journal.people.last(2, Match())] == ["99", "98"]


async def test_a_search_finds_words_in_any_case(journal: SqliteJournal) -> None:
    """In the type, the summary and the text, and not in what no person reads."""
    await journal.append([
        routed(1, type="disk.full", summary="Straße 7"),
        routed(2, data="he said \"No\"", summary="DISK"),
        routed(3, subject="disk"),
    ])  # fmt: skip

    async def search(*words: str) -> list[str]:
        return [entry.event.id for entry in await journal.people.search(words, 10)]

    assert await search("disk") == ["2", "1"]
    assert await search("STRASSE") == ["1"]
    assert await search("disk", '"no"') == ["2"]
    assert await search("test") == []


# --- deliveries -------------------------------------------------------------------------------------------------------


async def test_what_nobody_wants_any_more_is_dropped(open_journal: OpenJournal) -> None:
    """All of a place, or some of it; what was delivered stays, and so does what waits elsewhere."""
    async with open_journal() as journal:
        await journal.append([routed(n, Target("chat", ROMEO), Target("chat", JULIET)) for n in range(1, 6)])
        assert await journal.people.drop_waiting(Target("chat", ROMEO), [2, 3, 99]) == 2
        assert [entry.sequence for entry in await journal.people.waiting(Target("chat", ROMEO), 2)] == [1, 4]
        assert await journal.people.drop_waiting(Target("chat", ROMEO)) == 3
        assert await journal.people.drop_waiting(Target("chat", "nobody@example.org")) == 0
        assert (await journal.status()).waiting == 5
    async with open_journal() as journal:
        assert await deliver_all(journal, "chat") == ["1", "2", "3", "4", "5"]
        assert await journal.people.drop_waiting(Target("chat", JULIET)) == 0


async def test_much_is_dropped_in_slices(journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that stay are not in the way."""
    monkeypatch.setattr(limits, "ONWARD_SLICE", 3)
    await journal.append([routed(n, Target("chat", ROMEO)) for n in range(1, 21)])
    assert await journal.people.drop_waiting(Target("chat", ROMEO), range(11, 21)) == 10
    assert len(await journal.people.waiting(Target("chat", ROMEO), 100)) == 10


async def test_what_came_back_waits_again_behind_what_waits(journal: SqliteJournal) -> None:
    """Marked, under an id of its own; also where it had not been before, but not once its entry is gone."""
    await journal.append([routed(1, Target("chat", ROMEO))])
    first = await take(journal, "chat")
    await journal.settle(first, outcomes(first, DELIVERED))
    await journal.append([routed(2, Target("chat", ROMEO))])
    assert await journal.people.deliver_again(1, Target("chat", ROMEO))
    assert await journal.people.deliver_again(2, Target("chat", ROMEO))
    run = await take(journal, "chat")
    assert [(each.event.id, each.again) for each in run.deliveries] == [("2", False), ("1", True)]
    assert run.deliveries[1].id > first.deliveries[0].id
    assert await journal.people.deliver_again(1, Target("chat", JULIET))
    assert not await journal.people.deliver_again(3, Target("chat", ROMEO))


async def test_what_is_dropped_on_its_way_is_settled_without_harm(journal: SqliteJournal) -> None:
    """Alone and in company."""
    await journal.append([routed(n, Target("chat", ROMEO), Target("chat", JULIET)) for n in (1, 2)])
    runs = await journal.claim("chat", 10, 10)
    await journal.people.drop_waiting(Target("chat", ROMEO), [1])
    await journal.settle_many([(run, outcomes(run, DELIVERED), None) for run in runs])
    assert (await journal.status()).waiting == 0
    assert [fate.state for fate in await journal.fates(1)] == [State.DELIVERED]
    assert [fate.state for fate in await journal.fates(2)] == [State.DELIVERED] * 2


async def held(journal: SqliteJournal, seconds: float = 3600) -> None:
    """A digest that waits for its time."""
    await journal.append([routed(1, Target("digest", ROMEO))])
    run = await take(journal, "digest")
    await journal.settle(run, outcomes(run, Outcome(Verdict.STOPPED, HELD)), stop=Stop(HELD, "quiet hours", 0, seconds))


async def test_a_place_that_was_held_is_due_when_it_is_woken(journal: SqliteJournal) -> None:
    """At once; and until then it is not."""
    await held(journal)
    assert await journal.claim("digest", 10, 10) == []
    journal.people.wake(Target("digest", ROMEO))
    journal.people.wake(Target("digest", "nobody@example.org"))
    await journal.changed(timedelta(seconds=10))
    assert ids(await take(journal, "digest")) == ["1"]


async def test_a_place_that_is_woken_while_it_decides_to_hold_looks_again(journal: SqliteJournal) -> None:
    """Presence that comes back just then is not missed."""
    await journal.append([routed(1, Target("digest", ROMEO))])
    run = await take(journal, "digest")
    journal.people.wake(Target("digest", ROMEO))
    await journal.settle(run, outcomes(run, Outcome(Verdict.STOPPED, HELD)), stop=stop(3600, HELD))
    assert ids(await take(journal, "digest")) == ["1"]


async def test_holding_writes_nothing_and_is_no_attempt(journal: SqliteJournal) -> None:
    """Ten thousand digests that are not due cost no disk."""
    await held(journal)
    (fate,) = await journal.fates(1)
    assert (fate.state, fate.attempts, fate.condition) == (State.WAITING, 0, "")


async def test_a_held_place_is_forgotten_with_what_waited(journal: SqliteJournal) -> None:
    """Nothing is shown of it."""
    await held(journal)
    await journal.people.drop_waiting(Target("digest", ROMEO))
    assert await journal.places() == []
    await journal.append([routed(2, Target("digest", ROMEO))])
    assert ids(await take(journal, "digest")) == ["2"]


async def test_many_runs_are_settled_at_once(open_journal: OpenJournal) -> None:
    """Each with its own fate; twice changes nothing."""
    async with open_journal() as journal:
        await journal.append([routed(n, *(Target("chat", f"p{place}") for place in range(20))) for n in (1, 2)])
        runs = await journal.claim("chat", 20, 10)
        dead = runs[3], outcomes(runs[3], Outcome(Verdict.DEAD, "not-acceptable"), DELIVERED), None
        stopped = runs[4], outcomes(runs[4], Outcome(Verdict.STOPPED, "gone")), stop(3600, "gone")
        others = [(run, outcomes(run, DELIVERED), None) for run in (*runs[:3], *runs[5:])]
        await journal.settle_many([*others, dead, stopped])
        await journal.settle_many([*others, dead, stopped])
        status = await journal.status()
        assert (status.waiting, status.dead) == (2, 1)
        assert [place.place for place in await journal.places()] == [runs[4].place]
        assert await journal.claim("chat", 20, 10) == []
    async with open_journal() as journal:
        assert (await journal.status()).waiting == 2
        assert await deliver_all(journal, "chat") == ["1", "2"]


async def test_a_claim_of_very_many_deliveries_is_bounded_and_cuts_no_run(
    journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Places beyond the bound keep their turn."""
    monkeypatch.setattr(limits, "CLAIM_BYTES", 10 * limits.DELIVERY_BYTES)
    people = [Target("chat", f"p{place}") for place in range(5)]
    await journal.append([routed(n, *people) for n in range(3)])
    claims = [await journal.claim("chat", 5, 3) for _ in range(3)]
    assert [[run.place for run in runs] for runs in claims] == [["p0", "p1", "p2"], ["p3", "p4"], []]
    assert all(ids(run) == ["0", "1", "2"] for runs in claims for run in runs)
