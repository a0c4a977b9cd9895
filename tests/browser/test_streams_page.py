"""What docs/howto/streams.md says of a page of one's own, in a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.support.daemon import Daemon
from tests.support.page_browser import seen
from tests.support.pages import ROOT, blocks

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_scripts_of_the_page_show_events_as_text(browser: Browser, tmp_path: Path) -> None:
    """A session with a token, and then the stream, as they stand there; markup in an event stays text."""
    listen, log_in = [text for kind, text in blocks(ROOT / "docs/howto/streams.md") if kind == "javascript"]
    daemon = Daemon(tmp_path / "bus")
    tokens = daemon.directory / "tokens"
    http = {"listen": f"127.0.0.1:{daemon.http_port}", "tokens_file": str(tokens)}
    daemon.configure(None, config={"http": http})
    token = (await daemon.command("token", "add", "page", "read:#", "--file", str(tokens))).out.strip()
    async with daemon, seen(browser, f"{daemon.url}/health") as wall:
        await wall.page.evaluate("document.body.innerHTML = '<pre id=log></pre>'")
        await wall.page.evaluate(f"async (token) => {{ {log_in} }}", token)
        await wall.page.evaluate(f"() => {{ {listen} }}")
        await daemon.command("publish", "user.signup", "--summary", "<b>alice</b> joined")
        await wall.page.locator("#log", has_text="<b>alice</b> joined").wait_for()
        assert await wall.page.locator("#log b").count() == 0
