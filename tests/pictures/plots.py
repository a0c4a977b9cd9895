"""Plots: the trend of a build over half a year, and a day of latencies with a bad hour in it; light and dark."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.daemon import Daemon

MACHINES = (("linux-amd64", 312.0), ("linux-arm64", 421.0), ("windows", 518.0))
BUILDS = 52
REQUESTS = 4_000
PLOTS = {
    "plot-builds": (
        "build.finished",
        "--field",
        "data.seconds",
        "--since",
        "182d",
        "--by",
        "key",
        "--title",
        "Build time",
    ),
    "plot-latency": ("http.latency", "--field", "data.ms", "--title", "Latency of the shop"),
}


def history(now: datetime) -> Iterator[dict[str, Any]]:
    """The same each time, but for when it is."""
    dice = random.Random(5)
    for name, seconds in MACHINES:
        taken = seconds
        for number in range(BUILDS):
            taken += dice.gauss(0, seconds / 70)
            if number == BUILDS * 6 // 10:
                taken *= 0.72  # somebody has found the cache
            time = now - timedelta(days=3.5 * (BUILDS - 1 - number))
            yield _event("build.finished", f"{name}-{number}", time, {"seconds": round(taken, 1)}, key=name)
    for number in range(REQUESTS):
        time = now - timedelta(hours=24 * (REQUESTS - number) / REQUESTS)
        peak = 190 * math.exp(-(((number - REQUESTS * 0.74) / 60) ** 2))
        ms = 84 + 24 * math.sin(number / REQUESTS * 11) + dice.gauss(0, 8) + dice.expovariate(0.12) + peak
        yield _event("http.latency", f"request-{number}", time, {"ms": round(ms, 1)})


def _event(name: str, id_: str, time: datetime, data: dict[str, Any], **more: str) -> dict[str, Any]:
    return {
        "type": name,
        "source": "example",
        "id": id_,
        "time": time.isoformat(timespec="seconds"),
        "data": data,
        **more,
    }


async def draw(daemon: Daemon, place: Path) -> None:
    """The pictures, as anybody would make them."""
    lines = "\n".join(json.dumps(each) for each in history(datetime.now(UTC)))
    await daemon.command("publish", "--json", "-", "--lines", "--output", "none", input=lines.encode())
    for name, asked in PLOTS.items():
        for theme, ending in (("light", ""), ("dark", "-dark")):
            await daemon.command("plot", *asked, "--theme", theme, "--out", str(place / f"{name}{ending}.png"))
