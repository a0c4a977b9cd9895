"""Queues: each event goes to one consumer at a time, and none is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.support.journals import MovingClock, OpenJournal, read_all, routed, take
from tests.support.waiting import until
from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.journal import Journal, State
from xmppbus.queues import Leased, LeaseLost, Queues
from xmppbus.route import Match, Target
from xmppbus.stores.sqlite import SqliteJournal

MAILS = Target("queue", "mails")


def no_dice() -> float:
    """What is given back comes again at once."""
    return 0.0


@pytest_asyncio.fixture
async def queues(journal: SqliteJournal) -> AsyncIterator[Queues]:
    """Open on the test's journal."""
    found = Queues(journal, dice=no_dice)
    await found.open()
    yield found
    await found.close()


async def send(journal: Journal, *names: object, **fields: Any) -> None:
    """Events of the queue `mails` alone."""
    await journal.append([routed(name, MAILS, queue="mails", **fields) for name in names])


async def took(coming: Any) -> Leased:
    """What a consumer takes, which has to come soon."""
    async with asyncio.timeout(10):
        found: Leased = await coming
    return found


async def test_each_event_goes_to_one_of_those_who_compete(journal: SqliteJournal, queues: Queues) -> None:
    """Oldest first, and none twice."""
    await send(journal, *range(100))
    async with queues.consumer("mails", prefetch=100) as one, queues.consumer("mails", prefetch=100) as other:
        found = [await took(each.take()) for _ in range(50) for each in (one, other)]
        assert [each.event.id for each in found] == [str(number) for number in range(100)]
        assert {each.attempt for each in found} == {1}
        for index, each in enumerate(found):
            await (one, other)[index % 2].ack(each.id)
    assert (await journal.status()).waiting == 0
    assert not queues.status(await journal.places())


async def test_one_who_waits_gets_what_comes(journal: SqliteJournal, queues: Queues) -> None:
    """The moment it is on disk, also in a queue that nobody has heard of."""
    async with queues.consumer("mails", prefetch=1) as consumer:
        taking = asyncio.create_task(consumer.take())
        await send(journal, "late")
        assert (await took(taking)).event.id == "late"


async def test_what_a_consumer_had_is_anothers_when_it_leaves(journal: SqliteJournal, queues: Queues) -> None:
    """At once, and it is no fault of the event."""
    await send(journal, 1, 2)
    async with queues.consumer("mails", prefetch=2) as other:
        async with queues.consumer("mails", prefetch=2) as one:
            assert {(await took(one.take())).event.id, (await took(one.take())).event.id} == {"1", "2"}
            waiting = asyncio.create_task(other.take())
        first = await took(waiting)
        assert (first.event.id, first.attempt) == ("1", 1)
        assert (await took(other.take())).event.id == "2"


async def test_a_lease_that_runs_out_is_lost(journal: SqliteJournal, queues: Queues) -> None:
    """Another has the event then, and what its former holder says of it changes nothing."""
    await send(journal, 1)
    async with (
        queues.consumer("mails", prefetch=1, lease_seconds=0.05) as slow,
        queues.consumer("mails", prefetch=1) as quick,
    ):
        lost = await took(slow.take())
        found = await took(quick.take())
        assert found.id == lost.id
        for say in (slow.ack, slow.requeue, slow.reject, slow.release):
            with pytest.raises(LeaseLost):
                await say(lost.id)
        with pytest.raises(LeaseLost):
            slow.renew(lost.id)
        await quick.ack(found.id)
        with pytest.raises(LeaseLost):
            await quick.ack(found.id)


async def test_a_lease_that_is_renewed_does_not_run_out(journal: SqliteJournal, queues: Queues) -> None:
    """However often its first end has passed."""
    await send(journal, 1)
    async with queues.consumer("mails", prefetch=1, lease_seconds=0.2) as consumer:
        found = await took(consumer.take())
        began = asyncio.get_running_loop().time()
        async with asyncio.timeout(10):
            while asyncio.get_running_loop().time() < began + 0.5:
                consumer.renew(found.id)
                await asyncio.sleep(0.01)
        await consumer.ack(found.id)


