"""A command where it was typed, without a daemon: the process's own standard streams, and no house."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from xmppbus.cli.desk import Desk, Names
from xmppbus.errors import BusError, Code, Exit, Refused
from xmppbus.inputs.visitor import Facts, Role

CHUNK_BYTES = 131_072


class LocalTerminal:
    """As `desk.Terminal` says. Nothing here ever waits in an event loop, so none is needed (asyncio takes 58 ms)."""

    async def write(self, content: bytes) -> None:
        """As `Terminal` says."""
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()

    async def complain(self, content: bytes) -> None:
        """As `Terminal` says."""
        sys.stderr.buffer.write(content)
        sys.stderr.buffer.flush()

    async def write_surely(self, content: bytes, written: Callable[[], None]) -> None:
        """As `Terminal` says."""
        await self.write(content)
        written()

    async def all_written(self) -> None:
        """As `Terminal` says."""

    async def read(self, path: bytes = b"") -> AsyncIterator[bytes]:
        """As `Terminal` says."""
        try:
            number = os.open(path, os.O_RDONLY | os.O_CLOEXEC) if path else 0
            while chunk := os.read(number, CHUNK_BYTES):
                yield chunk
        except OSError as error:
            what = os.fsdecode(path) if path else "standard input"
            raise Refused(Code.USAGE, f"can't read {what}: {error.strerror}") from error

    async def save(self, path: bytes, content: bytes) -> None:
        """As `Terminal` says."""
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), "wb") as file:
            file.write(content)

    async def watch(self) -> None:
        """As `Terminal` says."""


def terminal_width() -> int:
    """Columns; 80 where there is no terminal."""
    for number in (1, 2):
        if os.isatty(number):
            return os.get_terminal_size(number).columns or 80
    return 80


def _directory() -> str:
    """Where we are; empty in a directory that was removed meanwhile, such as a clone after its installation."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def local_desk() -> Desk:
    """Whoever types may do what the file system lets them do."""
    terminals = (os.isatty(0), os.isatty(1), os.isatty(2))
    facts = Facts(terminals, terminal_width(), _directory(), dict(os.environ))
    role = Role(os.geteuid(), admin=True, publish=True, listen=True)
    return Desk(LocalTerminal(), facts, role, Names(), None)


def carry_out(result: object) -> int:
    """The exit code of what a command's callback returned: an action, a code, or nothing."""
    if not callable(result):
        return result if isinstance(result, int) else Exit.OK
    desk = local_desk()
    try:
        return _drive(result(desk))
    except Refused as refusal:
        sys.stderr.write(f"xmppbus: {refusal}\n")
        return refusal.answer.exit
    except BrokenPipeError:
        return 141  # as SIGPIPE ends a process; Python turns the signal into this
    except BusError as error:
        sys.stderr.write(f"xmppbus: {error}\n")
        return Exit.SOFTWARE


def _drive(action: Coroutine[Any, Any, int]) -> int:
    """Run an action that never waits."""
    try:
        action.send(None)
    except StopIteration as finished:
        return int(finished.value)
    raise RuntimeError("a command without a daemon must not wait")
