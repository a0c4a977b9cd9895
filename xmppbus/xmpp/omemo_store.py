"""The device's keys and sessions (XEP-0384), in a file of their own beside the journal that only its owner can read.

One JSON line for each value that was written; the last one counts. A line is on the disk before anybody goes on: a
session that went back in time would use a key twice. Written anew, without what is outdated, when the file is opened.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

from omemo.storage import Just, Maybe, Nothing, Storage, StorageException
from omemo.types import JSONType

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC


class Keys(Storage):
    """What the library keeps, by names of its own. Opened by `open`, closed by `close`."""

    def __init__(self, path: Path) -> None:
        super().__init__(disable_cache=True)  # everything is in memory here
        self._path = path
        self._values: dict[str, str] = {}  # as JSON
        self._file = -1
        self._turn = asyncio.Lock()

    async def open(self) -> None:
        """Read what is there. Raises `OSError`, and `ValueError` for a file that is none of ours."""
        await asyncio.to_thread(self._open)

    async def close(self) -> None:
        """Nothing is written any more."""
        async with self._turn:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1

    async def _load(self, key: str) -> Maybe[JSONType]:
        text = self._values.get(key)
        return Nothing() if text is None else Just(json.loads(text))

    async def _store(self, key: str, value: JSONType) -> None:
        text = json.dumps(value, separators=(",", ":"))
        if self._values.get(key) != text:
            await self._append(f"[{json.dumps(key)},{text}]\n")
            self._values[key] = text

    async def _delete(self, key: str) -> None:
        if key in self._values:
            await self._append(f"[{json.dumps(key)}]\n")
            del self._values[key]

    async def _append(self, line: str) -> None:
        async with self._turn:
            try:
                await asyncio.to_thread(self._write, line.encode())
            except OSError as error:
                raise StorageException(f"{self._path} can't be written: {error.strerror}") from error

    def _open(self) -> None:
        if self._path.exists():
            self._read(self._path.read_bytes())
        fresh = self._path.with_name(f"{self._path.name}.new")
        fresh.unlink(missing_ok=True)
        self._file = os.open(fresh, _FLAGS | os.O_EXCL, 0o600)
        self._write("".join(f"[{json.dumps(key)},{text}]\n" for key, text in self._values.items()).encode())
        fresh.replace(self._path)
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _read(self, data: bytes) -> None:
        whole, _, _ = data.rpartition(b"\n")  # nobody has gone on after a line that was not written to its end
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                key, *value = json.loads(line)
            except ValueError as error:
                raise ValueError(f"{self._path}, line {number}: this is no file of keys") from error
            if value:
                self._values[key] = json.dumps(value[0], separators=(",", ":"))
            else:
                self._values.pop(key, None)

    def _write(self, data: bytes) -> None:
        if self._file < 0:
            raise OSError(0, "it is closed")
        left = memoryview(data)
        while left:
            left = left[os.write(self._file, left) :]
        os.fdatasync(self._file)
