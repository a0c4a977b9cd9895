"""A publisher of the topology, a process of its own: `python -m xmppbus.demo.publisher SCENE shop|disks`.

The shop speaks HTTP; the disks are a shell script's `xmppbus publish`, which keeps events in the spool while the bus is
away. Each writes down what it got a yes for, and goes on behind that when it was killed: the event that it was at may
be published twice, and is known by its id.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import sleep
from typing import Any

from xmppbus import limits
from xmppbus.demo.ledgers import ACCEPTED, lines, note
from xmppbus.demo.sending import post

PIECES = ("a lamp", "two chairs", "a globe", "nine candles", "a kettle")


def order(number: int) -> dict[str, Any]:
    """The shop's event of that number: always the same, so that it can be sent again."""
    fields = {"type": "order.placed", "source": "shop", "id": str(number)}
    return {**fields, "summary": f"order {number}: {PIECES[number % len(PIECES)]}", "data": {"order": number}}


def disk(number: int) -> list[str]:
    """Arguments of `xmppbus publish` for the disks' event of that number."""
    percent = 40 + number * 7 % 60
    severity = "critical" if percent > 95 else "warning" if percent > 80 else "info"
    text = f"/var is {percent} % full"
    names = ["--source", "disks", "--id", str(number), "--severity", severity]
    return ["disk.full", text, *names, "--data", f"percent={percent}"]


def _over_http(scene: dict[str, Any], number: int) -> str:
    return post(scene["http"], order(number))


def _by_command(scene: dict[str, Any], number: int) -> str:
    del scene  # the command finds the bus by its environment
    while True:
        command = [sys.executable, "-m", "xmppbus", "publish", *disk(number)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode == 0:
            return done.stdout.strip()
        sleep(limits.DEMO_AGAIN_SECONDS)


KINDS: dict[str, tuple[str, float, Callable[[dict[str, Any], int], str]]] = {
    "shop": ("order.placed", limits.DEMO_ORDER_SECONDS, _over_http),
    "disks": ("disk.full", limits.DEMO_DISK_SECONDS, _by_command),
}


def main(scene_file: str, name: str) -> None:
    """Publish, one after the other, until it is killed."""
    scene = json.loads(Path(scene_file).read_text())
    ledger = Path(scene_file).with_name(name + ACCEPTED)
    node, pause, publish = KINDS[name]
    number = len(lines(ledger))
    while True:
        number += 1
        note(ledger, {"node": node, "id": publish(scene, number)})
        sleep(pause / scene["speed"])


if __name__ == "__main__":
    main(*sys.argv[1:])
