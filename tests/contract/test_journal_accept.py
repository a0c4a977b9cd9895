"""What a journal says when it is given events, and what it keeps of them."""

import asyncio
import threading
from typing import Any

import pytest

from tests.support.journals import MovingClock, OpenJournal, deliver_all, routed, unrouted
from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.journal import Result
from xmppbus.route import Target
from xmppbus.stores.ledger import Effects, Ledger
from xmppbus.stores.reader import Reader
from xmppbus.stores.sqlite import SqliteJournal


async def test_a_new_event_gets_a_sequence_and_its_deliveries(journal: SqliteJournal) -> None:
    """One answer for each event, in order."""
    first, second, third = await journal.append(
        [routed(1), routed(2, "a", Target("chat", "romeo@example.org")), unrouted(3)]
    )
    assert [answer.result for answer in (first, second, third)] == [Result.NEW] * 3
    assert first.sequence < second.sequence < third.sequence
    assert [answer.deliveries for answer in (first, second, third)] == [1, 2, 0]


async def test_the_same_event_again_is_known_and_makes_no_delivery(journal: SqliteJournal) -> None:
    """It gets the old sequence, even when the routes send it elsewhere by now."""
    (first,) = await journal.append([routed(1)])
    (second,) = await journal.append([routed(1, "elsewhere")])
    assert second == (Result.KNOWN, first.sequence, 0)
    assert await deliver_all(journal) == ["1"]


async def test_the_same_name_with_other_content_is_a_conflict(journal: SqliteJournal) -> None:
    """Nothing of it is written."""
    (first,) = await journal.append([routed(1, data="yes")])
    (second,) = await journal.append([routed(1, data="no")])
    assert second == (Result.CONFLICT, first.sequence, 0)
    (entry,) = await journal.read(0, 10)
    assert entry.event.text == "yes"


async def test_a_conflict_never_fails_its_neighbours(journal: SqliteJournal) -> None:
    """Nor does a repeat within one batch."""
    await journal.append([routed(1)])
    answers = await journal.append([routed(2), routed(1, data="other"), routed(3), routed(2), routed(3, data="x")])
    assert [answer.result.value for answer in answers] == ["new", "conflict", "new", "known", "conflict"]
    assert answers[3].sequence == answers[0].sequence
    assert await deliver_all(journal) == ["1", "2", "3"]


async def test_the_source_is_part_of_the_name(journal: SqliteJournal) -> None:
    """Two sources may use the same id."""
    one, other = await journal.append([routed(1, source="here"), routed(1, source="there")])
    assert one.result is other.result is Result.NEW


async def test_the_same_address_twice_is_one_delivery(journal: SqliteJournal) -> None:
    """However many routes name it."""
    (answer,) = await journal.append([routed(1, "a", "a")])
    assert answer.deliveries == 1
    assert await deliver_all(journal) == ["1"]


async def test_appends_at_the_same_time_all_get_their_own_answers(journal: SqliteJournal) -> None:
    """They share commits, and each event has one sequence."""
    batches = [[routed(f"{batch}-{index}") for index in range(batch % 7)] for batch in range(200)]
    answers = await asyncio.gather(*(journal.append(batch) for batch in batches))
    assert [len(answer) for answer in answers] == [len(batch) for batch in batches]
    sequences = [each.sequence for answer in answers for each in answer]
    assert len(set(sequences)) == len(sequences)
    for batch, answer in zip(batches, answers, strict=True):
        for event, each in zip(batch, answer, strict=True):
            found = await journal.find(event.event.item_id)
            assert found is not None
            assert found.sequence == each.sequence


async def test_one_name_from_many_senders_at_once_is_new_once(journal: SqliteJournal) -> None:
    """Whoever comes first; all others are told its sequence."""
    answers = await asyncio.gather(*(journal.append([routed(1)]) for _ in range(50)))
    assert sorted(answer.result.value for (answer,) in answers) == ["known"] * 49 + ["new"]
    assert len({answer.sequence for (answer,) in answers}) == 1


