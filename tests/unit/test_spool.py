"""The spool of a system's daemon: everybody may leave events there, and nobody sees what others left."""

import asyncio
import contextlib
import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.support.waiting import until
from xmppbus import limits, paths
from xmppbus.bus import Bus
from xmppbus.cli import spooling
from xmppbus.config import load
from xmppbus.errors import Code, Refused
from xmppbus.house import House
from xmppbus.inputs import spool
from xmppbus.interfaces import Accept, Accepted
from xmppbus.plugins import Registry
from xmppbus.stores.sqlite import SqliteJournal
from xmppbus.xmpp.stanzas import check_size

LEAVE = """
import os, sys
from pathlib import Path
from xmppbus import paths
from xmppbus.cli.spooling import spool
import xmppbus.event, zoneinfo
paths.SYSTEM_STATE = Path(sys.argv[1])
os.setgid(65534)
os.setuid(65534)
found = spool([{"type": "t", "data": "from nobody"}], {"HOME": "/nonexistent", "XMPPBUS_SOCKET": "/nonexistent"})
print(found.directory, found.answers[0])
try:
    os.listdir(found.directory)
except PermissionError:
    print("can't list")
"""


def now() -> datetime:
    return datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The system's state directory, for the time of a test."""
    with TemporaryDirectory(prefix="xmppbus-state-") as name:
        directory = Path(name) / "state"
        Path(name).chmod(0o755)
        monkeypatch.setattr(paths, "SYSTEM_STATE", directory)
        yield directory


@pytest.fixture
async def house(state: Path, tmp_path: Path) -> AsyncIterator[House]:
    """A journal and a bus of the system, where everybody may publish; its source is `here`."""
    file = tmp_path / "xmppbus.yaml"
    file.write_text("source: here\n")
    config = load(file, {"XMPPBUS_STATE": str(state), "HOME": str(tmp_path)})
    async with SqliteJournal(config.journal_path) as journal:
        bus = Bus(journal, config.routes, source="here", check_size=check_size, clock=now)
        yield House(config, now, now(), journal, Registry(), bus)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_another_user_may_leave_events_and_see_none(house: House, state: Path) -> None:
    """The file is readable for the daemon, the directory for nobody, and the source is the daemon's."""
    taking = asyncio.create_task(spool.build(house, {}).run(house.bus.accept))
    try:
        await until((state / "spool" / "source").exists, 5, "the spool to be prepared")
        assert stat.S_IMODE(os.stat(state / "spool").st_mode) == 0o1733
        assert stat.S_IMODE(os.stat(state).st_mode) == 0o711
    finally:
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
    left = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", LEAVE, str(state)], capture_output=True, text=True
    )
    assert left.returncode == 0, left.stderr
    (directory, item_id), cannot = left.stdout.splitlines()[0].split(), left.stdout.splitlines()[1]
    assert (directory, cannot) == (str(state / "spool"), "can't list")
    taking = asyncio.create_task(spool.build(house, {}).run(house.bus.accept))
    try:
        await until(lambda: not list((state / "spool").glob("*.events")), 5, "the event to be taken up")
    finally:
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
    entry = await house.journal.find(item_id)
    assert entry
    assert entry.event.source == "here"


@contextlib.asynccontextmanager
async def taking_up(house: House, accept: Accept) -> AsyncIterator[spool.SpoolInput]:
    """The input, running."""
    taking = spool.build(house, {})
    running = asyncio.create_task(taking.run(accept))
    try:
        yield taking
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_full_journal_leaves_the_spool_where_it_is(house: House, state: Path) -> None:
    """And says so in its status; it is taken up when there is room again."""
    directory = state / "spool"
    directory.mkdir()
    line = {"time": "2026-01-31T12:00:00Z", "event": {"type": "t", "id": "1", "source": "s"}}
    (directory / "1.events").write_text(json.dumps(line) + "\n")
    full = True

    async def accept(sent: object, *, time: str = "") -> list[Accepted | Refused]:
        if full:
            raise Refused(Code.FULL, "the journal is full")
        return await house.bus.accept(sent, time=time)  # type: ignore[arg-type]  # as it came

    taking = spool.build(house, {})
    running = asyncio.create_task(taking.run(accept))
    try:
        await until(lambda: taking.status()["state"] == "waiting", 5, "the spool to wait")
        assert taking.status()["reason"] == "the journal is full"
        assert (directory / "1.events").exists()
        full = False
        taking.look()
        await until(lambda: not (directory / "1.events").exists(), 5, "the spool to be taken up")
        assert taking.status()["state"] == "up"
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_file_with_one_type_too_many_does_not_hold_up_those_behind_it(house: House, state: Path) -> None:
    """It waits by itself, and the status says what for."""
    directory = state / "spool"
    directory.mkdir()
    for name, kind in (("1", "new"), ("2", "known")):
        line = {"time": "2026-01-31T12:00:00Z", "event": {"type": kind, "id": name, "source": "s"}}
        (directory / f"{name}.events").write_text(json.dumps(line) + "\n")

    async def accept(sent: Sequence[Mapping[str, Any]], *, time: str = "") -> list[Accepted | Refused]:
        if sent[0]["type"] == "new":
            raise Refused(Code.NODES, "one place too many")
        return await house.bus.accept(sent, time=time)

    async with taking_up(house, accept) as taking:
        await until(lambda: not (directory / "2.events").exists(), 5, "the second file to be taken up")
        assert (directory / "1.events").exists()
        assert taking.status()["state"] == "waiting"
        assert taking.status()["reason"] == "one place too many"


