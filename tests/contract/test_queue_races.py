"""Queues when several things happen at once: nothing is left behind, handed out twice or held in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import msgspec
import pytest

from tests.contract.test_queues import MAILS, queues, send, took
from tests.support.journals import MovingClock, routed
from tests.support.waiting import until
from xmppbus import limits
from xmppbus.cli.consuming import Consuming
from xmppbus.errors import JournalFailed
from xmppbus.queues import Queues
from xmppbus.queues.broker import Broker
from xmppbus.stores.backlog import SqliteBacklog
from xmppbus.stores.sqlite import SqliteJournal

__all__ = ["queues"]  # a fixture


class Gate:
    """Holds the answers of one question of every backlog until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, question: str) -> None:
        self.passed = asyncio.Event()
        self.waiting = 0
        asked = getattr(SqliteBacklog, question)

        async def ask(backlog: SqliteBacklog, *given: Any) -> Any:
            if question == "settle":
                await self._wait()
                return await asked(backlog, *given)
            answer = await asked(backlog, *given)
            await self._wait()
            return answer

        monkeypatch.setattr(SqliteBacklog, question, ask)

    async def _wait(self) -> None:
        self.waiting += 1
        try:
            await self.passed.wait()
        finally:
            self.waiting -= 1


async def test_what_is_due_while_nobody_asks_costs_nothing(
    journal: SqliteJournal, queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for whoever asks next; the daemon does not look at it again and again."""
    await send(journal, 1)
    turns: list[Broker] = []
    turn = Broker._turn

    def counted(broker: Broker) -> None:
        turns.append(broker)
        turn(broker)

    monkeypatch.setattr(Broker, "_turn", counted)
    async with queues.consumer("mails", prefetch=1) as consumer:
        await consumer.requeue((await took(consumer.take())).id)  # due at once: no dice
    before = len(turns)
    for _ in range(1000):  # of the loop's rounds: a timer that is due again and again is in each
        await asyncio.sleep(0)
    assert len(turns) - before < 10
    async with queues.consumer("mails", prefetch=1) as consumer:
        assert (await took(consumer.take())).attempt == 2


async def test_one_that_leaves_while_more_is_read_leaves_nothing_behind(
    journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it had, the beginning of the queue, goes to the next one, although what is behind it is being read."""
    number = 2 * limits.QUEUE_WINDOW
    await send(journal, *range(number))
    queues = Queues(journal, dice=lambda: 1.0)
    await queues.open()
    async with queues.consumer("mails", prefetch=limits.QUEUE_PREFETCH) as consumer:
        had = [await took(consumer.take()) for _ in range(limits.QUEUE_WINDOW)]
        await consumer.requeue(had[-1].id)  # so that the queue is remembered when nobody consumes it
        gate = Gate(monkeypatch, "after")
        asking = asyncio.create_task(consumer.take())
        await until(lambda: gate.waiting, 10, "a read")
        asking.cancel()
    gate.passed.set()
    await until(lambda: not gate.waiting, 10, "its answer")
    async with queues.consumer("mails", prefetch=limits.QUEUE_PREFETCH) as other:
        found = {(await took(other.take())).event.id for _ in range(number - 1)}
    assert found == {str(each) for each in range(number)} - {had[-1].event.id}
    await queues.close()


async def test_what_is_being_acknowledged_is_nobodys_when_its_consumer_has_gone(
    journal: SqliteJournal, queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that is lost right behind its ACK does not have the event handed out a second time."""
    await send(journal, 1, 2)
    gate = Gate(monkeypatch, "settle")
    async with queues.consumer("mails", prefetch=1) as consumer:
        acking = asyncio.create_task(consumer.ack((await took(consumer.take())).id))
        await until(lambda: gate.waiting, 10, "an acknowledgement")
        acking.cancel()
        await asyncio.wait([acking])
    async with queues.consumer("mails", prefetch=2) as other:
        assert (await took(other.take())).event.id == "2"
        assert await other.take_now() is None
        gate.passed.set()

        async def waiting() -> bool:
            return (await journal.status()).waiting == 1

        await until(waiting, 10, "the acknowledgement on disk")


async def test_many_that_have_expired_are_dropped_without_holding_them(
    journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No faster than the disk forgets them, a window at a time."""
    number = 4 * limits.QUEUE_WINDOW
    await send(journal, *range(number), expires="2026-01-31T11:00:00Z")
    await send(journal, "good")
    clock = MovingClock()
    queues = Queues(journal, clock=clock)
    await queues.open()
    most = running = 0
    settle = SqliteBacklog.settle

    async def counted(backlog: SqliteBacklog, outcomes: Any) -> None:
        nonlocal most, running
        running += len(outcomes)
        most = max(most, running)
        await settle(backlog, outcomes)
        running -= len(outcomes)

    monkeypatch.setattr(SqliteBacklog, "settle", counted)
    async with queues.consumer("mails", prefetch=1) as consumer:
        assert (await took(consumer.take())).event.id == "good"
        assert most <= limits.QUEUE_WINDOW
    assert (await journal.status()).dead == number
    await queues.close()


async def test_purging_ends_although_more_comes(
    journal: SqliteJournal, queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever publishes without a pause does not keep it going."""
    await send(journal, *range(10))
    drop, drops = SqliteBacklog.drop, 0

    async def busy(backlog: SqliteBacklog, *given: Any) -> int:
        nonlocal drops
        drops += 1
        found = await drop(backlog, *given)
        await journal.append([routed(f"more {drops}", MAILS, queue="mails")])
        return found

    monkeypatch.setattr(SqliteBacklog, "drop", busy)
    async with asyncio.timeout(5):
        assert await queues.purge("mails") == 10
    assert drops == 1


async def test_a_queue_that_is_visited_does_not_expire(journal: SqliteJournal) -> None:
    """Also when nobody is there at the moment at which it is looked."""
    clock = MovingClock()
    queues = Queues(journal, clock=clock)
    await queues.open()
    await queues.declare("mails", expire=3600)
    await send(journal, 1)
    for _ in range(3):
        clock.move(seconds=3000)
        async with queues.consumer("mails", prefetch=1) as consumer:
            assert await consumer.take_now()
        assert await queues.expire() == []
    clock.move(seconds=3601)
    assert await queues.expire() == ["mails"]
    await queues.close()


class Scripted:
    """What a consumer says, and what it is told; as a desk has it."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[bytes] = asyncio.Queue()
        self.told: list[Any] = []
        self.terminal = self

    async def read(self) -> AsyncIterator[bytes]:
        """Until it says nothing more."""
        while line := await self.said.get():
            yield line

    async def write(self, line: bytes) -> None:
        """A line."""
        self.told.append(msgspec.json.decode(line))


async def test_a_consumer_is_told_that_what_it_said_could_not_be_written(
    journal: SqliteJournal, queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not count then, and a worker would else wait for its answer for ever."""
    await send(journal, 1)
    desk = Scripted()
    async with queues.consumer("mails", prefetch=1) as consumer:
        running = asyncio.create_task(Consuming(cast("Any", desk), consumer, "mails").run(resume=False))
        await until(lambda: desk.told, 10, "the event")
        lease = desk.told[0]["lease"]

        async def fails(*_: Any) -> None:
            raise JournalFailed("the disk is gone")

        monkeypatch.setattr(SqliteBacklog, "settle", fails)
        await desk.said.put(msgspec.json.encode({"ack": lease}) + b"\n")
        await until(lambda: len(desk.told) > 1, 10, "an answer")
        assert desk.told[1] == {"lost": lease, "message": "the disk is gone"}
        await desk.said.put(b"")
        await running
