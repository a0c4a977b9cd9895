"""Many people, kills and full disks: nobody is left out, nobody is told twice, and others are not kept waiting."""

import asyncio
import random
import sqlite3
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from tests.support.journals import MovingClock, OpenJournal, deliver_all, ids, outcomes, read_all, routed, take
from tests.support.people_load import PEOPLE, escalation
from tests.support.waiting import until
from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.journal import DELIVERED, Routed, Settled, State
from xmppbus.people.model import Message, Person, Subscription, message_id
from xmppbus.route import Target
from xmppbus.stores import opening
from xmppbus.stores.reserve import Reserve
from xmppbus.stores.sqlite import SqliteJournal

ROOT = Path(__file__).parent.parent.parent
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
LOAD = [sys.executable, "-m", "tests.support.people_load"]


def start(path: Path) -> "subprocess.Popen[bytes]":
    """A load whose output is piped here."""
    return subprocess.Popen([*LOAD, str(path)], cwd=ROOT, stdout=subprocess.PIPE)


def subscription(pattern: str = "disk.#") -> Subscription:
    """As the command makes it."""
    return Subscription(owner="romeo@example.org", pattern=pattern, created=NOON)


@pytest.mark.parametrize("seed", range(4))
async def test_killed_at_any_moment_everybody_is_told_once(
    open_journal: OpenJournal, tmp_path: Path, seed: int
) -> None:
    """What was said to be told is in the ledger; the rest goes on where it was, and every step of a chain is once."""
    process = start(tmp_path / "journal.db")
    assert process.stdout
    lines = random.Random(seed).randrange(5, 1_000)
    output = b"".join(process.stdout.readline() for _ in range(lines))
    process.kill()
    output += process.communicate()[0]
    said = [line.split() for line in output.decode().split("\n")[:-1]]
    async with open_journal() as journal:
        entries = {entry.event.id: entry for entry in await read_all(journal)}
        for word, name, *rest in said:
            if word == "told":
                id_ = message_id(entries[name].item_id, rest[0], 0)
                assert await journal.people.message(id_)
            elif word == "called":
                entry = entries[name]
                chain = escalation(entry.item_id, entry.sequence, 0)
                assert not await journal.people.escalate(chain, [Target("call", name)], None)
        told = {(name, *rest) for word, name, *rest in said if word == "told"}
        while runs := await journal.claim("people", 1, 10):
            targets = tuple(Target("chat", person) for person in PEOPLE)
            await journal.settle(runs[0], [Settled(each.id, DELIVERED, targets) for each in runs[0].deliveries])
        rest_: Counter[tuple[str, str]] = Counter()
        while runs := await journal.claim("chat", 100, 100):
            for run in runs:
                assert [each.sequence for each in run.deliveries] == sorted(each.sequence for each in run.deliveries)
                rest_.update((each.event.id, run.place) for each in run.deliveries)
            await journal.settle_many([(run, outcomes(run, DELIVERED), None) for run in runs])
        assert not told & set(rest_)
        assert set(rest_.values()) <= {1}
        for entry in entries.values():
            chat = [fate for fate in await journal.fates(entry.sequence) if fate.output == "chat"]
            assert sorted(fate.place for fate in chat) == sorted(PEOPLE)
            assert {fate.state for fate in chat} == {State.DELIVERED}
            calls = [fate for fate in await journal.fates(entry.sequence) if fate.output == "call"]
            assert len(calls) <= 1


