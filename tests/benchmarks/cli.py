"""`xmppbus publish` as a whole process, from fork to exit, as a shell loop pays for it.

* `publish_vs_python`: against `python3 -c pass` of the same interpreter in the same virtual environment.
* `publish_vs_go_sendxmpp`: against go-sendxmpp, which logs in and sends one chat message, on the same server.

A figure beside them: a Python script that logs in with slixmpp as a client and publishes one item. The daemon runs and
is connected; each event is on disk when the process exits. In a round each program runs a few times, and the round's
figure is the median of those; rounds are short and many, because neighbours on the machine come and go.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.benchmarks.figures import Report, Settings, play, spread
from tests.benchmarks.product import Product, program, state_directory
from tests.benchmarks.servers import NODE, stream_to, xmpp_server
from tests.support import raw, raw_pubsub
from tests.support.server import Server

ROUNDS = 40
QUICK_ROUNDS = 20
RUNS = 8
QUICK_RUNS = 4
EVENT_TYPE = "bench.cli"
ACCOUNT_NODE = "bench.slixmpp"
USER = "reader@localhost"

SLIXMPP = """
import asyncio, sys
import slixmpp
jid, password, host, port, service, node, certificate = sys.argv[1:]
client = slixmpp.ClientXMPP(jid, password)
client.register_plugin("xep_0060")
client.ca_certs = certificate
text = "<entry xmlns='http://www.w3.org/2005/Atom'><title>a job is done</title></entry>"
entry = slixmpp.xmlstream.ET.fromstring(text)
done = asyncio.Event()
async def publish(_):
    await client.plugin["xep_0060"].publish(service, node, id="1", payload=entry)
    done.set()
client.add_event_handler("session_start", publish)
async def main():
    client.connect(host, int(port))
    await asyncio.wait_for(done.wait(), 20)
client.loop.run_until_complete(main())
client.abort()
"""


class Program:
    """A command line, timed from the moment it is forked to the moment it has exited."""

    def __init__(self, command: Sequence[str], runs: int, environment: Mapping[str, str], message: bytes = b"") -> None:
        self.command = list(command)
        self.runs = runs
        self.environment = dict(environment)
        self.message = message
        self.seconds: list[float] = []

    def once(self) -> float:
        """One process; a status other than 0 raises."""
        reading, writing = os.pipe()
        os.write(writing, self.message)
        os.close(writing)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        actions = [(os.POSIX_SPAWN_DUP2, reading, 0), (os.POSIX_SPAWN_DUP2, nowhere, 1)]
        begun = time.perf_counter()
        child = os.posix_spawn(self.command[0], self.command, self.environment, file_actions=actions)
        _, status = os.waitpid(child, 0)
        seconds = time.perf_counter() - begun
        os.close(reading)
        os.close(nowhere)
        if status != 0:
            raise RuntimeError(f"{self.command[0]} exits {os.waitstatus_to_exitcode(status)}")
        return seconds

    def __call__(self) -> float:
        """The median of one round."""
        taken = [self.once() for _ in range(self.runs)]
        self.seconds += taken
        return statistics.median(taken)


def programs(product: Product, server: Server, directory: Path, runs: int) -> dict[str, Program]:
    """All contenders."""
    script = directory / "with_slixmpp.py"
    script.write_text(SLIXMPP)
    user, password = USER, server.accounts[USER]
    environment = product.environment
    go = ["/usr/bin/go-sendxmpp", "-u", user, "-p", password, "-j", f"{server.host}:{server.c2s_port}", "-n", user]
    login = [user, password, server.host, str(server.c2s_port), server.pubsub_service, ACCOUNT_NODE]
    slow = max(1, runs // 4)
    return {
        "python": Program([sys.executable, "-c", "pass"], runs, environment),
        "publish": Program([program(), "publish", EVENT_TYPE, "a job is done"], runs, environment),
        "publish_from_a_pipe": Program([program(), "publish", EVENT_TYPE], runs, environment, b"a job is done"),
        "go_sendxmpp": Program(go, slow, {**environment, "HOME": str(directory)}, b"a job is done\n"),
        "slixmpp": Program([sys.executable, str(script), *login, str(server.certificate)], slow, environment),
    }


async def node_for_accounts(server: Server) -> None:
    """One that an account may publish on."""
    owner = await raw.component(server.host, server.component_port, server.component_jids[1], server.secret)
    async with owner:
        fields = {"persist_items": "0", "access_model": "open", "publish_model": "open"}
        await raw_pubsub.create_node(owner, server.pubsub_service, ACCOUNT_NODE, fields)


def run(settings: Settings) -> Report:
    """See the module."""
    report = Report()
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(state_directory())
        server = stack.enter_context(xmpp_server(settings.server, directory / "server"))
        asyncio.run(node_for_accounts(server))
        product = Product(directory / "bus", node=NODE)
        stack.enter_context(product.daemon(stream_to(server)))
        product.until_healthy()
        contenders = programs(product, server, directory, QUICK_RUNS if settings.quick else RUNS)
        for one in contenders.values():
            one.once()  # compiled files and caches are warm, as in the second turn of a loop
        turns: dict[str, Callable[[], float]] = dict(contenders)
        scores = play(settings.rounds, turns, settings.measuring_seconds())
    for name, one in contenders.items():
        report.figures[f"{name}_ms"] = spread(one.seconds)
    report.ratio("publish_vs_python", list(zip(scores["publish"], scores["python"], strict=True)))
    report.ratio("publish_vs_go_sendxmpp", list(zip(scores["publish"], scores["go_sendxmpp"], strict=True)))
    return report
