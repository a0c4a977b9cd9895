"""What a journal survives, and what it says when it can't: kills, second holders, full and failing disks."""

import asyncio
import os
import random
import re
import resource
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest

from tests.support.disks import small_disk
from tests.support.journals import OpenJournal, deliver_all, ids, outcomes, read_all, routed, take
from tests.support.waiting import until
from xmppbus import limits
from xmppbus.deliver import Deliverer
from xmppbus.errors import Code, JournalFailed, JournalHeld, Refused
from xmppbus.journal import DELIVERED, Result, Run, Settled, State
from xmppbus.stores.places import Schedule
from xmppbus.stores.sqlite import SqliteJournal

ROOT = Path(__file__).parent.parent.parent
LOAD = [sys.executable, "-m", "tests.support.journal_load"]


def start(command: list[str]) -> "subprocess.Popen[bytes]":
    """A process whose output is piped here."""
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def said(output: bytes, word: str) -> list[str]:
    """What the load said yes to, or was done with; its last line may be cut off."""
    return [line.split(" ")[1] for line in output.decode().split("\n")[:-1] if line.startswith(word)]


@pytest.mark.parametrize("seed", range(5))
async def test_killed_at_any_moment_it_has_what_it_said_yes_to(
    open_journal: OpenJournal, tmp_path: Path, seed: int
) -> None:
    """Every accepted event is there once, every settled outcome stays, and the rest waits in order."""
    process = start([*LOAD, str(tmp_path / "journal.db"), "work"])
    assert process.stdout
    lines = random.Random(seed).randrange(20, 3_000)
    output = b"".join(process.stdout.readline() for _ in range(lines))
    process.kill()
    output += process.communicate()[0]
    async with open_journal() as journal:
        entries = await read_all(journal)
        kept = [entry.event.id for entry in entries]
        assert len(set(kept)) == len(kept)
        assert said(output, "yes")
        assert set(said(output, "yes")) <= set(kept)
        sequences = {entry.event.id: entry.sequence for entry in entries}
        for name in said(output, "done"):
            assert [fate.state for fate in await journal.fates(sequences[name])] == [State.DELIVERED]
        rest = []
        while runs := await journal.claim("pubsub", 64, 100):
            for run in runs:
                assert [each.sequence for each in run.deliveries] == sorted(each.sequence for each in run.deliveries)
                rest += ids(run)
                await journal.settle(run, outcomes(run, DELIVERED))
        assert not set(rest) & set(said(output, "done"))
        assert (await journal.status()).waiting == 0
        assert (await journal.status()).entries == len(kept)


async def test_every_yes_comes_after_an_fsync_of_what_it_is_for(tmp_path: Path) -> None:
    """Seen from the kernel: between what is written to the log and the next yes there is a sync of the log."""
    if not shutil.which("strace"):
        pytest.skip("strace is missing")
    trace = tmp_path / "trace"
    calls = "trace=pwrite64,fdatasync,fsync,write"
    process = start(
        ["strace", "-f", "-y", "-o", str(trace), "-e", calls, *LOAD, str(tmp_path / "journal.db"), "append"]
    )
    assert process.stdout
    assert process.stderr
    output = b"".join(process.stdout.readline() for _ in range(200))
    if not output:
        process.wait()
        pytest.skip(f"strace can't trace here: {process.stderr.read().decode()}")
    os.kill(int(output.split()[1].split(b"-")[0]), 9)
    process.communicate()
    unsynced, yes = False, 0
    for line in trace.read_text(errors="replace").splitlines():
        if re.search(r"pwrite64\(\d+<[^>]*journal\.db-wal>", line):
            unsynced = True
        elif re.search(r"(fdatasync|fsync)\(\d+<[^>]*journal\.db-wal>\) += 0", line) or "sync resumed" in line:
            unsynced = False
        elif "write(1<" in line and '"yes ' in line:
            assert not unsynced, line
            yes += 1
    assert yes >= 100


