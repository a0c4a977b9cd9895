"""Commands that the board has carried out by the daemon, as `xmppbus` itself would; roles and rights stay the daemon's.

`docs/reference/socket.md` has the conversation.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from xmppbus import limits
from xmppbus.cli import client
from xmppbus.inputs import frames

Frame = tuple[int, bytes]
EMPTY = b"000"  # none of the three streams is a terminal: what comes is read by a program


class AwayError(Exception):
    """No daemon answers, or it went away before it had answered; the text says which."""


class Said(NamedTuple):
    """What a command did."""

    code: int
    out: bytes
    err: str


class EndedError(Exception):
    """An endless command has ended after all, with this."""

    def __init__(self, said: Said) -> None:
        super().__init__(said.err)
        self.said = said


async def ask(*arguments: str, width: int = 80) -> Said:
    """One command and its answer. Raises `AwayError`, and PermissionError for a socket that lets nobody in."""
    out, err = bytearray(), bytearray()
    async with asyncio.timeout(limits.WATCH_ANSWER_SECONDS), _conversation(arguments, width) as said:
        async for kind, payload in said:
            if kind == frames.EXIT:
                return Said(int(payload), bytes(out), _sentence(err))
            if kind in (frames.OUTPUT, frames.ERROR):
                (out if kind == frames.OUTPUT else err).extend(payload)
    raise AwayError("the daemon went away")


async def lines(*arguments: str) -> AsyncIterator[bytes]:
    """What a command prints, line by line. Raises as `ask`, and `EndedError`."""
    held, err = b"", bytearray()
    async with _conversation(arguments, 80) as said:
        async for kind, payload in said:
            if kind == frames.EXIT:
                raise EndedError(Said(int(payload), b"", _sentence(err)))
            if kind == frames.ERROR:
                err.extend(payload)
            elif kind == frames.OUTPUT:
                *whole, held = (held + payload).split(b"\n")
                for line in whole:
                    yield line
                await asyncio.sleep(0)  # however fast they come, keys are looked at and the screen is drawn
    raise AwayError("the daemon went away")


@asynccontextmanager
async def _conversation(arguments: Sequence[str], width: int) -> AsyncIterator[AsyncIterator[Frame]]:
    found = client.connect()
    if found is None:
        raise AwayError("no daemon answers; start one with `xmppbus serve` (or `systemctl start xmppbus`)")
    reader, writer = await asyncio.open_unix_connection(sock=socket.socket(fileno=found.detach()))
    try:
        writer.write(b"".join(_facts(arguments, width)))
        yield _frames(reader)
    except ConnectionError as error:
        raise AwayError("the daemon went away") from error
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _facts(arguments: Sequence[str], width: int) -> list[bytes]:
    pack = frames.pack
    zone = os.environ.get("TZ", "")
    return [
        pack(frames.VERSION, frames.PROTOCOL),
        *(pack(frames.ARGUMENT, os.fsencode(argument)) for argument in arguments),
        *([pack(frames.ENVIRONMENT, os.fsencode(f"TZ={zone}"))] if zone else []),
        pack(frames.TERMINALS, EMPTY),
        pack(frames.WIDTH, str(width).encode()),
        pack(frames.DIRECTORY, client.directory()),
        pack(frames.GO),
    ]


async def _frames(reader: asyncio.StreamReader) -> AsyncIterator[Frame]:
    splitter = frames.Splitter(limits.FRAME_BYTES)
    while data := await reader.read(client.RECEIVE_BYTES):
        for frame in splitter.feed(data):
            yield frame


def _sentence(err: bytearray) -> str:
    return err.decode(errors="replace").strip().removeprefix("xmppbus: ")
