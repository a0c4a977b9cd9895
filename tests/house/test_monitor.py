"""`xmppbus monitor`: what comes in and goes out, and why it does not; docs/howto/why-nothing-comes.md."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import Daemon, bot_without_a_server, program
from tests.support.pages import ROOT, blocks
from tests.support.server import Server
from tests.support.waiting import until

WAIT = 30.0


class Monitor:
    """The command, running."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self) -> str:
        """The next."""
        assert self.process.stdout
        return (await asyncio.wait_for(self.process.stdout.readline(), WAIT)).decode().rstrip("\n")

    async def json(self) -> dict[str, Any]:
        """The next, of a `--json`."""
        found: dict[str, Any] = json.loads(await self.line())
        return found


@contextlib.asynccontextmanager
async def monitoring(daemon: Daemon, *arguments: str) -> AsyncIterator[Monitor]:
    """From when it looks on until the end of the block."""
    command = [program(), "monitor", *arguments]
    environment = {**daemon.environment, "TZ": "UTC"}
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr
    try:
        monitor = Monitor(process)
        assert b"looking on" in await asyncio.wait_for(process.stderr.readline(), WAIT)
        yield monitor
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def no_pubsub(directory: Path) -> dict[str, Any]:
    """A house whose server is not there; its default route leads to nodes, another one nowhere else."""
    return bot_without_a_server(directory)


async def test_it_shows_what_is_accepted_by_whom_and_where_it_goes(tmp_path: Path) -> None:
    """With its sequence and item id; and that no route takes it."""
    async with Daemon(tmp_path / "bus") as daemon, monitoring(daemon) as monitor:
        item_id = (await daemon.command("publish", "disk.full", "97 %")).out.strip()
        line = await monitor.line()
        assert re.fullmatch(
            rf"\d\d:\d\d:\d\d in  command   accepted  disk\.full  #1 {item_id}: no route takes it", line
        )
        status, _ = await daemon.request("POST", "/v1/events", '{"type": "a.b", "id": "1", "source": "s"}', JSON)
        assert status == 202
        assert "in  events    accepted  a.b  #2" in await monitor.line()
        await daemon.request("POST", "/v1/events", '{"type": "a.b", "id": "1", "source": "s"}', JSON)
        assert "it was accepted before" in await monitor.line()
        await daemon.command("queue", "declare", "mails", "user.#")
        await daemon.command("publish", "user.signup", "alice joined")
        assert (await monitor.line()).endswith("-> queue:mails")
        await daemon.command("publish", "t", "x", "--queue", "jobs")
        assert (await monitor.line()).endswith("-> queue:jobs")
    async with (
        Daemon(tmp_path / "with", config=no_pubsub(tmp_path)) as daemon,
        monitoring(daemon, "--in", "disk.#") as monitor,
    ):
        await daemon.command("publish", "user.signup")
        await daemon.command("publish", "disk.full", "97 %")
        assert (await monitor.line()).endswith("-> pubsub:disk.full, people:all")


JSON = {"Content-Type": "application/json"}


async def test_it_shows_what_is_refused_and_why_and_by_which_door(tmp_path: Path) -> None:
    """Also what the listener turned away before any input read it; each no once, on one line, whatever is in it."""
    async with Daemon(tmp_path / "bus") as daemon, monitoring(daemon, "--refused") as monitor:
        assert (await daemon.run("publish", "good.type")).code == 0
        assert (await daemon.run("publish", "not a type")).code == 65
        assert "refused   not a type  invalid-event, type: " in await monitor.line()
        await daemon.request("POST", "/v1/events", '{"type": "a\\u001b[31m\\nb"}', JSON)
        line = await monitor.line()
        assert "in  events    refused   a [31m b  invalid-event" in line
        assert "\x1b" not in line
        await daemon.request("POST", "/v1/events", "<xml/>", {"Content-Type": "text/xml"})
        assert "in  http      refused   POST /v1/events  unsupported-media-type" in await monitor.line()
        await daemon.request("POST", "/events", "{}", JSON)
        assert "in  http      refused   POST /events  item-not-found" in await monitor.line()


async def test_it_shows_what_a_server_took(server: Server, tmp_path: Path) -> None:
    """Real ones: with the event, in words and for programs."""
    async with Daemon(tmp_path / "bus", server) as daemon:  # noqa: SIM117  # one is the other's
        async with monitoring(daemon, "--json") as programs, monitoring(daemon, "--output", "pubsub") as people:
            item_id = (await daemon.command("publish", "monitor.seen")).out.strip()
            assert re.fullmatch(
                r"\d\d:\d\d:\d\d out pubsub    delivered monitor\.seen  #1 pubsub:monitor\.seen", await people.line()
            )
            came, went = await programs.json(), await programs.json()
            place = {"output": "pubsub", "place": "monitor.seen"}
            about = {"type": "monitor.seen", "id": item_id, "sequence": 1}
            assert {**about, "direction": "in", "input": "command", "result": "new", "deliveries": [place]}.items() <= (
                came.items()
            )
            assert {**about, **place, "direction": "out", "result": "delivered"}.items() <= went.items()


