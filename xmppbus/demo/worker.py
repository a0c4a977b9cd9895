"""The worker of the topology, a process of its own: `python -m xmppbus.demo.worker SCENE`.

It listens for orders, and publishes that each has been shipped. It goes on behind the last one that it has finished;
one that it was at when it was killed is done again, and its result has the same id, so that it is no second one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from time import sleep
from typing import Any

from xmppbus import limits
from xmppbus.demo.ledgers import ACCEPTED, lines, note
from xmppbus.demo.sending import post
from xmppbus.demo.server_process import ending_with_us


def shipped(entry: dict[str, Any]) -> dict[str, Any]:
    """What follows from an order; named after it."""
    number = entry["event"]["data"]["order"]
    fields = {"type": "order.shipped", "source": "worker", "id": entry["id"], "causedby": entry["id"]}
    return {**fields, "summary": f"order {number} is on its way", "data": {"order": number}}


def main(scene_file: str) -> None:
    """Listen and work, until it is killed; again when the bus was away."""
    scene = json.loads(Path(scene_file).read_text())
    ledger = Path(scene_file).with_name("worker" + ACCEPTED)
    done = max((line["after"] for line in lines(ledger)), default=0)
    while True:
        command = [sys.executable, "-m", "xmppbus", "listen", "order.placed", "--json", "--since", str(done)]
        with subprocess.Popen(ending_with_us(command), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as listener:
            for line in listener.stdout or ():
                entry = json.loads(line)
                item_id = post(scene["http"], shipped(entry))
                done = entry["sequence"]
                note(ledger, {"node": "order.shipped", "id": item_id, "after": done})
        sleep(limits.DEMO_AGAIN_SECONDS)


if __name__ == "__main__":
    main(*sys.argv[1:])
