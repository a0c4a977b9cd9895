"""The spool: what `publish` kept in files while there was no daemon, taken up once.

A file has a line an event: `{"time": WHEN, "event": {...}}`, with the id that its sender was told. It goes when its
events are accepted; a crash before that takes it up again, and the same names are known. Files appear under their
names only when they are complete and synced; names begin with the time, so that the order is kept.

The directory is looked at when the daemon starts, when a client says so (one that found no daemon says so if there is
one by the time it has left its file), and every `limits.SPOOL_LOOK_SECONDS`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from heapq import nsmallest
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from xmppbus import limits, paths
from xmppbus.errors import Code, Refused
from xmppbus.fields import check_time, decode_fields
from xmppbus.inputs.lines import Line, LineSplitter, sliced
from xmppbus.inputs.unix import UnixInput
from xmppbus.interfaces import Accept
from xmppbus.plugins import Registry

if TYPE_CHECKING:
    from xmppbus.house import House

log = logging.getLogger("xmppbus.spool")

SUFFIX = ".events"
SET_ASIDE = "set-aside"
SOURCE = "source"
"""A file that says which `source` the daemon gives to events that name none, so that a name is the same either way."""

_LINE_BYTES = 2 * limits.EVENT_BYTES


class _Unreadable(Exception):
    """What has a spooled file's name is a link, a pipe, a directory, or not for us to read; it will not get better."""


class SpoolInput:
    """As `interfaces.Input` says."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._directory = house.config.spool_directory
        self._looking = asyncio.Event()
        self._taken = 0
        self._set_aside = 0
        self._reason = ""

    async def run(self, accept: Accept) -> None:
        """As `interfaces.Input` says."""
        self._prepare()
        unix = self._house.inputs.get("unix")
        if isinstance(unix, UnixInput):
            unix.look = self.look
        while True:
            self._looking.clear()
            await self._take_up(accept)
            try:
                async with asyncio.timeout(limits.SPOOL_LOOK_SECONDS):
                    await self._looking.wait()
            except TimeoutError:
                pass  # look by ourselves

    def look(self) -> None:
        """Somebody has left something just now."""
        self._looking.set()

    def status(self) -> Mapping[str, Any]:
        """As `interfaces.Input` says."""
        found: dict[str, Any] = {"state": "waiting" if self._reason else "up", "path": str(self._directory)}
        if self._reason:
            found["reason"] = self._reason
        return {**found, "taken": self._taken, "set_aside": self._set_aside}

    def _prepare(self) -> None:
        """Whoever may publish may leave events here while we are away, and nobody sees what others left."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.stat(self._directory).st_uid != os.geteuid():
            return
        shared = self._house.options.socket.publish == "everyone" and self._directory.parent == paths.SYSTEM_STATE
        # While it is ours alone nobody can plant anything under the names that are made here, nor afterwards.
        self._directory.chmod(0o700)
        self._make_own_files()
        if shared:
            self._directory.chmod(0o1733)
            self._directory.parent.chmod(0o711)

    def _make_own_files(self) -> None:
        source, aside = self._directory / SOURCE, self._directory / SET_ASIDE
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISREG(os.lstat(source).st_mode):
                self._move_aside(source, "the name is ours")
        with contextlib.suppress(FileNotFoundError):
            found = os.lstat(aside)
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
                self._move_aside(aside, "the name is ours")
        aside.mkdir(mode=0o700, exist_ok=True)
        source.unlink(missing_ok=True)
        with open(source, "xb") as file:  # empty: this machine's name
            file.write((self._house.options.source or "").encode())
        source.chmod(0o644)

    async def _take_up(self, accept: Accept) -> None:
        with os.scandir(self._directory) as found:
            names = (each.name for each in found if each.name.endswith(SUFFIX) and not each.name.startswith("."))
            files = nsmallest(limits.SPOOL_FILES, names)
        reason, taken = "", 0
        for name in files:
            try:
                await self._take_file(self._directory / name, accept)
            except Refused as refusal:
                reason = reason or str(refusal)
                log.warning("the spool's file %s waits: %s", name, refusal, extra={"file": name})
                if refusal.code is not Code.NODES:  # which concerns the types in this file; the others all files
                    break
            except _Unreadable as error:
                self._move_aside(self._directory / name, str(error))
            except OSError as error:
                reason = reason or f"{name}: {error.strerror}"
                log.warning("the spool's file %s can't be taken up: %s", name, error, extra={"file": name})
            else:
                taken += 1
        self._reason = reason
        if taken:
            log.info("took up %d files of the spool", taken)

    async def _take_file(self, path: Path, accept: Accept) -> None:
        aside = self._directory / SET_ASIDE / path.name
        aside.unlink(missing_ok=True)  # of a time that ended before the file did
        for batch in _batches(path):
            if bad := await self._take_batch(batch, accept):
                self._keep_aside(aside, bad)
        os.unlink(path)

    async def _take_batch(self, lines: list[Line], accept: Accept) -> list[bytes]:
        """Accept, and return what is to be set aside: why, and the line."""
        bad: list[bytes] = []
        events: list[tuple[str, dict[str, Any], bytes]] = []
        for line in lines:
            try:
                events.append((*_read(line), line.content))
            except Refused as refusal:
                bad.append(_aside(refusal, line.content))
        for time, group in groupby(events, key=lambda event: event[0]):
            together = list(group)
            answers = await accept([fields for _, fields, _ in together], time=time)
            for answer, (_, _, content) in zip(answers, together, strict=True):
                if isinstance(answer, Refused):
                    bad.append(_aside(answer, content))
                else:
                    self._taken += 1
        return bad

    def _move_aside(self, path: Path, reason: str) -> None:
        """What is no file that we may read is nothing to wait for, and must not stand before what is."""
        name = f"{path.name}.{secrets.token_hex(8)}"
        for place in (self._directory / SET_ASIDE / name, path.with_name(f".{name}")):  # a directory of others stays
            with contextlib.suppress(OSError):
                path.rename(place)
                self._set_aside += 1
                log.error("%s in the spool is not taken up: %s; it is %s now", path.name, reason, place)
                return
        log.error("%s in the spool can neither be taken up nor moved aside: %s", path.name, reason)

    def _keep_aside(self, aside: Path, bad: list[bytes]) -> None:
        """Nothing that somebody was promised vanishes without a word."""
        aside.parent.mkdir(mode=0o700, exist_ok=True)
        with open(aside, "ab", opener=_private) as file:
            file.writelines(bad)
            file.flush()
            os.fsync(file.fileno())
        paths.sync_directory(aside.parent)
        self._set_aside += len(bad)
        log.error("%d events of the spool were refused; they and the reasons are in %s", len(bad), aside)