async def test_nobody_has_more_than_he_may(journal: SqliteJournal, queues: Queues) -> None:
    """Until he has said what became of one."""
    await send(journal, 1, 2, 3)
    async with queues.consumer("mails", prefetch=2) as consumer:
        first, _ = await took(consumer.take()), await took(consumer.take())
        third = asyncio.create_task(consumer.take())
        async with queues.consumer("mails", prefetch=1) as other:
            found = await took(other.take())  # it was not held back for the first
            assert found.event.id == "3"
            await other.release(found.id)
        assert not third.done()
        await consumer.ack(first.id)
        assert (await took(third)).event.id == "3"


async def test_one_that_is_given_back_does_not_hold_up_the_others(journal: SqliteJournal) -> None:
    """It comes again when its time has come, and knows how often it was tried."""
    queues = Queues(journal, dice=lambda: 0.2)
    await send(journal, 1, 2)
    async with queues.consumer("mails", prefetch=2) as consumer:
        first = await took(consumer.take())
        await consumer.requeue(first.id, "not now")
        second = await took(consumer.take())
        assert (first.event.id, second.event.id) == ("1", "2")
        await consumer.ack(second.id)
        again = await took(consumer.take())
        assert (again.event.id, again.attempt) == ("1", 2)
        (fate,) = await journal.fates(again.sequence)
        assert (fate.state, fate.condition, fate.text, fate.attempts) == (State.WAITING, "requeued", "not now", 1)
        await consumer.ack(again.id)
    await queues.close()


async def test_one_that_is_rejected_is_dead_and_can_be_tried_again(journal: SqliteJournal, queues: Queues) -> None:
    """A person sees why."""
    await send(journal, 1)
    async with queues.consumer("mails", prefetch=1) as consumer:
        await consumer.reject((await took(consumer.take())).id, "no such user")
        ((fate, entry),) = await journal.dead([Match("user.#")], 10)
        assert (fate.output, fate.place, fate.condition, fate.text) == ("queue", "mails", "rejected", "no such user")
        assert entry.event.id == "1"
        assert await journal.retry_dead([fate.id]) == 1
        again = await took(consumer.take())
        assert again.event.id == "1"
        await consumer.ack(again.id)


async def test_nothing_is_lost_when_the_journal_is_opened_anew(open_journal: OpenJournal) -> None:
    """What somebody had is anybody's then, with the tries that it took."""
    async with open_journal() as journal:
        queues = Queues(journal, dice=no_dice)
        await queues.open()
        await queues.declare("all", "user.#")
        await send(journal, 1, 2, 3)
        async with queues.consumer("mails", prefetch=3) as consumer:
            one, two, _ = [await took(consumer.take()) for _ in range(3)]
            await consumer.ack(two.id)
            await consumer.requeue(one.id)
    async with open_journal() as journal:
        queues = Queues(journal, dice=no_dice)
        await queues.open()
        assert queues.all() == {"all": ("user.#", 0, 0)}
        async with queues.consumer("mails", prefetch=3) as consumer:
            found = [await took(consumer.take()) for _ in range(2)]
            assert [(each.event.id, each.attempt) for each in found] == [("1", 2), ("3", 1)]


async def test_who_comes_back_may_still_say_what_became_of_it(open_journal: OpenJournal) -> None:
    """A command that was running while the daemon was started again, if nobody else has its event."""
    async with open_journal() as journal:
        await send(journal, *range(3 * limits.QUEUE_WINDOW))
        async with Queues(journal).consumer("mails", prefetch=3) as consumer:
            one, two, three = [await took(consumer.take()) for _ in range(3)]
    async with open_journal() as journal:
        queues = Queues(journal, dice=no_dice)
        async with queues.consumer("mails", prefetch=1) as other, queues.consumer("mails", prefetch=3) as consumer:
            assert (await took(other.take())).id == one.id
            for delivery, item_id in ((one.id, one.item_id), (two.id, one.item_id), (10**9, two.item_id)):
                with pytest.raises(LeaseLost):
                    await consumer.adopt(delivery, item_id)
            for each in (two, three):
                await consumer.adopt(each.id, each.item_id)
            await consumer.ack(two.id)
            await consumer.release(three.id)
            seen = [await took(consumer.take()) for _ in range(3)]
            assert [each.event.id for each in seen] == ["2", "3", "4"]


