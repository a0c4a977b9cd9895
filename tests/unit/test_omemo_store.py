"""The file of keys: who may read it, what is in it after a crash, a full disk and a hundred thousand messages."""

from __future__ import annotations

import os
import resource
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from omemo.storage import Just, StorageException

from xmppbus import limits
from xmppbus.errors import ConfigInvalid
from xmppbus.xmpp.omemo_store import Keys, check_keys


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of the file."""
    return tmp_path / "omemo.keys"


def content(path: Path) -> bytes:
    """Of the file."""
    return path.read_bytes()


def write(path: Path, data: bytes, mode: int = 0o600) -> None:
    """A file that is there before the daemon starts."""
    path.write_bytes(data)
    path.chmod(mode)


def facts(path: Path) -> os.stat_result:
    """Size, mode, and which file it is."""
    return path.stat()


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Keys]:
    """As the daemon has it."""
    keys = Keys(path)
    await keys.open()
    yield keys
    await keys.close()


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """A disk that is full: what is longer can't be written, and what fits of it is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_what_is_stored_is_there_again_and_what_is_deleted_is_not(path: Path) -> None:
    """Whatever JSON can say."""
    async with opened(path) as keys:
        assert keys.is_new
        await keys.store("/a", {"b": [1, None, "ü\n"]})
        await keys.store("/a", {"b": [2, None, "ü\n"]})
        await keys.store("/gone", 1)
        await keys.delete("/gone")
        await keys.delete("/never")
    async with opened(path) as keys:
        assert not keys.is_new
        found = await keys.load("/a")
        assert isinstance(found, Just)
        assert found.from_just() == {"b": [2, None, "ü\n"]}
        assert (await keys.load("/gone")).is_nothing
    assert len(content(path).splitlines()) == 1, "written anew when it was opened"


async def test_only_its_owner_may_read_it(path: Path) -> None:
    """Also when it was there before, and others might."""
    write(path, b"", 0o644)
    async with opened(path) as keys:
        await keys.store("/a", 1)
        assert stat.S_IMODE(facts(path).st_mode) == 0o600


async def test_a_line_that_was_cut_off_by_a_crash_is_as_if_it_had_not_been_written(path: Path) -> None:
    """Nobody had gone on after it."""
    write(path, b'["/a",1]\n["/b",2]\n["/a",')
    async with opened(path) as keys:
        assert (await keys.load("/a")).maybe(0) == 1
        assert (await keys.load("/b")).maybe(0) == 2


@pytest.mark.parametrize("line", [b"rubbish", b"5", b"{}", b"[]", b"[1,2]", b'["/a",1,2]', b"\xff\xfe", b"[" * 100_000])
async def test_a_file_that_is_none_of_ours_is_left_alone_and_named_with_its_line(path: Path, line: bytes) -> None:
    """And what to do about it is said."""
    before = b'["/a",1]\n' + line + b'\n["/b",2]\n'
    write(path, before)
    with pytest.raises(
        ConfigInvalid, match=r"omemo\.keys, line 2: this is no file of keys\. Mend that, or move"
    ) as found:
        await Keys(path).open()
    assert "docs/howto/encryption.md" in str(found.value)
    with pytest.raises(ConfigInvalid, match="line 2"):
        check_keys(path)
    assert content(path) == before


def test_a_file_that_is_not_there_is_no_mistake(path: Path) -> None:
    """It is made."""
    check_keys(path)
    assert not path.exists()


def test_a_directory_in_its_place_is_a_mistake(path: Path) -> None:
    """In the same words."""
    path.mkdir()
    with pytest.raises(ConfigInvalid, match="can't be used"):
        check_keys(path)


async def test_a_full_disk_is_said_and_leaves_no_half_line(path: Path) -> None:
    """What was stored before is there, and when there is room again it goes on."""
    async with opened(path) as keys:
        await keys.store("/a", 1)
        with files_of_at_most(facts(path).st_size + 20), pytest.raises(StorageException, match="can't be written"):
            await keys.store("/b", "x" * 100)
        assert (await keys.load("/b")).is_nothing
        await keys.store("/c", 3)
    async with opened(path) as keys:
        assert [(await keys.load(name)).maybe(0) for name in ("/a", "/b", "/c")] == [1, 0, 3]


async def test_what_is_closed_is_not_written(path: Path) -> None:
    """A session that could not be kept must not be used."""
    async with opened(path) as keys:
        pass
    with pytest.raises(StorageException, match="it is closed"):
        await keys.store("/a", 1)


async def test_it_does_not_grow_without_bound(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is outdated is dropped when it is most of the file; what counts is there all the time."""
    monkeypatch.setattr(limits, "OMEMO_FILE_BYTES", 10_000)
    async with opened(path) as keys:
        await keys.store("/kept", "k" * 100)
        for number in range(300):
            await keys.store("/session", f"{number:0100d}")
            assert facts(path).st_size < 10_200
        await keys.store("/last", 1)
    async with opened(path) as keys:
        assert (await keys.load("/kept")).maybe("") == "k" * 100
        assert (await keys.load("/session")).maybe("") == f"{299:0100d}"
        assert (await keys.load("/last")).maybe(0) == 1


async def test_much_that_counts_is_not_written_anew_again_and_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only when it is twice what it has to be."""
    monkeypatch.setattr(limits, "OMEMO_FILE_BYTES", 1_000)
    async with opened(path) as keys:
        for number in range(100):
            await keys.store(f"/{number}", "x" * 100)
        file = facts(path).st_ino
        for number in range(90):
            await keys.store(f"/{number}", "y" * 100)
        assert facts(path).st_ino == file
        for number in range(20):
            await keys.store(f"/{number}", "z" * 100)
        assert facts(path).st_ino != file
