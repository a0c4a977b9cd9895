"""The spool of a system's daemon: everybody may leave events there, and nobody sees what others left."""

import asyncio
import json
import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.waiting import until
from xmppbus import paths
from xmppbus.bus import Bus
from xmppbus.config import load
from xmppbus.errors import Code, Refused
from xmppbus.house import House
from xmppbus.inputs import spool
from xmppbus.interfaces import Accepted
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