async def test_an_event_of_a_queue_is_nobody_elses(journal: SqliteJournal) -> None:
    """Whoever reads the journal does not meet it; by its id it is found."""
    await send(journal, 1)
    await journal.append([routed(2, MAILS)])
    assert [each.event.id for each in await read_all(journal)] == ["2"]
    assert [each.event.id for each in await journal.read(0, 10, [Match("user.#")])] == ["2"]
    assert await journal.find(routed(1, MAILS, queue="mails").event.item_id)
    assert not await journal.claim("pubsub", 10, 10)
    assert [each.event.id for each in await journal.people.last(10, Match())] == ["2"]
    assert [each.event.id for each in await journal.people.search(["event"], 10)] == ["2"]
    assert [(each.type, each.times) for each in await journal.people.types(10)] == [("user.signup", 1)]


async def test_one_that_has_expired_is_handed_to_nobody(journal: SqliteJournal, clock: MovingClock) -> None:
    """It is dead, and says why."""
    queues = Queues(journal, clock=clock)
    await send(journal, 1, expires="2026-01-31T12:00:10Z")
    await send(journal, 2, expires="2026-01-31T13:00:00Z")
    clock.move(minutes=1)
    async with queues.consumer("mails", prefetch=2) as consumer:
        assert (await took(consumer.take())).event.id == "2"

        async def dead() -> bool:
            return [fate.condition for fate, _ in await journal.dead((), 10)] == ["expired"]

        await until(dead, 10, "the other to be dead")


async def test_replay_leaves_queues_alone(journal: SqliteJournal, queues: Queues) -> None:
    """What was consumed is not consumed again, and what is new to a queue is not what was."""
    await journal.append([routed(1, "user.signup", MAILS), routed(2, "user.signup")])
    async with queues.consumer("mails", prefetch=1) as consumer:
        await consumer.ack((await took(consumer.take())).id)
    run = await take(journal)
    await journal.settle(run, ())
    done = await journal.replay(0, 10, 10, (), lambda _: (Target("pubsub", "user.signup"), MAILS), dry_run=False)
    assert (done.entries, done.again, done.made) == (2, 0, 0)
    assert not queues.status(await journal.places())


async def test_a_queue_has_one_pattern(queues: Queues) -> None:
    """Another under the same name is refused, with the way out."""
    await queues.declare("jobs")
    await queues.declare("jobs", "job.#")
    await queues.declare("jobs", "job.#")
    await queues.declare("jobs")
    with pytest.raises(Refused, match=r"takes 'job.#', not 'user.#'.*queue drop jobs") as refused:
        await queues.declare("jobs", "user.#")
    assert refused.value.code is Code.CONFLICT
    assert queues.taking("job.backup") == (Target("queue", "jobs"),)
    assert await queues.drop("jobs")
    assert queues.taking("job.backup") == ()
    with pytest.raises(Refused, match="no name"):
        await queues.declare("no name")
    with pytest.raises(Refused, match="1 to 1000 at once"):
        queues.consumer("jobs", prefetch=limits.QUEUE_PREFETCH + 1)


async def test_a_queue_that_nobody_consumes_can_go_by_itself(open_journal: OpenJournal, clock: MovingClock) -> None:
    """With what is in it, after the time that was said; one that is consumed stays, and so does every other."""
    async with open_journal() as journal:
        queues = Queues(journal, clock=clock)
        await queues.open()
        await queues.declare("scratch", "user.#", expire=3600)
        await queues.declare("scratch")
        await queues.declare("mails")
        await send(journal, 1)
        await journal.append([routed(2, Target("queue", "scratch"))])
        clock.move(minutes=50)
        async with queues.consumer("scratch", prefetch=1):
            assert await queues.expire() == []
        clock.move(minutes=50)
        assert await queues.expire() == []
        assert [each.expire_seconds for each in queues.status(await journal.places())] == [None, 3600]
    clock.move(days=9)
    async with open_journal() as journal:
        queues = Queues(journal, clock=clock)
        await queues.open()
        assert queues.taking("user.signup")
        assert await queues.expire() == [], "nobody could consume it while the daemon was away"
        clock.move(minutes=2)
        assert await queues.expire() == ["scratch"]
        assert queues.taking("user.signup") == ()
        assert [(each.name, each.waiting) for each in queues.status(await journal.places())] == [("mails", 1)]


