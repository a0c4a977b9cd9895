"""Boards on a screen show what was published, after a reload too; outlive the daemon; change with the config."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema_rs import validator_for
from playwright.async_api import Browser, Page

from tests.contract.test_openapi import DESCRIPTION, SCHEMAS
from tests.support.daemon import Daemon
from tests.support.page_browser import browsing, seen

SECONDS = 15.0
REDRAWS = 10
LEAK_BYTES = 2_500  # a drawing; one of 4,000 is 4 MB an hour
CHART_SECONDS = 40.0  # the server makes Vega's script when it is first asked for it: some seconds of work
SCREENS = ((1280, 720), (1920, 1080), (3840, 2160), (1080, 1920))
PANELS: list[dict[str, Any]] = [
    {"kind": "feed", "title": "All of it"},
    {"kind": "counter", "match": "user.signup", "window": "1h"},
    {"kind": "rate", "match": "user.#", "window": "1h"},
    {"kind": "chart", "match": "http.latency", "field": "data.ms", "by": "data.path", "unit": "ms"},
    {"kind": "table", "match": "disk.#", "columns": ["summary", "data.percent", "time"]},
    {"kind": "lights", "match": "service.#"},
    {"kind": "text", "match": {"type": "deploy.done", "severity": ">=notice"}, "title": "Live"},
]
# Everything that is read on the board but the clock and how long ago it was, and what the chart was drawn from.
READ = """() => [
  ...[...document.querySelectorAll(".panel")].map((panel) => {
    const copy = panel.cloneNode(true);
    copy.querySelectorAll(".feed__age, .lamp__age, .text__age, [hidden]").forEach((each) => each.remove());
    copy.querySelectorAll(".table__row > :last-child").forEach((each) => each.remove());
    return copy.textContent;
  }),
  document.querySelector(".chart")?.ariaLabel,
]"""


# How much of the chart's width has colours on it: lines, for axes and letters are grey.
DRAWN_WIDTH = """() => {
  const canvas = document.querySelector("canvas");
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height * 0.85);
  let [first, last] = [width, 0];
  for (let index = 0; index < data.length; index += 4) {
    const [red, green, blue, alpha] = data.slice(index, index + 4);
    if (alpha < 200 || Math.max(red, green, blue) - Math.min(red, green, blue) < 80) continue;
    const column = (index / 4) % width;
    [first, last] = [Math.min(first, column), Math.max(last, column)];
  }
  return (last - first) / width;
}"""

pytestmark = pytest.mark.asyncio(loop_scope="session")


def boards(panels: list[dict[str, Any]] = PANELS, **options: Any) -> dict[str, Any]:
    """A config with one board called `wall`."""
    return {"displays": [{"name": "wall", "panels": panels, **options}]}


async def publish_some(daemon: Daemon) -> None:
    """By the command line, for each panel something."""
    for line in (
        ("user.signup", "romeo joined"),
        ("user.signup", "juliet joined"),
        ("disk.full", "/var fills up", "--key", "db1:/var", "--severity", "warning", "--data", "percent=91.5"),
        ("disk.full", "/ is calm", "--key", "db1:/", "--data", "percent=40"),
        ("service.mail", "the queue grows", "--key", "mail", "--severity", "error", "--status", "firing"),
        ("service.web", "--key", "web"),
        ("service.dns", "--key", "dns", "--severity", "error", "--status", "resolved"),
        ("deploy.done", "not a release"),
        ("deploy.done", "shop 4.18 is live", "--severity", "notice"),
    ):
        await daemon.command("publish", *line)
    long_ago = (datetime.now(UTC) - timedelta(minutes=50)).isoformat()
    lines = "\n".join(
        json.dumps({"type": "http.latency", "data": {"path": path, "ms": ms}, **more})
        for path, ms, more in (("/a", 9, {"time": long_ago}), ("/a", 4, {}), ("/b", 40, {}))
    )
    await daemon.command("publish", "--json", "-", "--lines", input=lines.encode())


async def shows(page: Page, selector: str, *texts: str) -> None:
    """Wait until one element that is meant by the selector has all of these texts."""
    found = page.locator(selector)
    for text in texts:
        found = found.filter(has_text=text)
    await found.first.wait_for(timeout=SECONDS * 1_000)


async def is_live(page: Page) -> None:
    """Wait until it follows what happens."""
    await page.locator("body[data-state=live]").wait_for()


async def test_each_kind_of_panel_shows_what_was_published_and_the_same_after_a_reload(
    tmp_path: Path, browser: Browser
) -> None:
    """From the stream first, and then from the journal: both come to the same."""
    async with Daemon(tmp_path, config=boards()) as daemon, seen(browser, f"{daemon.url}/display/wall") as wall:
        page = wall.page
        await is_live(page)
        await shows(page, ".panel--lights", "Nothing yet")
        await publish_some(daemon)
        await shows(page, ".panel--counter .counted__value", "2")
        await shows(page, ".panel--rate .counted__number", "2/h")
        await shows(page, ".panel--table", "db1:/var", "/var fills up", "91.5", "percent")
        for name, word in (("mail", "error"), ("web", "good"), ("dns", "resolved")):
            await shows(page, ".lamp", name, word)
        assert await page.locator(".lamp[data-look=error] .mark").count() == 1
        await shows(page, ".panel--text", "shop 4.18 is live", "just now")
        await shows(page, ".feed__line[data-severity=notice]", "deploy.done", "shop 4.18 is live")

        chart = page.get_by_role("img", name="http.latency: /a 4 ms, /b 40 ms")
        await chart.locator("canvas").wait_for(timeout=CHART_SECONDS * 1_000)
        assert await page.evaluate(DRAWN_WIDTH) > 0.7, "the line of 50 minutes in an hour"
        read = await page.evaluate(READ)
        await page.reload()
        await is_live(page)
        await chart.locator("canvas").wait_for(timeout=CHART_SECONDS * 1_000)
        assert await page.evaluate(READ) == read
        assert (await wall.violations(), wall.said) == ([], [])


HOSTILE: list[dict[str, Any]] = [
    {"summary": "<img src=x onerror=alert(1)><script>alert(2)</script>", "key": "<b>bold</b>"},
    {"summary": "\u202egnitirw \u2066 \u200f", "key": "\u202edrawkcab"},
    {"summary": "x" * 1_000, "key": "k" * 500},
    {"summary": "مرحبا بالعالم " * 40, "key": "👩‍👩‍👧‍👦" * 40},
    {"summary": "z\u0301\u0302\u0303\u0304" * 200, "key": "__proto__"},
    {"key": "constructor", "data": {"ms": 1e308, "path": "datum"}},
    {"key": "many", "data": {"ms": -1e-300, "path": "');alert(3);('"}},
    {"data": {"ms": 7, "path": "</script>" + "p" * 2_000, "text": "a" * 10_000}},
]


async def test_hostile_texts_are_only_ever_text_and_nothing_scrolls_on_any_screen(
    tmp_path: Path, browser: Browser
) -> None:
    """Markup, bidi, emoji, one endless word; small screens, large ones, and one on its side."""
    panels = [
        {**each, "match": "#", "window": "1h", **({"field": "data.text"} if each["kind"] == "text" else {})}
        for each in PANELS
    ]
    async with Daemon(tmp_path, config=boards(panels, title="<i>" + "w" * 400)) as daemon:
        events = [
            {"type": "evil.event", "severity": "critical", "status": "firing", "key": "k", **each} for each in HOSTILE
        ]
        events += [{"type": "evil.more", "key": f"lamp {number}"} for number in range(150)]
        half = len(events) // 2
        await post(daemon, events[:half])
        async with seen(browser, f"{daemon.url}/display/wall", width=1280, height=720) as wall:
            page = wall.page
            await is_live(page)
            await post(daemon, events[half:])
            await shows(page, ".panel--counter .counted__value", str(len(events)))
            await page.locator("canvas").wait_for(timeout=CHART_SECONDS * 1_000)
            for width, height in SCREENS:
                await page.set_viewport_size({"width": width, "height": height})
                await page.locator(".lamp").first.wait_for()
                assert await page.evaluate(OVERFLOWING) == [], (width, height)
            assert await page.locator("script:not([src]), .panel img, .panel b").count() == 0
            assert await page.evaluate("getComputedStyle(document.querySelector('.panel')).cursor") == "none"
            assert await page.locator("button, input, a, select").count() == 0
            assert (await wall.violations(), wall.said) == ([], [])


# What is wider or higher than the screen or than its panel, and what could be scrolled.
OVERFLOWING = """() => {
  const root = document.documentElement;
  const found = [];
  if (root.scrollWidth > innerWidth || root.scrollHeight > innerHeight) found.push("the page");
  for (const panel of document.querySelectorAll(".panel")) {
    const box = panel.getBoundingClientRect();
    if (box.right > innerWidth + 1 || box.bottom > innerHeight + 1) found.push(`${panel.className} is cut`);
    if (box.width < 60 || box.height < 40) found.push(`${panel.className} is too small`);
    for (const each of panel.querySelectorAll("*")) {
      if (["auto", "scroll"].includes(getComputedStyle(each).overflowY)) found.push(`${each.className} scrolls`);
    }
  }
  return found;
}"""


async def post(daemon: Daemon, events: list[Mapping[str, Any]] | list[dict[str, Any]]) -> None:
    """Many at once."""
    status, answer = await daemon.request(
        "POST", "/v1/events", json.dumps(events), {"Content-Type": "application/json"}
    )
    assert status == 202, answer
    assert b'"error"' not in answer, answer


async def test_a_board_loads_itself_anew_when_the_config_has_changed(tmp_path: Path, browser: Browser) -> None:
    """By `xmppbus reload`; and after a restart with another config."""
    async with (
        Daemon(tmp_path, config=boards(title="Before")) as daemon,
        seen(browser, f"{daemon.url}/display/wall") as wall,
    ):
        await is_live(wall.page)
        await shows(wall.page, ".board__title", "Before")
        daemon.configure(None, config=boards(PANELS[:2], title="After"))
        await daemon.command("reload")
        await shows(wall.page, ".board__title", "After")
        assert await wall.page.locator(".panel").count() == 2
        await is_live(wall.page)
        daemon.kill()
        await wall.page.locator("body[data-state=lost]").wait_for()
        daemon.configure(None, config=boards(PANELS[:3], title="Another day"))
        await daemon.start()
        await shows(wall.page, ".board__title", "Another day")
        assert await wall.page.locator(".panel").count() == 3


async def test_a_board_says_that_it_is_disconnected_and_catches_up(tmp_path: Path, browser: Browser) -> None:
    """The daemon is killed; what happens before the screen is back is on it all the same, once."""
    async with (
        Daemon(tmp_path, config=boards(PANELS[:2])) as daemon,
        seen(browser, f"{daemon.url}/display/wall") as wall,
    ):
        await is_live(wall.page)
        await daemon.command("publish", "user.signup", "romeo joined")
        await shows(wall.page, ".counted__value", "1")
        daemon.kill()
        await shows(wall.page, ".board__state", "Disconnected", "since")
        await daemon.command("publish", "user.signup", "juliet joined")  # goes into the spool
        await daemon.start()
        await is_live(wall.page)
        await shows(wall.page, ".counted__value", "2")
        await shows(wall.page, ".panel--feed", "romeo joined", "juliet joined")
        assert await wall.page.locator(".feed__line").count() == 2
        assert await wall.page.locator(".board__state").inner_text() == ""


async def test_a_screen_brings_its_token_in_the_address_and_sees_what_that_may_read(
    tmp_path: Path, browser: Browser
) -> None:
    """It is taken out of the address at once; another board is refused, in plain words."""
    tokens = tmp_path / "tokens"
    tokens.touch(mode=0o600)
    config = {
        "displays": [
            {"name": name, "panels": [{"kind": "feed", "match": match}]}
            for name, match in (("disks", "disk.full"), ("all", "#"))
        ]
    }
    daemon = Daemon(tmp_path, config=config)
    found = yaml.safe_load(daemon.config_file.read_text())
    found["http"]["tokens_file"] = str(tokens)
    daemon.config_file.write_text(yaml.safe_dump(found))
    token = (await daemon.command("token", "add", "lobby", "read:disk.#")).out.strip()
    async with daemon:
        headers = {"Authorization": f"Bearer {token}"}
        status, answer = await daemon.request("GET", "/v1/displays", headers=headers)
        assert (status, [each["name"] for each in json.loads(answer)["displays"]]) == (200, ["disks"])
        codes = {
            path: (await daemon.request("GET", f"/v1/displays/{path}", headers=headers))[0]
            for path in ("disks", "all", "none")
        }
        assert codes == {"disks": 200, "all": 403, "none": 404}
        assert (await daemon.request("GET", "/v1/displays/disks"))[0] == 401
        async with seen(browser, f"{daemon.url}/display/disks#token={token}") as wall:
            await is_live(wall.page)
            assert wall.page.url == f"{daemon.url}/display/disks"
            await daemon.command("publish", "disk.full", "/var fills up")
            await shows(wall.page, ".panel--feed", "/var fills up")
            await wall.page.goto(f"{daemon.url}/display/all")
            await shows(wall.page, ".board__state", "this token may not read all of that")
        assert token not in daemon.log()


async def heap(page: Page) -> tuple[int, int]:
    """Bytes that live on after what nobody needs has been collected, and nodes of the document."""
    session = await page.context.new_cdp_session(page)
    await session.send("Performance.enable")
    for _ in range(3):
        await session.send("HeapProfiler.collectGarbage")
    used = (await session.send("Runtime.getHeapUsage"))["usedSize"]
    metrics = (await session.send("Performance.getMetrics"))["metrics"]
    await session.detach()
    return used, next(each["value"] for each in metrics if each["name"] == "Nodes")


async def redrawn(page: Page, times: int) -> None:
    """Until the chart has been drawn so often: it waits for its turn, but not with another size."""
    for turn in range(times):
        canvas = await page.wait_for_selector("canvas", timeout=CHART_SECONDS * 1_000)
        await page.set_viewport_size({"width": 1280 + turn % 2 * 40, "height": 720})
        gone = "canvas => !canvas.isConnected"
        await page.wait_for_function(gone, arg=canvas, timeout=CHART_SECONDS * 1_000)
        assert canvas is not None
        await canvas.dispose()


async def heap_at_rest(page: Page) -> tuple[int, int]:
    """Between two drawings: one that is going on has a view of its own, of some 300 kB."""
    async with asyncio.timeout(CHART_SECONDS):
        while True:
            before = await page.locator(".chart__drawing").count()
            found = await heap(page)
            if before == 1 == await page.locator(".chart__drawing").count():
                return found


async def test_memory_is_flat_however_much_happens(tmp_path: Path) -> None:
    """A short form of what docs/howto/displays.md has the figures of.

    Without the compilers of V8: what they make of Vega counts as heap, and comes bit by bit. A leak would hide in it.
    """
    async with (
        Daemon(tmp_path, config=boards([{**each, "match": "load.#"} for each in PANELS])) as daemon,
        browsing("--js-flags=--jitless") as interpreting,
        seen(interpreting, f"{daemon.url}/display/wall") as wall,
    ):
        await is_live(wall.page)
        points = []
        for step in range(1, 4):
            await post(daemon, [load(number) for number in range(1_000)])
            await shows(wall.page, ".counted__value", f"{step}\u2009000")
            await redrawn(wall.page, REDRAWS)
            points.append(await heap_at_rest(wall.page))
        (first, nodes), (last, more) = points[1:]
        assert last - first < LEAK_BYTES * REDRAWS, points
        assert more - nodes < 100, points


def load(number: int) -> dict[str, Any]:
    """One of many, about one of 300 things."""
    statuses = ("firing", "acknowledged", "resolved")
    return {
        "type": f"load.{'abc'[number % 3]}",
        "key": f"unit {number % 300}",
        "status": statuses[number % 3],
        "severity": "warning",
        "summary": f"event {number}",
        "data": {"ms": number % 97, "path": f"/{number % 5}", "percent": number % 100},
    }


async def test_a_hundred_screens_are_told_the_same(tmp_path: Path) -> None:
    """At once, and as it is described."""
    async with Daemon(tmp_path, config=boards()) as daemon:
        await post(daemon, [load(number) for number in range(1_000)])
        answers = await asyncio.gather(*(daemon.request("GET", "/v1/displays/wall") for _ in range(100)))
        assert {status for status, _ in answers} == {200}
        found = [json.loads(answer) for _, answer in answers]
        assert {each["sequence"] for each in found} == {1_000}
        assert {len(each["panels"][0]["values"]["lines"]) for each in found} == {60}
        validator_for({**SCHEMAS["Board"], "components": DESCRIPTION["components"]}).validate(found[0])


async def test_a_board_loads_itself_anew_once_a_day(tmp_path: Path, browser: Browser) -> None:
    """So nothing that a browser collects over weeks ever matters; what it shows is the same."""
    async with (
        Daemon(tmp_path, config=boards(PANELS[:2])) as daemon,
        seen(browser, f"{daemon.url}/display/wall") as wall,
    ):
        await daemon.command("publish", "user.signup", "romeo joined")
        await wall.page.clock.install()
        await wall.page.reload()
        await is_live(wall.page)
        async with wall.page.expect_navigation(timeout=2 * SECONDS * 1_000):
            await wall.page.clock.fast_forward("24:00:05")
        await is_live(wall.page)
        await shows(wall.page, ".counted__value", "1")
