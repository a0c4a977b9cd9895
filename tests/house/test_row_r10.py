"""R10, a queue of jobs beside pubsub: each event goes to one worker, and outlives whoever has it."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, program
from tests.support.waiting import until
from tests.support.worker import Worker, until_consumed_by

EVENTS = 30
NOTE = 'echo "$XMPPBUS_SUMMARY" >> "$done"'


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    async with Daemon(tmp_path / "bus") as started:
        yield started


async def publish(daemon: Daemon, *texts: object) -> None:
    """An event of type `job.sync` for each."""
    lines = "".join(f"{text}\n" for text in texts)
    await daemon.command("publish", "job.sync", "--lines", "--output", "none", input=lines.encode())


async def until_empty(daemon: Daemon) -> None:
    """Until nothing waits in the queue `sync`."""

    async def empty() -> bool:
        return bool((await daemon.command("queue", "info", "sync", "--json")).json["waiting"] == 0)

    await until(empty, 60, "an empty queue")


async def test_r10_listeners_get_each_event_and_workers_share_them(daemon: Daemon, tmp_path: Path) -> None:
    """Three of each: every listener has every event, and every event one worker."""
    listeners = [
        await asyncio.create_subprocess_exec(
            *(program(), "listen", "job.#", "--since", "all", "-n", str(EVENTS)),
            env=daemon.environment,
            stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(3)
    ]
    async with AsyncExitStack() as stack:
        workers = [
            await stack.enter_async_context(
                Worker(daemon, tmp_path / str(number), "job.#", "--queue", "sync", script=NOTE)
            )
            for number in range(3)
        ]
        await until_consumed_by(daemon, "sync", 3)
        await publish(daemon, *range(EVENTS))
        async with asyncio.timeout(60):
            for listener in listeners:
                out, _ = await listener.communicate()
                assert len(out.splitlines()) == EVENTS
        await until_empty(daemon)
        shares = [worker.lines() for worker in workers]
        assert Counter(line for share in shares for line in share) == Counter(map(str, range(EVENTS)))
        assert all(shares), "each had some of them"


async def test_r10_the_event_of_a_worker_that_is_killed_goes_to_another(daemon: Daemon, tmp_path: Path) -> None:
    """At once; and its command, which nobody waits for any more, is ended."""
    slow = 'echo "$$" > "$done"; exec sleep 600'
    async with Worker(daemon, tmp_path / "one", "job.#", "--queue", "sync", script=slow) as one:
        await until_consumed_by(daemon, "sync", 1)
        await publish(daemon, "precious")
        await until(one.lines, 30, "the command of the first")
        async with Worker(daemon, tmp_path / "other", "--queue", "sync", script=NOTE) as other:
            await until_consumed_by(daemon, "sync", 2)
            assert not other.lines()
            one.send(signal.SIGKILL)
            await until(lambda: other.lines() == ["precious"], 10, "the event at the other")
            command = Path(f"/proc/{one.lines()[0]}")
            await until(lambda: not command.exists(), 10, "the end of the command of the first")
        await until_empty(daemon)


@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
async def test_r10_nothing_is_lost_over_a_restart(tmp_path: Path, killed: bool) -> None:
    """What waits is still there, what was running is not run again, and its verdict counts; workers come back."""
    hold = 'echo "$XMPPBUS_SUMMARY" >> "$done"; while [ "$XMPPBUS_SUMMARY" = 0 ] && [ ! -e "$go" ]; do sleep 0.05; done'
    go = tmp_path / "go"
    async with Daemon(tmp_path / "bus") as daemon:
        worker = Worker(daemon, tmp_path / "one", "job.#", "--queue", "sync", script=hold, go=str(go))
        async with worker:
            await until_consumed_by(daemon, "sync", 1)
            await publish(daemon, *range(EVENTS))
            await until(lambda: worker.lines() == ["0"], 30, "the first command")
            if killed:
                daemon.kill()
            else:
                await daemon.stop()
            await until(lambda: "no daemon answers" in worker.errors(), 30, "the worker to notice")
            await daemon.start()
            async with Worker(daemon, tmp_path / "other", "job.#", "--queue", "sync", script=NOTE) as other:
                await until_consumed_by(daemon, "sync", 2)
                await until(other.lines, 30, "the other at work")
                go.touch()
                await until_empty(daemon)
                assert sorted(map(int, worker.lines() + other.lines())) == [*range(EVENTS)]


async def test_r10_a_daemon_that_starts_later_is_found(tmp_path: Path) -> None:
    """A worker may be started first; it says what it waits for."""
    daemon = Daemon(tmp_path / "bus")
    async with Worker(daemon, tmp_path / "one", "job.#", "--queue", "sync", script=NOTE) as worker:
        await until(lambda: "no daemon answers" in worker.errors(), 30, "a word")
        async with daemon:
            await until_consumed_by(daemon, "sync", 1)
            await publish(daemon, "late")
            await until(lambda: worker.lines() == ["late"], 30, "the event")
            worker.send(signal.SIGTERM)
            assert await worker.ended() == 0


async def test_r10_a_queue_that_was_worked_on_once_takes_events_until_it_is_dropped(
    daemon: Daemon, tmp_path: Path
) -> None:
    """Whether anybody is there or not, over a restart; it is normal that nobody is there."""
    async with Worker(daemon, tmp_path / "one", "job.#", "--queue", "sync", "--max", "1", script=NOTE) as worker:
        await until_consumed_by(daemon, "sync", 1)
        await publish(daemon, "first")
        assert await worker.ended() == 0
        assert worker.lines() == ["first"]
    await publish(daemon, 1, 2)
    daemon.kill()
    await daemon.start()
    await publish(daemon, 3)
    status = await daemon.status()
    assert status["state"] == "up"
    (queue,) = status["queues"]
    assert (queue["name"], queue["pattern"], queue["waiting"], queue["consumers"]) == ("sync", "job.#", 3, 0)
    assert "3 waiting" in (await daemon.command("status")).out
    refused = await daemon.run("work", "user.#", "--queue", "sync", "--", "true")
    assert refused.code == 65
    assert "xmppbus queue drop sync" in refused.err
    refused = await daemon.run("queue", "drop", "sync")
    assert refused.code == 65
    assert "--purge" in refused.err
    await daemon.command("queue", "drop", "sync", "--purge")
    await publish(daemon, 4)
    assert not (await daemon.command("queue", "list", "--json")).out
    assert (await daemon.status())["journal"]["waiting"] == 0


async def test_r10_a_worker_that_is_asked_to_end_finishes_what_it_has(daemon: Daemon, tmp_path: Path) -> None:
    """And takes nothing more. Asked twice it ends its command, and another gets the event."""
    hold = 'echo begun >> "$done"; while [ ! -e "$go" ]; do sleep 0.05; done; echo "$XMPPBUS_SUMMARY" >> "$done"'
    go = tmp_path / "go"
    arguments = ("job.#", "--queue", "sync")
    async with Worker(daemon, tmp_path / "one", *arguments, script=hold, go=str(go)) as worker:
        await until_consumed_by(daemon, "sync", 1)
        await publish(daemon, 1, 2)
        await until(worker.lines, 30, "its command")
        worker.send(signal.SIGINT)
        await until(lambda: "waiting for the work on one event" in worker.errors(), 30, "a word")
        go.touch()
        assert await worker.ended() == 0
        assert worker.lines() == ["begun", "1"]
        go.unlink()
        await worker.start()
        await until(lambda: len(worker.lines()) == 3, 30, "its next command")
        worker.send(signal.SIGTERM)
        await until(lambda: worker.errors().count("waiting for the work on one event") == 2, 30, "a word")
        worker.send(signal.SIGTERM)
        assert await worker.ended() == 0
        assert worker.lines() == ["begun", "1", "begun"]
    (queue,) = (await daemon.status())["queues"]
    assert (queue["waiting"], queue["leased"]) == (1, 0)
    assert not (await daemon.command("dead", "list")).out
