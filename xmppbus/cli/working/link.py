"""A consumer's connection to the daemon, made anew when it is lost: what it had it still has, if nobody else does.

It is the other end of `xmppbus queue consume` (`docs/reference/consume.md`).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from xmppbus import limits
from xmppbus.cli import client
from xmppbus.errors import Exit
from xmppbus.inputs import frames
from xmppbus.retry import Retry

_RETRY = Retry(0.1, limits.QUEUE_RECONNECT_SECONDS)
_AWAY = "no daemon answers; it is looked for until one does (`xmppbus serve` starts one)"
_REFUSES = "the daemon's socket refuses you: its config lets only administrators in (socket:)"


class Taken(NamedTuple):
    """An event that this consumer has. `fields` is CloudEvents JSON as an object, `encoded` as text."""

    lease: int
    item_id: str
    sequence: int
    attempt: int
    queue: str
    fields: dict[str, Any]
    encoded: bytes


@dataclass
class _Held:
    """What became of one that was taken, as far as that is known."""

    taken: Taken
    line: bytes = b""  # what was said of it
    answer: asyncio.Future[bool] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class _Line(msgspec.Struct):
    """What the daemon says."""

    lease: int = 0
    id: str = ""
    sequence: int = 0
    attempt: int = 1
    queue: str = ""
    event: msgspec.Raw = msgspec.Raw(b"")
    done: int = 0
    lost: int = 0


_decode = msgspec.json.Decoder(_Line).decode


class Link:
    """Calls `taken` with each event. `tell` is told, once each time, that there is no daemon, and that there is one."""

    def __init__(
        self, arguments: Sequence[str], *, taken: Callable[[Taken], None], tell: Callable[[str], None]
    ) -> None:
        self._arguments = ["queue", "consume", *arguments, "--resume"]
        self._taken = taken
        self._tell = tell
        self._held: dict[int, _Held] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._outbox: list[bytes] = []
        self._asked = False
        self._served = False  # the daemon has listened to this connection
        self._stopping = asyncio.Event()
        self._empty = asyncio.Event()

    @property
    def held(self) -> int:
        """How many events it has."""
        return len(self._held)

    @property
    def _is_finished(self) -> bool:
        return self._stopping.is_set() and not self._held

    def stop(self) -> None:
        """Take nothing more; `run` returns when all that was taken is settled."""
        self._stopping.set()
        self._say({"stop": True})
        self._look()

    async def settle(self, taken: Taken, word: str, text: str = "") -> bool:
        """Say what became of an event (`ack`, `requeue`, `reject`, `release`); whether that counts. It returns when it
        is on the daemon's disk, however often the connection is lost meanwhile."""
        held = self._held.get(taken.lease)
        if held is None or held.taken is not taken:
            return False
        held.line = _encode({word: taken.lease, **({"text": text} if text else {})})
        self._say_line(held.line)
        return await held.answer

    def renew(self) -> None:
        """Keep what it has for as long again."""
        if self._held:
            self._say({"renew": [*self._held]})

    async def run(self) -> tuple[int, str]:
        """Until it is stopped, or the daemon refuses it for good: the exit code, and the daemon's words."""
        attempts, told = 0, ""
        while not self._is_finished:
            try:
                found = client.connect()
            except PermissionError:
                return Exit.REFUSED, _REFUSES
            why = _AWAY
            if found is not None:
                if told == _AWAY:
                    self._tell("the daemon is there")
                code, said = await self._converse(found)
                if code != Exit.TRY_AGAIN:
                    return code, said
                if self._served:
                    attempts, told = 0, ""
                why = said
            if self._is_finished:
                break
            if why and why != told:
                self._tell(why)
                told = why
            attempts += 1
            await asyncio.sleep(_RETRY.decide(attempts, random.random))
        return Exit.OK, ""

    # --- one connection -----------------------------------------------------------------------------------------------

    async def _converse(self, connection: Any) -> tuple[int, str]:
        """The exit code of the daemon's command (75 when the connection broke), and its words."""
        facts = b"".join(client.Client(connection, self._arguments).facts())
        reader, self._writer = await asyncio.open_unix_connection(sock=socket.socket(fileno=connection.detach()))
        self._outbox = [_encode({"had": lease, "id": held.taken.item_id}) for lease, held in self._held.items()]
        self._outbox += [held.line for held in self._held.values() if held.line]
        self._outbox.append(_encode({"stop" if self._stopping.is_set() else "begin": True}))
        self._asked = self._served = False
        ending = asyncio.create_task(self._end_when_empty(self._writer))
        try:
            self._writer.write(facts)
            return await self._read(reader)
        except ConnectionError:
            return Exit.TRY_AGAIN, ""
        finally:
            ending.cancel()
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()
            self._writer = None

    async def _end_when_empty(self, writer: asyncio.StreamWriter) -> None:
        await self._stopping.wait()
        while self._held:
            self._empty.clear()
            await self._empty.wait()
        writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> tuple[int, str]:
        splitter, held, said = frames.Splitter(limits.FRAME_BYTES), b"", bytearray()
        while data := await reader.read(client.RECEIVE_BYTES):
            for kind, payload in splitter.feed(data):
                if kind == frames.ASK:
                    self._asked = self._served = True
                    self._flush()
                elif kind == frames.OUTPUT:
                    *lines, held = (held + payload).split(b"\n")
                    for line in lines:
                        self._obey(_decode(line))
                elif kind == frames.ERROR:
                    said += payload
                elif kind == frames.EXIT:
                    return int(payload), said.decode(errors="replace").strip().removeprefix("xmppbus: ")
        return Exit.TRY_AGAIN, ""

    def _obey(self, line: _Line) -> None:
        if line.lease:
            fields, encoded = msgspec.json.decode(line.event), bytes(line.event)
            taken = Taken(line.lease, line.id, line.sequence, line.attempt, line.queue, fields, encoded)
            self._held[line.lease] = _Held(taken)
            self._taken(taken)
        elif line.done:
            self._answer(line.done, counts=True)
        elif line.lost:
            self._answer(line.lost, counts=False)

    def _answer(self, lease: int, *, counts: bool) -> None:
        """It is settled, or lost: then nothing that is said of it counts, whenever it is said."""
        held = self._held.pop(lease, None)
        if held and not held.answer.done():
            held.answer.set_result(counts)
        self._look()

    def _look(self) -> None:
        if not self._held:
            self._empty.set()

    def _say(self, line: dict[str, Any]) -> None:
        self._say_line(_encode(line))

    def _say_line(self, line: bytes) -> None:
        if self._writer:
            self._outbox.append(line)
            self._flush()

    def _flush(self) -> None:
        """The daemon asks for each chunk of what it is told."""
        if self._writer and self._asked and self._outbox:
            said, self._outbox = b"".join(self._outbox), []
            self._asked = False
            self._writer.write(frames.pack(frames.CONTENT, said[: limits.FRAME_BYTES]))
            if rest := said[limits.FRAME_BYTES :]:
                self._outbox.append(rest)


def _encode(line: dict[str, Any]) -> bytes:
    return msgspec.json.encode(line) + b"\n"
