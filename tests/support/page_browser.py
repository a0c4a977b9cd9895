"""A browser at a page of the bus: headless Chromium, driven through what it shows, and what it complained of."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from playwright import async_api as playwright_api
from playwright.async_api import Browser, Page

from tests.support.missing import is_missing

TIMEOUT = 10.0
WIDTH, HEIGHT = 1440, 900
# A page of ours asks nobody outside this machine; what would, fails.
CHROMIUM_OPTIONS = [
    "--disable-gpu",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--explicitly-allowed-ports=10080",  # the only one of free_port that Chromium opens no page on
]

# Runs in the page before its own scripts: what its policy forbade, and what a text might have done had it been run.
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => window.violations.push(
  `${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
window.alert = (text) => window.violations.push(`alert ${text}`);
"""


@dataclass
class SeenPage:
    """A page, and what its browser said of it."""

    page: Page
    said: list[str] = field(default_factory=list)  # warnings and errors on its console, uncaught exceptions

    async def violations(self) -> list[str]:
        """Of the Content-Security-Policy, since it was loaded."""
        found: list[str] = await self.page.evaluate("window.violations")
        return found

    async def overflow(self) -> int:
        """By how many pixels the layout is wider than the screen."""
        width: int = await self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        return width


def chromium() -> str:
    """Debian's; without it the test is skipped, in CI it fails."""
    found = shutil.which("chromium")
    if found is None:
        is_missing("chromium", "apt-get install chromium")
    return found


@asynccontextmanager
async def browsing(*options: str) -> AsyncIterator[Browser]:
    """The browser, until the block ends; with more `options` of its command line."""
    path = chromium()
    async with playwright_api.async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=[*CHROMIUM_OPTIONS, *options])
        try:
            yield browser
        finally:
            await browser.close()


Theme = Literal["light", "dark"]


@asynccontextmanager
async def seen(
    browser: Browser,
    url: str,
    *,
    width: int = WIDTH,
    height: int = HEIGHT,
    theme: Theme = "light",
    **options: Any,
) -> AsyncIterator[SeenPage]:
    """A page in a context of its own, as a fresh visitor has it; more `options` are those of Playwright's context."""
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=theme,
        **{"locale": "en-GB", "timezone_id": "UTC", **options},
    )
    try:
        page = await context.new_page()
        page.set_default_timeout(TIMEOUT * 1000)
        found = SeenPage(page)
        page.on("console", lambda line: found.said.append(f"{line.type}: {line.text}"))
        page.on("pageerror", lambda error: found.said.append(f"uncaught: {error}"))
        await page.add_init_script(WATCH)
        await page.goto(url)
        yield found
    finally:
        await context.close()
