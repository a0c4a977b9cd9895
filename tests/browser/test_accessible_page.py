"""Whoever can't see well, or uses no mouse, has the same page: looked at by axe-core, in both themes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.reading import card, live, publish, row
from tests.support.daemon import Daemon
from tests.support.missing import is_missing
from tests.support.page_browser import Theme, seen

pytestmark = pytest.mark.asyncio(loop_scope="session")

CI = Path(__file__).parents[2] / ".ci"
WIDTHS = (360, 768, 1440, 2560)

RUN = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
  .map(({id, impact, nodes}) => ({id, impact, where: nodes.map((node) => node.html.slice(0, 200)).slice(0, 3)}))"""


def axe() -> str:
    """The script, in the version that is pinned."""
    name = next(line.split()[0] for line in (CI / "npm-packages").read_text().splitlines() if line.startswith("axe"))
    path = CI / "cache" / name / "axe.min.js"
    if not path.exists():
        is_missing(name, "run .ci/fetch-npm-packages")
    return path.read_text()


async def complaints(page: Page) -> list[dict[str, Any]]:
    """Of axe, all of them."""
    found: list[dict[str, Any]] = await page.evaluate(RUN)
    return found


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_axe_finds_nothing_to_complain_of(browser: Browser, bus: Daemon, theme: Theme) -> None:
    """With events of each severity, incidents of each status, details open, and in the dialogs."""
    key = f"axe:{theme}"
    firing = {
        "type": "axe.incident",
        "key": key,
        "status": "firing",
        "severity": "critical",
        "summary": f"fires {theme}",
    }
    severities = ("debug", "info", "notice", "warning", "error", "critical")
    await publish(
        bus,
        [
            *(
                {"type": "axe.event", "summary": f"{each} {theme}", "severity": each, "data": {"a": 1}}
                for each in severities
            ),
            {**firing, "link": "https://example.org/"},
            {**firing, "key": f"{key}2", "severity": "warning"},
            {**firing, "key": f"{key}2", "status": "resolved", "severity": "info"},
        ],
    )
    async with seen(browser, bus.url, theme=theme, bypass_csp=True, reduced_motion="reduce") as one:
        page = await live(one)
        await card(page, key).wait_for()
        await row(page, f"notice {theme}").locator(".row__more").click()
        await page.locator("#parts-all summary").click()
        await page.evaluate(axe())
        assert await complaints(page) == []
        await page.keyboard.press("Escape")
        await page.locator("#help-open").click()
        assert await complaints(page) == []
        await page.keyboard.press("Escape")
        await card(page, key).get_by_role("button", name="Acknowledge").click()
        await expect(page.locator("#who")).to_be_visible()
        assert await complaints(page) == []


async def test_from_a_phone_to_a_wall_nothing_is_wider_than_the_screen(browser: Browser, bus: Daemon) -> None:
    """And the theme that one chooses holds."""
    async with seen(browser, bus.url) as one:
        page = await live(one)
        await page.locator("#theme").click()
        assert await page.evaluate("document.documentElement.dataset.theme") == "dark"
        await page.reload()
        await live(one)
        assert await page.evaluate("document.documentElement.dataset.theme") == "dark"
        for width in WIDTHS:
            await page.set_viewport_size({"width": width, "height": 900})
            assert await one.overflow() <= 0, width
