"""R1, a site's message queue: web front ends drop typed messages and go on without waiting."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.house.subscribers import kept
from tests.support.daemon import Daemon
from tests.support.server import ServerFactory

SIGNUP = {"type": "user.registered", "source": "https://shop.example", "id": "u1", "data": {"name": "alice"}}
JSON = {"Content-Type": "application/json"}
CHANGE = {"type": "user.changed", "source": "https://shop.example", "id": "c1", "data": {"name": "Alice"}}


@pytest.mark.parametrize("killed", [False, True], ids=["the bus stays up", "the bus is killed too"])
async def test_r1_events_are_accepted_while_the_server_is_down_and_delivered_once_it_is_back(
    server_name: str, own_server: ServerFactory, tmp_path: Path, killed: bool
) -> None:
    """By `POST /v1/events` and by `xmppbus publish`."""
    server = await own_server(server_name)
    await server.stop()
    async with Daemon(tmp_path / "bus", server) as daemon:
        posted = []
        for event in (SIGNUP, CHANGE, SIGNUP):  # a front end that is unsure says it again
            status, body = await daemon.request("POST", "/v1/events", json.dumps(event), JSON)
            posted.append((status, json.loads(body)["id"]))
        assert [status for status, _ in posted] == [202, 202, 200]
        assert posted[0][1] == posted[2][1]
        published = (await daemon.command("publish", "user.registered", "bob")).out.strip()
        assert (await daemon.status())["state"] == "down"
        if killed:
            daemon.kill()
            await daemon.start()
        await server.start()
        await daemon.until_nothing_waits(60)
        assert await kept(server, "user.registered") == [posted[0][1], published]
        assert await kept(server, "user.changed") == [posted[1][1]]
