"""`xmppbus demo --topology`: the parts in a live table, keys or commands that kill and start them, and the count."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import termios
import tty
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Any

from xmppbus import limits
from xmppbus.cli.desk import Desk
from xmppbus.demo.server_process import ServerStartError
from xmppbus.demo.topology import Part, Topology
from xmppbus.errors import Exit

WIDTH, SHOWN, KEPT = 78, 5, 100
VERBS = "kill NAME, stop NAME, start NAME, chaos on, chaos off, quit"


class Stage:
    """What happens to the parts, whoever wants it: a key, a command, chaos."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.begun = monotonic()
        self.said: deque[str] = deque(maxlen=KEPT)
        self.chaos: asyncio.Task[None] | None = None
        self.bus: dict[str, Any] = {}
        self.changed = asyncio.Event()
        self._locks = {name: asyncio.Lock() for name in topology.parts}
        self._dice = random.Random()  # noqa: S311  # which part is killed is no secret

    def say(self, text: str) -> None:
        """A line of the log below the table."""
        self.said.append(f"{datetime.now().astimezone():%H:%M:%S} {text}")
        self.changed.set()

    async def do(self, verb: str, part: Part) -> None:
        """`kill`, `stop` or `start`."""
        async with self._locks[part.name]:
            if verb == "start":
                try:
                    await part.start()
                    self.say(f"{part.name} is started")
                except ServerStartError as error:
                    self.say(f"{part.name} did not start: {str(error).splitlines()[0]}")
            elif verb == "kill":
                part.kill()
                self.say(f"{part.name} is killed (SIGKILL)")
            else:
                await part.stop()
                self.say(f"{part.name} is stopped (SIGTERM)")

    async def toggle(self, part: Part) -> None:
        """Kill what is up, start what is down."""
        await self.do("kill" if part.is_up else "start", part)

    def switch_chaos(self, wanted: bool) -> None:
        """Let it be killed and started by itself, or no longer."""
        if self.chaos is not None:
            self.chaos.cancel()
        self.chaos = asyncio.create_task(self._chaos()) if wanted else None
        self.say("chaos: something is killed every few seconds" if wanted else "chaos is over")

    async def _chaos(self) -> None:
        part: Part | None = None
        try:
            while True:
                await asyncio.sleep(self._dice.uniform(*limits.DEMO_CHAOS_SECONDS))
                part = self._dice.choice(list(self.topology.parts.values()))
                await self.do("kill", part)
                await asyncio.sleep(self._dice.uniform(*limits.DEMO_DOWN_SECONDS))
                await self.do("start", part)
        finally:
            if part is not None and not part.is_up:
                await asyncio.shield(self.do("start", part))

    async def look(self) -> None:
        """Ask the bus how it is, again and again."""
        while True:
            await self._ask_bus()
            await asyncio.sleep(limits.DEMO_STATUS_SECONDS)

    async def _ask_bus(self) -> None:
        if not self.topology.parts["bus"].is_up:
            return
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "xmppbus", "status", "--json"),
            env={**os.environ, **self.topology.environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        answer = (await process.communicate())[0]
        with suppress(ValueError):
            self.bus = json.loads(answer)

    async def drain(self) -> None:
        """Stop what publishes, and wait for a moment for what is on the way."""
        parts = self.topology.parts
        for name in ("shop", "disks", "worker"):
            await parts[name].stop()
        loop, begun = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        while all(parts[name].is_up for name in ("server", "bus", "display")) and self.topology.count().on_the_way:
            if loop.time() - begun > limits.DEMO_DRAIN_SECONDS:
                break
            await asyncio.sleep(limits.DEMO_POLL_SECONDS)
        await self._ask_bus()

    def state(self) -> dict[str, Any]:
        """How it stands, for programs."""
        count, journal = self.topology.count(), self.bus.get("journal", {})
        return {
            "seconds": round(monotonic() - self.begun, 1),
            "parts": {part.name: "up" if part.is_up else "down" for part in self.topology.parts.values()},
            "accepted": count.accepted,
            "delivered": max(0, journal.get("newest", 0) - journal.get("waiting", 0)),
            "received": count.received,
            "on_the_way": count.on_the_way,
            "lost": count.lost,
            "repeated": count.repeated,
            "chaos": self.chaos is not None,
            "directory": str(self.topology.directory),
        }


async def play_topology(desk: Desk, directory: Path, *, duration: float | None, json: bool) -> int:
    """Until Ctrl-C, `quit` or the end of the duration; the exit code is 70 when something was lost."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    draws = not json and desk.facts.terminals[0] and desk.facts.terminals[1]
    async with Topology(directory) as topology:
        stage = Stage(topology)
        console = _keys(stage, ended) if draws else _commands(stage, ended)
        show = _drawn(desk, stage) if draws else _told(stage, json)
        work = [asyncio.create_task(each) for each in (console, show, stage.look())]
        end = asyncio.create_task(ended.wait())
        try:
            await asyncio.wait([end, *work[1:]], timeout=duration, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*work, end, *([stage.chaos] if stage.chaos else [])):
                task.cancel()
            results = await asyncio.gather(*work, end, return_exceptions=True)
        await stage.drain()
        state = stage.state()
    if json:
        print(_dumped(state), flush=True)  # standard output is the result
    else:
        await desk.out(_summary(state))
    for result in results:
        if isinstance(result, Exception):
            raise result
    return Exit.SOFTWARE if state["lost"] else Exit.OK


def _summary(state: dict[str, Any]) -> str:
    return (
        f"accepted {state['accepted']:,}, received {state['received']:,}, on the way {state['on_the_way']:,}, "
        f"lost {state['lost']}, repeated {state['repeated']}"
    )


# --- a program, or a script, at the other end -------------------------------------------------------------------------


async def _told(stage: Stage, json: bool) -> None:
    """A line a second, and one for each thing that happens."""
    if not json:
        print(_where(stage.topology, str), flush=True)  # standard output is the result
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(stage.changed.wait(), 1)
        stage.changed.clear()
        said = list(stage.said)
        stage.said.clear()
        if json:
            print(_dumped({**stage.state(), "said": said}), flush=True)  # the same
        else:
            print(*said, _summary(stage.state()), sep="\n", flush=True)  # the same


def _dumped(state: dict[str, Any]) -> str:
    return json.dumps(state, ensure_ascii=False)


async def _commands(stage: Stage, ended: asyncio.Event) -> None:
    """Lines of standard input."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    try:
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    except (ValueError, PermissionError):
        return  # a file, or /dev/null: nothing will come from there
    while line := await reader.readline():
        match line.decode(errors="replace").split():
            case ["kill" | "stop" | "start" as verb, name] if name in stage.topology.parts:
                await stage.do(verb, stage.topology.parts[name])
            case ["chaos", "on" | "off" as wanted]:
                stage.switch_chaos(wanted == "on")
            case ["quit"]:
                ended.set()
            case []:
                pass
            case _:
                stage.say(f"not understood: {line.decode(errors='replace').strip()!r}; there are: {VERBS}")


# --- a person at a terminal -------------------------------------------------------------------------------------------


async def _keys(stage: Stage, ended: asyncio.Event) -> None:
    """One key each; the terminal is as it was when this is cancelled."""
    loop, pressed = asyncio.get_running_loop(), asyncio.Queue[bytes]()
    before = termios.tcgetattr(0)
    tty.setcbreak(0)
    loop.add_reader(0, lambda: pressed.put_nowait(os.read(0, 64)))
    busy = set[asyncio.Task[None]]()
    try:
        while True:
            for key in (await pressed.get()).decode(errors="replace"):
                if key in "123456":
                    part = list(stage.topology.parts.values())[int(key) - 1]
                    busy.add(task := asyncio.create_task(stage.toggle(part)))
                    task.add_done_callback(busy.discard)
                elif key == "c":
                    stage.switch_chaos(stage.chaos is None)
                elif key in "q\x04":
                    ended.set()
    finally:
        loop.remove_reader(0)
        termios.tcsetattr(0, termios.TCSADRAIN, before)


async def _drawn(desk: Desk, stage: Stage) -> None:
    """The table, drawn anew in place: on the terminal's other screen, which is left as it was."""
    sys.stdout.write("\x1b[?1049h\x1b[?25l")
    try:
        while True:
            text = "\x1b[K\n".join(_table(desk, stage))
            sys.stdout.write(f"\x1b[H{text}\x1b[K\x1b[J")
            sys.stdout.flush()
            with suppress(TimeoutError):
                await asyncio.wait_for(stage.changed.wait(), 0.5)
            stage.changed.clear()
    finally:
        sys.stdout.write("\x1b[?25h\x1b[?1049l")
        sys.stdout.flush()


def _table(desk: Desk, stage: Stage) -> list[str]:
    """At most 80 columns and 24 lines."""
    state, topology = stage.state(), stage.topology
    chaos = desk.style("chaos on", "red") if state["chaos"] else desk.style("chaos off", "dim")
    title = "xmppbus demo --topology"
    clock = _clock(state["seconds"])
    space = " " * (WIDTH - len(title) - len(clock) - len("  chaos off") - (not state["chaos"]))
    rows = [f" {desk.style(title, 'bold')}{space}{clock}  {chaos}", ""]
    for number, part in enumerate(topology.parts.values(), start=1):
        rows.append(_row(desk, stage, number, part))
    rows += ["", _figures(desk, state), ""]
    rows += [f" {line}" for line in _where(topology, lambda text: desk.style(text, "bold")).splitlines()]
    keys = "1-6 kill or start it    c chaos by itself    q or Ctrl-C ends all of it"
    rows += ["", f" {desk.style(keys, 'cyan')}", ""]
    return [*rows, *(f" {desk.style(line[:WIDTH], 'dim')}" for line in list(stage.said)[-SHOWN:])]


def _row(desk: Desk, stage: Stage, number: int, part: Part) -> str:
    up = part.is_up
    state = desk.style("● up  ", "green") if up else desk.style("○ down", "red")
    since = _clock(monotonic() - part.begun) if up else ""
    return f" {number}  {part.name:<8}{part.what:<34}{state} {since:<9}{_does(stage, part):>15}"


def _does(stage: Stage, part: Part) -> str:
    topology = stage.topology
    if part.name in topology.accepted_by:
        return f"{topology.accepted_by[part.name]:,} accepted"
    if part.name == "display":
        return f"{topology.count().received:,} received"
    if part.name == "bus":
        return f"{stage.bus.get('journal', {}).get('waiting', 0):,} waiting" if part.is_up else ""
    return ""


def _figures(desk: Desk, state: dict[str, Any]) -> str:
    def good(name: str) -> str:
        return desk.style(f"{name} {state[name]}", "green" if not state[name] else "alarm")

    flow = f"accepted {state['accepted']:,}   delivered {state['delivered']:,}   received {state['received']:,}"
    return f" {flow}   on the way {state['on_the_way']:,}   {good('lost')}   {good('repeated')}"


def _where(topology: Topology, strong: Callable[[str], str]) -> str:
    return (
        f"page    {strong(f'http://127.0.0.1:{topology.http}/')}\n"
        f"board   {strong(f'http://127.0.0.1:{topology.http}/display/topology')}\n"
        f"chat    {topology.jid}, password {topology.password}, port {topology.client_port}; add bot@bus.localhost"
    )


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 3600:02}:{int(seconds) // 60 % 60:02}:{int(seconds) % 60:02}"