def _batches(path: Path) -> Iterator[list[Line]]:
    # Others may write into the directory: no link is followed, and nothing but a plain file is waited for.
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EACCES, errno.EPERM, errno.ENXIO):
            raise _Unreadable(error.strerror) from error
        raise
    found = os.fstat(number)
    if not stat.S_ISREG(found.st_mode):
        os.close(number)
        raise _Unreadable("not a plain file")
    with open(number, "rb", buffering=0) as file:
        splitter = LineSplitter(_LINE_BYTES)
        left = found.st_size  # what is written later was promised to nobody, and may never end
        while left > 0 and (chunk := file.read(min(left, limits.SOCKET_READ_BYTES))):
            left -= len(chunk)
            yield from sliced(list(splitter.feed(chunk)))
        yield from sliced(list(splitter.end()))


def _read(line: Line) -> tuple[str, dict[str, Any]]:
    if line.refusal:
        raise line.refusal
    record = decode_fields(line.content)
    time, fields = record.get("time"), record.get("event")
    if not isinstance(time, str) or not isinstance(fields, dict):
        raise Refused(Code.INVALID, 'not a line of a spool: {"time": ..., "event": {...}}')
    return check_time(time), fields


def _aside(refusal: Refused, content: bytes) -> bytes:
    line = {"error": refusal.as_json(), "line": content.decode("utf-8", "backslashreplace")}
    return msgspec.json.encode(line) + b"\n"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def build(house: House, options: Mapping[str, Any]) -> SpoolInput:  # noqa: ARG001  # the registry's signature
    """It has no options."""
    return SpoolInput(house)


def register(registry: Registry) -> None:
    """Offer this input."""
    registry.input("spool", build)
