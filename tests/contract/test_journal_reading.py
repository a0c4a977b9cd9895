"""Reading on from a sequence, waking at changes, and what people ask of a journal and decide about it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from tests.support.journals import (
    FORBIDDEN,
    TOO_BIG,
    MovingClock,
    OpenJournal,
    deliver_all,
    ids,
    outcomes,
    routed,
    stop,
    take,
    unrouted,
)
from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.journal import DELIVERED, Entry, Replay, Settled, State
from xmppbus.route import STATION, Match, Target
from xmppbus.stores.sqlite import SqliteJournal

SOON = timedelta(seconds=10)


def names(entries: list[Entry]) -> list[str]:
    """The ids of entries' events, in order."""
    return [entry.event.id for entry in entries]


async def test_reading_goes_on_from_a_sequence(journal: SqliteJournal) -> None:
    """Oldest first, no more than asked."""
    answers = await journal.append([unrouted(number) for number in range(5)])
    assert names(await journal.read(0, 3)) == ["0", "1", "2"]
    assert names(await journal.read(answers[2].sequence, 3)) == ["3", "4"]
    assert await journal.read(answers[4].sequence, 3) == []


async def test_an_entry_is_what_was_accepted(journal: SqliteJournal, clock: MovingClock) -> None:
    """With its sequence, its item id and the moment."""
    event = routed(1, severity="warning", tags=["a", "b"], subject="/dev/sda")
    (answer,) = await journal.append([event])
    expected = Entry(answer.sequence, event.event.item_id, clock.now, event.event)
    assert await journal.read(0, 1) == [expected]
    assert await journal.find(event.event.item_id) == expected


async def test_reading_by_type_severity_and_the_rest(journal: SqliteJournal) -> None:
    """Whatever any of the matches takes."""
    await journal.append(
        [
            routed("a", type="disk.full", severity="critical", source="db1"),
            routed("b", type="disk.full", severity="notice", subject="/home"),
            routed("c", type="user.signup", key="k"),
            routed("d", type="user", data={"text": "no severity"}),
        ]
    )
    for match, expected in (
        ([Match("disk.#")], "ab"),
        ([Match("disk.*", ">=warning")], "a"),
        ([Match("#", "info")], "cd"),
        ([Match("user.#")], "cd"),
        ([Match("user.*"), Match(subject="/home")], "bc"),
        ([Match(source="db1")], "a"),
        ([Match(key="k")], "c"),
        ([Match("nothing")], ""),
        ([], "abcd"),
    ):
        assert "".join(names(await journal.read(0, 10, match))) == expected, match


