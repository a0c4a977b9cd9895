"""Two boards of docs/howto/displays.md, described as there: a day in a small company, and four months of benchmarks."""

from __future__ import annotations

import json
import math
import random
import re
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from playwright.async_api import Browser

from tests.support.daemon import Daemon
from tests.support.page_browser import Theme, seen
from xmppbus.demo.samples import PEOPLE

WIDTH, HEIGHT = 1920, 1080
CHART_SECONDS = 40.0
PAGE = Path(__file__).parents[2] / "docs/howto/displays.md"
DAY = 86_400
Told = tuple[float, dict[str, Any]]  # how many seconds ago, and what


def _lobby(dice: random.Random) -> Iterator[Told]:
    for path, usual in (("/login", 38), ("/search", 120), ("/checkout", 84)):
        for second in range(0, 3_600, 20):
            wave = 1 + 0.18 * math.sin(second / 3_600 * 2 * math.pi + usual) + 0.12 * dice.random()
            trouble = 60 * (0.6 + 0.5 * dice.random()) if path == "/search" and 900 < second < 1_300 else 0
            data = {"path": path, "ms": round(usual * wave + trouble, 1)}
            yield second + 15 * dice.random(), {"type": "http.latency", "severity": "debug", "data": data}
    for number in range(384):
        ago = DAY * dice.random() ** 1.2 if number < 213 else DAY * (1 + dice.random())
        yield ago, {"type": "user.signup", "summary": f"{dice.choice(PEOPLE)} joined"}
    for _ in range(460):
        yield 300 * dice.random(), {"type": "page.view", "severity": "debug"}
    yield from _services()
    for seconds, type_, severity, subject, summary in (
        (140, "order.paid", "notice", "shop", "Order 20417 is paid: 12,400 €"),
        (560, "disk.full", "warning", "db1", "/var is 91 % full"),
        (1_260, "deploy.done", "notice", "shop", "shop 4.18.2 is live"),
        (2_100, "build.passed", "notice", "ci", "main is green again: 1,482 tests in 3 min 12 s"),
        (3_300, "backup.failed", "error", "db1", "The backup of db1 ended with 12 after 41 min"),
        (5_400, "certificate.ends", "warning", "mail", "mail.example.org is good for another 9 days"),
        (6_400, "user.banned", "notice", "login", "mercutio was locked out after 20 wrong passwords"),
        (9_400, "power.lost", "critical", "rack 4", "Rack 4 runs on its battery"),
    ):
        yield seconds, {"type": type_, "severity": severity, "subject": subject, "summary": summary}


def _services() -> Iterator[Told]:
    for number, key in enumerate(("web1", "web2", "payments", "cache", "dns")):
        yield 38 + number, {"type": f"service.{key}", "key": key, "summary": f"{key} answers"}
    for seconds, key, status, severity, summary in (
        (190, "backup", "firing", "error", "The copy of last night can't be read"),
        (780, "mail", "firing", "warning", "The queue of outgoing mail grows: 4,180 messages"),
        (1_900, "database", "resolved", "error", "The standby follows again"),
        (2_500, "search", "acknowledged", "error", "The index is 40 minutes old"),
    ):
        yield (
            seconds,
            {"type": f"service.{key}", "key": key, "status": status, "severity": severity, "summary": summary},
        )


_BENCHMARKS = {  # seconds a run, and from how many days ago on that is times what
    "parse": (2.9, ((120, 1.0), (60, 0.82), (21, 0.84))),
    "route": (1.6, ((120, 1.0), (75, 1.16), (71, 0.97), (33, 0.8))),
    "render": (4.3, ((120, 1.0), (48, 0.9), (47, 0.72), (12, 0.76))),
}


def _builds(dice: random.Random) -> Iterator[Told]:
    for name, (usual, steps) in _BENCHMARKS.items():
        for day in range(119, -1, -1):
            factor = next(each for since, each in reversed(steps) if day <= since) * (1 + 0.025 * dice.gauss(0, 1))
            data = {"benchmark": name, "seconds": round(usual * factor, 3)}
            yield 60 + day * DAY + 3_000 * dice.random(), {"type": "bench.run", "source": "ci", "data": data}
    for _ in range(170):
        yield 30 * DAY * dice.random(), {"type": "build.done", "source": "ci"}
    yield 760, {"type": "build.status", "source": "ci", "key": "main", "status": "resolved", "summary": "green"}
    for key, percent, severity, summary in (
        ("db1:/", 41, "info", "calm"),
        ("db1:/var", 91, "warning", "grows by 2 % a day"),
        ("db2:/", 38, "info", "calm"),
        ("files:/srv", 97, "error", "full within the hour"),
        ("mail:/var/mail", 72, "info", "calm"),
        ("web1:/", 64, "info", "calm"),
        ("web2:/", 66, "info", "calm"),
    ):
        about = {"key": key, "subject": key, "summary": summary, "severity": severity}
        yield 280 * dice.random(), {"type": "disk.usage", "data": {"percent": percent}, **about}
    for number, (key, severity, status) in enumerate(
        (
            ("nightly build", "info", None),
            ("backup", "error", "firing"),
            ("fuzzing", "warning", "firing"),
            ("release notes", "info", None),
            ("mirror", "error", "acknowledged"),
            ("docs", "info", None),
        )
    ):
        fields = {"key": key, "severity": severity, "status": status, "summary": f"The job {key} ended"}
        yield 700 + 900 * number, {"type": "job.ended", **fields}


async def _filled(daemon: Daemon) -> None:
    dice, now = random.Random(4), datetime.now(UTC)
    told = sorted([*_lobby(dice), *_builds(dice)], key=lambda each: -each[0])
    events = [{"time": (now - timedelta(seconds=ago)).isoformat(), **fields} for ago, fields in told]
    for first in range(0, len(events), 500):
        body = json.dumps(events[first : first + 500])
        status, answer = await daemon.request("POST", "/v1/events", body, {"Content-Type": "application/json"})
        if status != 202 or b'"error"' in answer:
            raise RuntimeError(f"the samples were refused: {answer!r}")


def described() -> dict[str, Any]:
    """The config of the page, with both boards; each is drawn light and dark, so neither says which it is."""
    lobby, builds = (yaml.safe_load(each) for each in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL))
    displays = [{**each, "theme": "auto"} for each in (*lobby["displays"], *builds["displays"])]
    return {"journal": builds["journal"], "displays": displays}


async def draw(browser: Browser, directory: Path) -> None:
    """Write `board-lobby-light.png`, `board-builds-light.png`, and both dark."""
    with tempfile.TemporaryDirectory() as place:
        async with Daemon(Path(place), config=described()) as daemon:
            await _filled(daemon)
            for name in ("lobby", "builds"):
                for theme in ("light", "dark"):
                    await _drawn(
                        browser, f"{daemon.url}/display/{name}", theme, directory / f"board-{name}-{theme}.png"
                    )


async def _drawn(browser: Browser, url: str, theme: Theme, path: Path) -> None:
    async with seen(browser, url, theme=theme, width=WIDTH, height=HEIGHT, reduced_motion="reduce") as one:
        await one.page.locator("body[data-state=live]").wait_for()
        await one.page.locator(".chart[aria-label]").wait_for(timeout=CHART_SECONDS * 1_000)
        await one.page.evaluate("document.fonts.ready")
        await one.page.screenshot(path=path, animations="disabled")