async def test_a_second_holder_is_refused_at_once(open_journal: OpenJournal) -> None:
    """It is told who holds the journal; when that one has gone it may have it."""
    async with open_journal():
        async with asyncio.timeout(1):
            with pytest.raises(JournalHeld, match=str(os.getpid())):
                await open_journal().__aenter__()
    async with open_journal() as journal:
        assert (await journal.append([routed(1)]))[0].result is Result.NEW


async def test_its_files_are_for_their_owner_only(tmp_path: Path) -> None:
    """Events are people's data."""
    async with SqliteJournal(tmp_path / "state" / "journal.db") as journal:
        await journal.append([routed(1)])
        assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
        files = sorted((tmp_path / "state").iterdir())
        assert len(files) >= 3
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


async def test_a_file_that_is_no_journal_is_left_alone(open_journal: OpenJournal, tmp_path: Path) -> None:
    """Text, a database of another program, the journal of a newer xmppbus."""
    path = tmp_path / "journal.db"
    path.write_text("Dear diary, " * 1_000)
    with pytest.raises(JournalFailed, match="not a database"):
        await open_journal().__aenter__()
    assert path.read_text().startswith("Dear diary")
    path.unlink()
    for pragma, words in (("user_version = 99; PRAGMA application_id = 0", "newer"), ("user_version = 1", "another")):
        with sqlite3.connect(path) as connection:
            connection.executescript(f"CREATE TABLE IF NOT EXISTS mine (x); PRAGMA {pragma};")
        connection.close()
        with pytest.raises(JournalFailed, match=words):
            await open_journal().__aenter__()


async def test_a_place_where_no_journal_can_be_is_named(tmp_path: Path) -> None:
    """Here a file stands where the directory should be."""
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalFailed, match=r"file/journal\.db"):
        await SqliteJournal(tmp_path / "file" / "journal.db").__aenter__()


async def test_an_event_that_the_disk_has_changed_is_never_delivered(open_journal: OpenJournal, tmp_path: Path) -> None:
    """A flipped bit is noticed."""
    async with open_journal() as journal:
        await journal.append([routed(1, data="pay 1 euro")])
    path = tmp_path / "journal.db"
    content = path.read_bytes()
    assert content.count(b"pay 1 euro") == 1
    path.write_bytes(content.replace(b"pay 1 euro", b"pay 9 euro"))
    async with open_journal() as journal:
        for look in (journal.claim("pubsub", 1, 1), journal.read(0, 10), journal.find(routed(1).event.item_id)):
            with pytest.raises(JournalFailed, match="damaged"):
                await look


async def test_a_closed_journal_has_written_what_it_was_asked(open_journal: OpenJournal) -> None:
    """And refuses what comes later."""
    async with open_journal() as journal:
        appending = [asyncio.ensure_future(journal.append([routed(number)])) for number in range(100)]
        await asyncio.sleep(0)
    assert [each.result for (each,) in await asyncio.gather(*appending)] == [Result.NEW] * 100
    with pytest.raises(Refused) as refused:
        await journal.append([routed("late")])
    assert refused.value.code is Code.CLOSING
    async with open_journal() as journal:
        assert len(await journal.read(0, 1_000)) == 100


async def test_one_bad_operation_does_not_fail_its_neighbours(journal: SqliteJournal) -> None:
    """A bug of a caller is that caller's."""
    bad = routed("bad")._replace(content=None)  # type: ignore[arg-type]  # which no caller does
    answers = await asyncio.gather(
        journal.append([routed(1)]), journal.append([bad]), journal.append([routed(2)]), return_exceptions=True
    )
    assert isinstance(answers[1], Exception)
    assert not isinstance(answers[0], BaseException)
    assert not isinstance(answers[2], BaseException)
    assert await deliver_all(journal) == ["1", "2"]


