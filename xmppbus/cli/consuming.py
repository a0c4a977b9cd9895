"""One consumer of a queue at the other end of a command: events go out, and verdicts come in, as lines of JSON.

`docs/reference/consume.md` has the lines.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from xmppbus import limits
from xmppbus.cli.desk import Desk
from xmppbus.cli.showing import json_line
from xmppbus.errors import BusError, Code, Exit, Refused
from xmppbus.queues import Consumer, Leased, LeaseLost

VERDICTS = ("ack", "requeue", "reject", "release")


class Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a consumer: one of the words, and what goes with it."""

    begin: bool = False  # hand out; only with --resume
    stop: bool = False  # hand out nothing more
    renew: tuple[int, ...] = ()  # keep these leases for as long again
    had: int | None = None  # before the connection was lost; with its item id
    ack: int | None = None
    requeue: int | None = None
    reject: int | None = None
    release: int | None = None
    text: str = ""  # why, with requeue and reject
    id: str = ""  # its item id


_decode = msgspec.json.Decoder(Said).decode


class Consuming:
    """Writes events as they are handed out, and carries out what is said of them."""

    def __init__(self, desk: Desk, consumer: Consumer, queue: str) -> None:
        self._desk = desk
        self._consumer = consumer
        self._queue = queue
        self._begun = asyncio.Event()
        self._stopped = False
        self._asking: asyncio.Future[Leased] | None = None
        self._verdicts: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()  # a line is written whole

    async def run(self, *, resume: bool) -> int:
        """Until the consumer has nothing more to say; with `resume` it says first what it had, then when to begin."""
        if not resume:
            self._begun.set()
        taking, reading = asyncio.create_task(self._take()), asyncio.create_task(self._read())
        try:
            await asyncio.wait({taking, reading}, return_when=asyncio.FIRST_COMPLETED)
            if taking.done():
                taking.result()
            await reading
            if self._verdicts:
                await asyncio.wait(self._verdicts)
        finally:
            tasks = {taking, reading, *self._verdicts}
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        return Exit.OK

    async def _take(self) -> None:
        await self._begun.wait()
        while not self._stopped:
            self._asking = asyncio.ensure_future(self._consumer.take())
            try:
                leased = await self._asking
            except asyncio.CancelledError:
                if self._stopped:
                    return
                raise
            finally:
                self._asking = None
            await self._write(as_json(leased, self._queue))

    async def _read(self) -> None:
        async for line in _lines(self._desk):
            await self._obey(line)

    async def _obey(self, said: Said) -> None:
        if said.begin:
            self._begun.set()
        elif said.stop:
            self._stopped = True
            self._begun.set()
            if self._asking:
                self._asking.cancel()
        elif said.had is not None:
            await self._have(said.had, said.id)
        for lease in said.renew:
            try:
                self._consumer.renew(lease)
            except LeaseLost as lost:
                await self._lost(lease, lost)
        for word in VERDICTS:
            if (lease := getattr(said, word)) is not None:
                task = asyncio.create_task(self._settle(word, lease, said.text))
                self._verdicts.add(task)
                task.add_done_callback(self._verdicts.discard)

    async def _have(self, lease: int, item_id: str) -> None:
        try:
            await self._consumer.adopt(lease, item_id)
        except LeaseLost as lost:
            await self._lost(lease, lost)
        else:
            await self._write({"have": lease})

    async def _settle(self, word: str, lease: int, text: str) -> None:
        say: Callable[..., Any] = getattr(self._consumer, word)
        try:
            await (say(lease, text) if word in ("requeue", "reject") else say(lease))
        except BusError as lost:  # also where it could not be written: then it does not count
            await self._lost(lease, lost)
        else:
            await self._write({"done": lease})

    async def _lost(self, lease: int, lost: BusError) -> None:
        await self._write({"lost": lease, "message": str(lost)})

    async def _write(self, line: dict[str, Any]) -> None:
        async with self._turn:
            await self._desk.terminal.write(json_line(line))


def as_json(leased: Leased, queue: str) -> dict[str, Any]:
    """`{"lease", "queue", "attempt", "sequence", "id", "event"}`: as `listen --json`, and what a consumer needs."""
    return {
        "lease": leased.id,
        "queue": queue,
        "attempt": leased.attempt,
        "sequence": leased.sequence,
        "id": leased.item_id,
        "event": msgspec.Raw(leased.event.encoded),
    }


async def _lines(desk: Desk) -> AsyncIterator[Said]:
    """What the consumer says. Raises `Refused` for a line that is none of ours."""
    held = b""
    async for chunk in desk.terminal.read():
        *whole, held = (held + chunk).split(b"\n")
        if len(held) > limits.QUEUE_LINE_BYTES:
            raise Refused(Code.USAGE, f"a line of more than {limits.QUEUE_LINE_BYTES} bytes")
        for line in whole:
            if line.strip():
                yield _said(line)


def _said(line: bytes) -> Said:
    try:
        return _decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        shown = line[:80].decode(errors="replace")
        raise Refused(Code.USAGE, f"a consumer says nothing like {shown!r}: {error}") from None
