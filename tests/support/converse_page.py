"""Converse.js as a page on loopback: its built files, and an index.html that logs in to one server.

`.ci/run` fetches the npm package, in the version that `.ci/npm-packages` pins.
"""

import json
from pathlib import Path
from typing import Self

from aiohttp import web

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ROOT / ".ci" / "npm-packages"
CACHE = ROOT / ".ci" / "cache"

CRYPTOGRAPHY = "curve25519_compiled.wasm"

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Converse.js</title>
<link rel="stylesheet" href="/dist/converse.min.css">
</head>
<body class="converse-fullscreen">
<script type="module">
import converse from "/dist/converse.min.js";
converse.initialize(SETTINGS);
</script>
</body>
</html>
"""


class MissingConverseError(Exception):
    """The files of Converse.js are not there; the text says how to get them."""


def converse_version() -> str:
    """The pinned version."""
    lines = PACKAGES.read_text().split()
    return next(line.removeprefix("converse.js@") for line in lines if line.startswith("converse.js@"))


def converse_dist() -> Path:
    """The folder of the built files. Raises MissingConverseError."""
    dist = CACHE / f"converse.js@{converse_version()}" / "dist"
    if not (dist / "converse.min.js").exists():
        raise MissingConverseError(f"no {dist.relative_to(ROOT)}: run .ci/fetch-npm-packages")
    return dist


def settings_for(websocket_url: str, jid: str, password: str, *, encrypts: bool = False) -> dict[str, object]:
    """Converse's own settings: log in with the password at once.

    What it says to the server and to the bot is left as it is by default; only what would make a page differ from run
    to run, or ask an operator something, is switched. It `encrypts` (XEP-0384) where it may keep its keys: not in a
    browser that forgets all on leaving.
    """
    return {
        "omemo_default": encrypts,
        "jid": jid,
        "password": password,
        "auto_login": True,
        "websocket_url": websocket_url,
        "discover_connection_methods": False,
        "assets_path": "/dist/",
        "view_mode": "fullscreen",
        "i18n": "en",
        "time_format": "HH:mm",
        "allow_non_roster_messaging": True,
        "clear_cache_on_logout": not encrypts,
        "play_sounds": False,
        "show_desktop_notifications": False,
        "loglevel": "warn",
    }


class ConversePage:
    """`async with ConversePage(settings) as page`: the page is at `page.url` until the block ends."""

    def __init__(self, settings: dict[str, object]) -> None:
        self.url = ""
        self._html = PAGE.replace("SETTINGS", json.dumps(settings))
        application = web.Application()
        application.router.add_get("/", self._index)
        application.router.add_get("/favicon.ico", self._no_icon)
        # Where it looks for it when it was imported by a page at the top.
        application.router.add_get(f"/{CRYPTOGRAPHY}", self._cryptography)
        application.router.add_static("/dist", converse_dist())
        self._runner = web.AppRunner(application, access_log=None)

    async def _index(self, _request: web.Request) -> web.Response:
        return web.Response(text=self._html, content_type="text/html")

    async def _cryptography(self, _request: web.Request) -> web.FileResponse:
        return web.FileResponse(converse_dist() / CRYPTOGRAPHY)

    async def _no_icon(self, _request: web.Request) -> web.Response:
        return web.Response(status=204)

    async def __aenter__(self) -> Self:
        """Start to listen."""
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/"
        return self

    async def __aexit__(self, *error: object) -> None:
        """Stop."""
        await self._runner.cleanup()
