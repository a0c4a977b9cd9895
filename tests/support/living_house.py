"""The whole house in the test's own process, on a real server: with its bot, its stream and its journal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.support.server import Server
from xmppbus import app
from xmppbus.config import load
from xmppbus.house import House

READY_SECONDS = 15.0


def config_file(
    server: Server,
    directory: Path,
    bot: Mapping[str, Any],
    *,
    component: str = "",
    account: str = "",
    routes: Sequence[Mapping[str, Any]] = (),
) -> Path:
    """The config of a bus with a bot, as the file of somebody who runs it; `component` is the first one otherwise. With
    an `account`, whose password is `pw`, it is that one's."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "secret").touch(mode=0o600)
    (directory / "secret").write_text("pw" if account else server.secret)
    reach = {"component": component or server.component_jid, "port": server.component_port}
    if account:
        reach = {"account": account, "port": server.c2s_port, "ca_file": str(server.certificate)}
    path = directory / "xmppbus.yaml"
    config: dict[str, Any] = {
        "xmpp": {
            **reach,
            "secret_file": "secret",
            "pubsub_service": server.pubsub_service,
        },
        "http": None,
        "source": "house",
        "socket": {"path": str(directory / "socket")},  # two houses may live side by side
        "bot": dict(bot),
        "routes": [dict(each) for each in routes],
    }
    path.write_text(yaml.safe_dump(config))
    return path


@asynccontextmanager
async def living(
    server: Server,
    directory: Path,
    bot: Mapping[str, Any],
    *,
    component: str = "",
    account: str = "",
    routes: Sequence[Mapping[str, Any]] = (),
) -> AsyncIterator[House]:
    """From its opening to its end; the stream is up when it is handed over."""
    file = config_file(server, directory, bot, component=component, account=account, routes=routes)
    config = load(file, {"XMPPBUS_STATE": str(directory)})
    stopping = asyncio.Event()
    started: asyncio.Future[House] = asyncio.get_running_loop().create_future()
    life = asyncio.create_task(app.live(config, app.offered(config), stopping, started.set_result))
    await asyncio.wait((started, life), return_when=asyncio.FIRST_COMPLETED)
    if not started.done():
        await life
    house = started.result()
    assert house.xmpp is not None
    try:
        await asyncio.wait_for(house.xmpp.ready(), READY_SECONDS)
        yield house
    finally:
        stopping.set()
        await life
