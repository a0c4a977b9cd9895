"""The page says when the bus is away, and goes on where it was when it is back; it says what else is not well."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.browser.reading import LIVE, live, publish, row, summaries
from tests.conftest import make_server
from tests.support.daemon import Daemon
from tests.support.page_browser import seen

pytestmark = pytest.mark.asyncio(loop_scope="session")

BACK = 30_000  # milliseconds: a daemon's start, and the longest pause before the page tries again


async def test_a_daemon_that_is_killed_is_said_and_caught_up_with(tmp_path: Path, browser: Browser) -> None:
    """Nothing is missing, nothing comes twice, in order, and the page has not been loaded again."""
    async with Daemon(tmp_path) as daemon, seen(browser, daemon.url) as one:
        page = await live(one)
        await publish(daemon, [{"type": "tide.in", "summary": f"before {number}"} for number in range(3)])
        await row(page, "before 2").wait_for()
        await page.evaluate("window.sameAsBefore = true")
        daemon.kill()
        await expect(page.locator("#away")).to_be_visible()
        await expect(page.locator("#connection")).to_have_text("Disconnected")
        await expect(page.locator("#announce")).to_have_text("Disconnected")
        await expect(page.locator("#away-retry")).to_contain_text("Trying again")
        for number in range(3):  # kept in the spool by the command line
            await daemon.command("publish", "tide.out", f"meanwhile {number}")
        await daemon.start()
        await page.locator(LIVE).wait_for(timeout=BACK)
        await expect(page.locator("#away")).to_be_hidden()
        await publish(daemon, {"type": "tide.in", "summary": "after"})
        await row(page, "after").wait_for()
        assert (await summaries(page))[::-1] == [
            *(f"before {number}" for number in range(3)),
            *(f"meanwhile {number}" for number in range(3)),
            "after",
        ]
        assert await page.evaluate("window.sameAsBefore")
        assert await one.violations() == []


async def test_the_xmpp_server_may_be_away_and_the_page_says_so_and_goes_on(tmp_path: Path, browser: Browser) -> None:
    """With the reason, and what to do; events are accepted and shown all the time."""
    async with (
        make_server("prosody", tmp_path / "prosody") as server,
        Daemon(tmp_path / "bus", server) as daemon,
        seen(browser, daemon.url) as one,
    ):
        page = await live(one)
        await expect(page.locator("#health-headline")).to_have_text("The bus is well", timeout=BACK)
        server.kill()
        await expect(page.locator("#trouble-headline")).to_have_text("The XMPP server is away", timeout=BACK)
        await expect(page.locator("#trouble-advice")).to_contain_text("Look whether the XMPP server runs")
        await publish(daemon, {"type": "tide.in", "summary": "accepted all the same"})
        await row(page, "accepted all the same").wait_for()
        await expect(page.locator(LIVE)).to_be_attached()
        await page.locator("#parts-all summary").click()
        await expect(page.locator("#parts")).to_contain_text("1 waiting")
        assert await one.violations() == []
