"""The demonstration: a private Prosody, the bus and its bot, a trickle of events, a subscriber that shows what arrives.

Everything runs on loopback, in one temporary directory, and ends with it.

The person's account owns the bot, and is subscribed to nothing until it asks: the first that a client showed would be
corrections of messages that it has never seen, or a pile of what was stored; and asking is what one should see work.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from xmppbus import limits
from xmppbus.demo.ports import free_port, is_free, is_open
from xmppbus.demo.prosody import PrivateProsody, ProsodySettings
from xmppbus.demo.samples import NODES, samples
from xmppbus.demo.server_process import ServerStartError, ending_with_us
from xmppbus.event import Event

HTTP_PORT, CLIENT_PORT, COMPONENT_PORT = 8222, 5222, 5347
COMPONENT, SERVICE, USER = "bus.localhost", "pubsub.localhost", "demo"
BOT, DISPLAY = "bot", "display"
"""The display is an account of its own: were it another client of the person's, the person would never be away."""

ON_PROSODY = """\
xmpp:
  component: {component}
  host: 127.0.0.1
  port: {port}
  secret_file: secret
  pubsub_service: {service}
nodes:
  - match: "#"
    access_model: open            # for a demonstration on loopback; the default is whitelist
"""
"""The config of both demonstrations: their Prosody, and who reads; options of the nodes may follow."""

CONFIG = (
    ON_PROSODY
    + """\
bot:
  name: {bot}
  affiliations: {{"{owner}": owner}}
  messages_per_minute: 60         # so that all of a demonstration is told at once; 10 unless it is given
http:
  listen: 127.0.0.1:{http}
socket:
  path: {socket}
"""
)


@dataclass(frozen=True)
class Scene:
    """Where things are: what a person needs to look for themselves."""

    directory: Path
    socket: Path
    http: str
    jid: str
    display: str  # the subscriber's account, with the same password
    bot: str
    password: str
    client_port: int
    certificate: Path

    @property
    def http_port(self) -> int:
        """Where the page is: behind the last door that is opened."""
        return urlsplit(self.http).port or 0

    @property
    def environment(self) -> dict[str, str]:
        """For commands that are to talk to this bus."""
        return {"XMPPBUS_SOCKET": str(self.socket), "XMPPBUS_STATE": str(self.directory / "state")}


Arrived = Callable[[str, str, Event], None]


def _port(wanted: int) -> int:
    """The usual port, so that a client needs no advanced settings; another where somebody has it."""
    return wanted if is_free(wanted) else free_port()


@asynccontextmanager
async def staged(directory: Path) -> AsyncIterator[Scene]:
    """Start Prosody and the bus; end them in reverse. Raises ServerStartError."""
    secret, password = secrets.token_urlsafe(18), secrets.token_urlsafe(9)
    settings = ProsodySettings(
        c2s_port=_port(CLIENT_PORT),
        component_port=_port(COMPONENT_PORT),
        components={COMPONENT: secret},
        pubsub_service=SERVICE,
        creators=[COMPONENT],
        nagle=False,
    )
    (directory / "prosody").mkdir()
    server = PrivateProsody(directory / "prosody", settings)
    for user in (USER, DISPLAY):
        server.create_account(user, password)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.stop)
        await server.start()
        http, socket = _port(HTTP_PORT), directory / "xmppbus.sock"
        (directory / "secret").write_text(secret + "\n")
        (directory / "secret").chmod(0o600)
        jid = f"{USER}@{settings.domain}"
        config = CONFIG.format(
            component=COMPONENT,
            port=settings.component_port,
            service=SERVICE,
            http=http,
            socket=socket,
            bot=BOT,
            owner=jid,
        )
        (directory / "xmppbus.yaml").write_text(config)
        scene = Scene(
            directory=directory,
            socket=socket,
            http=f"http://127.0.0.1:{http}",
            jid=jid,
            display=f"{DISPLAY}@{settings.domain}",
            bot=f"{BOT}@{COMPONENT}",
            password=password,
            client_port=settings.c2s_port,
            certificate=server.certificate,
        )
        await stack.enter_async_context(_bus(scene))
        yield scene


@asynccontextmanager
async def _bus(scene: Scene) -> AsyncIterator[None]:
    """The daemon, as a process of its own in a session of its own, so that Ctrl-C reaches only us."""
    log = scene.directory / "bus.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *ending_with_us(_program("serve", "--config", str(scene.directory / "xmppbus.yaml"))),
            env={**os.environ, **scene.environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        deadline = asyncio.get_running_loop().time() + limits.SERVER_START_SECONDS
        while not is_open(scene.http_port):
            if process.returncode is not None or asyncio.get_running_loop().time() > deadline:
                raise ServerStartError(f"the bus did not start:\n{log.read_text(errors='replace')[-2000:]}")
            await asyncio.sleep(limits.DEMO_POLL_SECONDS)
        yield
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), limits.SERVER_STOP_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()


def _program(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "xmppbus", *arguments]


async def watch(scene: Scene, arrived: Arrived) -> None:
    """Log in as anybody could, subscribe to the nodes, and tell of what arrives; until cancelled."""
    from xmppbus.xmpp.subscriber import Subscriber

    host, ca_file = "127.0.0.1", str(scene.certificate)
    async with Subscriber(
        f"{scene.display}/demo", scene.password, host=host, port=scene.client_port, ca_file=ca_file, service=SERVICE,
        nodes=NODES, seen=arrived,
    ):  # fmt: skip
        await asyncio.Event().wait()


async def trickle(scene: Scene) -> None:
    """Publish a sample every now and then, as a shell script would; until cancelled."""
    for arguments in samples():
        process = await asyncio.create_subprocess_exec(
            *_program("publish", *arguments),
            env={**os.environ, **scene.environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        await asyncio.shield(process.wait())
        await asyncio.sleep(limits.DEMO_TRICKLE_SECONDS)
