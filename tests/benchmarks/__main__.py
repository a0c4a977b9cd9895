"""`python -m tests.benchmarks NAME [--server prosody|ejabberd] [--quick] [--rounds N]`.

Measures one thing beside its baseline, in one run on one machine, and prints one JSON object as its last line. What
each ratio is against stands in the benchmark's own docstring (`--explain` prints it).
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import signal
import sys
from types import FrameType
from typing import Any, Protocol

from tests.benchmarks.figures import Report, Settings, Stopwatch, keep, machine, say, versions

BENCHMARKS = ("publish", "accept", "cli", "latency", "backlog", "chat_fanout", "commands", "displays", "queue")
QUICK_SECONDS = 50


class Benchmark(Protocol):
    """A module of this package."""

    ROUNDS: int
    QUICK_ROUNDS: int

    def run(self, settings: Settings) -> Report:
        """Measure."""
        ...


def stop_at_once(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM unwinds like Ctrl-C, so that every server started here is ended too."""
    raise KeyboardInterrupt


def main() -> int:
    """Run one benchmark."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("name", choices=BENCHMARKS)
    parser.add_argument("--server", choices=("prosody", "ejabberd"), default="prosody")
    parser.add_argument("--quick", action="store_true", help=f"ends within {QUICK_SECONDS} s")
    parser.add_argument("--rounds", type=int, help="paired rounds, of which the median is taken")
    parser.add_argument("--explain", action="store_true", help="say what is measured against what, and stop")
    arguments = parser.parse_args()
    module: Any = importlib.import_module(f"tests.benchmarks.{arguments.name}")
    if arguments.explain:
        print(inspect.getdoc(module))
        return 0
    signal.signal(signal.SIGTERM, stop_at_once)
    benchmark: Benchmark = module
    usual = benchmark.QUICK_ROUNDS if arguments.quick else benchmark.ROUNDS
    settings = Settings(arguments.server, arguments.quick, arguments.rounds or usual)
    host = machine()
    watch = Stopwatch()
    report = benchmark.run(settings)
    report.versions = versions()
    say(f"kept in {keep(arguments.name, settings, report, watch.seconds, host)}")
    shown = {"ratios": report.ratios, "figures": report.figures, "versions": report.versions}
    print(json.dumps({"benchmark": arguments.name, "server": settings.server, **shown}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
