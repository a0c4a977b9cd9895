"""Charts as pictures: drawn by one process beside the house, with a deadline, so that nobody waits for V8.

It is started for the first picture (a second or two), and ends when none was wanted for a while: it takes 200 MB.
One that crashes, or takes too long, costs the picture that it was drawing, and nobody else's.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xmppbus import limits
from xmppbus.errors import Code, Refused

log = logging.getLogger(__name__)

NEEDS_EXTRA = (
    "pictures are drawn by vl-convert, which is not installed; install it with `pip install 'xmppbus[plots]'`, and "
    "start the daemon again"
)
FORMS = ("png", "svg")
_ENVIRONMENT = ("PATH", "HOME", "TZ", "LANG", "LC_ALL", "LC_TIME", "TMPDIR")
_WORKER = Path(__file__).with_name("worker.py")


def can_draw() -> bool:
    """Whether the extra `plots` is installed."""
    return importlib.util.find_spec("vl_convert") is not None


class Drawing:
    """Draws one picture at a time, for everybody; made without cost, and closed with the house."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._process: asyncio.subprocess.Process | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._bundle = b""
        self._bundling = asyncio.Lock()
        self._closed = False

    async def picture(self, chart: Mapping[str, Any], form: str, scale: float = 1.0) -> bytes:
        """A chart as PNG (so many pixels for each of its own) or as SVG. Raises `Refused`."""
        return await self._ask({"form": form, "scale": scale, "chart": chart})

    async def bundle(self) -> bytes:
        """Vega, Vega-Lite and Vega-Embed for a browser: a script that puts them into `window`. Raises `Refused`."""
        async with self._bundling:  # a hundred screens that are switched on wait for one
            self._bundle = self._bundle or await self._ask({"form": "bundle"}, limits.BUNDLE_SECONDS)
        return self._bundle

    async def close(self) -> None:
        """End the process. Raises nothing; who still waits for a picture gets none."""
        self._closed = True
        await self._end()

    async def _ask(self, question: Mapping[str, Any], seconds: float = 0) -> bytes:
        if not can_draw():
            raise Refused(Code.NOT_CONFIGURED, NEEDS_EXTRA)
        if self._waiting >= limits.DRAWINGS_WAITING:
            raise Refused(Code.TOO_MANY, "too many pictures are being drawn; try again", retry_after=5)
        asked = json.dumps(question, allow_nan=False).encode("utf-8", "replace")
        self._waiting += 1
        try:
            async with self._turn:
                if self._closed:
                    raise Refused(Code.CLOSING, "the daemon is stopping; try again in a moment")
                return await self._draw(asked, seconds or limits.DRAW_SECONDS)
        finally:
            self._waiting -= 1

    async def _draw(self, asked: bytes, seconds: float) -> bytes:
        whole = False
        try:
            async with asyncio.timeout(seconds):
                process = await self._started()
                answer = await _answer(process, asked)
                whole = True
        except TimeoutError:
            message = f"the picture took more than {seconds:g} s; ask for less, or try again"
            raise Refused(Code.NO_PICTURE, message) from None
        except (OSError, EOFError) as error:
            log.error("the process that draws has ended: %s (a service needs MemoryDenyWriteExecute=no for it)", error)
            message = "the process that draws has ended; the daemon's log says more. Try again"
            raise Refused(Code.NO_PICTURE, message) from None
        finally:
            if whole:
                self._idle = asyncio.get_running_loop().call_later(limits.DRAWING_IDLE_SECONDS, self._end_idle)
            else:
                await asyncio.shield(self._end())  # in the midst of an answer it can't be asked again
        if answer[:1] != b"+":
            log.error("a chart could not be drawn: %s", answer[1:].decode(errors="replace")[:1000])
            raise Refused(Code.NO_PICTURE, "the chart could not be drawn; the daemon's log says why")
        return answer[1:]

    async def _started(self) -> asyncio.subprocess.Process:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", str(_WORKER)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},  # no secret
                start_new_session=True,  # Ctrl-C is for the house, which then ends it
            )
        return self._process

    def _end_idle(self) -> None:
        self._idle = None
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()  # at the end of its input it ends by itself

    async def _end(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _answer(process: asyncio.subprocess.Process, asked: bytes) -> bytes:
    assert process.stdin is not None  # noqa: S101  # for the type checker: both are pipes
    assert process.stdout is not None  # noqa: S101  # the same
    process.stdin.write(len(asked).to_bytes(4, "big") + asked)
    await process.stdin.drain()
    length = int.from_bytes(await process.stdout.readexactly(4), "big")
    if length > limits.DRAWING_BYTES:
        raise OSError(f"it answers with {length} bytes")
    return await process.stdout.readexactly(length)
