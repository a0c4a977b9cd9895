"""`xmppbus demo`: everything at once, on this machine only, to look at."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import click

from xmppbus.cli.desk import SEVERITY_STYLES, Action, Desk
from xmppbus.cli.showing import json_line
from xmppbus.demo import installing
from xmppbus.demo.playing import Scene, staged, trickle, watch
from xmppbus.demo.samples import NODES
from xmppbus.demo.server_process import ServerStartError
from xmppbus.errors import BusError, Exit
from xmppbus.event import Event
from xmppbus.render import MARKS, plain


@click.command()
@click.option("--install", is_flag=True, help="Install Prosody from Debian's packages if it is missing (as root).")
@click.option("--duration", type=click.FloatRange(0.1), metavar="SECONDS", help="End after so long; else with Ctrl-C.")
@click.option("--json", is_flag=True, help="One JSON object a line for each event that the subscriber received.")
@click.option(
    "--topology", is_flag=True, help="Two publishers, a worker and a display, and keys that kill and start each."
)
def demo(install: bool, duration: float | None, json: bool, topology: bool) -> Action:
    """Show it at work: a private Prosody, the bus and its bot, a trickle of events, and a subscriber.

    All of it runs on loopback in a temporary directory, and ends with Ctrl-C.

    With --topology each part is a process that you may kill, the server and the bus too, while it counts what was
    accepted and what arrived. Without a terminal it takes commands, a line each: kill NAME, stop NAME, start NAME,
    chaos on, chaos off, quit. It exits with 70 when something was lost.

    \b
    Example:
      xmppbus demo --install
      xmppbus demo --topology
      xmppbus demo --duration 20 --json
    """

    async def action(desk: Desk) -> int:
        try:
            if (missing := installing.missing()) and (code := await _install(desk, missing, install)):
                return code
            if topology:
                return _play_topology(desk, duration, json)
            return asyncio.run(_play(duration, _printer(desk, json), None if json else _introduce(desk)))
        except ServerStartError as error:
            await desk.err(f"{error}")
            return Exit.UNAVAILABLE

    return action


def _play_topology(desk: Desk, duration: float | None, json: bool) -> int:
    from xmppbus.cli.topology import play_topology

    with tempfile.TemporaryDirectory(prefix="xmppbus-demo-") as directory:
        return asyncio.run(play_topology(desk, Path(directory), duration=duration, json=json))


async def _install(desk: Desk, missing: list[str], wanted: bool) -> int:
    if not wanted or os.geteuid() != 0:
        who = "" if os.geteuid() == 0 else "as root: "
        await desk.err(f"{' and '.join(missing)} missing; {who}{installing.BY_HAND}, or xmppbus demo --install")
        return Exit.UNAVAILABLE
    await desk.err(f"installing {' and '.join(missing)} from Debian's packages")
    installing.install()
    return Exit.OK


Printer = Callable[[str, str, Event], None]


async def _play(duration: float | None, arrived: Printer, introduce: Callable[[Scene], None] | None) -> int:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    with tempfile.TemporaryDirectory(prefix="xmppbus-demo-") as directory:
        async with staged(Path(directory)) as scene:
            if introduce:
                introduce(scene)
            work = [asyncio.create_task(watch(scene, arrived)), asyncio.create_task(trickle(scene))]
            end = asyncio.create_task(ended.wait())
            try:
                await asyncio.wait([*work, end], timeout=duration, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (*work, end):
                    task.cancel()
                results = await asyncio.gather(*work, end, return_exceptions=True)
        for result in results:
            if isinstance(result, BusError):
                sys.stderr.write(f"xmppbus: {result}\n")
                return Exit.UNAVAILABLE
            if isinstance(result, Exception):
                raise result
    return Exit.OK


def _printer(desk: Desk, json: bool) -> Printer:
    """What the subscriber received, a line each."""

    def write(node: str, item_id: str, event: Event) -> None:
        if json:
            line = json_line({"node": node, "id": item_id, "event": event.fields}).decode()
        else:
            mark = desk.style(MARKS[event.severity], SEVERITY_STYLES[event.severity])
            clock = desk.style(event.time[11:19], "dim")
            line = f"{clock} {mark} {node:<14} {plain(event.summary)}\n"
        sys.stdout.write(line)
        sys.stdout.flush()

    return write


def _introduce(desk: Desk) -> Callable[[Scene], None]:
    def introduce(scene: Scene) -> None:
        sys.stdout.write(_introduction(scene, lambda text: desk.style(text, "bold")))
        sys.stdout.flush()

    return introduce


def _introduction(scene: Scene, strong: Callable[[str], str]) -> str:
    environment = " ".join(f"{name}={shlex.quote(value)}" for name, value in scene.environment.items())
    program = sys.argv[0] if os.path.sep in sys.argv[0] else "xmppbus"
    program = f"{environment} {shlex.quote(os.path.abspath(program) if os.path.sep in program else program)}"
    return f"""\
{strong("xmppbus demo")}: a Prosody, the bus and a subscriber, on this machine only. Ctrl-C ends all three.

{strong("Log in")} with any Jabber client:
  JID       {scene.jid}
  password  {scene.password}
  server    127.0.0.1, port {scene.client_port} (its certificate is its own: {scene.certificate})
In Profanity: /connect {scene.jid} server 127.0.0.1 port {scene.client_port}, then /tls allow,
  /sub request {scene.bot}, /sub allow {scene.bot}, /msg {scene.bot}

{strong("Write to the bot")}: add {strong(scene.bot)} in your client, let it see that you are there, and say
  help                what it understands
  subscribe disk.#    a disk fills every half minute: one message, which changes until it is over
  ack                 when it fires: you take care of it
The nodes are at {strong("pubsub.localhost")}, for clients that read them.

{strong("Look at the page")} in a browser: {scene.http}/

{strong("Try")} in another terminal:
  curl -d 'hello from curl' {scene.http}/v1/events/demo.hello
  {program} publish demo.hello "hello from a shell"
  {program} status

{strong("What the subscriber receives")} from {", ".join(NODES)}:
"""
