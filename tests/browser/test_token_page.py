"""Where tokens are needed the page shows nothing without one; it takes it in a form, or out of the address."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.browser.reading import card, live, name_oneself, row
from tests.support.daemon import Daemon, bot_without_a_server
from tests.support.page_browser import seen

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Daemon]:
    """A bus whose listener has tokens, with an incident."""
    directory: Path = tmp_path_factory.mktemp("guarded")
    daemon = Daemon(directory)
    (directory / "tokens").touch(mode=0o600)
    listener = {"listen": f"127.0.0.1:{daemon.http_port}", "tokens_file": str(directory / "tokens")}
    daemon.configure(None, config={**bot_without_a_server(directory), "http": listener})
    async with daemon:
        options = ("--severity", "warning", "--key", "db1:/var", "--status", "firing")
        await daemon.command("publish", "disk.full", "/var is full", *options)
        await daemon.command("publish", "user.signup", "alice joined")
        yield daemon


async def token(daemon: Daemon, name: str, *scopes: str) -> str:
    """A new one, by the command line."""
    return (await daemon.command("token", "add", name, *scopes)).out.split()[-1]


async def test_a_token_is_asked_for_and_a_wrong_one_is_said(browser: Browser, guarded: Daemon) -> None:
    """The right one is kept in the browser, where no script can read it."""
    good = await token(guarded, "desk", "read:#", "publish:incident.#")
    async with seen(browser, guarded.url) as one:
        page = one.page
        form = page.locator(".sign-in")
        await form.get_by_label("Token").fill("xmppbus.desk.wrong")
        await page.keyboard.press("Enter")
        await expect(form.get_by_role("alert")).to_contain_text("not known")
        await form.get_by_label("Token").fill(good)
        await page.keyboard.press("Enter")
        await row(await live(one), "alice joined").wait_for()
        assert good not in await page.evaluate("document.cookie + JSON.stringify(localStorage) + location.href")
        await page.reload()
        await row(await live(one), "alice joined").wait_for()
        await card(page, "/var is full").get_by_role("button", name="Acknowledge").click()
        await expect(page.locator("#who-name")).to_have_value("desk")
        await name_oneself(page, "desk")
        await expect(card(page, "/var is full").locator(".incident__done")).to_contain_text("desk")
        assert await one.violations() == []


async def test_a_token_in_the_address_is_taken_and_taken_out(browser: Browser, guarded: Daemon) -> None:
    """It sees what it may read, and is told what it may not do."""
    some = await token(guarded, "signups", "read:user.#")
    async with seen(browser, f"{guarded.url}/?type=user.%23#token={some}") as one:
        page = await live(one)
        await row(page, "alice joined").wait_for()
        assert page.url == f"{guarded.url}/?type=user.%23"
        assert await page.locator(".row", has_text="/var is full").count() == 0
        assert await page.locator(".incident").count() == 0
        await expect(page.locator("#health-headline")).to_have_text("The XMPP server is away")
        await expect(page.locator("#parts-panel")).to_be_hidden()
        assert one.said == []


async def test_a_reader_who_acknowledges_is_told_that_the_token_may_not(browser: Browser, guarded: Daemon) -> None:
    """Beside the incident, in the house's words."""
    reader = await token(guarded, "reader", "read:#")
    async with seen(browser, f"{guarded.url}/#token={reader}") as one:
        await live(one)
        found = card(one.page, "/var is full")
        await found.get_by_role("button", name="Resolve").click()
        await name_oneself(one.page, "reader")
        await expect(found.get_by_role("alert")).to_contain_text("token")


async def test_a_token_that_may_read_nothing_is_told_so(browser: Browser, guarded: Daemon) -> None:
    """And another one is asked for."""
    writer = await token(guarded, "writer", "publish:#")
    async with seen(browser, f"{guarded.url}/#token={writer}") as one:
        await expect(one.page.locator(".sign-in").get_by_role("alert")).to_contain_text("no scope")


async def test_a_token_that_is_taken_back_ends_the_page(browser: Browser, guarded: Daemon) -> None:
    """It asks for another one, and shows nothing more."""
    gone = await token(guarded, "gone", "read:#")
    async with seen(browser, f"{guarded.url}/#token={gone}") as one:
        await live(one)
        await guarded.command("token", "remove", "gone")
        await expect(one.page.locator(".sign-in")).to_be_visible(timeout=15_000)
