"""Runs one command for one event: the event goes to its standard input and into its environment, and how it ends is
what becomes of the event."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import re
import signal
from collections.abc import Mapping, Sequence
from typing import Any

from xmppbus import limits
from xmppbus.cli.working.link import Taken
from xmppbus.cli.working.verdicts import Verdict, verdict
from xmppbus.event import Event

_FIELDS = ("id", "source", "type", "subject", "time", "severity", "summary", "link", "tags", "key", "status")
_NOT_A_NAME = re.compile(r"[^A-Z0-9]+")
_ERROR_SECONDS = 0.5  # for the rest of the error output of a command that has ended; a child of its may keep it open
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_prctl = ctypes.CDLL(None, use_errno=True).prctl


class Command:
    """The command of a worker, and those of it that run. Raises `OSError` when it can't be run at all."""

    def __init__(self, arguments: Sequence[str], attempts: int | None) -> None:
        self._arguments = arguments
        self._attempts = attempts
        self._running: set[asyncio.subprocess.Process] = set()
        self._ended = False  # we end them; it is no fault of theirs

    async def run(self, taken: Taken) -> Verdict:
        """One for an event."""
        event, (errors, theirs) = _file_of(taken.encoded), os.pipe()
        kept = bytearray()
        telling = asyncio.create_task(_tell(errors, kept))
        try:
            process = await asyncio.create_subprocess_exec(
                *self._arguments,
                stdin=event,
                stderr=theirs,
                env=environment(os.environ, taken),
                process_group=0,  # Ctrl-C is for the worker, which lets its commands finish
                preexec_fn=_die_with_us,
            )
        finally:
            os.close(event)
            os.close(theirs)
        self._running.add(process)
        try:
            code = await process.wait()
            await asyncio.wait({telling}, timeout=_ERROR_SECONDS)
        finally:
            self._running.discard(process)
            telling.cancel()
        if self._ended:
            return Verdict("release")
        return verdict(code, kept.decode(errors="replace"), taken.attempt, self._attempts)

    async def end(self) -> None:
        """End those that run, first kindly."""
        self._ended = True
        for number, seconds in ((signal.SIGTERM, limits.WORK_GRACE_SECONDS), (signal.SIGKILL, 0.0)):
            for process in self._running:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
            if seconds and self._running:
                await asyncio.wait([asyncio.ensure_future(each.wait()) for each in self._running], timeout=seconds)


def environment(ours: Mapping[str, str], taken: Taken) -> dict[str, str]:
    """Our own variables, and those of the event: `XMPPBUS_TYPE`, `XMPPBUS_DATA_USER`; what is not there is not set."""
    found = {name: value for name, value in ours.items() if not _is_an_event_s(name)}
    values: dict[str, Any] = {field: taken.fields.get(field) for field in _FIELDS}
    values |= {"item_id": taken.item_id, "sequence": taken.sequence, "attempt": taken.attempt, "queue": taken.queue}
    event = Event(taken.fields)
    values |= {"severity": event.severity, "summary": event.summary, "text": event.text}
    data = taken.fields.get("data")
    if isinstance(data, dict):
        for name, value in [*data.items()][: limits.WORK_VARIABLES]:
            values[f"data_{name}"] = value
    else:
        values["data"] = data
    for name, value in values.items():
        if value is None or isinstance(value, (dict, list)):
            continue
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if len(text) <= limits.WORK_VARIABLE_CHARACTERS and "\0" not in text:
            found["XMPPBUS_" + _NOT_A_NAME.sub("_", name.upper())] = os.fsdecode(text.encode())
    return found


def _is_an_event_s(name: str) -> bool:
    fields = (*_FIELDS, "item_id", "sequence", "attempt", "queue", "text", "data")
    return name.startswith("XMPPBUS_DATA_") or name in {f"XMPPBUS_{field.upper()}" for field in fields}


def _die_with_us() -> None:
    """A worker that is killed must not leave its command behind: another has its event then."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _file_of(event: bytes) -> int:
    """One line, in a file without a name: a command need not read it, and nobody waits for it."""
    number = os.memfd_create("event")
    with open(number, "wb", closefd=False) as file:
        file.write(event + b"\n")
    os.lseek(number, 0, os.SEEK_SET)
    return number


async def _tell(errors: int, kept: bytearray) -> None:
    """Its error output is ours; the end of it is kept."""
    reader = asyncio.StreamReader()
    pipe = os.fdopen(errors, "rb", 0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    try:
        while chunk := await reader.read(limits.SOCKET_READ_BYTES):
            kept += chunk
            del kept[: -limits.WORK_ERROR_BYTES]
            with contextlib.suppress(OSError):  # nobody reads ours any more
                os.write(2, chunk)
    finally:
        transport.close()
