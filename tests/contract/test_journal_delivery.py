"""Claims, order and outcomes: what a journal gives to deliverers, and what it writes down of it."""

import asyncio
from datetime import timedelta

import pytest

from tests.support.journals import (
    FORBIDDEN,
    TOO_BIG,
    UNKNOWN,
    OpenJournal,
    deliver_all,
    ids,
    outcomes,
    routed,
    stop,
    take,
)
from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.journal import DELIVERED, UNSENT, Outcome, Result, Settled, State, Verdict
from xmppbus.route import STATION, Target
from xmppbus.stores.sqlite import SqliteJournal

SOON = timedelta(seconds=10)


async def test_a_place_gets_its_deliveries_in_the_order_of_acceptance(journal: SqliteJournal) -> None:
    """Oldest first, whatever batches they came in."""
    await journal.append([routed(1), routed(2)])
    await asyncio.gather(*(journal.append([routed(number)]) for number in range(3, 10)))
    assert ids(await take(journal)) == [str(number) for number in range(1, 10)]


async def test_a_claimed_place_is_not_given_to_another(journal: SqliteJournal) -> None:
    """Not even what comes later: it would overtake."""
    await journal.append([routed(1)])
    run = await take(journal)
    await journal.append([routed(2)])
    assert await journal.claim("pubsub", 10, 10) == []
    await journal.settle(run, outcomes(run, DELIVERED))
    assert ids(await take(journal)) == ["2"]


async def test_a_run_is_the_head_of_what_waits_and_no_longer_than_asked(journal: SqliteJournal) -> None:
    """The rest follows."""
    await journal.append([routed(number) for number in range(5)])
    run = await take(journal, run=2)
    assert ids(run) == ["0", "1"]
    await journal.settle(run, outcomes(run, DELIVERED))
    assert ids(await take(journal, run=2)) == ["2", "3"]


