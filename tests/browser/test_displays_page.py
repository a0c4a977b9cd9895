"""docs/howto/displays.md: each config in it is one, each line does what the page says, and a screen shows it."""

from __future__ import annotations

import asyncio
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from playwright.async_api import Browser, async_playwright

from tests.support.daemon import Daemon
from tests.support.missing import need
from tests.support.page_browser import CHROMIUM_OPTIONS, chromium, seen
from xmppbus.config import load

PAGE = (Path(__file__).parents[2] / "docs/howto/displays.md").read_text()
LOBBY, BUILDS = (yaml.safe_load(each) for each in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
LINES = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
(START,) = re.findall(r"```html\n(.*?)```", PAGE, re.DOTALL)
(UNIT,) = re.findall(r"```ini\n(.*?)```", PAGE, re.DOTALL)
SECONDS = 15.0

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("text", re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
async def test_each_config_of_the_page_is_one(tmp_path: Path, text: str) -> None:
    """Without a doubt."""
    (tmp_path / "xmppbus.yaml").write_text(text)
    assert load(tmp_path / "xmppbus.yaml", {}).warnings == ()


async def test_what_the_page_says_to_publish_is_on_its_boards(tmp_path: Path, browser: Browser) -> None:
    """Every line of a shell, from the first `check` on."""
    async with Daemon(tmp_path, config={**BUILDS, **LOBBY}) as daemon:
        config = yaml.safe_load(daemon.config_file.read_text())
        config["displays"] += BUILDS["displays"]
        daemon.config_file.write_text(yaml.safe_dump(config))
        ours = [line for line in LINES if line.startswith("xmppbus ") and not line.startswith("xmppbus token")]
        assert len(LINES) == len(ours) + 2, "the others are in the test of the screen"
        for line in ours:
            await daemon.shell(line)
        async with seen(browser, f"{daemon.url}/display/lobby") as wall:
            await wall.page.locator(".lamp", has_text="mail").filter(has_text="warning").wait_for()
            for text in ("shop 4.18.2 is live", "the queue grows"):
                await wall.page.locator(".feed__line", has_text=text).wait_for()
            await wall.page.locator(".panel--counter", has_text="1").first.wait_for()
            await wall.page.goto(f"{daemon.url}/display/builds")
            await wall.page.locator(".panel--text", has_text="green").wait_for()


async def test_a_screen_starts_with_the_file_that_the_page_shows(tmp_path: Path) -> None:
    """Chromium with the page's options; only that it has no head here."""
    (line,) = [line for line in LINES if line.startswith("chromium ")]
    *options, file = shlex.split(line)[1:]
    assert shlex.split(UNIT.partition("ExecStart=")[2].partition("\n")[0])[1:-1] == options
    daemon = Daemon(tmp_path / "bus", config={**LOBBY})
    config = yaml.safe_load(daemon.config_file.read_text())
    config["http"]["tokens_file"] = "tokens"
    daemon.config_file.write_text(yaml.safe_dump(config))
    (make,) = [line for line in LINES if line.startswith("xmppbus token")]
    token = (await daemon.shell(make)).strip()
    start = tmp_path / Path(file).name
    start.write_text(START.replace("http://127.0.0.1:8222", daemon.url).replace("TOKEN", token))
    async with daemon, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=[*CHROMIUM_OPTIONS, *options])
        try:
            page = await browser.new_page()
            await page.goto(start.as_uri())
            await page.locator("body[data-state=live]").wait_for(timeout=SECONDS * 1_000)
            assert page.url == f"{daemon.url}/display/lobby"
        finally:
            await browser.close()


async def test_the_unit_of_the_page_is_one(tmp_path: Path) -> None:
    """As systemd reads it."""
    need("systemd-analyze")
    unit = tmp_path / "board.service"
    unit.write_text(UNIT.replace("/usr/bin/chromium", "/bin/true"))
    done = await asyncio.to_thread(
        subprocess.run,
        ["systemd-analyze", "verify", "--user", "--man=no", str(unit)],
        check=False,
        capture_output=True,
        text=True,
        env={"XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    assert (done.returncode, done.stderr) == (0, "")
