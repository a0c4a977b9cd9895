"""`xmppbus listen` and `get`: what comes, what came, and what was missed."""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, program
from tests.support.waiting import until

F_SETPIPE_SZ = 1031  # <fcntl.h>


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    async with Daemon(tmp_path) as started:
        yield started


@contextlib.asynccontextmanager
async def listening(
    daemon: Daemon, *arguments: str, stdout: int = subprocess.PIPE
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A listener that is connected; killed at the end."""
    before = (await daemon.status())["inputs"]["unix"]["connections"]
    process = await asyncio.create_subprocess_exec(
        program(), "listen", *arguments, env=daemon.environment, stdout=stdout, stderr=subprocess.PIPE
    )

    async def connected() -> bool:
        return bool((await daemon.status())["inputs"]["unix"]["connections"] > before)

    try:
        await until(connected, 10, "the listener to be connected")
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout
    return (await asyncio.wait_for(process.stdout.readline(), 10)).decode()


async def test_a_listener_prints_events_as_they_come(daemon: Daemon) -> None:
    """Those that match, one a line."""
    async with listening(daemon, "disk.#", "user.*") as listener:
        for each in ("disk.full", "other.thing", "user.signup"):
            await daemon.command("publish", each, f"about {each}", "--severity", "warning")
        assert (await line(listener))[19:] == " ▲ disk.full  about disk.full\n"
        assert (await line(listener))[19:] == " ▲ user.signup  about user.signup\n"


async def test_json_has_one_object_a_line(daemon: Daemon) -> None:
    """With the item id, the sequence and the whole event."""
    item_id = (await daemon.command("publish", "a.b", "line\nbreak")).out.strip()
    shown = json.loads((await daemon.command("listen", "--since", "all", "-n", "1", "--json")).out)
    assert (shown["id"], shown["sequence"], shown["event"]["data"]) == (item_id, 1, "line\nbreak")


async def test_since_begins_in_the_past(daemon: Daemon) -> None:
    """After a sequence, at a time, or at the beginning."""
    for number in range(5):
        await daemon.command("publish", "t", f"text {number}")
    after = await daemon.command("listen", "--since", "3", "-n", "2")
    recent = await daemon.command("listen", "--since", "1h", "-n", "5")
    assert [each[-6:] for each in after.out.splitlines()] == ["text 3", "text 4"]
    assert len(recent.out.splitlines()) == 5


async def test_a_listener_who_comes_back_gets_what_was_missed(daemon: Daemon) -> None:
    """Across a restart of the daemon, too."""
    async with listening(daemon, "--name", "backup", "-n", "1") as listener:
        await daemon.command("publish", "t", "one")
        assert (await line(listener)).endswith("one\n")
        assert await asyncio.wait_for(listener.wait(), 10) == 0
    await daemon.command("publish", "t", "two")
    await daemon.stop()
    await daemon.start()
    await daemon.command("publish", "t", "three")
    missed = await daemon.command("listen", "--name", "backup", "-n", "2")
    assert [each.rsplit(maxsplit=1)[1] for each in missed.out.splitlines()] == ["two", "three"]


async def test_a_killed_listener_repeats_at_most_the_line_it_was_writing_and_loses_none(daemon: Daemon) -> None:
    """Killed ten times in the middle of a thousand events."""
    events = b"".join(b"%d\n" % number for number in range(1000))
    await daemon.command("publish", "n", "--lines", input=events)
    seen: list[int] = []
    kills = 0
    while len(seen) < 1000 or seen[-1] != 999:
        read, write = os.pipe()
        fcntl.fcntl(write, F_SETPIPE_SZ, 4096)  # so that it is stuck in the middle of a line when it is killed
        process = await asyncio.create_subprocess_exec(
            program(), "listen", "--name", "reader", "--since", "all", "--json", env=daemon.environment, stdout=write
        )
        os.close(write)
        text = b""
        wanted = 20 if kills < 10 else 1000
        while text.count(b"\n") < wanted and not (text.endswith(b"\n") and b'"data":"999"' in text):
            chunk = await asyncio.wait_for(asyncio.to_thread(os.read, read, 4096), 10)
            assert chunk, "the listener has ended by itself"
            text += chunk
        process.send_signal(signal.SIGKILL)
        await process.wait()
        while chunk := await asyncio.to_thread(os.read, read, 65536):
            text += chunk  # what was written stands, whoever reads it
        os.close(read)
        kills += 1
        *lines, _torn = text.split(b"\n")
        begun = [int(json.loads(each)["event"]["data"]) for each in lines]
        if seen and begun:
            assert begun[0] in (seen[-1], seen[-1] + 1), "nothing is lost, and one line at most is repeated"
        seen += begun
    assert kills >= 10
    assert sorted(set(seen)) == list(range(1000))
    assert len(seen) <= 1000 + kills


async def test_two_listeners_cannot_share_a_name_at_once(daemon: Daemon) -> None:
    """The second is told."""
    async with listening(daemon, "--name", "backup"):
        second = await daemon.run("listen", "--name", "backup")
    assert second.code == 75
    assert "somebody listens as 'backup' already" in second.err


async def test_a_listener_ends_when_its_reader_has_gone(daemon: Daemon) -> None:
    """`xmppbus listen | head -1` needs no second event."""
    pipeline = f'"{program()}" listen --since all | head -n 1'
    await daemon.command("publish", "t", "one")
    done = await asyncio.to_thread(
        subprocess.run, ["sh", "-c", pipeline], env=daemon.environment, capture_output=True, timeout=10
    )
    assert done.stdout.count(b"\n") == 1
    assert done.stderr == b""


async def test_ctrl_c_ends_a_listener_without_a_word(daemon: Daemon) -> None:
    """As a signal, so that a shell's loop ends too (it shows 130)."""
    async with listening(daemon) as listener:
        listener.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(listener.wait(), 10) == -signal.SIGINT
        assert listener.stderr
        assert await listener.stderr.read() == b""


async def test_a_daemon_that_stops_says_so_to_its_listeners_and_does_not_wait_for_them(daemon: Daemon) -> None:
    """Exit 75: try again."""
    async with listening(daemon) as listener:
        assert await daemon.stop() == 0
        assert await asyncio.wait_for(listener.wait(), 5) == 75
        assert listener.stderr
        assert b"the daemon is stopping" in await listener.stderr.read()


async def test_a_daemon_that_is_killed_leaves_no_listener_hanging(daemon: Daemon) -> None:
    """Exit 75 as well."""
    async with listening(daemon) as listener:
        daemon.kill()
        assert await asyncio.wait_for(listener.wait(), 5) == 75


async def test_a_stuck_listener_holds_up_nobody(daemon: Daemon) -> None:
    """One that never reads, while 5,000 events pass another by."""
    read, write = os.pipe()
    try:
        async with listening(daemon, stdout=write), listening(daemon, "-n", "5000") as healthy:
            await daemon.command("publish", "n", "--lines", input=b"some text of an event\n" * 5000)
            assert healthy.stdout
            text = await asyncio.wait_for(healthy.stdout.read(), 30)
            assert text.count(b"\n") == 5000
    finally:
        os.close(read)
        os.close(write)


async def test_get_pulls_one_event_at_a_time_until_there_is_none(daemon: Daemon) -> None:
    """Oldest first; exit 1 at the end."""
    for each in ("job.a", "other", "job.b"):
        await daemon.command("publish", each, each)
    first = await daemon.command("get", "job.*")
    second = await daemon.command("get", "job.*", "--json")
    third = await daemon.run("get", "job.*")
    assert first.out.endswith("job.a\n")
    assert second.json["event"]["type"] == "job.b"
    assert (third.code, third.out, third.err) == (1, "", "")


async def test_get_by_name_goes_on_where_that_name_stopped(daemon: Daemon) -> None:
    """Each name has a cursor of its own, which outlives the daemon."""
    await daemon.command("publish", "t", "--lines", input=b"1\n2\n3\n")
    assert (await daemon.command("get", "#", "--name", "a")).out.endswith(" 1\n")
    await daemon.stop()
    await daemon.start()
    assert (await daemon.command("get", "#", "--name", "a")).out.endswith(" 2\n")
    assert len((await daemon.command("get", "#", "--name", "b", "-n", "5")).out.splitlines()) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("user..x",), "is no pattern"),
        (("--since", "yesterday"), "is no sequence, no time"),
        (("--name", "a b"), "is not 1 to 64 characters"),
        (("-n", "0"), "0"),
    ],
)
async def test_what_is_wrong_is_said_before_anything_is_done(
    daemon: Daemon, arguments: tuple[str, ...], said: str
) -> None:
    """Exit 64."""
    done = await daemon.run("listen", *arguments)
    assert done.code == 64
    assert said in done.err
