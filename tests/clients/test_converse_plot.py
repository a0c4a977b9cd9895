"""A plot in Converse.js, in headless Chromium: the words of the bot, and under them the picture itself."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import yaml
from playwright.async_api import Route

from tests.pictures.plots import history
from tests.support.browser_client import converse, websocket
from tests.support.daemon import Daemon
from tests.support.server import ServerFactory
from tests.support.uploading import fetched, uploading

BOT, PERSON = "bot@bus.localhost", "romeo@localhost"
SOON = 30.0  # a browser and what draws share two cores
PLOT = "plot build.finished data.seconds 182d key"


async def test_the_client_shows_the_picture(own_server: ServerFactory, tmp_path: Path) -> None:
    """It fetches what stands at the address, which is all that the message says. `SCREENSHOTS=docs/img` renews the
    picture of it."""
    socket = websocket()
    server = await uploading(own_server, "prosody", tmp_path, pubsub_storage="memory", **socket.options)
    await server.create_account(PERSON, "romeo pw")
    daemon = Daemon(tmp_path / "bus", server, config={"bot": {"affiliations": {PERSON: "owner"}}})
    config = yaml.safe_load(daemon.config_file.read_text())
    config["xmpp"]["ca_file"] = str(server.certificate)
    daemon.config_file.write_text(yaml.safe_dump(config))
    lines = "\n".join(json.dumps(each) for each in history(datetime.now(UTC)) if each["type"] == "build.finished")

    async def fetch(route: Route) -> None:
        """The browser asks nobody outside, and does not know who signed the server's certificate."""
        kind, content = await fetched(route.request.url, server)
        await route.fulfill(content_type=kind, body=content)

    async with daemon, converse(socket, PERSON, "romeo pw", BOT, adds="xmppbus") as client:
        await daemon.command("publish", "--json", "-", "--lines", "--output", "none", input=lines.encode())
        await daemon.until_nothing_waits(30)
        await client.page.route("https://localhost:*/**", fetch)
        await client.send(PLOT)
        await client.until_message("linux-arm64", SOON)
        picture = client.page.locator("converse-chat .chat-msg img.chat-image").last
        await picture.wait_for(timeout=SOON * 1000)
        await picture.evaluate("image => image.decode()")
        assert await picture.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [960, 600]
        place = Path(os.environ.get("SCREENSHOTS") or tmp_path) / "converse-plot.png"
        await client.picture(place)
        assert place.read_bytes().startswith(b"\x89PNG")