async def test_what_was_accepted_is_there_after_a_restart(open_journal: OpenJournal) -> None:
    """Entries, deliveries, names."""
    async with open_journal() as journal:
        (first,) = await journal.append([routed(1, data="\x1e\x1f ü \ufffe")])
    async with open_journal() as journal:
        (entry,) = await journal.read(0, 10)
        assert entry.event == routed(1, data="\x1e\x1f ü \ufffe").event
        assert (await journal.append([routed(1, data="\x1e\x1f ü \ufffe")]))[0] == (Result.KNOWN, first.sequence, 0)
        assert await deliver_all(journal) == ["1"]


async def test_a_sequence_is_never_used_again(open_journal: OpenJournal, clock: MovingClock) -> None:
    """Not even when every entry has been pruned and the journal was closed."""
    async with open_journal(keep_days=1) as journal:
        answers = await journal.append([unrouted(number) for number in range(10)])
        clock.move(days=2)
        assert await journal.prune() == 10
    async with open_journal(keep_days=1) as journal:
        (later,) = await journal.append([unrouted("later")])
        assert later.sequence > answers[-1].sequence


async def test_a_name_outlives_its_entry(journal: SqliteJournal, clock: MovingClock) -> None:
    """A repeat long after is still a repeat."""
    (first,) = await journal.append([unrouted(1)])
    clock.move(days=limits.KEEP_DAYS + 1)
    assert await journal.prune() == 1
    assert await journal.find(routed(1).event.item_id) is None
    assert await journal.append([unrouted(1)]) == [(Result.KNOWN, first.sequence, 0)]
    assert (await journal.append([routed(1, data="other")]))[0].result is Result.CONFLICT


