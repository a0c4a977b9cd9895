"""A journal's copy and its restoration: nothing is lost, and no sequence given twice."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.journals import deliver_all, read_all, routed
from tests.support.keeping import NOW, back_up, content, filled, findings, kept_ids, mode, overwrite, restore
from xmppbus import limits
from xmppbus.errors import JournalFailed, JournalHeld, Refused
from xmppbus.stores import compacting, inspection, snapshots
from xmppbus.stores.sqlite import SqliteJournal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "backup.db"


# --- copies -----------------------------------------------------------------------------------------------------------


async def test_a_copy_is_one_moment_while_the_journal_goes_on(path: Path, copy: Path) -> None:
    """Everything accepted before it began is in it, and of what came later a beginning without a gap, or nothing."""
    accepted = 0
    async with SqliteJournal(path) as journal:

        async def load() -> None:
            nonlocal accepted
            while True:
                await journal.append([routed(accepted + 1, data="x" * 2_000)])
                accepted += 1

        await journal.append([routed(f"earlier-{number}", data="x" * 2_000) for number in range(900)])
        loading = asyncio.create_task(load())
        made = [
            (accepted, await asyncio.to_thread(back_up, path, copy.with_name(f"{number}.db"), gently=True))
            for number in range(3)
        ]
        after = accepted
        loading.cancel()
        await asyncio.wait([loading])
    assert after > made[0][0], "it went on accepting"
    for before, snapshot in made:
        assert 900 + before <= snapshot.entries <= 900 + after + 1
        assert findings(snapshot.path) == []
        async with SqliteJournal(snapshot.path) as journal:
            names = [entry.event.id for entry in await read_all(journal)]
            assert names[900:] == [str(number + 1) for number in range(len(names) - 900)]
            assert len(names) == snapshot.entries
            assert snapshot.waiting == len(names), "a delivery for each, in the same moment"


async def test_a_copy_is_private_and_alone(path: Path, copy: Path) -> None:
    """Mode 600, one file, nothing beside it."""
    await filled(path, 1, 5)
    made = back_up(path, copy)
    assert (made.entries, made.waiting, made.newest, made.bytes) == (5, 5, 5, len(content(copy)))
    assert mode(copy) == 0o600
    assert not [each for each in copy.parent.iterdir() if each.name.startswith((".", "backup.db-"))]


async def test_a_copy_replaces_only_what_it_is_told_to(path: Path, copy: Path) -> None:
    """And never the journal itself, nor a directory."""
    await filled(path, 1, 1)
    back_up(path, copy)
    before = content(copy)
    await filled(path, 2, 2)
    for target, said in ((copy, "exists"), (copy.parent, "is a directory"), (copy / "x" / "y", "no directory")):
        with pytest.raises(Refused, match=said):
            back_up(path, target)
    with pytest.raises(Refused, match="journal itself"):
        back_up(path, path, force=True)
    assert content(copy) == before
    assert back_up(path, copy, force=True).entries == 2


@pytest.mark.parametrize("content", [None, b"", b"no database\n" * 1000])
def test_what_is_no_journal_is_not_copied(path: Path, copy: Path, content: bytes | None) -> None:
    """It says so, and leaves nothing behind."""
    if content is not None:
        overwrite(path, content)
    with pytest.raises(JournalFailed):
        back_up(path, copy)
    assert not copy.exists()
    assert not [each for each in copy.parent.iterdir() if each.name.startswith(".")]


# --- restoration ------------------------------------------------------------------------------------------------------


async def test_a_restored_journal_goes_on_above_the_old_one(path: Path, copy: Path) -> None:
    """Its events are those of the backup; what was accepted since is gone, and its sequences are not given again."""
    await filled(path, 1, 5, deliver=2)
    back_up(path, copy)
    await filled(path, 6, 9, deliver=4)
    done = restore(copy, path)
    assert (done.entries, done.waiting, done.newest, done.above, done.guessed) == (5, 3, 5, 9, False)
    assert findings(path) == []
    async with SqliteJournal(path) as journal:
        assert [entry.event.id for entry in await read_all(journal)] == ["1", "2", "3", "4", "5"]
        assert (await journal.status()).newest == 5
        (again,) = await journal.append([routed(6)])
        assert again.sequence == 10
        assert (again.result.value, again.deliveries) == ("new", 1), "what is gone can be accepted again"
        (known,) = await journal.append([routed(2)])
        assert (known.result.value, known.sequence) == ("known", 2)
        assert await deliver_all(journal) == ["3", "4", "5", "6"]
    async with SqliteJournal(path) as journal:
        assert (await journal.append([routed(7)]))[0].sequence > 10


async def test_the_old_journal_is_kept_aside(path: Path, copy: Path) -> None:
    """Whole, with what was only in its log; a second restore has another name."""
    await filled(path, 1, 2)
    back_up(path, copy)
    async with SqliteJournal(path) as journal:
        await journal.append([routed(3)])
        log = content(path.with_name("journal.db-wal"))
        database = content(path)
    overwrite(path, database)  # as a kill leaves it
    overwrite(path.with_name("journal.db-wal"), log)
    done = restore(copy, path)
    assert done.aside is not None
    assert (done.above, done.guessed) == (3, False)
    async with SqliteJournal(done.aside) as journal:
        assert [entry.event.id for entry in await read_all(journal)] == ["1", "2", "3"]
    with pytest.raises(Refused, match="exists"):
        restore(copy, path)
    again = restore(copy, path, moment=NOW + timedelta(seconds=1))
    assert again.aside not in (None, done.aside)
    async with SqliteJournal(path) as journal:
        assert [entry.event.id for entry in await read_all(journal)] == ["1", "2"]


async def test_without_the_old_journal_a_wide_gap_is_left(path: Path, copy: Path, tmp_path: Path) -> None:
    """Nobody knows how many sequences were given; or somebody does, and says it."""
    await filled(path, 1, 5)
    back_up(path, copy)
    elsewhere = tmp_path / "elsewhere" / "journal.db"
    done = restore(copy, elsewhere)
    assert (done.aside, done.above, done.guessed) == (None, 5 + limits.RESTORE_GAP, True)
    async with SqliteJournal(elsewhere) as journal:
        assert len(await read_all(journal)) == 5
        (new,) = await journal.append([routed("new")])
        assert new.sequence == 6 + limits.RESTORE_GAP
        assert await journal.sequence_at(NOW + timedelta(days=36_500)) == new.sequence
        assert [entry.sequence for entry in await journal.read(3, 10)] == [4, 5, new.sequence]
        assert await deliver_all(journal) == ["1", "2", "3", "4", "5", "new"]
    known = restore(copy, tmp_path / "known" / "journal.db", above=77)
    assert (known.above, known.guessed) == (77, False)


async def test_another_journal_in_its_place_says_nothing_about_sequences(path: Path, copy: Path) -> None:
    """A daemon that was started on an empty disk gave low numbers once more."""
    await filled(path, 1, 5)
    back_up(path, copy)
    await asyncio.to_thread(path.unlink)
    await filled(path, 100, 102)
    done = restore(copy, path)
    assert done.guessed
    assert done.aside is not None
    assert done.above == 5 + limits.RESTORE_GAP


async def test_a_damaged_journal_is_put_aside_as_it_is(path: Path, copy: Path) -> None:
    """With its log, which must not be taken for that of the restored one."""
    await filled(path, 1, 5)
    back_up(path, copy)
    overwrite(path, b"\0" * 8192)
    overwrite(path.with_name("journal.db-wal"), b"log")
    done = restore(copy, path)
    assert done.guessed
    assert done.aside is not None
    assert content(done.aside) == b"\0" * 8192
    assert findings(path) == []
    async with SqliteJournal(path) as journal:
        assert len(await read_all(journal)) == 5


async def test_a_restoration_is_taken_back_with_the_log_of_what_was_put_aside(path: Path, copy: Path) -> None:
    """What was accepted last may be in the log alone."""
    async with SqliteJournal(path) as journal:
        await journal.append([routed(number) for number in range(1, 8)])
        for suffix in ("", "-wal"):
            overwrite(copy.with_name(copy.name + suffix), content(path.with_name(path.name + suffix)))
    assert b"CREATE TABLE" not in content(copy), "all of it is in the log"
    other = path.with_name("other.db")
    done = restore(copy, other)
    assert (done.entries, len(kept_ids(other)), findings(other)) == (7, 7, [])


async def test_listeners_go_on_where_they_were_at_the_backup(path: Path, copy: Path) -> None:
    """Their cursors are part of it: they may see an event twice, under the same id, and miss none that is there."""
    async with SqliteJournal(path) as journal:
        await journal.append([routed(number) for number in range(5)])
        await journal.move_cursor("shell", 2)
    back_up(path, copy)
    async with SqliteJournal(path) as journal:
        await journal.append([routed("later")])
        await journal.move_cursor("shell", 6)
    restore(copy, path)
    async with SqliteJournal(path) as journal:
        assert await journal.cursor("shell") == 2
        (new,) = await journal.append([routed("new")])
        assert [entry.sequence for entry in await journal.read(2, 10)] == [3, 4, 5, new.sequence]
        assert [entry.event.id for entry in await journal.read(6, 10)] == ["new"], (
            "who had seen more misses nothing new"
        )


async def test_a_journal_in_use_is_not_restored_over(path: Path, copy: Path) -> None:
    """A daemon, or somebody who copies it just now."""
    await filled(path, 1, 5)
    back_up(path, copy)
    async with SqliteJournal(path):
        with pytest.raises(JournalHeld, match="stop it before you restore"):
            restore(copy, path)
    async with SqliteJournal(path) as journal:
        await journal.append([routed(6)])
    with snapshots.reading(path) as reader:
        reader.execute("BEGIN")
        inspection.info(path, reader)
        await filled(path, 7, 7)
        with pytest.raises(JournalHeld, match="another program reads"):
            restore(copy, path)
        with pytest.raises(JournalHeld, match="another program reads"):
            compacting.compact(path)
    assert len(kept_ids(path)) == 7
