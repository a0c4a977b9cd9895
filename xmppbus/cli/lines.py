"""`publish --lines`: each line of the input is an event, accepted in batches as they come."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from json import dumps
from time import monotonic
from typing import Any, NamedTuple

from xmppbus import limits
from xmppbus.cli.accepted import UNROUTED, as_json, unrouted
from xmppbus.cli.confirm import confirm_all
from xmppbus.cli.desk import Desk
from xmppbus.cli.fields import Wish, fields_of, fields_of_json
from xmppbus.errors import Exit, Refused
from xmppbus.inputs.lines import Line, batches
from xmppbus.interfaces import Accepted

PROGRESS_SECONDS = 0.1


class Batch(NamedTuple):
    """Lines on their way: those that are events are being accepted."""

    lines: list[Line]
    refusals: dict[int, Refused]
    accepting: asyncio.Task[list[Accepted | Refused]]


def reader_of(wish: Wish, json: bool, now: Callable[[], Any]) -> Callable[[bytes], dict[str, Any]]:
    """What makes one line's fields. What all lines share is made once."""
    if json:
        return lambda content: fields_of_json(wish, content, now)
    shared = fields_of(wish, None, now)
    if "data" in shared:
        return lambda content: fields_of(wish, content, now)

    def fields(content: bytes) -> dict[str, Any]:
        try:
            return {**shared, "data": content.decode(), "datacontenttype": "text/plain"}
        except UnicodeDecodeError:
            return fields_of(wish, content, now)

    return fields


async def publish_lines(desk: Desk, wish: Wish, options: dict[str, Any]) -> int:
    """The exit code: that of the worst line, or of what stopped it."""
    json = options["json"]
    chunks = desk.terminal.read(b"" if json in (None, "-") else os.fsencode(json))
    output = options["output"] or ("none" if desk.facts.terminals[1] else "id")
    read = reader_of(wish, json is not None, desk.now)
    if desk.open_house is None:
        return await _spool(desk, read, chunks, output, confirm=options["confirm"])
    publisher = _Publisher(desk, read, output, options["timeout"] if options["confirm"] else None)
    return await publisher.run(chunks)


class _Publisher:
    """Reads, accepts and answers side by side, so that none waits for another; answers come in order."""

    def __init__(self, desk: Desk, read: Callable[[bytes], dict[str, Any]], output: str, confirm: float | None) -> None:
        self._desk = desk
        self._read = read
        self._output = output
        self._confirm = confirm
        self._batches: asyncio.Queue[Batch | None] = asyncio.Queue(limits.BATCHES_AHEAD)
        self._progress = Progress(desk)
        self._accepted = 0
        self._unrouted = 0
        self._code = Exit.OK

    async def run(self, chunks: AsyncIterator[bytes]) -> int:
        """The exit code."""
        reading = asyncio.create_task(self._take(chunks))
        answering = asyncio.create_task(self._answer())
        try:
            await answering
            if reading.done():
                reading.result()  # why the input ended early, after all that came before is answered
        finally:
            reading.cancel()
            answering.cancel()
            await asyncio.gather(reading, answering, return_exceptions=True)
        await self._progress.end(self._accepted)
        if self._unrouted:
            await self._desk.err(f"{self._unrouted} events {UNROUTED}")
        return self._code

    async def _take(self, chunks: AsyncIterator[bytes]) -> None:
        try:
            async for lines in batches(chunks):
                await self._batches.put(self._begin(lines))
        except Exception:
            await self._batches.put(None)
            raise
        await self._batches.put(None)

    def _begin(self, lines: list[Line]) -> Batch:
        refusals: dict[int, Refused] = {}
        events: list[dict[str, Any]] = []
        for line in lines:
            try:
                if line.refusal:
                    raise line.refusal
                events.append(self._read(line.content))
            except Refused as refusal:
                refusals[line.number] = refusal
        # The task begins in the order in which it is made, and the journal keeps that order.
        return Batch(lines, refusals, asyncio.create_task(self._desk.house.bus.accept(events)))

    async def _answer(self) -> None:
        while batch := await self._batches.get():
            try:
                answers = iter(await batch.accepting)
            except Refused as refusal:
                await self._stopped(batch.lines[0].number, refusal)
                return
            found = [(line.number, batch.refusals.get(line.number) or next(answers)) for line in batch.lines]
            await self._tell(found)

    async def _tell(self, found: list[tuple[int, Accepted | Refused]]) -> None:
        accepted = [answer for _, answer in found if isinstance(answer, Accepted)]
        self._accepted += len(accepted)
        self._unrouted += sum(unrouted(self._desk, answer) for answer in accepted)
        if accepted and self._output != "none":
            text = "".join(f"{a.item_id if self._output == 'id' else dumps(as_json(a))}\n" for a in accepted)
            await self._desk.terminal.write(text.encode())
        for number, answer in found:
            if isinstance(answer, Refused):
                self._code = max(self._code, answer.answer.exit)
                await self._progress.clear()
                await self._desk.err(f"line {number}: {answer}")
        await self._progress.show(self._accepted)
        if self._confirm is not None:
            self._code = max(self._code, await confirm_all(self._desk, accepted, self._confirm))

    async def _stopped(self, number: int, refusal: Refused) -> None:
        self._code = refusal.answer.exit
        await self._progress.clear()
        await self._desk.err(f"stopped before line {number}, after {self._accepted} accepted events: {refusal}")


class Progress:
    """A count on error output, if that is a terminal; at most ten times a second."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._wanted = desk.facts.terminals[2]
        self._shown = 0.0

    async def show(self, count: int) -> None:
        """So many by now."""
        if self._wanted and monotonic() - self._shown >= PROGRESS_SECONDS:
            self._shown = monotonic()
            await self._desk.terminal.complain(f"\r{count:,} events".encode())

    async def clear(self) -> None:
        """Make room for a line."""
        if self._wanted and self._shown:
            await self._desk.terminal.complain(b"\r\x1b[K")

    async def end(self, count: int) -> None:
        """All there were."""
        if self._wanted:
            await self._desk.terminal.complain(f"\r{count:,} events\n".encode())


async def _spool(
    desk: Desk, read: Callable[[bytes], dict[str, Any]], chunks: AsyncIterator[bytes], output: str, *, confirm: bool
) -> int:
    from xmppbus.cli.spooling import spool

    code, count, where = Exit.OK, 0, ""
    async for lines in batches(chunks):
        numbers, events = [], []
        for line in lines:
            try:
                if line.refusal:
                    raise line.refusal
                events.append(read(line.content))
                numbers.append(line.number)
            except Refused as refusal:
                code = max(code, refusal.answer.exit)
                await desk.err(f"line {line.number}: {refusal}")
        directory, answers = spool(events, desk.facts.environment)
        where = str(directory)
        for number, answer in zip(numbers, answers, strict=True):
            if isinstance(answer, Refused):
                code = max(code, answer.answer.exit)
                await desk.err(f"line {number}: {answer}")
            else:
                count += 1
                if output != "none":
                    await desk.out(answer if output == "id" else dumps({"id": answer, "result": "spooled"}))
    await desk.err(f"no daemon is running: {count} events are kept in {where or 'no file'} until it starts")
    if confirm and code == Exit.OK:
        await desk.err("nobody can confirm yet that they were delivered")
        return Exit.TRY_AGAIN
    return code
