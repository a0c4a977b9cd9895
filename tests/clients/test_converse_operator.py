"""An operator at Converse.js, in headless Chromium, and the bot as it is installed: what stands in the page.

What Converse does with messages in general is in `test_converse.py`. `docs/reference/clients.md` tells both in words.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.browser_client import BrowserClient, Websocket, converse, websocket
from tests.support.daemon import Daemon
from tests.support.server import Server, ServerFactory
from tests.support.waiting import until

BOT = "bot@bus.localhost"
PERSON = "romeo@localhost"
SOON = 10.0
CLOCK = re.compile(r"\b\d\d:\d\d\b")
SPAN = re.compile(r"after \d+ s")

DISK = ("disk.full", "/var is 91 % full", "--key", "db1:/var", "--severity", "warning")
LOAD = ("disk.slow", "sda is slow", "--key", "db1:sda", "--severity", "error")
FULL = ("disk.full", "/ is full", "--key", "db1:/", "--severity", "critical")
GREETING = ["subscribe disk.#", "You get `disk.#` from now on. `unsubscribe disk.#` ends it."]
TAKEN = "acknowledged by romeo@localhost H:MM"


@dataclass
class Scene:
    """The daemon with a bot, and a person who owns it and is not logged in yet."""

    server: Server
    socket: Websocket
    bus: Daemon

    def client(self, adds: str = "") -> BrowserClient:
        """The person's client, not started yet."""
        return converse(self.socket, PERSON, self.server.accounts[PERSON], BOT, adds=adds)

    async def publish(self, of: tuple[str, ...], status: str) -> str:
        """An event of an incident; its item id."""
        return (await self.bus.command("publish", *of, "--status", status)).out.strip()


@pytest_asyncio.fixture
async def scene(own_server: ServerFactory, tmp_path: Path) -> AsyncIterator[Scene]:
    """On a Prosody with a websocket."""
    socket = websocket()
    server = await own_server("prosody", **socket.options)
    await server.create_account(PERSON, "romeo pw")
    bot = {"affiliations": {PERSON: "owner"}, "messages_per_minute": 100}
    async with Daemon(tmp_path / "bus", server, config={"bot": bot, "source": "db1"}) as bus:
        yield Scene(server, socket, bus)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where screenshots go: `$SCREENSHOTS`, so that `SCREENSHOTS=docs/img` renews those of the docs."""
    return Path(os.environ.get("SCREENSHOTS") or tmp_path)


async def until_chat(client: BrowserClient, texts: list[str]) -> None:
    """Wait until the chat shows exactly these; times are left out."""
    seen: list[str] = []

    async def right() -> bool:
        seen[:] = [SPAN.sub("after N s", CLOCK.sub("H:MM", each)) for each in await client.messages()]
        return seen == texts

    try:
        await until(right, SOON, f"{texts}")
    except AssertionError as error:
        raise AssertionError(f"{error}; shown: {seen}") from None


async def test_an_incident_is_one_message_until_it_is_resolved(scene: Scene, pictures: Path) -> None:
    """The bot is added in the client; one incident is acknowledged with a reaction, one with a reply, each with one
    click. The picture of it is in the docs."""
    async with scene.client(adds="xmppbus") as client:
        await client.send("subscribe disk.#")
        await until_chat(client, GREETING)
        await scene.publish(DISK, "firing")
        await scene.publish(DISK, "firing")
        about = "disk.full · db1 · db1:/var"
        await until_chat(client, [*GREETING, f"▲ *firing* /var is 91 % full (×2)\n{about}"])
        await client.react("/var is", "👍")
        await until_chat(client, [*GREETING, f"▲ *acknowledged* /var is 91 % full (×2)\n{TAKEN}\n{about}"])
        await scene.publish(LOAD, "firing")
        await client.until_message("sda is slow")
        await client.reply("sda is slow", "ack")
        await client.until_message("Acknowledged:")
        await scene.publish(DISK, "resolved")
        disk = f"✔ *resolved* after N s: /var is 91 % full (×2)\n{TAKEN}\n{about}"
        load = f"✖ *acknowledged* sda is slow\n{TAKEN}\ndisk.slow · db1 · db1:sda"
        await until_chat(client, [*GREETING, disk, load, "ack", "Acknowledged: sda is slow · db1:sda"])
        await scene.publish(FULL, "firing")
        await client.until_message("/ is full")
        assert [one.reactions for one in await client.shown() if one.edited] == [{"👍": 1}, {}]
        picture = pictures / "converse-incident.png"
        await client.picture(picture)
        assert picture.read_bytes().startswith(b"\x89PNG")


async def test_what_is_on_the_screen_is_seen_in_the_ledger_corrections_too(scene: Scene) -> None:
    """Converse's marker of a correction names the first message; `xmppbus show` says of each event who has seen it."""
    async with scene.client(adds="xmppbus") as client:
        await client.send("subscribe disk.#")
        await until_chat(client, GREETING)
        items = [await scene.publish(DISK, "firing")]
        await client.until_message("firing")
        items.append(await scene.publish(DISK, "resolved"))
        await client.until_message("resolved")

        async def seen() -> bool:
            shown: list[dict[str, Any]] = [(await scene.bus.show(item))["messages"][0] for item in items]
            return all(each["received"] and each["displayed"] for each in shown)

        await until(seen, SOON, "both to be seen")


async def test_an_incident_is_acknowledged_by_an_ad_hoc_command(scene: Scene) -> None:
    """In Converse's window of commands a person types the bot's address."""
    async with scene.client(adds="xmppbus") as client:
        await client.send("subscribe disk.#")
        await until_chat(client, GREETING)
        await scene.publish(LOAD, "firing")
        await client.until_message("firing")
        assert "ack: Say that you take care of it; everybody sees who does" in await client.commands()
        answer = await client.run_command("ack: Say", key="db1:sda")
        assert "Acknowledged: sda is slow" in answer
        await client.close_commands()
        await client.until_message("acknowledged by romeo@localhost")


async def test_what_was_published_by_mistake_is_gone(scene: Scene) -> None:
    """Both what is an incident's and what is not; in its place stands that it was removed."""
    async with scene.client(adds="xmppbus") as client:
        await client.send("subscribe disk.#")
        await until_chat(client, GREETING)
        incident = await scene.publish(DISK, "firing")
        plain = (await scene.bus.command("publish", "disk.swapped", "sdb is new")).out.strip()
        await client.until_message("sdb is new")
        for item in (incident, plain):
            await scene.bus.command("retract", "--yes", item)
        await until_chat(client, [*GREETING, *["xmppbus has removed a message"] * 2])
