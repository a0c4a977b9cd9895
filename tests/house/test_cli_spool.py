"""`xmppbus publish` while the daemon is away: kept on disk, named, and taken up once."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, program
from tests.support.missing import need
from tests.support.waiting import until

SAID = re.compile(r"xmppbus: no daemon is running: .* until it starts\n")


@pytest.fixture
def daemon(tmp_path: Path) -> Daemon:
    """One that does not run."""
    return Daemon(tmp_path)


def spooled(daemon: Daemon) -> list[Path]:
    return sorted((daemon.directory / "spool").glob("*.events"))


async def until_taken_up(daemon: Daemon) -> None:
    await until(lambda: not spooled(daemon), 10, "the spool to be taken up")


async def test_an_event_is_kept_with_the_id_it_will_have_and_taken_up_once(daemon: Daemon) -> None:
    """The id that was printed is the one that `show` knows."""
    published = await daemon.command("publish", "user.signup", "alice joined", "--severity", "notice")
    assert SAID.fullmatch(published.err)
    assert len(spooled(daemon)) == 1
    async with daemon:
        await until_taken_up(daemon)
        shown = await daemon.show(published.out.strip())
        assert (await daemon.status())["journal"]["newest"] == 1
    assert shown["event"]["data"] == "alice joined"
    assert "severity" in shown["event"]


async def test_what_is_found_twice_is_accepted_once(daemon: Daemon) -> None:
    """As after a crash between the journal's commit and the file's end."""
    await daemon.command("publish", "t", "x")
    (file,) = spooled(daemon)
    copy = shutil.copy(file, daemon.directory / "copy")
    async with daemon:
        await until_taken_up(daemon)
    shutil.copy(copy, file)
    async with daemon:
        await until_taken_up(daemon)
        assert (await daemon.status())["journal"]["entries"] == 1


async def test_the_same_publish_repeated_while_the_daemon_is_away_is_one_event(daemon: Daemon) -> None:
    """A name is a name, although the time of the second is another."""
    for _ in range(2):
        await daemon.command("publish", "t", "x", "--id", "17", "--source", "db1")
    async with daemon:
        await until_taken_up(daemon)
        status = await daemon.status()
    assert status["journal"]["entries"] == 1
    assert status["inputs"]["spool"]["set_aside"] == 0


async def test_events_are_taken_up_in_the_order_in_which_they_were_kept(daemon: Daemon) -> None:
    """With the time at which they came."""
    for number in range(5):
        await daemon.command("publish", "t", str(number))
    await daemon.command("publish", "t", "--lines", input=b"".join(b"%d\n" % number for number in range(5, 2005)))
    async with daemon:
        await until_taken_up(daemon)
        shown = await daemon.command("listen", "--since", "all", "-n", "2005", "--json")
    events = [json.loads(line)["event"] for line in shown.out.splitlines()]
    assert [event["data"] for event in events] == [str(number) for number in range(2005)]
    times = [event["time"] for event in events]
    assert times == sorted(times)


async def test_lines_are_kept_in_few_files(daemon: Daemon) -> None:
    """As many events as a batch in each."""
    done = await daemon.command("publish", "t", "--lines", input=b"some text\n" * 10_000)
    assert len(done.out.splitlines()) == 10_000
    assert len(spooled(daemon)) <= 20


async def test_the_door_check_is_the_same(daemon: Daemon) -> None:
    """A bad event is refused at once, and not when nobody is there any more to mend it."""
    bad = await daemon.run("publish", "bad type", "x")
    large = await daemon.run("publish", "t", input=b"x" * 220_000)
    lines = await daemon.run("publish", "--json", "-", "--lines", input=b'{"type": "a b"}\n{"type": "a.b"}\n')
    assert (bad.code, large.code, lines.code) == (65, 65, 65)
    assert "user.signup" in bad.err
    assert "200000" in large.err
    assert "line 1: type:" in lines.err
    assert len(spooled(daemon)) == 1


async def test_nobody_can_confirm_what_is_only_spooled(daemon: Daemon) -> None:
    """It is kept, and the exit code says to try again."""
    done = await daemon.run("publish", "t", "x", "--confirm")
    assert done.code == 75
    assert len(spooled(daemon)) == 1


async def test_without_daemon_and_spool_nothing_is_promised(daemon: Daemon) -> None:
    """Exit 69, and nothing on standard output."""
    (daemon.directory / "spool").write_text("a file where the directory should be")
    done = await daemon.run("publish", "t", "x")
    assert done.code == 69
    assert done.out == ""
    assert "start a daemon" in done.err


@pytest.mark.parametrize("command", [["status"], ["listen"], ["get", "#"], ["show", "x"], ["dead", "list"]])
async def test_other_commands_say_how_to_start_a_daemon(daemon: Daemon, command: list[str]) -> None:
    """Exit 69."""
    done = await daemon.run(*command)
    assert done.code == 69
    assert "xmppbus serve" in done.err


async def test_what_can_not_be_taken_up_is_set_aside_with_the_reason(daemon: Daemon) -> None:
    """Nothing is lost, and nothing stands in the way of what comes behind."""
    spool = daemon.directory / "spool"
    spool.mkdir()
    good = '{"time": "2026-01-31T12:00:00Z", "event": {"type": "t", "id": "1", "source": "s", "data": "good"}}\n'
    (spool / "1.events").write_text("garbage\n" + good + '{"time": "x", "event": {"type": "a b"}}\n')
    os.mkfifo(spool / "2.events")
    (spool / "3.events").symlink_to("/etc/passwd")
    await daemon.command("publish", "t", "behind")
    async with daemon:
        await until_taken_up(daemon)
        assert (await daemon.status())["journal"]["entries"] == 2
    aside = [json.loads(line) for line in (spool / "set-aside" / "1.events").read_text().splitlines()]
    assert [each["line"] for each in aside] == ["garbage", '{"time": "x", "event": {"type": "a b"}}']
    assert all(each["error"]["message"] for each in aside)
    moved = {each.name.split(".")[0]: each for each in (spool / "set-aside").iterdir()}
    assert moved["2"].is_fifo()
    assert moved["3"].is_symlink()


@pytest.mark.parametrize("time", ["\\u001b[31m", "yesterday", "2026-01-31T12:00:00", ""])
async def test_a_spooled_time_that_is_none_is_set_aside_before_it_reaches_an_item(daemon: Daemon, time: str) -> None:
    """XML that no server reads would end the stream, again and again."""
    spool = daemon.directory / "spool"
    spool.mkdir()
    planted = f'{{"time": "{time}", "event": {{"type": "t", "id": "1", "source": "s"}}}}\n'
    (spool / "1.events").write_text(planted)
    async with daemon:
        await until_taken_up(daemon)
        assert (await daemon.status())["journal"]["entries"] == 0
    aside = json.loads((spool / "set-aside" / "1.events").read_text())
    assert aside["error"]["field"] == "time"
    assert aside["line"] == planted.strip()


async def test_a_client_that_raced_the_start_tells_the_daemon_to_look_again(daemon: Daemon) -> None:
    """One that found no socket, and left its file after the daemon had looked."""
    async with daemon:
        left = (
            "import os\nfrom xmppbus.cli.spooling import spool\n"
            "print(spool([{'type': 't', 'data': 'late'}], os.environ).answers[0])"
        )
        done = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", left], env=daemon.environment, capture_output=True, check=True
        )
        await until_taken_up(daemon)
        assert (await daemon.show(done.stdout.decode().strip()))["event"]["data"] == "late"


async def test_the_file_is_synced_before_it_has_its_name_and_the_name_before_the_yes(daemon: Daemon) -> None:
    """In that order, as strace sees it."""
    need("strace")
    trace = daemon.directory / "trace"
    calls = "trace=fsync,rename,renameat,renameat2,write"
    command = ["strace", "-f", "-y", "-e", calls, "-o", str(trace), sys.executable, program(), "publish", "t", "x"]
    await asyncio.to_thread(subprocess.run, command, env=daemon.environment, check=True, capture_output=True)
    lines = [line for line in trace.read_text().splitlines() if "spool" in line or "write(1" in line]
    kept = [
        next(number for number, line in enumerate(lines) if mark in line) for mark in (".new>, ", "fsync(", "rename")
    ]
    synced = [number for number, line in enumerate(lines) if "fsync(" in line]
    said = next(number for number, line in enumerate(lines) if "write(1" in line)
    assert kept == sorted(kept)
    assert len(synced) == 2
    assert kept[2] < synced[1] < said
