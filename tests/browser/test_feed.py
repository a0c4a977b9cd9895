"""The page at / shows events as they come: one line each, more on demand, found by filter and by keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright import async_api as playwright_api
from playwright.async_api import Browser, Page, expect

from tests.browser.reading import live, publish, row, summaries
from tests.support.daemon import Daemon
from tests.support.page_browser import seen
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

TRIES = 5


async def appears_within_a_second(page: Page, text: str) -> bool:
    try:
        await row(page, text).wait_for(timeout=1_000)
    except playwright_api.TimeoutError:
        return False
    return True


async def test_what_the_command_line_publishes_is_on_the_page_within_a_second(browser: Browser, bus: Daemon) -> None:
    """With its severity in words too, for who hears the page. A busy machine may need another try."""
    async with seen(browser, bus.url) as one:
        page = await live(one)
        for number in range(TRIES):
            await bus.command("publish", "quick.news", f"quick number {number}", "--severity", "warning")
            if await appears_within_a_second(page, f"quick number {number}"):
                break
        else:
            pytest.fail(f"{TRIES} times it took longer")
        shown = row(page, "quick number")
        await expect(shown.locator(".row__mark")).to_have_text("warning")
        await expect(shown.locator(".row__type")).to_have_text("quick.news")
        assert await one.violations() == []
        assert one.said == []


async def test_details_are_there_on_demand_and_the_feed_waits_while_one_reads(browser: Browser, bus: Daemon) -> None:
    """What comes meanwhile is counted; one click and it is there."""
    await publish(bus, {"type": "detail.one", "summary": "look inside", "subject": "web1", "data": {"ms": [840, None]}})
    async with seen(browser, bus.url) as one:
        page = await live(one)
        await row(page, "look inside").locator(".row__summary").click()
        details = row(page, "look inside").locator(".row__details")
        await expect(details.locator(".row__data")).to_have_text('{\n  "ms": [\n    840,\n    null\n  ]\n}')
        await expect(details.locator("dl")).to_contain_text("web1")
        await publish(bus, [{"type": "detail.two", "summary": "not yet"}, {"type": "detail.two", "summary": "later"}])
        await expect(page.locator("#feed-new")).to_have_text("2 new events")
        assert (await summaries(page))[0] == "look inside"
        await page.locator("#feed-new").click()
        await row(page, "later").wait_for()
        assert (await summaries(page))[:3] == ["later", "not yet", "look inside"]
        await expect(details).to_be_hidden()


async def test_it_holds_still_while_it_is_scrolled_or_paused(browser: Browser, bus: Daemon) -> None:
    """And goes on at the newest."""
    await publish(bus, [{"type": "scroll.old", "summary": f"old {number}"} for number in range(40)])
    async with seen(browser, bus.url) as one:
        page = await live(one)
        await row(page, "old 39").wait_for()
        await page.locator("#scroller").evaluate("scroller => scroller.scrollTop = 400")
        await publish(bus, {"type": "scroll.new", "summary": "while scrolled"})
        await expect(page.locator("#feed-new")).to_have_text("1 new event")
        await page.keyboard.press("n")
        await expect(row(page, "while scrolled")).to_be_in_viewport()
        await page.get_by_role("button", name="Pause").click()
        await publish(bus, {"type": "scroll.new", "summary": "while paused"})
        await expect(page.locator("#feed-new")).to_have_text("1 new event")
        await page.get_by_role("button", name="Go on").click()
        await row(page, "while paused").wait_for()
        await expect(page.locator("#feed-new")).to_be_hidden()


async def test_the_filter_finds_words_types_and_severities_and_stands_in_the_address(
    browser: Browser, bus: Daemon
) -> None:
    """What it finds is found in what was before, and in what comes; the address can be handed on."""
    await publish(
        bus,
        [
            {"type": "sieve.disk", "summary": "Platte voll", "severity": "error"},
            {"type": "sieve.disk", "summary": "Platte halb voll"},
            {"type": "sieve.mail", "summary": "Post da", "severity": "warning", "data": {"to": "nurse@example.org"}},
        ],
    )
    async with seen(browser, f"{bus.url}/?type=sieve.%23") as one:
        page = await live(one)
        await until_shown(page, ["Post da", "Platte halb voll", "Platte voll"])
        await page.locator("#filter-severity").select_option("warning")
        await until_shown(page, ["Post da", "Platte voll"])
        await page.locator("#filter-text").fill("NURSE post")
        await until_shown(page, ["Post da"])
        await page.reload()
        await until_shown(page, ["Post da"])
        await page.locator("#filter-type").fill("sieve..x")
        await expect(page.locator("#filter-problem")).to_contain_text("sieve..x")
        await page.get_by_role("button", name="Clear").click()
        await live(one)
        assert page.url == f"{bus.url}/"
        await publish(bus, {"type": "sieve.other", "summary": "unfiltered"})
        await row(page, "unfiltered").wait_for()


async def until_shown(page: Page, expected: list[str]) -> None:
    """Exactly these."""
    await expect(page.locator("#feed .row__summary")).to_have_text(expected)


async def test_times_are_those_of_the_house_and_stay_true(browser: Browser, bus: Daemon) -> None:
    """On a screen whose clock is an hour wrong, too."""
    happened = datetime.now(UTC) - timedelta(seconds=117)
    await publish(bus, {"type": "clock.tick", "summary": "two minutes ago, almost", "time": happened.isoformat()})
    async with seen(browser, bus.url) as one:
        await one.page.clock.set_system_time(datetime.now(UTC) + timedelta(hours=1))
        await one.page.reload()
        await live(one)
        time = row(one.page, "two minutes ago, almost").locator("time")
        await expect(time).to_have_text("2 min")
        title = await time.get_attribute("title")
        assert title
        assert str(happened.year) in title


async def test_keys_reach_everything(browser: Browser, bus: Daemon) -> None:
    """j and k go through the rows, Enter opens, / filters, ? helps; while one types they are letters."""
    await publish(bus, [{"type": "keys.one", "summary": "key one"}, {"type": "keys.two", "summary": "key two"}])
    async with seen(browser, f"{bus.url}/?type=keys.%23") as one:
        page = await live(one)
        await until_shown(page, ["key two", "key one"])
        await page.keyboard.press("j")
        await expect(row(page, "key two")).to_be_focused()
        await page.keyboard.press("j")
        await expect(row(page, "key one")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(row(page, "key one").locator(".row__details")).to_be_visible()
        await page.keyboard.press("ArrowUp")
        await expect(row(page, "key two")).to_be_focused()
        outline = await row(page, "key two").evaluate("row => getComputedStyle(row).outlineStyle")
        assert outline == "solid"
        await page.keyboard.press("/")
        await page.keyboard.type("jk?")
        await expect(page.locator("#filter-text")).to_have_value("jk?")
        await page.keyboard.press("Escape")
        await page.keyboard.press("?")
        await expect(page.locator("#help")).to_be_visible()
        await page.locator("#shortcuts").uncheck()
        await page.keyboard.press("Escape")
        await page.keyboard.press("?")
        await expect(page.locator("#help")).to_be_hidden()


async def test_ten_thousand_events_scroll_by_and_the_page_stays_small(browser: Browser, tmp_path: Path) -> None:
    """At most five hundred rows at any time, in order, without one missing among them; and it can be used meanwhile."""
    async with Daemon(tmp_path) as bus, seen(browser, bus.url) as one:
        page = await live(one)
        await page.evaluate(COUNT_ROWS)
        for batch in range(10):
            numbers = range(batch * 1_000, (batch + 1) * 1_000)
            await publish(bus, [{"type": "flood.wave", "summary": f"drop {number}"} for number in numbers])
        await page.locator("#help-open").click()
        await expect(page.locator("#help")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.locator("#feed .row")).to_have_count(500)
        await row(page, "drop 9999").wait_for()
        await expect(page.locator("#feed")).to_have_attribute("aria-busy", "false")
        assert await summaries(page) == [f"drop {number}" for number in range(9_999, 9_499, -1)]
        seen_rows: dict[str, Any] = await page.evaluate("window.rows")
        assert seen_rows["most"] <= 500
        assert await one.violations() == []


# Counts after each change, as the browser sees it.
COUNT_ROWS = """() => {
  window.rows = {most: 0};
  const list = document.getElementById("feed");
  new MutationObserver(() => { window.rows.most = Math.max(window.rows.most, list.childElementCount); })
    .observe(list, {childList: true});
}"""


async def test_new_rows_slide_in_unless_one_wants_no_motion(browser: Browser, bus: Daemon) -> None:
    """prefers-reduced-motion is obeyed."""
    async with (
        seen(browser, f"{bus.url}/?type=slide.%23") as moving,
        seen(browser, f"{bus.url}/?type=slide.%23", reduced_motion="reduce") as still,
    ):
        for one in (moving, still):
            await live(one)
        await publish(bus, {"type": "slide.in", "summary": "first"})
        for one in (moving, still):
            await row(one.page, "first").wait_for()
            await one.page.evaluate(CALM)
        await publish(bus, {"type": "slide.in", "summary": "second"})
        for one, slides in ((moving, True), (still, False)):
            await row(one.page, "second").wait_for()
            classes = await row(one.page, "second").get_attribute("class")
            assert ("row--new" in (classes or "")) is slides


# Longer than the pause after which one row slides again; waited for in the browser's own time.
CALM = "() => new Promise((resolve) => setTimeout(resolve, 450))"


async def test_who_comes_sees_what_was(browser: Browser, bus: Daemon) -> None:
    """The newest events of before, without waiting for a new one."""
    await publish(bus, {"type": "before.me", "summary": "it was here already"})

    async with seen(browser, f"{bus.url}/?text=already") as one:
        await until(lambda: row(one.page, "it was here already").is_visible(), 10, "the event of before")
