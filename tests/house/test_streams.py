"""Streams of the installed daemon: every line of docs/howto/streams.md, breaks, kills, and clients that never read."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.daemon import Daemon
from tests.support.event_stream import FORMS, LINES, SSE, EventStream
from tests.support.http_client import ask
from tests.support.missing import need

PAGE = (Path(__file__).parents[2] / "docs/howto/streams.md").read_text()
KILLS = 3
EVENTS = 40


def blocks(language: str) -> list[str]:
    """What the page says in a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


async def printed(process: asyncio.subprocess.Process, word: str) -> str:
    """The next line that has a word in it."""
    assert process.stdout is not None
    async with asyncio.timeout(20):
        while word not in (line := (await process.stdout.readline()).decode()):
            assert line, f"it ended without {word!r}"
        return line


@asynccontextmanager
async def running(*command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Something that goes on until it is ended, with all that it has started."""
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, process_group=0)
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def test_the_pages_lines_show_what_comes(tmp_path: Path) -> None:
    """In a shell and from Python."""
    need("curl")
    plain, _ = (block for block in blocks("sh") if block.startswith("curl"))
    async with Daemon(tmp_path) as daemon:
        script = blocks("python")[0].replace("http://127.0.0.1:8222", daemon.url)
        await daemon.command("publish", "user.signup", "alice joined")
        async with running(sys.executable, "-c", script) as process:
            assert await printed(process, "user.signup") == "1 user.signup\n"
        async with running("/bin/sh", "-c", plain.replace("http://127.0.0.1:8222", daemon.url)) as process:
            await printed(process, "hello")
            await daemon.command("publish", "disk.io", "calm")
            await daemon.command("publish", "disk.full", "/ is 91 % full", "--severity", "warning")
            assert json.loads(await printed(process, "message"))["event"]["type"] == "disk.full"


async def test_the_pages_lines_with_a_token_show_what_it_may_read(tmp_path: Path) -> None:
    """As `xmppbus token add` has made it."""
    need("curl")
    _, with_token = (block for block in blocks("sh") if block.startswith("curl"))
    (add,) = (block for block in blocks("sh") if block.startswith("xmppbus token"))
    daemon = Daemon(tmp_path)
    http = {"listen": f"127.0.0.1:{daemon.http_port}", "tokens_file": str(tmp_path / "tokens")}
    daemon.configure(None, config={"http": http})
    token = (await daemon.shell(add)).split()[-1]
    async with daemon:
        await daemon.command("publish", "user.signup", "alice joined")
        await daemon.command("publish", "disk.full", "/ is 91 % full")
        line = with_token.replace("http://127.0.0.1:8222", daemon.url)
        async with running("/bin/sh", "-c", f"XMPPBUS_TOKEN={token}\n{line}") as process:
            assert json.loads(await printed(process, '"event"'))["event"]["type"] == "user.signup"


async def test_who_comes_back_after_every_break_misses_nothing_and_gets_nothing_twice(tmp_path: Path) -> None:
    """While events flow, and the daemon is killed again and again; in each form."""
    async with Daemon(tmp_path) as daemon:
        seen: dict[str, list[int]] = {form: [] for form in FORMS}
        for _ in range(KILLS):
            await asyncio.gather(*(_read_on(daemon, form, seen[form]) for form in FORMS), _publish(daemon))
            daemon.kill()
            await daemon.start()
        whole = list(range(1, KILLS * EVENTS + 1))
        for form in FORMS:
            while seen[form] != whole:
                await _read_on(daemon, form, seen[form])


async def _publish(daemon: Daemon) -> None:
    for number in range(EVENTS):
        assert (await ask(daemon.url, "POST", "/v1/events/user.a", b"%d" % number)).status == 202


async def _read_on(daemon: Daemon, form: str, seen: list[int]) -> None:
    """A connection that breaks after some events."""
    last = str(seen[-1] if seen else 0)
    where = {"headers": {"Last-Event-ID": last}} if form == SSE else {"since": last}
    async with await EventStream.open(daemon.url, form, **where) as stream:
        await stream.next("hello")
        seen += await stream.sequences(EVENTS // 2)


async def test_clients_that_never_read_hold_nobody_up(tmp_path: Path) -> None:
    """Neither who publishes nor who reads; and the daemon ends at once all the same."""
    async with Daemon(tmp_path) as daemon:
        silent = [await EventStream.open(daemon.url, LINES, receive_bytes=4096) for _ in range(50)]
        async with await EventStream.open(daemon.url) as healthy:
            await healthy.next("hello")
            for number in range(60):
                assert (await ask(daemon.url, "POST", "/v1/events/user.a", b"x" * 20_000)).status == 202
                assert await healthy.sequences(1) == [number + 1]
            assert await daemon.stop() == 0
            await healthy.ended()
        for stream in silent:
            await stream.close()
