"""What a person sees on the page at /."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from playwright.async_api import Locator, Page

from tests.support.daemon import Daemon
from tests.support.page_browser import SeenPage

LIVE = "html[data-connection='live']"


async def live(one: SeenPage) -> Page:
    """Once the stream is open."""
    await one.page.locator(LIVE).wait_for()
    return one.page


def row(page: Page, text: str) -> Locator:
    """The newest event whose row has this text."""
    return page.locator("#feed .row", has_text=text).first


def card(page: Page, text: str) -> Locator:
    """The incident whose card has this text."""
    return page.locator(".incident", has_text=text).first


async def summaries(page: Page) -> list[str]:
    """Of every row that there is, newest first."""
    return await page.locator("#feed .row__summary").all_text_contents()


async def publish(bus: Daemon, events: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
    """Over HTTP; all of them must be accepted."""
    status, answer = await bus.request("POST", "/v1/events", json.dumps(events), {"Content-Type": "application/json"})
    assert status in (200, 202), answer
    assert b'"error"' not in answer, answer[:1000]


async def name_oneself(page: Page, name: str) -> None:
    """In the dialog that asks for it the first time."""
    dialog = page.locator("#who")
    await dialog.locator("#who-name").fill(name)
    await dialog.get_by_role("button", name="Cancel").wait_for()
    await dialog.locator("button[type=submit]").click()