async def test_a_queue_that_is_consumed_stays(queues: Queues) -> None:
    """Whoever waits there would wait for ever."""
    await queues.declare("jobs")
    async with queues.consumer("jobs", prefetch=1):
        with pytest.raises(Refused, match="1 consume the queue jobs"):
            await queues.drop("jobs")


async def test_a_purge_forgets_what_nobody_has(journal: SqliteJournal, queues: Queues) -> None:
    """Those that wait for another try among it."""
    await send(journal, *range(5))
    async with queues.consumer("mails", prefetch=2) as consumer:
        first, second = await took(consumer.take()), await took(consumer.take())
        await consumer.requeue(first.id)
        assert await queues.purge("mails") == 4
        (status,) = queues.status(await journal.places())
        assert (status.waiting, status.leased, status.later, status.consumers) == (1, 1, 0, 1)
        await consumer.ack(second.id)
        await send(journal, "new")
        assert (await took(consumer.take())).event.id == "new"


async def test_one_who_leaves_while_he_waits_takes_nothing_with_him(journal: SqliteJournal, queues: Queues) -> None:
    """Not even what was handed to him in that moment."""
    async with queues.consumer("mails", prefetch=5) as consumer:
        taking = [asyncio.create_task(consumer.take()) for _ in range(2)]
        await asyncio.sleep(0)
        await send(journal, 1)
        taking[0].cancel()
        taking[1].cancel()
        await asyncio.wait(taking)
        assert (await took(consumer.take())).event.id == "1"


async def test_little_of_a_deep_queue_is_in_memory(journal: SqliteJournal, queues: Queues) -> None:
    """And nothing of one that nobody consumes."""
    for start in range(0, 3_000, 1_000):
        await send(journal, *range(start, start + 1_000))
    async with queues.consumer("mails", prefetch=1) as consumer:
        found = await took(consumer.take())
        broker = queues._brokers["mails"]
        assert len(broker.leases._ready) < limits.QUEUE_WINDOW
        await consumer.ack(found.id)
    assert not broker.leases._ready
    assert broker.leases._known == set()
    assert queues.status(await journal.places())[0].waiting == 2_999


async def test_what_is_in_memory_is_bounded_in_bytes(
    journal: SqliteJournal, queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large events are read one by one; those that are tried again as well."""
    monkeypatch.setattr(limits, "QUEUE_WINDOW_BYTES", 1_000)
    await send(journal, *range(6), summary="x" * 600)
    async with queues.consumer("mails", prefetch=6) as consumer:
        for number in range(3):
            found = await took(consumer.take())
            assert found.event.id == str(number)
            assert not queues._brokers["mails"].leases._ready
        for number in (0, 1, 2):
            await consumer.requeue(found.id - 2 + number)
        again = [await took(consumer.take()) for _ in range(6)]
        assert sorted(each.event.id for each in again) == [str(number) for number in range(6)]


async def test_those_that_wait_for_another_try_are_bounded(
    journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the bound nothing is read until one of them is tried."""
    monkeypatch.setattr(limits, "QUEUE_LATER", 3)
    monkeypatch.setattr(limits, "QUEUE_WINDOW", 1)
    queues = Queues(journal, dice=lambda: 0.3)
    await send(journal, *range(5))
    async with queues.consumer("mails", prefetch=5) as consumer:
        for _ in range(3):
            await consumer.requeue((await took(consumer.take())).id)
        again = await took(consumer.take())
        assert (again.event.id, again.attempt) == ("0", 2)
    await queues.close()


async def test_one_who_waits_is_told_that_the_house_is_left(queues: Queues) -> None:
    """So that he may come again."""
    async with queues.consumer("mails", prefetch=1) as consumer:
        taking = asyncio.create_task(consumer.take())
        await until(lambda: queues._brokers["mails"]._asking, 10, "a consumer that waits")
        await queues.close()
        with pytest.raises(Refused, match="the daemon is stopping"):
            await took(taking)