async def test_a_rare_match_is_found_behind_any_number_of_others(
    journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In bounded steps, and without looking twice at what does not concern the reader."""
    monkeypatch.setattr(limits, "SCAN_EVENTS", 50)
    await journal.append([unrouted(number) for number in range(1000)])
    rare = [Match("rare.#")]
    assert await journal.read(0, 10, rare) == []
    await journal.append([routed("rare", type="rare.bird"), unrouted("after")])
    (found,) = await journal.read(0, 10, rare)
    assert found.event.id == "rare"
    assert await journal.read(found.sequence, 10, rare) == []
    await journal.append([routed("second", type="rare.bird")])
    assert names(await journal.read(found.sequence, 10, rare)) == ["second"]
    assert names(await journal.read(0, 10, rare)) == ["rare", "second"]


async def test_a_read_is_bounded_in_bytes_and_goes_on_at_once(
    journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever takes fewer for the end, and waits for a change, is woken without delay."""
    monkeypatch.setattr(limits, "READ_BYTES", 10_000)
    await journal.append(
        [unrouted(number)._replace(event=routed(number, data="x" * 6_000).event) for number in range(5)]
    )
    read: list[str] = []
    after = 0
    async with asyncio.timeout(5):
        while len(read) < 5:
            entries = await journal.read(after, 100)
            assert len(entries) <= 3
            read += names(entries)
            after = entries[-1].sequence
            if len(read) < 5:
                await journal.changed(timedelta(seconds=60))
    assert read == ["0", "1", "2", "3", "4"]


async def test_the_sequence_at_a_moment(journal: SqliteJournal, clock: MovingClock) -> None:
    """The newest accepted before it."""
    start = clock.now
    assert await journal.sequence_at(start) == 0
    for number in range(20):
        clock.move(seconds=60)
        await journal.append([unrouted(f"{number}-{index}") for index in range(3)])
    assert await journal.sequence_at(start) == 0
    for number in range(20):
        accepted = start + timedelta(seconds=60 * (number + 1))
        assert await journal.sequence_at(accepted) == 3 * number
        assert await journal.sequence_at(accepted + timedelta(seconds=1)) == 3 * number + 3


# --- changes ----------------------------------------------------------------------------------------------------------


async def test_a_commit_wakes_all_that_wait(journal: SqliteJournal) -> None:
    """Many listeners, one commit."""
    waiters = [asyncio.create_task(journal.changed(SOON)) for _ in range(1000)]
    await asyncio.sleep(0)
    await journal.append([unrouted(1)])
    async with asyncio.timeout(5):
        await asyncio.gather(*waiters)


async def test_waiting_for_a_change_ends_with_its_timeout(journal: SqliteJournal) -> None:
    """Nothing has changed, and nobody is stuck."""
    async with asyncio.timeout(5):
        await journal.changed(timedelta(seconds=0.05))
        await journal.changed(timedelta(0))


async def test_no_change_between_a_look_and_the_wait_is_missed(journal: SqliteJournal) -> None:
    """A listener that found nothing, and was away when the event came, does not sleep through it."""
    looks: list[Callable[[int], Awaitable[object]]] = [
        lambda newest: journal.read(newest, 10),
        lambda _: journal.claim("chat", 1, 1),
        journal.fates,
        lambda _: journal.places(),
        lambda _: journal.find(routed("none").event.item_id),
    ]
    for look in looks:
        await look((await journal.status()).newest)
        await asyncio.create_task(_append_one(journal))
        async with asyncio.timeout(5):
            await journal.changed(timedelta(seconds=60))


async def _append_one(journal: SqliteJournal) -> None:
    await journal.append([unrouted((await journal.status()).newest)])


# --- dead ones --------------------------------------------------------------------------------------------------------


async def _three_dead(journal: SqliteJournal) -> list[int]:
    await journal.append([routed(number, type=f"t.{number}") for number in range(3)])
    runs = await journal.claim("pubsub", 10, 10)
    for run in runs:
        await journal.settle(run, outcomes(run, TOO_BIG))
    return [run.deliveries[0].id for run in runs]


async def test_dead_deliveries_are_listed_newest_first(journal: SqliteJournal) -> None:
    """With their entries and reasons, as many as asked, by match."""
    await _three_dead(journal)
    dead = await journal.dead([], 10)
    assert [entry.event.id for _, entry in dead] == ["2", "1", "0"]
    assert [fate.condition for fate, _ in dead] == ["payload-too-big"] * 3
    assert [entry.event.id for _, entry in await journal.dead([], 2)] == ["2", "1"]
    assert [entry.event.id for _, entry in await journal.dead([Match("t.1")], 2)] == ["1"]


async def test_a_dead_delivery_may_be_tried_again(journal: SqliteJournal) -> None:
    """Behind what waits, and marked; each once."""
    dead = await _three_dead(journal)
    await journal.append([routed("later", "t.0")])
    assert await journal.retry_dead([dead[0], dead[0], 999_999]) == 1
    assert await journal.retry_dead([dead[0]]) == 0
    run = await take(journal)
    assert [(each.event.id, each.again) for each in run.deliveries] == [("later", False), ("0", True)]
    assert len(await journal.dead([], 10)) == 2
    assert (await journal.status()).dead == 2


async def test_a_dead_delivery_may_be_dropped(journal: SqliteJournal) -> None:
    """Only a dead one."""
    dead = await _three_dead(journal)
    await journal.append([routed("waits")])
    waiting = (await journal.fates(4))[0].id
    assert await journal.drop_dead([*dead[:2], waiting]) == 2
    assert [entry.event.id for _, entry in await journal.dead([], 10)] == ["2"]
    assert await deliver_all(journal) == ["waits"]
    assert await journal.fates(1) == []


async def test_what_was_put_back_to_waiting_stays_so_after_a_restart(open_journal: OpenJournal) -> None:
    """And what is accepted then waits behind it."""
    async with open_journal() as journal:
        assert await journal.retry_dead(await _three_dead(journal)) == 3
    async with open_journal() as journal:
        await journal.append([routed("later", "t.0")])
        assert await deliver_all(journal) == ["0", "later", "1", "2"]


# --- replay -----------------------------------------------------------------------------------------------------------


def _to_room(event: object) -> tuple[Target, ...]:
    del event
    return (Target("pubsub", "user.signup"), Target("room", "ops"))


async def test_a_replay_puts_back_what_was_settled_and_makes_what_is_missing(journal: SqliteJournal) -> None:
    """Behind what waits; what was put back is marked, what is new is not."""
    await journal.append([routed(number) for number in range(3)])
    run = await take(journal)
    await journal.settle(run, outcomes(run, DELIVERED, TOO_BIG, FORBIDDEN), stop=stop(0))
    answer = await journal.replay(0, 3, 10, [], _to_room, dry_run=False)
    assert answer == Replay(entries=3, again=2, made=3, after=3)
    again = await take(journal)
    assert [(each.event.id, each.again) for each in again.deliveries] == [("2", False), ("0", True), ("1", True)]
    room = await take(journal, "room")
    assert [(each.event.id, each.again) for each in room.deliveries] == [("0", False), ("1", False), ("2", False)]
    assert (await journal.status()).dead == 0


async def test_a_dry_run_changes_nothing(journal: SqliteJournal) -> None:
    """It counts the same."""
    await journal.append([routed(number) for number in range(3)])
    await deliver_all(journal)
    dry = await journal.replay(0, 3, 10, [], _to_room, dry_run=True)
    assert (await journal.status()).waiting == 0
    assert await journal.claim("room", 1, 1) == []
    assert await journal.replay(0, 3, 10, [], _to_room, dry_run=False) == dry
    assert (await journal.status()).waiting == 6


async def test_a_replay_goes_on_slice_by_slice(journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each slice says where the next begins; entries that do not match are passed over, however many."""
    monkeypatch.setattr(limits, "SCAN_EVENTS", 5)
    await journal.append([routed(number, type="rare.bird" if number % 10 == 0 else "t") for number in range(40)])
    await deliver_all(journal)
    slices = []
    after = 0
    while after < 35:
        answer = await journal.replay(
            after, 35, 2, [Match("rare.#")], lambda event: (Target("pubsub", event.type),), dry_run=False
        )
        assert answer.after > after
        slices.append(answer.entries)
        after = answer.after
    assert sum(slices) == 4
    assert max(slices) <= 2
    assert await deliver_all(journal) == ["0", "10", "20", "30"]


async def test_a_replay_does_not_send_events_through_analyzers_again(journal: SqliteJournal) -> None:
    """Deliveries to stations stay settled."""
    await journal.append([routed(1, Target(STATION, "ops/0"))])
    run = await take(journal, STATION)
    await journal.settle(run, [Settled(run.deliveries[0].id, DELIVERED, (Target("pubsub", "a"),))])
    await deliver_all(journal)
    answer = await journal.replay(0, 1, 10, [], lambda _: (Target(STATION, "ops/0"),), dry_run=False)
    assert (answer.again, answer.made) == (1, 0)
    assert await journal.claim(STATION, 1, 1) == []
    assert await deliver_all(journal) == ["1"]


# --- consumers --------------------------------------------------------------------------------------------------------


async def test_a_named_consumer_goes_on_where_it_was(open_journal: OpenJournal) -> None:
    """Never backwards, and beyond restarts."""
    async with open_journal() as journal:
        assert await journal.cursor("backup") is None
        await journal.move_cursor("backup", 5)
        await journal.move_cursor("backup", 3)
        await journal.move_cursor("other", 1)
    async with open_journal() as journal:
        assert (await journal.cursor("backup"), await journal.cursor("other")) == (5, 1)


async def test_named_consumers_are_bounded(journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new name is refused, a known one goes on."""
    monkeypatch.setattr(limits, "CONSUMERS", 2)
    await journal.move_cursor("a", 1)
    await journal.move_cursor("b", 1)
    with pytest.raises(Refused) as refused:
        await journal.move_cursor("c", 1)
    assert refused.value.code is Code.TOO_MANY
    await journal.move_cursor("a", 2)
    assert await journal.cursor("a") == 2


# --- forgetting -------------------------------------------------------------------------------------------------------


async def test_only_what_was_delivered_everywhere_is_forgotten(journal: SqliteJournal, clock: MovingClock) -> None:
    """What waits stays, and what is dead stays until a person acts; a consumer's cursor holds nothing."""
    await journal.append([routed("done"), routed("waits", "a", "user.signup"), unrouted("nowhere")])
    await journal.append([routed("dead", "b")])
    for run in await journal.claim("pubsub", 10, 10):
        given = {"a": FORBIDDEN, "b": TOO_BIG}.get(run.place, DELIVERED)
        await journal.settle(run, outcomes(run, given), stop=stop(0) if run.place == "a" else None)
    await journal.move_cursor("slow", 0)
    clock.move(days=limits.KEEP_DAYS + 1)
    await journal.append([unrouted("young")])
    assert await journal.prune() == 2
    assert names(await journal.read(0, 10)) == ["waits", "dead", "young"]
    assert [fate.state for fate in await journal.fates(2)] == [State.WAITING, State.DELIVERED]
    assert await journal.drop_dead([fate.id for fate, _ in await journal.dead([], 10)]) == 1
    assert await deliver_all(journal) == ["waits"]
    assert await journal.prune() == 2
    assert (await journal.status()).entries == 1


async def test_accepting_goes_on_while_much_is_forgotten(journal: SqliteJournal, clock: MovingClock) -> None:
    """In small commits, between the others."""
    for first in range(0, 5_000, 1000):
        await journal.append([unrouted(number) for number in range(first, first + 1000)])
    clock.move(days=limits.KEEP_DAYS + 1)
    pruning = asyncio.create_task(journal.prune())
    accepted = 0
    while not pruning.done():
        await journal.append([unrouted(f"later {accepted}")])
        accepted += 1
    assert await pruning == 5_000
    assert accepted >= 5_000 // limits.PRUNE_EVENTS
    assert (await journal.status()).entries == accepted


async def test_a_journal_near_its_bound_forgets_the_oldest(open_journal: OpenJournal) -> None:
    """Even what is younger than the retention; and no more than is needed."""
    async with open_journal(most_bytes=limits.MIB) as journal:
        await journal.append(
            [unrouted(number)._replace(event=routed(number, data="x" * 2_000).event) for number in range(400)]
        )
        before = (await journal.status()).entries
        assert await journal.prune() > 0
        left = names(await journal.read(0, 1_000))
        assert 0 < len(left) < before
        assert left[-1] == "399"


async def test_the_run_of_a_place_is_not_forgotten_while_it_is_worked_on(
    journal: SqliteJournal, clock: MovingClock
) -> None:
    """However old."""
    await journal.append([routed(1)])
    run = await take(journal)
    clock.move(days=limits.KEEP_DAYS + 1)
    assert await journal.prune() == 0
    await journal.settle(run, [Settled(run.deliveries[0].id, DELIVERED, (Target("pubsub", "a"),))])
    assert ids(await take(journal)) == ["1"]