async def test_a_bug_after_a_commit_is_told_to_all_who_wait_for_it(
    open_journal: OpenJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it stops the journal, which knows its places no more; what was committed is there at the next start."""

    def bug(*args: object) -> None:
        raise KeyError(args)

    async with open_journal() as journal:
        with monkeypatch.context() as patch:
            patch.setattr(Schedule, "add", bug)
            async with asyncio.timeout(10):
                answers = await asyncio.gather(
                    journal.append([routed(1)]), journal.append([routed(2)]), return_exceptions=True
                )
                assert [type(answer) for answer in answers] == [JournalFailed] * 2
                with pytest.raises(JournalFailed):
                    await asyncio.shield(journal.failed)
        with pytest.raises(JournalFailed):
            await journal.append([routed(3)])
    async with open_journal() as journal:
        assert await deliver_all(journal) == ["1", "2"]


async def test_a_journal_that_lost_the_name_of_a_place_opens_and_shows_what_is_lost(
    open_journal: OpenJournal, tmp_path: Path
) -> None:
    """Its deliveries are dead; once they are dropped a replay sends the events along the routes of today."""
    async with open_journal() as journal:
        await journal.append([routed(1, "a"), routed(2, "b")])
    with sqlite3.connect(tmp_path / "journal.db") as connection:
        connection.execute("DELETE FROM place WHERE address = 'a'")
    connection.close()
    async with open_journal() as journal:
        assert await deliver_all(journal) == ["2"]
        ((fate, entry),) = await journal.dead((), 10)
        assert (fate.output, fate.condition, entry.event.id) == ("lost", "gone", "1")
        assert "replay" in fate.text
        assert await journal.drop_dead([fate.id]) == 1
        await journal.replay(0, entry.sequence, 10, (), lambda _: routed(1, "a").targets, dry_run=False)
        assert await deliver_all(journal) == ["1"]
    async with open_journal() as journal:
        assert (await journal.status()).dead == 0


async def test_the_log_stays_bounded_while_somebody_always_reads(
    open_journal: OpenJournal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reads are short, so the log can start anew between them."""
    monkeypatch.setattr(limits, "WAL_BYTES", limits.MIB)
    async with open_journal() as journal:
        await journal.append([routed("first")])
        reading = asyncio.create_task(_read_for_ever(journal))
        for first in range(0, 20_000, 100):
            await journal.append([routed(number, data="x" * 500) for number in range(first, first + 100)])
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        assert (tmp_path / "journal.db-wal").stat().st_size < 8 * limits.MIB
        assert (tmp_path / "journal.db").stat().st_size > 10 * limits.MIB


async def _read_for_ever(journal: SqliteJournal) -> None:
    while True:
        await journal.read(0, 1_000)


# --- disks ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with 48 MiB."""
    with small_disk(tmp_path / "disk", 48) as directory:
        yield directory


async def test_a_full_disk_refuses_delivers_and_recovers(disk: Path) -> None:
    """Nothing is acknowledged that is not kept; within a second of room being there it accepts again."""
    async with SqliteJournal(disk / "journal.db") as journal:
        accepted: list[str] = []
        cycles = 3
        for cycle in range(cycles):
            filler = disk / "filler"
            room = os.statvfs(disk)
            filler.write_bytes(b"x" * (room.f_bavail * room.f_frsize - limits.MIB))
            refusal = None
            while not refusal:
                name = f"{cycle}-{len(accepted)}"
                try:
                    await journal.append([routed(name, data="x" * 5_000)])
                    accepted.append(name)
                except Refused as error:
                    refusal = error
            assert refusal.code is Code.FULL
            assert "disk is full" in refusal.message
            assert not (await journal.status()).accepting
            assert [entry.event.id for entry in await read_all(journal)] == accepted
            run = await take(journal, run=10)
            await journal.settle(run, outcomes(run, DELIVERED))
            assert (await journal.fates(run.deliveries[-1].sequence))[0].state is State.DELIVERED
            with pytest.raises(Refused):
                await journal.append([routed("refused", data="x" * 5_000)])
            filler.unlink()
            await until(lambda: _accepting(journal), 1, "accepting to go on")
            await journal.append([routed(f"room-{cycle}")])
            accepted.append(f"room-{cycle}")
        assert not journal.failed.done()
    async with SqliteJournal(disk / "journal.db") as journal:
        assert [entry.event.id for entry in await read_all(journal)] == accepted
        assert await deliver_all(journal) == accepted[10 * cycles :]


async def _accepting(journal: SqliteJournal) -> bool:
    return (await journal.status()).accepting


async def test_a_failing_disk_stops_the_journal_and_acknowledges_nothing(open_journal: OpenJournal) -> None:
    """Here the kernel lets no file grow beyond a size: an I/O error as good as any."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with open_journal() as journal:
        await journal.append([routed("before")])
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
            accepted = ["before"]
            with pytest.raises(JournalFailed) as failed:
                await _append_until_refused(journal, accepted)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert "disk" in str(failed.value)
        with pytest.raises(JournalFailed):
            await journal.failed
        with pytest.raises(JournalFailed):
            await journal.append([routed("after")])
        status = await journal.status()
        assert not status.accepting
        assert "failed" in status.reason
    async with open_journal() as journal:
        assert [entry.event.id for entry in await read_all(journal)] == accepted


async def _append_until_refused(journal: SqliteJournal, accepted: list[str]) -> None:
    for number in range(1_000):
        await journal.append([routed(number, data="x" * 5_000)])
        accepted.append(str(number))


async def test_another_program_that_holds_the_database_fails_nobody_for_good(
    open_journal: OpenJournal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Senders are told to try again; what was delivered is written down when the other lets go."""
    monkeypatch.setattr(limits, "BUSY_SECONDS", 0.1)
    async with open_journal() as journal:
        await journal.append([routed(1)])
        run = await take(journal)
        other = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        settling = asyncio.create_task(journal.settle(run, outcomes(run, DELIVERED)))
        with pytest.raises(Refused) as refused:
            await journal.append([routed(2)])
        assert refused.value.code is Code.FAILED
        async with asyncio.timeout(5):
            await journal.beat()  # the watchdog is fed: to start anew would help nobody
        assert not settling.done()
        other.execute("ROLLBACK")
        other.close()
        async with asyncio.timeout(5):
            await settling
        await journal.append([routed(2)])
        assert await deliver_all(journal) == ["2"]


async def test_a_journal_that_closes_waits_for_no_disk_and_leaves_nobody_without_an_answer(
    open_journal: OpenJournal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be written down is refused; the delivery waits, and is looked up at the next start."""
    monkeypatch.setattr(limits, "BUSY_SECONDS", 0.1)
    monkeypatch.setattr(limits, "FULL_CHECK_SECONDS", 1.0)
    other = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    async with asyncio.timeout(10):
        async with open_journal() as journal:
            await journal.append([routed(1)])
            run = await take(journal)
            other.execute("BEGIN IMMEDIATE")
            settling = asyncio.create_task(journal.settle(run, outcomes(run, DELIVERED)))
            with pytest.raises(Refused):
                await journal.append([routed(2)])
        with pytest.raises(Refused, match="another program"):
            await settling
    other.close()
    async with open_journal() as journal:
        assert await deliver_all(journal) == ["1"]


async def test_leaving_waits_for_no_disk(journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the disk does not take within the grace period is looked up at the next start."""
    monkeypatch.setattr(limits, "GRACE_SECONDS", 0.2)
    settling = asyncio.Event()

    async def never(*_: object, **__: object) -> None:
        settling.set()
        await asyncio.Future()

    async def work(run: Run) -> AsyncGenerator[Settled, None]:
        for each in outcomes(run, DELIVERED):
            yield each

    monkeypatch.setattr(journal, "settle", never)
    await journal.append([routed(1)])
    deliverer = Deliverer("pubsub", work, journal, ready=lambda: asyncio.sleep(0), dice=random.random)
    leaving = asyncio.create_task(deliverer.run())
    await settling.wait()
    leaving.cancel()
    assert (await asyncio.wait([leaving], timeout=5))[0]
