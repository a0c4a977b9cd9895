"""Whatever an event says, on the page it is only text: nothing runs, nothing breaks out, nothing grows too wide."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from tests.browser.reading import card, live, name_oneself, publish, row
from tests.support.daemon import Daemon
from tests.support.page_browser import SeenPage, seen

pytestmark = pytest.mark.asyncio(loop_scope="session")

MARKUP = "<img src=x onerror=alert(1)><script>alert(2)</script>"
TURNED = "invoice \u202egnp.exe\u2069 and \u200fעברית\u200f again"
EMOJI = "👩‍👩‍👧‍👦🏳️‍🌈 é ﷽ Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘!͖̬̰̙̗̿̋ͥͥ̂ͣ̐́́͜͞"
LONG = "W" * 1_000
LONGER = "x" * 10_000
ESCAPES = "\x1b[31mred\x1b[0m \x1b]0;title\x07bell \x00\x08"
WIDTHS = (360, 1440)


def hostile() -> list[dict[str, object]]:
    """One of each; the key of the incidents is hostile as well."""
    texts = {"markup": MARKUP, "turned": TURNED, "emoji": EMOJI, "long": LONG, "escapes": ESCAPES}
    events: list[dict[str, object]] = [
        {
            "type": f"hostile.{name}",
            "summary": f"{name}: {text}"[:1_000],
            "source": text[:200].replace("\x1b", "").replace("\x00", "").replace("\x08", "").replace("\x07", ""),
            "data": {text[:200]: [text, LONGER]},
            "severity": "critical",
        }
        for name, text in texts.items()
    ]
    events.append({"type": "hostile.data", "data": LONGER})
    events.append({"type": f"hostile.{'t' * 100}", "summary": "a long type", "tags": ["a" * 60, "b" * 60]})
    events.append({"type": "hostile.link", "summary": "a link", "link": f"https://example.org/{'l' * 900}?b"})
    return events


async def untouched(one: SeenPage) -> None:
    """No script ran, no policy was broken, no element came out of a text, and nothing is wider than the screen."""
    assert await one.violations() == []
    assert one.said == []
    assert await one.page.locator("#feed img, #feed script, #incidents img, #feed a[href^=javascript]").count() == 0
    assert await one.overflow() <= 0


@pytest.mark.parametrize("width", WIDTHS)
async def test_hostile_texts_are_only_ever_text(browser: Browser, bus: Daemon, width: int) -> None:
    """In the rows and in their details, on a phone and on a desk."""
    await publish(bus, hostile())
    async with seen(browser, f"{bus.url}/?type=hostile.%23", width=width) as one:
        page = await live(one)
        await row(page, "a link").wait_for()
        await untouched(one)
        for found in await page.locator("#feed .row").all():
            await found.locator(".row__more").click()
        await untouched(one)
        shown = row(page, "markup:")
        await expect(shown.locator(".row__summary")).to_have_text(f"markup: {MARKUP}")
        await expect(row(page, "escapes:").locator(".row__summary")).to_have_text("escapes: red bell")
        assert "\u202e" not in await page.locator("#feed").inner_text()
        tall = await row(page, "long:").locator(".row__summary").bounding_box()
        assert tall
        assert tall["height"] < 150  # a long line is cut, and whole only in the details
        link = row(page, "a link").locator(".row__link")
        assert await link.get_attribute("rel") == "noopener noreferrer"
        await expect(link).to_have_text("example.org ↗")


async def test_a_link_that_is_a_script_is_no_link(browser: Browser, bus: Daemon) -> None:
    """Nor is one to a file, or to nowhere; in the details they are words."""
    links = (
        "javascript:alert(1)",
        "data:text/html,%3Cscript%3Ealert(1)%3C/script%3E",
        "file:///etc/passwd",
        "urn:isbn:1",
    )
    events = [{"type": "unlinked.one", "summary": f"link {number}", "link": link} for number, link in enumerate(links)]
    await publish(bus, events)
    async with seen(browser, f"{bus.url}/?type=unlinked.%23") as one:
        page = await live(one)
        for number, link in enumerate(links):
            found = row(page, f"link {number}")
            await found.locator(".row__more").click()
            await expect(found.locator(".row__details")).to_contain_text(link)
        assert await page.locator("#feed a").count() == 0
        await untouched(one)


async def test_a_hostile_incident_can_be_acknowledged_like_any(browser: Browser, bus: Daemon) -> None:
    """Its key is markup, with everything that a path can't hold as it is."""
    key = "../?#%2e/<b>&\"'ü 👾"
    event = {"type": "hostile.incident", "key": key, "status": "firing", "summary": MARKUP, "severity": "critical"}
    await publish(bus, {**event, "link": "javascript:alert(3)"})
    async with seen(browser, bus.url, width=360) as one:
        page = await live(one)
        await expect(card(page, key).locator(".incident__summary")).to_have_text(MARKUP)
        assert await card(page, key).locator("a").count() == 0
        await card(page, key).get_by_role("button", name="Acknowledge").click()
        await name_oneself(page, "<i>nurse</i>")
        await expect(card(page, key).locator(".incident__done")).to_contain_text("<i>nurse</i>")
        await untouched(one)
