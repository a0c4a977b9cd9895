"""A journal's examination and its compaction, and that a full disk harms nothing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.disks import small_disk
from tests.support.journals import ids, outcomes, read_all, routed, take
from tests.support.keeping import back_up, change, content, filled, findings, kept_ids, listed, mode, overwrite, restore
from xmppbus import limits
from xmppbus.errors import Code, JournalFailed, Refused
from xmppbus.journal import DELIVERED, Outcome, Verdict
from xmppbus.stores import compacting, inspection, opening, restoring, snapshots
from xmppbus.stores.sqlite import SqliteJournal

DEAD = Outcome(Verdict.DEAD, "bad-request", "no")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "backup.db"


# --- examination ------------------------------------------------------------------------------------------------------


async def test_a_journal_with_all_that_there_is_is_whole(path: Path) -> None:
    """Delivered, dead, waiting, replayed, pruned: none of that is damage."""
    async with SqliteJournal(path) as journal:
        await journal.append([routed(number) for number in range(10)])
        run = await take(journal, run=6)
        await journal.settle(run, outcomes(run, DEAD, *[DELIVERED] * 5))
        await journal.retry_dead([run.deliveries[0].id])
        await journal.append([routed(number) for number in range(12)])
        assert await journal.prune(timedelta(0)) == 5
    assert findings(path) == []
    with snapshots.reading(path) as connection:
        info = inspection.info(path, connection)
    assert (info.entries, info.names, info.waiting, info.delivered, info.dead) == (7, 12, 7, 0, 0)
    assert info.oldest is not None
    assert info.newest is not None
    assert (info.oldest.sequence, info.holder, info.schema) == (1, None, opening.SCHEMAS)


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a flipped bit": (
        lambda path: change(
            path, "UPDATE entry SET event = CAST(replace(event, 'event 2', 'event 3') AS BLOB) WHERE sequence = 2"
        ),
        "event 2: it reads otherwise than it was written",
    ),
    "an event in the place of another": (
        lambda path: change(
            path, "UPDATE entry SET (event, checksum) = (SELECT event, checksum FROM entry WHERE sequence = 1)"
        ),
        "event 2: its item id is not that of its source and id",
    ),
    "another type": (
        lambda path: change(path, "UPDATE entry SET type = 'x' WHERE sequence = 3"),
        "event 3: its type or severity is not what it is looked up by",
    ),
    "no name": (
        lambda path: change(path, "DELETE FROM name WHERE sequence = 4"),
        "event 4: its name is not kept, so it could be accepted again",
    ),
    "no event": (
        lambda path: change(path, "DELETE FROM entry WHERE sequence = 5"),
        "1 deliveries of events that are not there, the first is 5",
    ),
    "no place": (
        lambda path: change(path, "DELETE FROM place"),
        "5 deliveries to places that are not there, the first is 1",
    ),
    "no such state": (
        lambda path: change(path, "UPDATE delivery SET state = 7 WHERE id = 2"),
        "1 deliveries in a state that there is not, the first is 2",
    ),
    "sequences to be given again": (
        lambda path: change(path, "UPDATE sqlite_sequence SET seq = 3"),
        "2 events with sequences that were never given, the first is 4",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_what_is_damaged_is_found(path: Path, copy: Path, damage: str) -> None:
    """In plain words, with the event or the delivery."""
    await filled(path, 1, 5)
    back_up(path, copy)
    harm, said = DAMAGES[damage]
    harm(copy)
    assert any(each.startswith(said) for each in findings(copy))
    assert findings(path) == []


async def test_a_file_with_holes_is_found(path: Path) -> None:
    """SQLite's own structure comes first."""
    await filled(path, 1, 2_000)
    found = bytearray(content(path))
    found[8 * 4096 : 9 * 4096] = bytes(4096)
    overwrite(path, bytes(found))
    with contextlib.suppress(JournalFailed):
        assert any(each.startswith("SQLite:") for each in findings(path))


# --- compaction -------------------------------------------------------------------------------------------------------