async def test_a_file_that_grows_while_it_is_read_comes_to_an_end(house: House, state: Path) -> None:
    """Only what was there when it was opened was left by a publisher."""
    directory = state / "spool"
    directory.mkdir()
    path = directory / "1.events"

    def line(number: int) -> str:
        fields = {"type": "t", "id": str(number), "source": "s", "data": "x" * 100_000}
        return json.dumps({"time": "2026-01-31T12:00:00Z", "event": fields}) + "\n"

    path.write_text(line(0) + line(1) + line(2))
    accepted = 2

    async def accept(sent: Sequence[Mapping[str, Any]], *, time: str = "") -> list[Accepted | Refused]:
        nonlocal accepted
        accepted += len(sent)
        assert accepted < 100, "it has no end"
        with path.open("a") as file:
            file.write(line(accepted) + line(accepted + 1))
        return await house.bus.accept(sent, time=time)

    async with taking_up(house, accept) as taking:
        await until(lambda: not path.exists(), 5, "the file to be taken up")
        assert taking.status()["taken"] == 3


async def test_names_that_others_planted_are_moved_out_of_the_way(house: House, state: Path, tmp_path: Path) -> None:
    """A shared spool is writable for everybody; what is the daemon's own in it stays the daemon's."""
    directory = state / "spool"
    directory.mkdir(parents=True)
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (directory / "source").symlink_to(victim)
    (directory / "set-aside").symlink_to(tmp_path)
    (directory / "1.events").write_text("garbage\n")
    async with taking_up(house, house.bus.accept):
        await until(lambda: not (directory / "1.events").exists(), 5, "the file to be set aside")
    assert victim.read_text() == "untouched"
    assert (directory / "source").read_text() == "here"
    assert json.loads((directory / "set-aside" / "1.events").read_text())["line"] == "garbage"
    assert not (directory / "set-aside").is_symlink()
    assert not (tmp_path / "1.events").exists()


async def test_many_unreadable_files_do_not_starve_the_good_one(
    house: House, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are set aside, and only so many are looked at in one pass."""
    monkeypatch.setattr(limits, "SPOOL_FILES", 10)
    directory = state / "spool"
    directory.mkdir()
    for number in range(25):
        (directory / f"0{number:02}.events").symlink_to("/etc/passwd")
    (directory / "000.events").unlink()
    (directory / "000.events").mkdir()
    line = {"time": "2026-01-31T12:00:00Z", "event": {"type": "t", "id": "1", "source": "s"}}
    (directory / "1.events").write_text(json.dumps(line) + "\n")
    async with taking_up(house, house.bus.accept) as taking:

        def is_taken() -> bool:
            taking.look()
            return bool(taking.status()["taken"] == 1)

        await until(is_taken, 5, "the good file to be taken up")
        assert taking.status()["set_aside"] == 25
        assert taking.status()["state"] == "up"
    assert len(list((directory / "set-aside").iterdir())) == 25


@pytest.mark.parametrize("planted", ["pipe", "bytes", "control", "link", "nothing", "empty"])
async def test_a_planted_source_names_no_events(tmp_path: Path, planted: str) -> None:
    """A client that finds anything else than the daemon's file uses the machine's name, and does not hang."""
    source = tmp_path / "source"
    if planted == "pipe":
        os.mkfifo(source)
    elif planted == "link":
        source.symlink_to("/etc/hostname")
    elif planted != "nothing":
        source.write_bytes({"bytes": b"\xff\xfe", "control": b"a\x1b[31m", "empty": b""}[planted])
    answers = await asyncio.wait_for(asyncio.to_thread(_leave_one, tmp_path, planted), 10)
    (name,) = (each for each in os.listdir(tmp_path) if each.endswith(".events"))
    (line,) = (tmp_path / name).read_text().splitlines()
    assert isinstance(answers[0], str)
    assert json.loads(line)["event"]["source"] == os.uname().nodename


def _leave_one(directory: Path, planted: str) -> list[str | Refused]:
    if planted == "pipe":  # who opens it to write lets a reader that waits go on, so that the test ends
        threading.Timer(3, lambda: os.close(os.open(directory / "source", os.O_RDWR | os.O_NONBLOCK))).start()
    return spooling.spool_into(directory, spooling.source_of(directory), [{"type": "t"}])


def test_a_private_umask_does_not_hide_an_event_from_the_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a shared spool the daemon is another user."""
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    before = os.umask(0o077)
    try:
        spooling.spool_into(tmp_path, "s", [{"type": "t"}])
    finally:
        os.umask(before)
    (file,) = tmp_path.glob("*.events")
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
