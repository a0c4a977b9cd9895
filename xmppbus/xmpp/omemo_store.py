"""The device's keys and sessions (XEP-0384), in a file of their own beside the journal that only its owner can read.

One JSON line for each value that was written; the last one counts. A line is on the disk before anybody goes on: a
session that went back in time would use a key twice. Written anew, without what is outdated, when the file is opened,
and when most of it is outdated.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from omemo.storage import Just, Maybe, Nothing, Storage, StorageException
from omemo.types import JSONType

from xmppbus import limits
from xmppbus.errors import ConfigInvalid
from xmppbus.paths import sync_directory

_LISTS, _LIST = "/devices/", "/list"  # the library's names
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC


_REMEDY = (
    "Mend that, or move the file away: then the bot has a new device, and people have to compare fingerprints anew "
    "(docs/howto/encryption.md)"
)


def check_keys(path: Path) -> None:
    """Raise `ConfigInvalid` for a file of keys that can't be read."""
    keys = Keys(path)
    with _unusable():
        keys.read()


@contextlib.contextmanager
def _unusable() -> Iterator[None]:
    """What the file of keys is like when it can't be used: `ConfigInvalid`, with what to do about it."""
    try:
        yield
    except (OSError, ValueError) as error:
        # Without it nobody knows to whom nothing may be said in plain words.
        raise ConfigInvalid(f"the keys of `bot.omemo` can't be used: {error}. {_REMEDY}") from error


class Keys(Storage):
    """What the library keeps, by names of its own. Opened by `open`, closed by `close`."""

    def __init__(self, path: Path) -> None:
        super().__init__(disable_cache=True)  # everything is in memory here
        self.is_new = False  # there was no file, or none with anything in it
        self._path = path
        self._values: dict[str, str] = {}  # as JSON
        self._people: set[str] = set()  # of whom devices are kept
        self._bytes = 0  # of the file
        self._needed = 0  # of what a file written anew would have
        self._file = -1
        self._turn = threading.Lock()  # whoever waits for a line may be cancelled; the line is written all the same

    async def open(self) -> None:
        """Read what is there. Raises `ConfigInvalid` where that can't be used."""
        with _unusable():
            await asyncio.to_thread(self._open)

    def has_room_for(self, jid: str) -> bool:
        """Whether a bare JID's devices may be kept: anybody can have some, and they are never forgotten."""
        return jid in self._people or len(self._people) < limits.OMEMO_PEOPLE

    async def close(self) -> None:
        """Nothing is written any more."""
        await asyncio.to_thread(self._close)

    async def _load(self, key: str) -> Maybe[JSONType]:
        text = self._values.get(key)
        return Nothing() if text is None else Just(json.loads(text))

    async def _store(self, key: str, value: JSONType) -> None:
        text = json.dumps(value, separators=(",", ":"))
        if self._values.get(key) != text:
            await self._append(key, text)

    async def _delete(self, key: str) -> None:
        if key in self._values:
            await self._append(key, None)

    async def _append(self, key: str, text: str | None) -> None:
        try:
            await asyncio.to_thread(self._write_line, key, text)
        except OSError as error:
            raise StorageException(f"{self._path} can't be written: {error.strerror}") from error

    def read(self) -> None:
        """What is there. Raises `OSError`, and `ValueError` for a file that is none of ours."""
        if self._path.exists():
            self._parse(self._path.read_bytes())

    def _open(self) -> None:
        self.read()
        self._people = {jid for key in self._values if (jid := _person(key))}
        self.is_new = not self._values
        self._write_anew()

    def _close(self) -> None:
        with self._turn:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1

    def _parse(self, data: bytes) -> None:
        whole, _, _ = data.rpartition(b"\n")  # nobody has gone on after a line that was not written to its end
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                key, *value = json.loads(line)
            except (ValueError, TypeError, RecursionError) as error:
                raise ValueError(f"{self._path}, line {number}: this is no file of keys") from error
            if not isinstance(key, str) or len(value) > 1:
                raise ValueError(f"{self._path}, line {number}: this is no file of keys")
            if value:
                self._values[key] = json.dumps(value[0], separators=(",", ":"))
            else:
                self._values.pop(key, None)

    def _write_anew(self) -> None:
        """The file, with nothing in it that is outdated; the one of before stays until that is on the disk."""
        fresh = self._path.with_name(f"{self._path.name}.new")
        fresh.unlink(missing_ok=True)
        file = os.open(fresh, _FLAGS | os.O_EXCL, 0o600)
        try:
            size = _write(file, b"".join(_line(key, text) for key, text in self._values.items()))
            fresh.replace(self._path)
            sync_directory(self._path.parent)
        except OSError:
            os.close(file)
            raise
        if self._file >= 0:
            os.close(self._file)
        self._file, self._bytes, self._needed = file, size, size

    def _write_line(self, key: str, text: str | None) -> None:
        with self._turn:
            if self._file < 0:
                raise OSError(errno.EBADF, "it is closed")
            try:
                self._bytes += _write(self._file, _line(key, text))
            except OSError:
                # Half a line would make one with the next, which nobody could read.
                os.ftruncate(self._file, self._bytes)
                raise
            before = self._values.pop(key, None)
            self._needed -= 0 if before is None else len(_line(key, before))
            if text is not None:
                self._values[key] = text
                self._needed += len(_line(key, text))
            if jid := _person(key):
                (self._people.add if text is not None else self._people.discard)(jid)
            if self._bytes > max(limits.OMEMO_FILE_BYTES, 2 * self._needed):
                with contextlib.suppress(OSError):  # the line itself is on the disk
                    self._write_anew()


def _person(key: str) -> str:
    """Whose list of devices has that name; empty for anything else."""
    return key.removeprefix(_LISTS).removesuffix(_LIST) if key.startswith(_LISTS) and key.endswith(_LIST) else ""


def _line(key: str, text: str | None) -> bytes:
    """A value, or (None) that there is none any more."""
    return (f"[{json.dumps(key)}]\n" if text is None else f"[{json.dumps(key)},{text}]\n").encode()


def _write(file: int, data: bytes) -> int:
    """Write it all, to the disk; its length."""
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]
    os.fdatasync(file)
    return len(data)
