"""Without a daemon, `publish` keeps events in the spool: named, checked as the door checks, and synced to disk."""

from __future__ import annotations

import _socket
import contextlib
import os
import secrets
import stat
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from xmppbus import limits, paths
from xmppbus.bus import admit
from xmppbus.cli import client
from xmppbus.errors import Code, Refused
from xmppbus.event import now
from xmppbus.fields import check
from xmppbus.inputs import frames
from xmppbus.xmpp.stanzas import check_size

SUFFIX = ".events"  # of inputs.spool, which a client without a daemon is too quick to import; a test compares them
SOURCE = "source"


class Spooled(NamedTuple):
    """Events that the daemon takes up when it starts: their item ids, or why not."""

    directory: Path
    answers: list[str | Refused]


def spool(sent: Sequence[Mapping[str, Any]], environ: Mapping[str, str]) -> Spooled:
    """Keep events, in one file and in order. Raises `Refused` when there is no place to keep them."""
    directory = _directory(environ)
    answers = spool_into(directory, source_of(directory), sent)
    if any(isinstance(answer, str) for answer in answers):
        _tell()
    return Spooled(directory, answers)


def spool_into(directory: Path, source: str, sent: Sequence[Mapping[str, Any]]) -> list[str | Refused]:
    """The same, in this directory; `source` is for events that name none."""
    moment = now(lambda: datetime.now(UTC))
    answers: list[str | Refused] = []
    lines: list[bytes] = []
    for fields in sent:
        try:
            event = admit(fields, source, moment, check_size).event
        except Refused as refusal:
            answers.append(refusal)
        else:
            # As sent, but for the name: defaults such as the time are no part of what tells a repeat from a conflict.
            named = {**fields, "source": event.source, "id": event.id}
            lines.append(msgspec.json.encode({"time": moment, "event": named}) + b"\n")
            answers.append(event.item_id)
    if lines:
        try:
            _leave(directory, b"".join(lines))
        except OSError as error:
            message = f"no daemon takes it, and {directory} can't keep it: {error.strerror}; start a daemon"
            raise Refused(Code.NO_DAEMON, message) from error
    return answers


def _directory(environ: Mapping[str, str]) -> Path:
    """The spool of the daemon that is going to look there: a user's own if they ever ran one, else the system's."""
    own = paths.spool_directory(environ)
    system = paths.SYSTEM_STATE / "spool"
    a_daemon_looks = (own / SOURCE).exists() or environ.get("XMPPBUS_STATE")
    if not a_daemon_looks and os.access(system, os.W_OK | os.X_OK):
        return system
    return own


def source_of(directory: Path) -> str:
    """As the daemon wrote it, who owns the directory; others may have planted something under that name."""
    try:
        number = os.open(directory / SOURCE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            found = os.fstat(number)
            ours = stat.S_ISREG(found.st_mode) and found.st_uid == directory.stat().st_uid
            content = os.read(number, 4 * limits.NAME_CHARACTERS) if ours else b""
        finally:
            os.close(number)
    except OSError:  # there was no daemon yet
        content = b""
    return _checked(content) or os.uname().nodename


def _checked(content: bytes) -> str:
    try:
        text = content.decode()
        check({"type": "x", "source": text})
    except (UnicodeDecodeError, Refused):
        return ""
    return text


def _leave(directory: Path, content: bytes) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if _is_full(directory):
        raise OSError(0, f"it has {limits.SPOOL_FILES} files already")
    ours = directory.stat().st_uid == os.geteuid()
    name = f"{time.time_ns():020d}-{secrets.token_hex(8)}"
    temporary = directory / f".{name}.new"
    # In a shared spool names can't be listed or guessed, and the daemon, which may be another user, has to read it.
    mode = 0o600 if ours else 0o644
    number = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode)
    try:
        with open(number, "wb") as file:
            os.fchmod(number, mode)  # whatever our umask is
            file.write(content)
            file.flush()
            os.fsync(number)
        temporary.rename(directory / f"{name}{SUFFIX}")
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    _sync(directory)


def _is_full(directory: Path) -> bool:
    try:
        with os.scandir(directory) as found:
            return sum(1 for _ in found) >= limits.SPOOL_FILES
    except PermissionError:  # a shared spool can't be listed; the file system's own bounds hold
        return False


def _sync(directory: Path) -> None:
    """Make the new name durable; who may not list a shared spool asks for the whole file system."""
    try:
        number = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        os.sync()
        return
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _tell() -> None:
    """A daemon that has come up meanwhile may have looked into the spool too early."""
    try:
        connection = client.connect()
    except PermissionError:
        return
    if connection is not None:
        with contextlib.suppress(OSError):  # it looks by itself before long
            connection.sendall(frames.pack(frames.LOOK), _socket.MSG_NOSIGNAL)
        connection.close()
