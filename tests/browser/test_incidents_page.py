"""Incidents on the page: what fires is seen at once, acknowledged with a click, and everybody sees it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.browser.reading import card, live, name_oneself, publish
from tests.support.daemon import Daemon, bot_without_a_server
from tests.support.page_browser import seen

pytestmark = pytest.mark.asyncio(loop_scope="session")


def fires(key: str, summary: str, severity: str = "warning") -> dict[str, str]:
    return {"type": "disk.full", "key": key, "status": "firing", "summary": summary, "severity": severity}


async def test_who_acknowledges_is_asked_for_a_name_once_and_everybody_sees_it(browser: Browser, bus: Daemon) -> None:
    """Taken back and resolved likewise; the title of every page counts what fires."""
    async with seen(browser, bus.url) as here, seen(browser, bus.url, theme="dark") as there:
        for one in (here, there):
            await live(one)
        await publish(bus, fires("db1:/a b%", "/ is full"))
        await expect(card(there.page, "/ is full").locator(".status")).to_have_text("firing")
        await expect(there.page).to_have_title(re.compile(r"^\(\d+\) firing · xmppbus$"))
        icon = await there.page.locator("#icon").get_attribute("href")
        assert icon
        assert icon.startswith("data:image/svg+xml,")
        await card(here.page, "/ is full").get_by_role("button", name="Acknowledge").click()
        await name_oneself(here.page, "juliet")
        for one in (here, there):
            await expect(card(one.page, "/ is full").locator(".incident__done")).to_contain_text("juliet")
        await card(here.page, "/ is full").get_by_role("button", name="Take back").click()
        await expect(card(there.page, "/ is full").locator(".status")).to_have_text("firing")
        await card(here.page, "/ is full").get_by_role("button", name="Resolve").click()
        await expect(card(there.page, "/ is full").locator(".status")).to_have_text("resolved")
        await expect(card(there.page, "/ is full").locator(".incident__done")).to_contain_text("juliet")
        assert here.said == there.said == []


async def test_who_comes_second_is_told_who_was_first(browser: Browser, bus: Daemon) -> None:
    """Beside the incident; nothing is lost, and nobody believes to have it who has not."""
    await publish(bus, fires("db2:/", "too late for two"))
    async with seen(browser, bus.url) as one:
        await live(one)
        found = card(one.page, "too late for two")
        await found.get_by_role("button", name="Acknowledge").click()
        await one.page.locator("#who-name").fill("romeo")
        path = "/v1/incidents/db2%3A%2F/ack"
        await bus.request("POST", path, '{"by": "juliet"}', {"Content-Type": "application/json"})
        await one.page.locator("#who button[type=submit]").click()
        await expect(found.get_by_role("alert")).to_contain_text("juliet was first")
        await expect(found.locator(".status")).to_have_text("acknowledged")


async def test_what_fires_is_said_to_who_hears_the_page_and_a_flood_is_one_sentence(
    tmp_path: Path, browser: Browser
) -> None:
    """The worst comes first; a is the key that acknowledges it."""
    async with (
        Daemon(tmp_path, config=bot_without_a_server(tmp_path)) as own,
        seen(browser, own.url) as one,
    ):
        page = await live(one)
        await expect(page.locator("#firing")).to_have_text("0")
        await publish(own, fires("web1:load", "the load is high"))
        await expect(page.locator("#announce")).to_have_text("New incident, warning: the load is high")
        flood = [fires(f"db{number}:/", f"disk {number} is full", "error") for number in range(20)]
        await publish(own, [*flood, fires("db3:/var", "the last disk is full", "critical")])
        await expect(page.locator("#announce")).to_have_text(
            "21 new incidents, the worst: critical: the last disk is full"
        )
        await expect(page.locator("#firing")).to_have_text("22")
        await expect(page.locator(".incident").first).to_contain_text("the last disk is full")
        await page.keyboard.press("a")
        await expect(page.locator(".incident").first).to_be_focused()
        await page.keyboard.press("a")
        await name_oneself(page, "nurse")
        await expect(card(page, "the last disk is full").locator(".incident__done")).to_contain_text("nurse")
        await expect(page.locator("#firing")).to_have_text("21")


async def test_a_click_on_its_key_shows_the_events_of_an_incident(browser: Browser, bus: Daemon) -> None:
    """In the feed."""
    await publish(bus, [fires("web7:swap", "it swaps"), {"type": "other.news", "summary": "nothing to do with it"}])
    async with seen(browser, bus.url) as one:
        await live(one)
        await card(one.page, "it swaps").get_by_role("button", name="web7:swap", exact=True).click()
        await expect(one.page.locator("#feed .row__summary")).to_have_text(["it swaps"])


async def test_a_bus_without_a_bot_says_what_is_missing_for_incidents(tmp_path: Path, browser: Browser) -> None:
    """And is well: a local bus keeps events and shows them."""
    async with Daemon(tmp_path) as local, seen(browser, local.url) as one:
        await live(one)
        await expect(one.page.locator("#incidents-none")).to_contain_text("bot: {}")
        await expect(one.page.locator("#health-headline")).to_have_text("The bus is well")
        await expect(one.page.locator("#trouble")).to_be_hidden()
        await expect(one.page.locator("#feed-empty")).to_contain_text("xmppbus publish")
