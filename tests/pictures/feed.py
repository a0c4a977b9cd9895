"""The page at /, with the events of an ordinary morning: light, dark, and on a phone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from playwright.async_api import Browser

from tests.support.daemon import Daemon
from tests.support.page_browser import Theme, seen
from xmppbus.demo.samples import PEOPLE

PHONE_WIDTH, PHONE_HEIGHT = 390, 844
WIDTH, HEIGHT = 1440, 900
SCALE = 1.5  # pixels of a picture to one of the page


def morning(now: datetime) -> list[dict[str, Any]]:
    """What a small company's machines and shop say in an hour and a half, oldest first."""
    told = sorted([*_shop(), *_machines(), *_people_at_work()], key=lambda each: -each["minutes"])
    return [_event(number, each, now) for number, each in enumerate(told)]


def _event(number: int, told: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    fields = {name: value for name, value in told.items() if name != "minutes"}
    happened = now - timedelta(minutes=told["minutes"])
    return {"id": f"morning-{number}", "time": happened.isoformat(timespec="milliseconds"), **fields}


def _shop() -> Iterator[dict[str, Any]]:
    for number, person in enumerate(islice(PEOPLE * 2, 14)):
        plan = ("free", "team", "free")[number % 3]
        yield {
            "minutes": 0.45 + number * 5.8,
            "type": "user.signup",
            "source": "shop",
            "summary": f"{person} joined",
            "data": {"user": person, "plan": plan},
            "tags": plan,
        }
    for number, amount in enumerate((129, 48, 1_940, 75, 310)):
        yield {
            "minutes": 2.1 + number * 13,
            "type": "order.paid",
            "source": "shop",
            "summary": f"Order {20417 - number} is paid: {amount:,} €",
            "severity": "notice" if amount > 1_000 else "info",
            "data": {"order": 20417 - number, "amount": amount},
        }


def _machines() -> Iterator[dict[str, Any]]:
    for minutes, percent, severity in ((38, 84, "warning"), (21, 91, "warning"), (6.5, 97, "critical")):
        yield {
            **_of(minutes, "disk.full", "db3", f"/var is {percent} % full", severity),
            "key": "db3:/var",
            "status": "firing",
            "data": {"percent": percent, "free_gib": round((100 - percent) * 0.8, 1)},
        }
    yield {
        **_of(17, "http.latency", "web2", "The checkout answers in 840 ms (limit 500 ms)", "warning"),
        "key": "web2:latency",
        "status": "firing",
        "link": "https://grafana.example.org/d/checkout",
        "data": {"ms": 840},
    }
    queue = {"key": "mx1:queue"}
    text = "412 mails wait for mail.example.net"
    yield {**_of(64, "mail.queue", "mx1", text, "error"), **queue, "status": "firing"}
    yield {**_of(41, "mail.queue", "mx1", "The queue is empty again"), **queue, "status": "resolved"}
    backup = _of(52, "backup.done", "db1", "Nightly backup: 214 GiB in 41 min")
    yield {**backup, "data": {"gib": 214, "minutes": 41}}
    yield _of(1.2, "host.boot", "web4", "web4 is up, kernel 6.1.0-28", "debug")
    yield _of(29, "certificate.renewed", "proxy1", "shop.example.org is good for another 90 days", "notice")
    yield _of(76, "ssh.login", "db1", "juliet logged in from 192.0.2.17", "notice")


def _people_at_work() -> Iterator[dict[str, Any]]:
    builds = "https://ci.example.org/builds"
    yield {
        **_of(3.4, "build.failed", "ci", "Build 1042 of shop: 2 of 318 tests failed", "error"),
        "key": "shop/main",
        "status": "firing",
        "link": f"{builds}/1042",
        "data": {"failed": ["test_checkout", "test_refund"]},
    }
    for number, minutes in ((1041, 26), (1040, 58)):
        passed = _of(minutes, "build.passed", "ci", f"Build {number} of shop passed in 4 min 12 s")
        yield {**passed, "subject": "main", "link": f"{builds}/{number}"}
    live = _of(24.5, "deploy.done", "ci", "Shop 2.31 is live on web1 to web4", "notice")
    yield {**live, "subject": "production", "link": "https://git.example.org/shop/tags/2.31"}


def _of(minutes: float, type_: str, source: str, summary: str, severity: str = "info") -> dict[str, Any]:
    return {"minutes": minutes, "type": type_, "source": source, "summary": summary, "severity": severity}


async def _filled(daemon: Daemon) -> None:
    events: Sequence[Mapping[str, Any]] = morning(datetime.now(UTC))
    status, answer = await daemon.request(
        "POST", "/v1/events", json.dumps(events), {"Content-Type": "application/json"}
    )
    if status != 202 or b'"error"' in answer:
        raise RuntimeError(f"the samples were refused: {answer!r}")
    await daemon.until_nothing_waits(30)
    await daemon.request(
        "POST", "/v1/incidents/web2%3Alatency/ack", '{"by": "juliet"}', {"Content-Type": "application/json"}
    )


async def draw(daemon: Daemon, browser: Browser, directory: Path) -> None:
    """Write `page-light.png`, `page-dark.png` and `page-phone.png`."""
    await _filled(daemon)
    sizes: tuple[tuple[str, Theme, int, int], ...] = (
        ("page-light", "light", WIDTH, HEIGHT),
        ("page-dark", "dark", WIDTH, HEIGHT),
        ("page-phone", "dark", PHONE_WIDTH, PHONE_HEIGHT),
    )
    for name, theme, width, height in sizes:
        async with seen(
            browser,
            daemon.url,
            theme=theme,
            width=width,
            height=height,
            device_scale_factor=SCALE,
            reduced_motion="reduce",
        ) as one:
            await one.page.locator("#feed .row").nth(20).wait_for(state="attached")
            await one.page.locator(".incident").nth(3).wait_for(state="attached")
            await one.page.locator("#health[data-state='up']").wait_for()
            await one.page.evaluate("document.fonts.ready")
            await one.page.screenshot(path=directory / f"{name}.png", animations="disabled", caret="hide")