async def test_an_event_for_many_holds_nobody_up(journal: SqliteJournal) -> None:
    """Others are accepted while it goes on, and it is settled by the last of its commits only."""
    await journal.append([routed("wide", Target("people", "all")), routed("next", Target("people", "all"))])
    run = await take(journal, "people")
    targets = tuple(Target("chat", f"p{number}") for number in range(limits.PEOPLE_PLACES))
    wide, following = run.deliveries
    settling = asyncio.create_task(
        journal.settle(run, [Settled(wide.id, DELIVERED, targets), Settled(following.id, DELIVERED, targets[:10])])
    )
    between = 0
    while not settling.done():
        await journal.append([routed(f"other-{between}")])
        between += 1
        if (await journal.fates(wide.sequence))[0].state is State.DELIVERED:
            assert len(await journal.fates(wide.sequence)) == 1 + limits.PEOPLE_PLACES
            break
    await settling
    assert between >= 3
    status = await journal.status()
    assert status.waiting == limits.PEOPLE_PLACES + 10 + between
    (first,) = await journal.claim("chat", 1, 10)
    assert ids(first) == ["wide", "next"]


async def test_what_goes_on_in_many_commits_is_not_overtaken_by_what_comes_after(
    journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In no place, although both are settled side by side."""
    monkeypatch.setattr(limits, "ONWARD_SLICE", 3)
    await journal.append([routed(number, Target("people", "all")) for number in range(6)])
    run = await take(journal, "people")
    targets = tuple(Target("chat", f"p{number}") for number in range(20))
    settled = [Settled(each.id, DELIVERED, targets[:: 1 + index % 2 * 7]) for index, each in enumerate(run.deliveries)]
    await asyncio.gather(*(journal.settle(run, settled[at : at + 2], more=at < 4) for at in (0, 2, 4)))
    for each in await journal.claim("chat", 100, 100):
        assert ids(each) == sorted(ids(each))
    assert (await journal.status()).waiting == 3 * 20 + 3 * 3


async def test_a_run_that_has_no_room_to_go_on_settles_what_had_room(
    journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal says what is full; the claim is not lost."""
    monkeypatch.setattr(limits, "ONWARD_SLICE", 3)
    monkeypatch.setattr(limits, "PEOPLE_PLACES", 5)
    await journal.append([routed(number, Target("people", "all")) for number in range(2)])
    run = await take(journal, "people")
    first, second = run.deliveries
    targets = tuple(Target("chat", f"p{number}") for number in range(9))
    with pytest.raises(Refused) as refused:
        await journal.settle(run, [Settled(first.id, DELIVERED, targets[:5]), Settled(second.id, DELIVERED, targets)])
    assert refused.value.code is Code.NODES
    await journal.settle(run, [Settled(second.id, DELIVERED, targets[:5])])
    for each in await journal.claim("chat", 100, 100):
        assert ids(each) == ["0", "1"]
    assert (await journal.status()).waiting == 10


async def test_what_went_to_many_is_forgotten_in_slices(
    open_journal: OpenJournal, clock: MovingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its part of the ledger; others are accepted meanwhile, and an event that waits for a call is kept."""
    monkeypatch.setattr(limits, "ONWARD_SLICE", 50)
    async with open_journal(keep_days=1) as journal:
        people = [f"p{number}" for number in range(500)]
        await journal.append([routed(n, *(Target("chat", person) for person in people)) for n in (1, 2)])
        entries = {entry.event.id: entry for entry in await read_all(journal)}
        while runs := await journal.claim("chat", 1_000, 10):
            await journal.settle_many([(run, outcomes(run, DELIVERED), None) for run in runs])
        for entry in entries.values():
            sent = [Message(message_id(entry.item_id, each, 0), entry.sequence, each, 0, "", NOON) for each in people]
            await journal.people.handed_over(sent, [])
        await journal.people.begin_escalation(escalation(entries["2"].item_id, entries["2"].sequence, 0))
        clock.move(days=2)
        pruning = asyncio.create_task(journal.prune())
        between = 0
        while not pruning.done():
            await journal.append([routed(f"other-{between}")])
            between += 1
        assert await pruning == 1
        assert between >= 5
        assert await journal.find(entries["1"].item_id) is None
        assert await journal.people.messages_of(entries["1"].sequence) == []
        assert await journal.fates(entries["1"].sequence) == []
        assert await journal.find(entries["2"].item_id)
        await journal.people.end_escalations(entries["2"].item_id)
        await journal.prune()
        assert await journal.find(entries["2"].item_id) is None
    with sqlite3.connect(journal.path) as connection:
        for table in ("message", "escalation"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)  # noqa: S608  # our own names
    connection.close()


async def test_a_journal_at_its_bound_makes_room_from_what_went_to_many(open_journal: OpenJournal) -> None:
    """Oldest first, a little at every commit: senders need not wait for long, and the bound is kept."""
    most, people = 3 * limits.MIB, [f"p{number}@example.org" for number in range(300)]
    async with open_journal(most_bytes=most) as journal:
        for number in range(100):
            routed_ = routed(number, *(Target("chat", person) for person in people))
            await until(partial(accepted, journal, routed_), 5, "room")
            while runs := await journal.claim("chat", 1_000, 10):
                sent = [
                    Message(message_id(each.item_id, run.place, 0), each.sequence, run.place, 0, "", NOON)
                    for run in runs
                    for each in run.deliveries
                ]
                await journal.people.handed_over(sent, [])
                await journal.settle_many([(run, outcomes(run, DELIVERED), None) for run in runs])
        assert (await journal.status()).bytes < most * 1.3
        kept = [entry.event.id for entry in await read_all(journal)]
        assert 5 < len(kept) < 60
        assert kept[-1] == "99"


async def accepted(journal: SqliteJournal, event: Routed) -> bool:
    """Whether it was, or its sender is to try again."""
    try:
        await journal.append([event])
    except Refused as refused:
        if refused.code is not Code.FULL:
            raise
        return False
    return True


async def test_a_full_disk_refuses_subscribers_and_goes_on_delivering(
    journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was handed over, came back or is to be said is written from the reserve."""
    kept = await journal.people.subscribe(subscription())
    await journal.append([routed(1, Target("people", "all"))])
    monkeypatch.setattr(Reserve, "make", lambda _: False)
    journal._writer.refusal = "the disk is full"
    with pytest.raises(Refused) as refused:
        await journal.people.subscribe(subscription("other"))
    assert refused.value.code is Code.FULL
    with pytest.raises(Refused):
        await journal.append([routed(2)])
    sequence = 1
    sent = Message(
        message_id(routed(1).event.item_id, "romeo@example.org", 0), sequence, "romeo@example.org", 0, "", NOON
    )
    run = await take(journal, "people")
    await journal.settle(run, [Settled(run.deliveries[0].id, DELIVERED, (Target("chat", "romeo@example.org"),))])
    await journal.people.handed_over([sent], [])
    await journal.people.received([sent.id], NOON)
    await journal.people.keep_person(Person(jid="romeo@example.org", bounces=1))
    assert await deliver_all(journal, "chat") == ["1"]
    assert await journal.people.unsubscribe([kept.id]) == 1


async def test_a_journal_of_the_first_schema_becomes_one_of_today(
    open_journal: OpenJournal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all that it held; its tables are those of a new one."""
    with monkeypatch.context() as patch:
        patch.setattr(opening, "SCHEMAS", 1)
        async with open_journal() as journal:
            await journal.append([routed(1), routed(2)])
            run = await take(journal, run=1)
            await journal.settle(run, outcomes(run, DELIVERED))
    async with open_journal() as journal:
        await journal.append([routed(3)])
        kept = await journal.people.subscribe(subscription())
        assert await deliver_all(journal) == ["2", "3"]
    async with open_journal() as journal:
        assert await journal.people.subscriptions() == [kept]
    async with SqliteJournal(tmp_path / "new.db"):
        pass
    schemas = []
    for name in ("journal.db", "new.db"):
        with sqlite3.connect(tmp_path / name) as connection:
            schemas.append(connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchall())
            assert connection.execute("PRAGMA user_version").fetchone() == (3,)
        connection.close()
    assert schemas[0] == schemas[1]
    assert {name for _, name, _ in schemas[0]} > {"subscription", "incident", "message", "escalation", "entry"}