PLUGIN = """
from xmppbus.journal import DELIVERED, UNSENT, Outcome, Verdict

class Moody:
    async def __aenter__(self): return self
    async def __aexit__(self, *exc_info): pass
    async def ready(self): pass
    def status(self): return {"state": "up"}
    async def deliver_run(self, place, deliveries):
        for each in deliveries:
            if each.event.data == "no":
                yield Outcome(Verdict.DEAD, "not-acceptable", "it is too\\nlong")
            elif each.event.data == "closed":
                yield Outcome(Verdict.STOPPED, "forbidden", "the door is shut")
                return
            else:
                yield DELIVERED

def register(registry):
    registry.output("moody", lambda house, options: Moody())
""".replace("each.event.data", "each.event.get('data')")


async def test_it_shows_what_is_dead_and_places_that_stop(tmp_path: Path) -> None:
    """With the reason, and when a place is tried again. An output that fails on demand."""
    (tmp_path / "moody.py").write_text(PLUGIN)
    config = {"plugins": [str(tmp_path / "moody.py")], "routes": [{"name": "all", "to": ["moody:here"]}]}
    async with Daemon(tmp_path / "bus", config=config) as daemon, monitoring(daemon, "--out", "--refused") as monitor:
        await daemon.command("publish", "a.b", "yes")
        await daemon.command("publish", "a.b", "no")
        assert (await monitor.line()).endswith(
            "out moody     dead      a.b  #2 moody:here: not-acceptable it is too long"
        )
        await daemon.command("publish", "a.b", "closed")
        line = await monitor.line()
        assert "out moody     stopped   a.b  #3 moody:here: forbidden, the door is shut (again in " in line


async def test_a_reader_that_is_slower_than_the_house_is_told_of_a_gap(tmp_path: Path) -> None:
    """And the house does not wait for it: all is accepted while it reads nothing."""
    async with Daemon(tmp_path / "bus") as daemon:
        reading, writing = os.pipe()
        process = await asyncio.create_subprocess_exec(
            *(program(), "monitor", "--json"), env=daemon.environment, stdout=writing
        )
        os.close(writing)
        with os.fdopen(reading, "rb") as output:
            try:
                lines = b"".join(b'{"type": "t", "data": %d}\n' % number for number in range(20_000))
                for _ in range(2):
                    await daemon.command("publish", "--json", "-", "--lines", "--output", "none", input=lines)
                missed = 0
                seen = 0
                while not missed:
                    line = json.loads(await asyncio.to_thread(output.readline))
                    missed = line.get("missed", 0)
                    seen += 1
                assert seen + missed <= 40_001
            finally:
                process.kill()
                await process.wait()


async def test_names_that_nothing_has_are_said(tmp_path: Path) -> None:
    """They would show nothing for ever."""
    async with Daemon(tmp_path / "bus") as daemon:
        done = await daemon.run("monitor", "--input", "eventz")
        assert done.code == 64
        assert "there is no 'eventz'; there are command, events, " in done.err
        assert (await daemon.run("monitor", "--output", "x")).code == 64


async def test_the_lines_of_the_page_look_on(tmp_path: Path) -> None:
    """docs/howto/why-nothing-comes.md."""
    page = ROOT / "docs/howto/why-nothing-comes.md"
    commands = [line for kind, text in blocks(page) if kind == "sh" for line in text.splitlines()]
    assert commands
    async with Daemon(tmp_path / "bus", config=no_pubsub(tmp_path)) as daemon:
        for command in commands:
            _, *arguments = command.replace("'", "").split()
            assert arguments.pop(0) == "monitor"
            async with monitoring(daemon, *arguments) as monitor:
                await daemon.run("publish", "not a type")
                await daemon.run("publish", "disk.full")
                assert "--output" in arguments or await monitor.line()


@pytest.mark.parametrize("colour", [False, True])
async def test_colours_are_for_terminals_that_want_them(tmp_path: Path, colour: bool) -> None:
    """NO_COLOR is obeyed."""
    async with Daemon(tmp_path / "bus") as daemon:
        environment = {**daemon.environment, "TERM": "xterm", **({} if colour else {"NO_COLOR": "1"})}
        script = f"script --quiet --return --command '{program()} monitor -n 1' /dev/null"
        process = await asyncio.create_subprocess_shell(
            script, env=environment, stdout=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL
        )
        shown = asyncio.create_task(process.communicate())

        async def ends() -> bool:
            await daemon.command("publish", "disk.full")
            return shown.done()

        await until(ends, WAIT, "a line", poll=0.1)
        output = (await shown)[0]
        assert b"disk.full" in output
        assert (b"\x1b[" in output) is colour
