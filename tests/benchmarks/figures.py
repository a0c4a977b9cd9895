"""What a benchmark hands over, how medians of paired rounds are made, and on what machine it ran."""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.support import rabbitmq

RESULTS = Path(__file__).with_name("results")
QUICK_MEASURING_SECONDS = 38.0
PACKAGES = ("xmppbus", "slixmpp", "aiohttp", "msgspec", "click", "aio-pika")


@dataclass(frozen=True, slots=True)
class Settings:
    """How a benchmark was asked to run."""

    server: str
    quick: bool
    rounds: int

    def measuring_seconds(self, parts: int = 1) -> float:
        """How long each of so many parts may measure; `--quick` has to end within 50 s, starts included."""
        return QUICK_MEASURING_SECONDS / parts if self.quick else math.inf


@dataclass(slots=True)
class Report:
    """The one JSON object that is printed. Ratios are medians of paired rounds; figures are everything else."""

    ratios: dict[str, float] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def rates(self, name: str, values: Sequence[float]) -> None:
        """The median of a rate, and each round's."""
        self.figures[name] = rounded(statistics.median(values))
        self.figures[f"{name}_rounds"] = [rounded(value) for value in values]

    def ratio(self, name: str, pairs: Sequence[tuple[float, float]]) -> None:
        """The median over the rounds of ours divided by the baseline's of the same round."""
        each = [ours / baseline for ours, baseline in pairs]
        self.ratios[name] = rounded(statistics.median(each))
        self.figures[f"{name}_rounds"] = [rounded(value) for value in each]


def rounded(value: float) -> float:
    """Four significant digits: more would be noise."""
    if value == 0 or not math.isfinite(value):
        return value
    digits = 3 - math.floor(math.log10(abs(value)))
    result = round(value, digits)
    return int(result) if digits <= 0 else result


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def spread(values: Sequence[float], scale: float = 1000.0) -> dict[str, float]:
    """p50, p90, p99 and the largest, in thousandths of the unit given (seconds to milliseconds)."""
    return {
        "p50": rounded(percentile(values, 50) * scale),
        "p90": rounded(percentile(values, 90) * scale),
        "p99": rounded(percentile(values, 99) * scale),
        "max": rounded(max(values) * scale),
    }


def play(rounds: int, players: Mapping[str, Callable[[], float]], seconds: float = math.inf) -> dict[str, list[float]]:
    """Let each player play once a round, side by side, and begin each round with another one.

    What changes slowly on a machine (its clock, its neighbours) then meets all of them alike. A round that would end
    after `seconds`, going by the longest so far, is not begun.
    """
    scores: dict[str, list[float]] = {name: [] for name in players}
    order = list(players)
    watch, longest = Stopwatch(), 0.0
    for number in range(rounds):
        begun = watch.seconds
        if number and begun + longest > seconds:
            say(f"no time for round {number + 1}")
            break
        for name in order[number % len(order) :] + order[: number % len(order)]:
            scores[name].append(players[name]())
            say(f"round {number + 1}: {name} {rounded(scores[name][-1])}")
        longest = max(longest, watch.seconds - begun)
    return scores


def say(text: str) -> None:
    """Progress, above the last line."""
    print(text, flush=True)


def machine() -> dict[str, Any]:
    """What one has to know to compare two results."""
    cpu = next((line.partition(":")[2].strip() for line in read_lines("/proc/cpuinfo") if "model name" in line), "")
    memory = next((line.partition(":")[2].strip() for line in read_lines("/proc/meminfo") if "MemTotal" in line), "")
    return {
        "cpu": cpu or platform.machine(),
        "cores": os.cpu_count(),
        "memory": memory,
        "kernel": platform.release(),
        "load_before": os.getloadavg(),
    }


def read_lines(path: str) -> list[str]:
    """A file's lines, or none."""
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def versions() -> dict[str, str]:
    """Python's, our packages' and Debian's."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    for name in ("prosody", "ejabberd", "go-sendxmpp"):
        found[name] = debian_version(name)
    found["rabbitmq-server"] = rabbitmq.version()
    return found


def debian_version(package: str) -> str:
    """Of an installed package of Debian's."""
    try:
        done = subprocess.run(
            ["dpkg-query", "-W", "-f=${Version}", package], capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() or "absent"


def keep(benchmark: str, settings: Settings, report: Report, seconds: float, host: Mapping[str, Any]) -> Path:
    """Write the result with its machine to `results/`; one file a benchmark, server and length."""
    length = "-quick" if settings.quick else ""
    path = RESULTS / f"{benchmark}-{settings.server}{length}.json"
    RESULTS.mkdir(exist_ok=True)
    result = {
        "benchmark": benchmark,
        "server": settings.server,
        "quick": settings.quick,
        "rounds": settings.rounds,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "ratios": report.ratios,
        "figures": report.figures,
        "versions": report.versions,
        "machine": host,
    }
    path.write_text(json.dumps(result, indent=2) + "\n")
    return path


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self.begun = time.perf_counter()

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return time.perf_counter() - self.begun
