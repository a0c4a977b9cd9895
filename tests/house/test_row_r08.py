"""R8, the topology in small: one command brings it up, and whatever is killed in it, nothing is lost."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.support.raw import account
from tests.support.raw_pubsub import items
from tests.support.server import ServerFactory
from tests.support.tmux import Tmux
from tests.support.waiting import until
from xmppbus.demo.ledgers import ACCEPTED, Comparison, lines

PROGRAM = Path(sys.executable).with_name("xmppbus")
SOON = 60.0
PARTS = ("server", "bus", "shop", "disks", "worker", "display")
NODES = ("order.placed", "disk.full", "order.shipped")


class Script:
    """`xmppbus demo --topology --json`, and whoever writes commands to it."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.said: list[str] = []

    async def say(self, *commands: str) -> None:
        """A line each."""
        assert self.process.stdin
        self.process.stdin.write("".join(f"{each}\n" for each in commands).encode())
        await self.process.stdin.drain()

    async def state(self) -> dict[str, Any]:
        """The next line that it prints."""
        assert self.process.stdout
        line = await asyncio.wait_for(self.process.stdout.readline(), SOON)
        found: dict[str, Any] = json.loads(line)
        self.said += found.get("said", ())
        return found

    async def until(self, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """The first state of which that is true."""
        async with asyncio.timeout(SOON):
            while not condition(state := await self.state()):
                pass
        return state

    async def until_said(self, *texts: str) -> None:
        """Each of these has been said, since the last call."""
        await self.until(lambda _: all(any(text in line for line in self.said) for text in texts))
        self.said.clear()


@asynccontextmanager
async def topology(*more: str) -> AsyncIterator[Script]:
    """The installed program, at work."""
    process = await asyncio.create_subprocess_exec(
        PROGRAM, "demo", "--topology", "--json", *more, stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    try:
        yield Script(process)
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.communicate(), SOON)


async def test_r8_whatever_is_killed_in_the_topology_nothing_is_lost(own_server: ServerFactory) -> None:
    """Server, bus, publishers, worker and display, each and together, with SIGKILL; then what was accepted is compared
    with what is on the nodes, as another client reads them."""
    del own_server  # asked for, so that a machine without Prosody skips or fails as the others do
    async with topology() as script:
        first = await script.until(lambda state: state["received"] >= 4)
        await script.say("kill bus", "kill display", "start bus", "kill server", "start server", "start display")
        await script.until_said("display is started")
        seen = await script.until(lambda state: state["received"] > first["received"] + 4)
        await script.say(*(f"kill {part}" for part in PARTS))
        down = await script.until(lambda state: set(state["parts"].values()) == {"down"})
        assert (down["lost"], down["repeated"]) == (0, 0)
        await script.say(*(f"start {part}" for part in PARTS))
        await script.until(lambda state: state["received"] > seen["received"] + 4)
        await script.say("chaos on")
        await script.until_said("is killed")
        await script.say("chaos off", *(f"start {part}" for part in PARTS), "tidy up")
        await script.until_said("not understood: 'tidy up'", "chaos is over")
        await script.say("stop shop", "stop disks", "stop worker")
        await script.until_said("worker is stopped")
        quiet = await script.until(lambda state: not state["on_the_way"])
        directory = Path(quiet["directory"])
        for node, kept in (await on_the_nodes(directory)).items():
            more = kept - accepted(directory)[node]
            assert not accepted(directory)[node] - kept
            assert len(more) <= 1, "its publisher was stopped between the yes and writing it down"
        await script.say("quit")
        end = await script.until(lambda state: "said" not in state)
        assert await asyncio.wait_for(script.process.wait(), SOON) == 0
    assert end["accepted"] == end["received"] == quiet["accepted"] > 12
    assert (end["lost"], end["repeated"], end["on_the_way"]) == (0, 0, 0)
    assert is_gone(directory)


def is_gone(directory: Path) -> bool:
    """Nothing is left of it."""
    return not directory.exists()


def accepted(directory: Path) -> dict[str, set[str]]:
    """What the publishers and the worker got a yes for, by node."""
    found: dict[str, set[str]] = {node: set() for node in NODES}
    for ledger in directory.glob(f"*{ACCEPTED}"):
        for line in lines(ledger):
            found[line["node"]].add(line["id"])
    return found


async def on_the_nodes(directory: Path) -> dict[str, set[str]]:
    """What somebody reads there who knows nothing of all this."""
    scene = json.loads((directory / "scene.json").read_text())
    async with await account("127.0.0.1", scene["port"], "demo@localhost", scene["password"]) as reader:
        read = {node: await items(reader, "pubsub.localhost", node) for node in NODES}
    assert all(len(each) == len({item.item_id for item in each}) for each in read.values())
    return {node: {item.item_id for item in each} for node, each in read.items()}


async def test_keys_kill_and_start_parts_and_the_table_fits_a_small_terminal(own_server: ServerFactory) -> None:
    """80 columns, 24 lines; `q` ends all of it, and says how it stood."""
    del own_server
    async with Tmux([str(PROGRAM), "demo", "--topology"], os.environ) as terminal:
        await terminal.until_shown("subscribes to the three nodes", "● up", "lost 0", "repeated 0")
        text = terminal.screen()
        assert len([line for line in text.splitlines() if line.strip()]) < 22
        assert re.search(r"page +http://127.0.0.1:\d+/", text)
        assert "/display/topology" in text
        terminal.press("6")
        await terminal.until_shown("○ down", "display is killed (SIGKILL)")
        terminal.press("6")
        await terminal.until_shown("display is started")
        assert "○ down" not in terminal.screen()
        terminal.press("c")
        await terminal.until_shown("chaos on")
        terminal.press("c")
        await terminal.until_shown("chaos off")
        terminal.press("q")
        await terminal.until_shown("accepted", "on the way 0, lost 0, repeated 0")


async def test_ctrl_c_ends_every_part_and_a_file_as_standard_input_is_no_reason_to_end() -> None:
    """What it started, and its directory."""
    process = await asyncio.create_subprocess_exec(
        PROGRAM, "demo", "--topology", "--json", stdin=DEVNULL, stdout=PIPE, stderr=PIPE
    )
    try:
        assert process.stdout
        state = json.loads(await asyncio.wait_for(process.stdout.readline(), SOON))
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= len(PARTS)
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.communicate(), SOON)
        assert process.returncode == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    await until(lambda: not [each for each in children if each.is_running()], timeout=SOON, what="all ended")
    assert is_gone(Path(state["directory"]))


