"""The page, its session and its streams through a real nginx, with the lines of docs/howto/reverse-proxy.md."""

from __future__ import annotations

import asyncio
import json
import os
import re
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import yaml

from tests.support.daemon import Daemon
from tests.support.nginx import configured
from tests.support.ports import free_port
from xmppbus.demo.prosody import make_certificate
from xmppbus.demo.server_process import ServerProcess

PAGE = Path(__file__).parents[2] / "docs/howto/reverse-proxy.md"
TIMEOUT = aiohttp.ClientTimeout(total=30)


@dataclass
class Site:
    """A bus behind nginx, as a browser on another machine meets it."""

    url: str
    token: str
    daemon: Daemon
    tls: ssl.SSLContext

    def browser(self) -> aiohttp.ClientSession:
        """With cookies, which it keeps for https only."""
        return aiohttp.ClientSession(
            self.url,
            headers={"Origin": self.url, "Sec-Fetch-Site": "same-origin"},
            cookie_jar=aiohttp.CookieJar(unsafe=True),
            connector=aiohttp.TCPConnector(ssl=self.tls),
            timeout=TIMEOUT,
        )


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """With a token that may read and publish everything."""
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    daemon = Daemon(tmp_path / "bus")
    tokens = daemon.directory / "tokens"
    config = yaml.safe_load(block)
    config["http"] = {"listen": f"127.0.0.1:{daemon.http_port}", "tokens_file": str(tokens)}
    daemon.configure(None, config=config)
    made = await daemon.command("token", "add", "site", "read:#", "publish:#", "--file", str(tokens))
    port = free_port()
    nginx = ServerProcess(as_on_the_page(tmp_path, port, daemon.http_port), (port,), tmp_path / "nginx.out", os.environ)
    async with daemon:
        await nginx.start(20)
        try:
            trusted = ssl.create_default_context(cafile=tmp_path / "certificate.pem")
            yield Site(f"https://localhost:{port}", made.out.strip(), daemon, trusted)
        finally:
            await nginx.stop(5)


def as_on_the_page(directory: Path, port: int, behind: int) -> list[str]:
    """How to start nginx with the page's lines as they stand there but for ports and files."""
    make_certificate(directory, ("localhost",))
    (lines,) = re.findall(r"```nginx\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return configured(
        directory,
        lines,
        (
            ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
            ("server_name bus.example.org", "server_name localhost"),
            ("/etc/letsencrypt/live/bus.example.org/fullchain.pem", str(directory / "certificate.pem")),
            ("/etc/letsencrypt/live/bus.example.org/privkey.pem", str(directory / "key.pem")),
            ("127.0.0.1:8222", f"127.0.0.1:{behind}"),
        ),
    )


async def test_an_event_that_comes_in_through_the_proxy_goes_out_on_a_stream_at_once(site: Site) -> None:
    """Nothing is held back in a buffer, in any form of the stream."""
    bearer = {"Authorization": f"Bearer {site.token}"}
    as_events = bearer | {"Accept": "text/event-stream"}
    async with site.browser() as browser, browser.get("/v1/stream", headers=as_events) as events:
        assert events.status == 200
        async with browser.ws_connect("/v1/stream", headers=bearer) as socket:
            assert json.loads((await socket.receive()).data)["message"] == "hello"
            async with browser.post("/v1/events/user.signup", data="alice joined", headers=bearer) as answer:
                assert answer.status == 202
            message = json.loads((await socket.receive()).data)
            assert message["event"]["data"] == "alice joined"
        async with asyncio.timeout(20):
            while b'"alice joined"' not in (line := await events.content.readline()):
                assert line


async def test_the_session_of_a_browser_goes_over_tls_only_and_for_this_site_only(site: Site) -> None:
    """nginx says for the bus that there is TLS; another site's page has no use of the cookie."""
    async with site.browser() as browser:
        async with browser.post("/v1/session", json={"token": site.token}) as answer:
            assert answer.status in (200, 204)
            cookie = answer.cookies["xmppbus"]
            assert cookie["secure"]
            assert cookie["httponly"]
            assert cookie["samesite"] == "Strict"
        async with browser.get("/v1/incidents") as answer:
            assert answer.status == 501  # known, and this bus has no bot
        foreign = {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
        async with browser.get("/v1/incidents", headers=foreign) as answer:
            assert answer.status in (401, 403)


async def test_without_a_token_the_proxy_lets_nobody_in(site: Site) -> None:
    """That requests come from loopback means nothing behind a proxy."""
    async with site.browser() as browser:
        for method, path in (("POST", "/v1/events/user.signup"), ("GET", "/v1/stream"), ("GET", "/v1/incidents")):
            async with browser.request(method, path) as answer:
                assert answer.status == 401, path
        async with browser.get("/") as answer:
            assert answer.status == 200  # the page itself holds no data