async def test_names_are_kept_up_to_a_bound(
    open_journal: OpenJournal, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest of what was forgotten go first; an entry that is still there keeps its name."""
    monkeypatch.setattr(limits, "NAMES", 10)
    async with open_journal(keep_days=1) as journal:
        await journal.append([routed("stays")])
        await journal.append([unrouted(number) for number in range(20)])
        clock.move(days=2)
        assert await journal.prune() == 20
        assert (await journal.append([routed("stays")]))[0].result is Result.KNOWN
        assert (await journal.append([unrouted(19)]))[0].result is Result.KNOWN
        assert (await journal.append([unrouted(0)]))[0].result is Result.NEW


async def test_more_places_than_an_output_may_have_are_refused(
    journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sender is told; the others of that commit are not."""
    monkeypatch.setattr(limits, "NODES", 3)
    await journal.append([routed(1, "a", "b")])
    one, other, third = await asyncio.gather(
        journal.append([routed(2, "c", "d")]), journal.append([routed(3, "c")]), journal.append([routed(4, "e")]),
        return_exceptions=True,
    )  # fmt: skip
    assert isinstance(one, Refused)
    assert one.code is Code.NODES
    assert not isinstance(other, BaseException)
    assert isinstance(third, Refused)
    assert (await journal.append([routed(5, Target("chat", "e"))]))[0].result is Result.NEW
    assert [entry.event.id for entry in await journal.read(0, 10)] == ["1", "3", "5"]


async def test_places_that_nothing_names_any_more_make_room(
    journal: SqliteJournal, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Types come and go over the years; only those that the journal still knows count."""
    monkeypatch.setattr(limits, "NODES", 4)
    await journal.append([routed(1, "a", "b", "c", "d")])
    assert len(await deliver_all(journal)) == 4
    clock.move(days=limits.KEEP_DAYS - 1)
    await journal.append([routed(2, "d")])
    assert await deliver_all(journal) == ["2"]
    clock.move(days=2)
    assert await journal.prune() == 1
    await journal.append([routed(3, "e", "f", "g")])
    with pytest.raises(Refused):
        await journal.append([routed(4, "h")])
    assert await deliver_all(journal) == ["3"] * 3


async def test_a_place_that_is_named_while_it_would_be_forgotten_stays(
    open_journal: OpenJournal, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its event is in a commit that the disk is still busy with when the journal looks for what may go."""
    committing, looked, go_on = asyncio.Event(), asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    commit, places_used = Ledger.commit, Reader.places_used

    def slow_commit(self: Ledger) -> Effects:
        loop.call_soon_threadsafe(committing.set)
        assert go_on.wait(10)
        return commit(self)

    def seen_places_used(self: Reader) -> Any:
        loop.call_soon_threadsafe(looked.set)
        return places_used(self)

    async with open_journal() as journal:
        await journal.append([routed(1, "a", "b", "c", "d")])
        assert await deliver_all(journal) == ["1"] * 4
        clock.move(days=limits.KEEP_DAYS + 1)
        assert await journal.prune() == 1
        monkeypatch.setattr(limits, "NODES", 4)
        monkeypatch.setattr(Ledger, "commit", slow_commit)
        monkeypatch.setattr(Reader, "places_used", seen_places_used)
        appending = asyncio.create_task(journal.append([routed(2, "a")]))
        async with asyncio.timeout(10):
            await committing.wait()
            pruning = asyncio.create_task(journal.prune())
            await looked.wait()
            go_on.set()
            await asyncio.gather(appending, pruning)
            assert await deliver_all(journal) == ["2"]
        await journal.append([routed(3, "a", "e")])
    async with open_journal() as journal:
        assert await deliver_all(journal) == ["3", "3"]


async def test_a_commit_is_bounded_in_bytes_as_in_events(
    journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few large events are a commit of their own: the first waits no longer for the last than among small ones."""
    monkeypatch.setattr(limits, "COMMIT_PAGES", 64)
    sizes: list[int] = []
    commit = Ledger.commit

    def measured_commit(self: Ledger) -> Effects:
        sizes.append(self.effects.entries)
        return commit(self)

    monkeypatch.setattr(Ledger, "commit", measured_commit)
    await asyncio.gather(*(journal.append([routed(f"large {n}", data="x" * 100_000)]) for n in range(20)))
    assert sum(sizes) == 20
    assert max(sizes) <= 3
    sizes.clear()
    await asyncio.gather(*(journal.append([routed(f"small {n}")]) for n in range(60)))
    assert sizes == [60]


async def test_a_full_journal_refuses_and_says_what_to_do(open_journal: OpenJournal) -> None:
    """What it holds is delivered all the same, and then it accepts again."""
    async with open_journal(most_bytes=limits.MIB) as journal:
        accepted: list[str] = []

        async def fill() -> None:
            while len(accepted) < 2_000:
                await journal.append([routed(len(accepted), data="x" * 2_000)])
                accepted.append(str(len(accepted)))

        with pytest.raises(Refused, match=r"journal\.keep\.gib") as refused:
            await fill()
        assert refused.value.code is Code.FULL
        assert refused.value.retry_after > 0
        status = await journal.status()
        assert not status.accepting
        assert "GiB" in status.reason
        assert [entry.event.id for entry in await journal.read(0, 2_000)] == accepted
        assert await deliver_all(journal) == accepted
        assert (await journal.append([routed("room", data="x" * 2_000)]))[0].result is Result.NEW
        assert (await journal.status()).accepting
        assert (await journal.status()).bytes <= limits.MIB


async def test_settled_entries_make_room_before_anything_is_refused(open_journal: OpenJournal) -> None:
    """The oldest first, without anybody calling for it."""
    async with open_journal(most_bytes=limits.MIB) as journal:
        for first in range(0, 2_000, 20):
            await journal.append([routed(number, data="x" * 2_000) for number in range(first, first + 20)])
            assert await deliver_all(journal) == [str(number) for number in range(first, first + 20)]
        assert (await journal.status()).bytes <= 1.1 * limits.MIB
        assert (await journal.read(0, 2_000))[-1].event.id == "1999"


async def test_status_counts_what_the_journal_holds(open_journal: OpenJournal) -> None:
    """The same before and after a restart."""
    async with open_journal() as journal:
        await journal.append([routed(1, "a", "b"), routed(2), unrouted(3)])
        before = await journal.status()
    async with open_journal() as journal:
        after = await journal.status()
    assert after._replace(bytes=0) == before._replace(bytes=0)
    assert (after.entries, after.newest, after.waiting, after.dead, after.accepting) == (3, 3, 3, 0, True)