async def test_the_line_of_its_page_plays_the_scenario_in_a_script() -> None:
    """Commands on standard input, a JSON object for each thing that happens."""
    page = (Path(__file__).parents[2] / "docs/howto/topology.md").read_text()
    (line,) = re.findall(r"^printf .*$", page, re.MULTILINE)
    path = f"{PROGRAM.parent}:{os.environ['PATH']}"
    shell = await asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", line), env={**os.environ, "PATH": path}, stdout=PIPE, stderr=PIPE
    )
    out, err = await asyncio.wait_for(shell.communicate(), SOON)
    assert shell.returncode == 0, err
    states = [json.loads(each) for each in out.splitlines()]
    said = " ".join(text for state in states for text in state.get("said", ()))
    assert all(f"{part} is {what}" in said for part in ("bus", "server") for what in ("killed", "started"))
    assert states[-1]["lost"] == states[-1]["repeated"] == 0


def test_what_is_older_than_what_came_long_ago_is_lost_and_what_is_newer_is_on_the_way() -> None:
    """On its own node; order is kept on a node, and on no other."""
    comparison = Comparison(settle_seconds=10)
    for node, item_id in (("a", "1"), ("a", "2"), ("a", "3"), ("b", "4"), ("a", "2")):
        comparison.accept(node, item_id)
    comparison.receive("2", now=100)
    comparison.receive("2", now=101)
    assert comparison.count(now=105) == (4, 1, 0, 0)
    assert comparison.count(now=111) == (4, 1, 1, 0)
    comparison.receive("1", now=112)
    assert comparison.count(now=130) == (4, 2, 0, 0)


def test_what_came_before_its_publisher_wrote_down_the_yes_counts_when_that_is_there() -> None:
    """A display may be faster than a shell."""
    comparison = Comparison(settle_seconds=10)
    comparison.receive("1", now=0)
    assert comparison.count(now=1).received == 0
    comparison.accept("a", "1")
    assert comparison.count(now=99) == (1, 1, 0, 0)
