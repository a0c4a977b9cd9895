"""The whole of it in small: a server, the bus, two publishers, a worker, a display, each a process that may be killed
and started again at any moment; and a count of what was accepted and what arrived."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Self

from xmppbus import limits
from xmppbus.demo.ledgers import ACCEPTED, RECEIVED, Comparison, Count, Tail
from xmppbus.demo.playing import ON_PROSODY
from xmppbus.demo.ports import free_port, is_free
from xmppbus.demo.prosody import PrivateProsody, ProsodySettings
from xmppbus.demo.server_process import ServerProcess

COMPONENT, SERVICE, USER, DISPLAY = "bus.localhost", "pubsub.localhost", "demo", "display"
NODES = ("order.placed", "disk.full", "order.shipped")

CONFIG = (
    ON_PROSODY
    + """\
    max_items: {items}
bot:
  affiliations: {{"{owner}": owner}}
http:
  listen: 127.0.0.1:{http}
socket:
  path: {socket}
displays:
  - name: topology
    title: The topology
    panels:
      - {{kind: counter, match: "order.placed", window: 1h, title: Orders, at: [1, 1, 3, 2]}}
      - {{kind: counter, match: "order.shipped", window: 1h, title: Shipped, at: [4, 1, 3, 2]}}
      - {{kind: rate, match: "#", window: 1m, title: Events, at: [7, 1, 6, 2]}}
      - {{kind: text, match: "disk.full", field: summary, title: Disk, at: [1, 3, 6, 2]}}
      - {{kind: feed, match: {{type: "#", severity: ">=warning"}}, title: Look at this, at: [1, 5, 6, 2]}}
      - {{kind: feed, match: "#", title: What happens, at: [7, 3, 6, 4]}}
"""
)


@dataclass
class Part:
    """One process of it. `begun` is when it was started last, by a clock that only goes on."""

    name: str
    what: str
    process: ServerProcess
    begun: float = 0.0
    wanted: bool = field(default=False)

    @property
    def is_up(self) -> bool:
        """Whether the process is there."""
        return self.process.pid is not None

    async def start(self) -> None:
        """Start it, and return when it is ready. Raises ServerStartError."""
        self.wanted = True
        if not self.is_up:
            self.process.kill()  # one that ended by itself is waited for
            await self.process.start(limits.SERVER_START_SECONDS)
            self.begun = monotonic()

    def kill(self) -> None:
        """SIGKILL, at once."""
        self.wanted = False
        self.process.kill()

    async def stop(self) -> None:
        """SIGTERM, and wait."""
        self.wanted = False
        await self.process.stop(limits.SERVER_STOP_SECONDS)
        self.process.kill()


class Topology:
    """All parts, in one directory. `async with` starts them, inside out, and ends them."""

    def __init__(self, directory: Path, *, speed: float = 1.0) -> None:
        self.directory = directory
        self.password = secrets.token_urlsafe(9)
        self.http, self.client_port = _port(8222), _port(5222)
        self.socket = directory / "xmppbus.sock"
        secret = secrets.token_urlsafe(18)
        settings = ProsodySettings(
            c2s_port=self.client_port,
            component_port=_port(5347),
            components={COMPONENT: secret},
            pubsub_service=SERVICE,
            creators=[COMPONENT],
            pubsub_max_items=10 * limits.DEMO_ITEMS,
            kick_old=True,
            nagle=False,
        )
        (directory / "prosody").mkdir()
        self._prosody = PrivateProsody(directory / "prosody", settings)
        for user in (USER, DISPLAY):
            self._prosody.create_account(user, self.password)
        self._prosody.write()
        (directory / "secret").touch(mode=0o600)
        (directory / "secret").write_text(secret + "\n")
        config = CONFIG.format(
            component=COMPONENT, port=settings.component_port, service=SERVICE, items=limits.DEMO_ITEMS,
            owner=self.jid, http=self.http, socket=self.socket,
        )  # fmt: skip
        (directory / "xmppbus.yaml").write_text(config)
        self._write_scene(speed)
        self.parts = {part.name: part for part in self._parts(settings.component_port)}
        self._comparison = Comparison(limits.DEMO_SETTLE_SECONDS)
        self._accepted = {name: Tail(directory / (name + ACCEPTED)) for name in ("shop", "disks", "worker")}
        self._received = Tail(directory / ("display" + RECEIVED))
        self.accepted_by = dict.fromkeys(self._accepted, 0)

    def _write_scene(self, speed: float) -> None:
        scene = {
            "http": self.http,
            "port": self.client_port,
            "display": f"{DISPLAY}@localhost",
            "password": self.password,
            "certificate": str(self._prosody.certificate),
            "service": SERVICE,
            "nodes": NODES,
            "speed": speed,
        }
        path = self.directory / "scene.json"
        path.touch(mode=0o600)  # the password is in it, and on no command line
        path.write_text(json.dumps(scene))

    @property
    def jid(self) -> str:
        """A person's account."""
        return f"{USER}@localhost"

    @property
    def environment(self) -> dict[str, str]:
        """For commands that are to talk to this bus."""
        return {"XMPPBUS_SOCKET": str(self.socket), "XMPPBUS_STATE": str(self.directory / "state")}

    def _parts(self, component_port: int) -> Sequence[Part]:
        scene = str(self.directory / "scene.json")
        prosody = ["prosody", "-F", "--config", str(self._prosody.config)]
        serve = _python("xmppbus", "serve", "--config", str(self.directory / "xmppbus.yaml"))
        return (
            self._part("server", "Prosody, where the nodes are", prosody, component_port, self.client_port),
            self._part("bus", "xmppbus serve", serve, self.http),
            self._part("shop", "publishes order.placed over HTTP", _module("publisher", scene, "shop")),
            self._part("disks", "publishes disk.full from a shell", _module("publisher", scene, "disks")),
            self._part("worker", "order.placed makes order.shipped", _module("worker", scene)),
            self._part("display", "subscribes to the three nodes", _module("display", scene)),
        )

    def _part(self, name: str, what: str, argv: Sequence[str], *ports: int) -> Part:
        environment = {**os.environ, **self.environment}
        return Part(name, what, ServerProcess(argv, ports, self.directory / f"{name}.log", environment))

    async def __aenter__(self) -> Self:
        """Raises ServerStartError."""
        try:
            for part in self.parts.values():
                await part.start()
        except BaseException:
            self.kill()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for part in reversed(self.parts.values()):
            await part.stop()

    def kill(self) -> None:
        """All of it, at once."""
        for part in self.parts.values():
            part.kill()

    def count(self) -> Count:
        """How it stands now."""
        now = monotonic()
        for line in self._received.more():
            if line.get("again"):
                self._comparison.repeated += 1
            else:
                self._comparison.receive(line["id"], now)
        for name, tail in self._accepted.items():
            for line in tail.more():
                self.accepted_by[name] += 1
                self._comparison.accept(line["node"], line["id"])
        return self._comparison.count(now)


def _port(wanted: int) -> int:
    """The usual port, so that a client needs no advanced settings; another where somebody has it."""
    return wanted if is_free(wanted) else free_port()


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def _module(name: str, *arguments: str) -> list[str]:
    return _python(f"xmppbus.demo.{name}", *arguments)
