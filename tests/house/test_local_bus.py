"""With no XMPP server at all it is a local bus: journal, socket, HTTP, plugins, listeners."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.support.daemon import Daemon
from tests.support.ports import is_open

STOCK_HTTP_PORT = 8222


@pytest.mark.skipif(is_open(STOCK_HTTP_PORT), reason="somebody listens where a bus without config does")
async def test_with_no_config_at_all_it_says_that_there_is_no_server_and_how_to_add_one(tmp_path: Path) -> None:
    """`xmppbus serve`, and nothing else."""
    daemon = Daemon(tmp_path / "bus")
    daemon.config_file.unlink()
    daemon.http_port = STOCK_HTTP_PORT
    for variable in ("HOME", "XDG_CONFIG_HOME"):
        daemon.environment[variable] = str(daemon.directory)
    del daemon.environment["XMPPBUS_CONFIG"]
    daemon.arguments = ("serve",)
    async with daemon:
        item_id = (await daemon.command("publish", "user.signup", "alice joined")).out.strip()
        assert (await daemon.show(item_id))["event"]["data"] == "alice joined"
        status = await daemon.command("status")
        for said in (daemon.log(), status.out):
            words = " ".join(said.split())
            assert "no XMPP server is configured" in words
            assert "xmppbus.yaml" in words
        assert (await daemon.status())["xmpp"] is None
        assert (await daemon.status())["state"] == "up"


async def test_what_is_published_is_heard_by_who_listens(tmp_path: Path) -> None:
    """As it comes, from every door, and nothing of other types."""
    async with Daemon(tmp_path / "bus") as daemon:
        await daemon.command("publish", "user.signup", "before")
        listening = asyncio.create_task(daemon.run("listen", "user.*", "--since", "all", "-n", "4", "--json"))
        await daemon.command("publish", "user.signup", "by command")
        await daemon.command("publish", "disk.full", "of another type")
        event = {"type": "user.signup", "source": "test", "id": "1", "data": "by HTTP"}
        status, _ = await daemon.request("POST", "/v1/events", json.dumps(event), {"Content-Type": "application/json"})
        assert status == 202
        status, _ = await daemon.request("POST", "/v1/events/user.signup", "by curl", {"Content-Type": "text/plain"})
        assert status == 202
        heard = [json.loads(line)["event"]["data"] for line in (await listening).out.splitlines()]
    assert heard == ["before", "by command", "by HTTP", "by curl"]


async def test_a_listener_with_a_name_that_comes_back_gets_what_it_missed(tmp_path: Path) -> None:
    """Even when the daemon has been killed meanwhile."""
    async with Daemon(tmp_path / "bus") as daemon:
        for number in range(3):
            await daemon.command("publish", "count.up", str(number))
        listen = ("listen", "count.#", "--name", "archive", "--since", "all", "--json")
        first = await daemon.command(*listen, "-n", "2")
        daemon.kill()
        await daemon.command("publish", "count.up", "3")
        await daemon.start()
        second = await daemon.command(*listen, "-n", "2")
    heard = [json.loads(line)["event"]["data"] for line in (first.out + second.out).splitlines()]
    assert heard == ["0", "1", "2", "3"]


async def test_get_pulls_one_by_one_until_there_is_nothing(tmp_path: Path) -> None:
    """Exit 1 says that it is empty."""
    async with Daemon(tmp_path / "bus") as daemon:
        for number in range(2):
            await daemon.command("publish", "job.new", str(number))
        pulled = [await daemon.run("get", "job.#", "--name", "worker", "--json") for _ in range(3)]
    assert [done.code for done in pulled] == [0, 0, 1]
    assert [done.json["event"]["data"] for done in pulled[:2]] == ["0", "1"]


async def test_sigterm_ends_it_with_zero_and_everything_is_there_at_the_next_start(tmp_path: Path) -> None:
    """And the socket is gone."""
    daemon = Daemon(tmp_path / "bus")
    await daemon.start()
    item_id = (await daemon.command("publish", "user.signup", "alice joined")).out.strip()
    assert await daemon.stop() == 0
    assert not daemon.socket.exists()
    async with daemon:
        assert (await daemon.show(item_id))["event"]["data"] == "alice joined"