async def test_compaction_gives_back_what_is_free_and_keeps_the_rest(path: Path) -> None:
    """Sequences and deliveries go on as if nothing had been."""
    async with SqliteJournal(path) as journal:
        await journal.append([routed(number, data="x" * 4_000) for number in range(500)])
        run = await take(journal, run=400)
        await journal.settle(run, outcomes(run, DELIVERED))
        assert await journal.prune(timedelta(0)) == 400
    with snapshots.reading(path) as connection:
        needed = compacting.needed_bytes(connection)
    with restoring.held(path, "vacuum"):
        done = compacting.compact(path)
    assert done.after < done.before / 2
    assert abs(done.after - needed) < 0.2 * needed
    assert mode(path) == 0o600
    assert findings(path) == []
    async with SqliteJournal(path) as journal:
        assert len(await read_all(journal)) == 100
        assert (await journal.append([routed("new")]))[0].sequence == 501
        assert len(ids(await take(journal, run=200))) == 101


@pytest.mark.skipif(os.geteuid() != 0, reason="only root does things in another user's place")
async def test_what_root_does_leaves_everything_to_the_daemon_s_user(tmp_path: Path) -> None:
    """Or the daemon could not open its journal afterwards."""
    backup, path = tmp_path / "backup.db", tmp_path / "state" / "journal.db"
    await filled(tmp_path / "other.db", 1, 5, deliver=5)
    back_up(tmp_path / "other.db", backup)
    path.parent.mkdir()
    os.chown(path.parent, 65534, 65534)
    restore(backup, path)
    async with SqliteJournal(path) as journal:
        await journal.prune(timedelta(0))
        assert owners(path.parent) == {65534}
    with restoring.held(path, "vacuum"):
        compacting.compact(path)
    restore(backup, path)
    findings(path)
    assert owners(path.parent) == {65534}


def owners(directory: Path) -> set[int]:
    """Of all files but the reserve, which whoever owns the directory may remove."""
    return {each.stat().st_uid for each in directory.iterdir() if each.suffix != ".reserve"}


# --- full disks -------------------------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 40) as directory:
        yield directory


@pytest.fixture(params=["said beforehand", "met on the way"])
async def tight(request: pytest.FixtureRequest, disk: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Path]:
    """A journal on a disk that has no room for a second one: that is seen in time; or, here, not."""
    path = disk / "journal.db"
    async with SqliteJournal(path) as journal:
        for start in range(0, 2_000, 500):
            await journal.append([routed(number, data="x" * 4_000) for number in range(start, start + 500)])
    path.with_name("journal.db.reserve").unlink(missing_ok=True)
    free = snapshots.free_bytes(disk)
    (disk / "filler").write_bytes(b"x" * max(0, free - 4 * limits.MIB))
    if request.param == "met on the way":
        monkeypatch.setattr(snapshots, "free_bytes", lambda _: 10**12)
        monkeypatch.setattr(compacting, "free_bytes", lambda _: 10**12)
        monkeypatch.setattr(restoring, "free_bytes", lambda _: 10**12)
    before = listed(disk)
    yield path
    assert {each for each in listed(disk) if "-" not in each.name} <= before | {path.with_name("journal.db.lock")}
    (disk / "filler").unlink()
    assert findings(path) == []
    assert len(kept_ids(path)) == 2_000


def test_no_room_for_a_copy_harms_nothing(tight: Path) -> None:
    """It is said, and nothing is left behind."""
    with pytest.raises(Refused) as refused:
        back_up(tight, tight.with_name("backup.db"))
    assert refused.value.code is Code.FULL


def test_no_room_for_a_restored_journal_harms_nothing(tight: Path, tmp_path: Path) -> None:
    """The old one stays in its place."""
    backup = tmp_path / "backup.db"
    backup.write_bytes(tight.read_bytes())
    with pytest.raises(Refused) as refused:
        restore(backup, tight)
    assert refused.value.code is Code.FULL


def test_no_room_for_a_compaction_harms_nothing(tight: Path) -> None:
    """The same."""
    with restoring.held(tight, "vacuum"), pytest.raises(Refused) as refused:
        compacting.compact(tight)
    assert refused.value.code is Code.FULL
