"""R21, an application's bus; here the local bus with plugins, *down* told from *behind*, and events nobody takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.daemon import Daemon
from tests.support.proxy import Proxy
from tests.support.server import ServerFactory
from tests.support.waiting import until

JSON = {"Content-Type": "application/json"}
PLUGIN = '''
"""An output that appends to a file, and an analyzer that shouts: a plugin as anybody may write one."""

from contextlib import asynccontextmanager

from xmppbus.journal import DELIVERED


class Notebook:
    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc_info):
        pass

    async def ready(self):
        pass

    async def deliver_run(self, place, deliveries):
        for delivery in deliveries:
            with open(place, "a") as page:
                page.write(f"{delivery.event.fields['summary']}\\n")
            yield DELIVERED

    def status(self):
        return {"state": "up"}


class Shout:
    async def analyze(self, event):
        return [event.evolve(summary=event.fields["summary"].upper())]


def register(registry):
    registry.output("notebook", lambda house, options: Notebook())
    registry.analyzer("shout", lambda options: Shout(**options))
'''


async def state(daemon: Daemon) -> str:
    """The one word of `xmppbus status`."""
    return str((await daemon.status())["state"])


async def test_r21_plugins_run_on_a_local_bus_with_no_xmpp_server_at_all(tmp_path: Path) -> None:
    """An analyzer and an output from a file; the shipped throttle beside them."""
    (tmp_path / "mine.py").write_text(PLUGIN)
    page = tmp_path / "page"
    route = {
        "name": "notes",
        "match": "game.#",
        "via": [{"throttle": {"count": 2, "seconds": 60}}, "shout"],
        "to": [f"notebook:{page}"],
    }
    config = {"plugins": [str(tmp_path / "mine.py")], "routes": [route]}
    async with Daemon(tmp_path / "bus", config=config) as daemon:
        for number in range(4):
            await daemon.command("publish", "game.move", "--summary", f"move {number}")
        await daemon.until_nothing_waits(10)
        assert (await daemon.status())["outputs"]["notebook"]["state"] == "up"
    assert page.read_text() == "MOVE 0\nMOVE 1\n"


async def test_r21_status_tells_down_from_behind(server_name: str, own_server: ServerFactory, tmp_path: Path) -> None:
    """Up; behind when the server takes less than comes; down when it is not there; up again."""
    server = await own_server(server_name)
    async with Proxy(server.component_port) as proxy, Daemon(tmp_path / "bus", server, port=proxy.port) as daemon:
        await daemon.command("publish", "build.log", "first", "--confirm")
        assert await state(daemon) == "up"

        proxy.to_server.bytes_per_second = 4_000
        text = "x" * 500
        lines = "\n".join(f"{number} {text}" for number in range(100))
        await daemon.command("publish", "build.log", "--lines", input=lines.encode())

        async def behind() -> bool:
            return await state(daemon) == "behind"

        await until(behind, 20, "status to say behind")
        status = await daemon.status()
        assert status["xmpp"]["state"] == "up"
        assert status["outputs"]["pubsub"]["waiting"] > 0
        assert status["outputs"]["pubsub"]["oldest_seconds"] >= 5
        assert "behind" in (await daemon.command("status")).out

        await server.stop()

        async def down() -> bool:
            return await state(daemon) == "down"

        await until(down, 20, "status to say down")
        said = " ".join((await daemon.command("status")).out.split())
        assert "down" in said
        assert "look whether the XMPP server runs" in said.replace("Look", "look"), "and what to do"
        assert (await daemon.status())["accepting"]

        proxy.heal()
        await server.start()

        async def up() -> bool:
            return await state(daemon) == "up"

        await until(up, 60, "status to say up again")
        await daemon.until_nothing_waits(30)


async def test_r21_an_event_that_no_route_takes_is_said_to_its_sender(tmp_path: Path) -> None:
    """In the shell on error output, over HTTP in the answer; it is kept for listeners all the same."""
    (tmp_path / "mine.py").write_text(PLUGIN)
    known = {"name": "known", "match": "known.#", "to": [f"notebook:{tmp_path / 'page'}"]}
    config = {"plugins": [str(tmp_path / "mine.py")], "routes": [known]}
    async with Daemon(tmp_path / "bus", config=config) as daemon:
        taken = await daemon.command("publish", "known.type", "text")
        assert taken.err == ""
        unrouted = await daemon.command("publish", "other.type", "text")
        assert "no route takes" in unrouted.err
        event = {"type": "other.type", "source": "test", "id": "1", "data": "text"}
        status, body = await daemon.request("POST", "/v1/events", json.dumps(event), JSON)
        answer: dict[str, Any] = json.loads(body)
        assert (status, answer["deliveries"]) == (202, 0)
        assert "no route takes" in answer["notice"]
        heard = await daemon.command("listen", "other.#", "--since", "all", "-n", "2", "--json")
        assert len(heard.out.splitlines()) == 2