async def test_a_run_is_bounded_in_bytes_but_never_empty(
    journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One event beyond the bound is a run of its own."""
    monkeypatch.setattr(limits, "RUN_BYTES", 10_000)
    await journal.append([routed("big", data="x" * 20_000), *(routed(n, data="x" * 3_000) for n in range(4))])
    run = await take(journal)
    assert ids(run) == ["big"]
    await journal.settle(run, outcomes(run, DELIVERED))
    assert ids(await take(journal)) == ["0", "1", "2"]


async def test_a_claim_over_many_places_is_bounded_in_bytes(
    journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Places beyond the bound keep their turn."""
    monkeypatch.setattr(limits, "CLAIM_BYTES", 10_000)
    await journal.append([routed(n, f"place-{n}", data="x" * 6_000) for n in range(5)])
    claims = [await journal.claim("pubsub", 5, 10) for _ in range(4)]
    assert [[run.place for run in runs] for runs in claims] == [
        ["place-0", "place-1"], ["place-2", "place-3"], ["place-4"], []
    ]  # fmt: skip


async def test_a_run_is_as_long_in_company_as_alone(journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look-up after a crash reaches as far as what was in flight before it, whatever else is claimed by then."""
    monkeypatch.setattr(limits, "CLAIM_BYTES", 10_000)
    await journal.append([routed(n, place, data="x" * 3_000) for place in "ab" for n in (f"{place}1", f"{place}2")])
    runs = await journal.claim("pubsub", 5, 10)
    assert [ids(run) for run in runs] == [["a1", "a2"], ["b1", "b2"]]


async def test_places_take_turns(journal: SqliteJournal) -> None:
    """A place with much to do does not keep the others from being served."""
    await journal.append([routed(f"{place}{number}", place) for place in "abc" for number in range(3)])
    served = []
    for _ in range(9):
        (run,) = await journal.claim("pubsub", 1, 1)
        served.append(run.place)
        await journal.settle(run, outcomes(run, DELIVERED))
    assert served == ["a", "b", "c"] * 3


async def test_outputs_do_not_see_each_other(journal: SqliteJournal) -> None:
    """A place is a place of one output."""
    await journal.append([routed(1, "a", Target("chat", "a"))])
    assert (await take(journal, "chat")).place == "a"
    assert (await take(journal)).output == "pubsub"
    assert await journal.claim("room", 10, 10) == []


async def test_settling_what_was_delivered_and_what_is_dead(journal: SqliteJournal) -> None:
    """Neither is delivered again; the dead one stays with its reason until a person acts."""
    await journal.append([routed(1), routed(2), routed(3)])
    run = await take(journal)
    await journal.settle(run, outcomes(run, DELIVERED, TOO_BIG, DELIVERED))
    assert await journal.claim("pubsub", 10, 10) == []
    fates = [(await journal.fates(sequence))[0] for sequence in (1, 2, 3)]
    assert [fate.state for fate in fates] == [State.DELIVERED, State.DEAD, State.DELIVERED]
    assert (fates[1].condition, fates[1].text, fates[1].attempts) == (TOO_BIG.condition, TOO_BIG.text, 1)
    assert (fates[0].output, fates[0].place) == ("pubsub", "user.signup")
    assert all(fate.settled for fate in fates)


async def test_a_reason_that_is_no_text_is_written_down_as_well_as_it_can(journal: SqliteJournal) -> None:
    """An exception may name a file whose name is no UTF-8: its lone surrogate stops no place."""
    await journal.append([routed(1), routed(2)])
    for verdict, state in ((Verdict.DEAD, State.DEAD), (Verdict.STOPPED, State.WAITING)):
        run = await take(journal)
        await journal.settle(run, [Settled(run.deliveries[0].id, Outcome(verdict, "bug", "no file \udcff here"))])
        (fate,) = await journal.fates(run.deliveries[0].sequence)
        assert (fate.state, fate.text) == (state, "no file ? here")


async def test_waiting_stays_whatever_is_neither_delivered_nor_dead(journal: SqliteJournal) -> None:
    """Stopped, unknown, unsent, and what has no outcome at all: in the same order as before."""
    await journal.append([routed(number) for number in range(6)])
    run = await take(journal)
    await journal.settle(run, outcomes(run, DELIVERED, DELIVERED, FORBIDDEN, UNKNOWN, UNSENT)[:5])
    run = await take(journal)
    assert ids(run) == ["2", "3", "4", "5"]
    (fate,) = await journal.fates(run.deliveries[0].sequence)
    assert (fate.state, fate.condition, fate.settled) == (State.WAITING, "forbidden", None)


async def test_a_lost_connection_is_not_an_attempt(journal: SqliteJournal) -> None:
    """An answer about the place is one."""
    await journal.append([routed(1)])
    for outcome in (Outcome(Verdict.STOPPED, "not-connected"), FORBIDDEN, UNKNOWN, UNSENT, DELIVERED):
        run = await take(journal)
        await journal.settle(run, outcomes(run, outcome))
    assert (await journal.fates(1))[0].attempts == 2


async def test_a_run_may_be_settled_bit_by_bit(journal: SqliteJournal) -> None:
    """Until the last settle the claim holds; each bit is on disk."""
    await journal.append([routed(number) for number in range(5)])
    run = await take(journal)
    await journal.settle(run, outcomes(run, DELIVERED)[:2], more=True)
    assert await journal.claim("pubsub", 10, 10) == []
    assert (await journal.fates(run.deliveries[1].sequence))[0].state is State.DELIVERED
    await journal.settle(run, outcomes(run, DELIVERED)[2:4])
    assert ids(await take(journal)) == ["4"]


async def test_outcomes_out_of_order_settle_only_their_own(journal: SqliteJournal) -> None:
    """Analyzers finish in any order."""
    await journal.append([routed(number) for number in range(8)])
    run = await take(journal)
    all_of_them = outcomes(run, DELIVERED)
    await journal.settle(run, [all_of_them[index] for index in (5, 2, 3)], more=True)
    await journal.settle(run, [all_of_them[index] for index in (0, 7)])
    assert ids(await take(journal)) == ["1", "4", "6"]


async def test_a_settle_without_the_claim_changes_nothing(journal: SqliteJournal) -> None:
    """Onward deliveries and new events included."""
    await journal.append([routed(1)])
    run = await take(journal)
    await journal.settle(run, [])
    late = Settled(run.deliveries[0].id, DELIVERED, (Target("chat", "romeo"),), (routed("new"),))
    await journal.settle(run, [late])
    assert ids(await take(journal)) == ["1"]
    assert await journal.claim("chat", 10, 10) == []
    assert len(await journal.read(0, 10)) == 1


async def test_a_derived_event_with_the_name_of_another_is_dropped_and_told_in_the_log(
    journal: SqliteJournal, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody waits for an answer about it; the same event again, as after a crash, is no conflict."""
    await journal.append([routed(1), routed(2), routed("taken", "chat", data="first")])
    (run, _) = await journal.claim("pubsub", 10, 10)
    first, second = run.deliveries
    await journal.settle(run, [Settled(first.id, DELIVERED, (), (routed("taken", "chat", data="first"),))], more=True)
    assert "derived" not in caplog.text
    await journal.settle(run, [Settled(second.id, DELIVERED, (), (routed("taken", "chat", data="other"),))])
    assert "derived" in caplog.text
    assert "'taken'" in caplog.text
    assert [entry.event.text for entry in await journal.read(0, 10)] == ["event 1", "event 2", "first"]


async def test_claims_are_void_after_a_restart(open_journal: OpenJournal) -> None:
    """Work starts again at once, and a settle from before changes nothing."""
    async with open_journal() as journal:
        await journal.append([routed(1)])
        old = await take(journal)
    async with open_journal() as journal:
        new = await take(journal)
        await journal.settle(old, outcomes(old, DELIVERED))
        assert ids(new) == ["1"]
        assert (await journal.fates(1))[0].state is State.WAITING
        await journal.settle(new, outcomes(new, DELIVERED))
        assert (await journal.fates(1))[0].state is State.DELIVERED


async def test_settling_twice_makes_nothing_twice(journal: SqliteJournal) -> None:
    """The second outcome of one delivery counts for nothing."""
    await journal.append([routed(1), routed(2)])
    run = await take(journal)
    await journal.settle(run, outcomes(run, DELIVERED)[:1], more=True)
    again = Settled(run.deliveries[0].id, TOO_BIG, (Target("chat", "romeo"),))
    await journal.settle(run, [again])
    assert (await journal.fates(1))[0].state is State.DELIVERED
    assert await journal.claim("chat", 10, 10) == []


async def test_a_cancelled_settle_is_written_all_the_same(journal: SqliteJournal) -> None:
    """What the other side has said is not forgotten because a worker was told to stop."""
    await journal.append([routed(1)])
    run = await take(journal)
    settling = asyncio.create_task(journal.settle(run, outcomes(run, DELIVERED)))
    await asyncio.sleep(0)
    settling.cancel()
    await asyncio.gather(settling, return_exceptions=True)
    await journal.append([routed(2)])  # one commit later
    assert ids(await take(journal)) == ["2"]


async def test_a_cancelled_claim_claims_nothing(journal: SqliteJournal) -> None:
    """The place is first in line again."""
    await journal.append([routed(1)])
    claiming = asyncio.create_task(journal.claim("pubsub", 10, 10))
    await asyncio.sleep(0)
    claiming.cancel()
    await asyncio.gather(claiming, return_exceptions=True)
    assert ids(await take(journal)) == ["1"]


# --- going on ---------------------------------------------------------------------------------------------------------


async def test_what_goes_on_is_there_with_the_outcome(journal: SqliteJournal) -> None:
    """The same entry to its next address, and new events beside it."""
    await journal.append([routed(1, Target(STATION, "ops/0"))])
    run = await take(journal, STATION)
    new = routed("derived", "b", type="disk.full")
    await journal.settle(run, [Settled(run.deliveries[0].id, DELIVERED, (Target("pubsub", "a"),), (new,))])
    runs = await journal.claim("pubsub", 10, 10)
    assert [(run.place, ids(run)) for run in runs] == [("a", ["1"]), ("b", ["derived"])]
    assert [entry.event.id for entry in await journal.read(0, 10)] == ["1", "derived"]


async def test_an_entry_goes_to_a_place_once(journal: SqliteJournal) -> None:
    """A second delivery of it to the same place is not made, silently; neither is a known event."""
    await journal.append([routed(1, "a", Target(STATION, "ops/0")), routed(2, Target(STATION, "ops/0"))])
    run = await take(journal, STATION)
    first, second = run.deliveries
    to_a = (Target("pubsub", "a"),)
    known, conflict = routed(2), routed(1, data="other")
    await journal.settle(
        run, [Settled(first.id, DELIVERED, to_a, (known, conflict)), Settled(second.id, DELIVERED, to_a)]
    )
    assert await deliver_all(journal) == ["1", "2"]
    assert len(await journal.read(0, 10)) == 2


async def test_onward_deliveries_are_ordered_by_their_settle(journal: SqliteJournal) -> None:
    """Behind what waits already."""
    await journal.append([routed("first", Target(STATION, "ops/0")), routed("second", "a")])
    run = await take(journal, STATION)
    await journal.settle(run, [Settled(run.deliveries[0].id, DELIVERED, (Target("pubsub", "a"),))])
    assert ids(await take(journal)) == ["second", "first"]


async def test_a_settle_that_can_go_nowhere_changes_nothing_and_keeps_the_claim(
    journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too many places: the deliverer is told, and its neighbours in the commit are not."""
    monkeypatch.setattr(limits, "NODES", 1)
    await journal.append([routed(1, "a", Target(STATION, "ops/0"))])
    run = await take(journal, STATION)
    onward = [Settled(run.deliveries[0].id, DELIVERED, (Target("pubsub", "b"),))]
    refused, accepted = await asyncio.gather(
        journal.settle(run, onward), journal.append([routed(2, "a")]), return_exceptions=True
    )
    assert isinstance(refused, Refused)
    assert refused.code is Code.NODES
    assert not isinstance(accepted, BaseException)
    assert accepted[0].result is Result.NEW
    assert await journal.claim(STATION, 10, 10) == []
    await journal.settle(run, outcomes(run, UNSENT))
    assert ids(await take(journal, STATION)) == ["1"]


# --- stopped places ---------------------------------------------------------------------------------------------------


async def test_a_stopped_place_is_not_claimed_until_it_is_due(journal: SqliteJournal) -> None:
    """`changed` wakes when it is, and the order is as it was."""
    await journal.append([routed(1), routed(2)])
    run = await take(journal)
    await journal.settle(run, outcomes(run, FORBIDDEN, UNSENT), stop=stop(0.2))
    assert await journal.claim("pubsub", 10, 10) == []
    started = asyncio.get_running_loop().time()
    await journal.changed(SOON)
    assert asyncio.get_running_loop().time() - started >= 0.19
    assert ids(await take(journal)) == ["1", "2"]


async def test_a_stopped_place_holds_up_nobody_else(journal: SqliteJournal) -> None:
    """Nor does what is accepted for it end its stop."""
    await journal.append([routed(1, "sick"), routed(2, "healthy")])
    sick, healthy = await journal.claim("pubsub", 10, 10)
    await journal.settle(sick, outcomes(sick, FORBIDDEN), stop=stop(60))
    await journal.settle(healthy, outcomes(healthy, DELIVERED))
    await journal.append([routed(3, "sick"), routed(4, "healthy")])
    assert await deliver_all(journal) == ["4"]


async def test_a_stop_is_shown_until_the_place_answers(journal: SqliteJournal) -> None:
    """With its reason, its attempts and the seconds that are left; being tried again is not an answer."""
    await journal.append([routed(1)])
    run = await take(journal)
    await journal.settle(run, outcomes(run, FORBIDDEN), stop=stop(0.05))
    (shown,) = await journal.places()
    assert shown.stop is not None
    assert (shown.stop.condition, shown.stop.attempts) == ("forbidden", 1)
    assert 0 <= shown.stop.seconds <= 0.05
    while not (runs := await journal.claim("pubsub", 1, 1)):
        await journal.changed(SOON)
    await journal.settle(runs[0], outcomes(runs[0], UNSENT))
    assert (await journal.places())[0].stop is not None
    run = await take(journal)
    await journal.settle(run, outcomes(run, DELIVERED))
    assert await journal.places() == []


async def test_a_restart_forgets_stops(open_journal: OpenJournal) -> None:
    """Perhaps what was wrong has been mended: it is tried at once."""
    async with open_journal() as journal:
        await journal.append([routed(1)])
        run = await take(journal)
        await journal.settle(run, outcomes(run, FORBIDDEN), stop=stop(3600))
    async with open_journal() as journal:
        assert (await journal.places())[0].stop is None
        assert ids(await take(journal)) == ["1"]


async def test_ten_thousand_places_are_claimed_without_looking_at_each(journal: SqliteJournal) -> None:
    """Each once, in the order in which they came to wait."""
    for first in range(0, limits.NODES, 1000):
        await journal.append([routed(number, f"place-{number}") for number in range(first, first + 1000)])
    served: list[str] = []
    while runs := await journal.claim("pubsub", 64, 10):
        served += [run.place for run in runs]
        await asyncio.gather(*(journal.settle(run, outcomes(run, DELIVERED)) for run in runs))
    assert served == [f"place-{number}" for number in range(limits.NODES)]
