"""The display of the topology, a process of its own: `python -m xmppbus.demo.display SCENE`.

A subscriber with an account, as anybody could write it: it shows what the nodes notify it of, and after a pause reads
there what it has missed. It writes down each item once, and each notification that came twice.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from xmppbus import limits
from xmppbus.demo.ledgers import RECEIVED, lines, note
from xmppbus.demo.ports import is_open
from xmppbus.event import Event
from xmppbus.xmpp.subscriber import Subscriber, SubscriberError


class Display:
    """What it knows across connections."""

    def __init__(self, scene: dict[str, Any], ledger: Path) -> None:
        self._scene, self._ledger = scene, ledger
        before = lines(ledger)
        self._seen = {line["id"] for line in before}
        self._notified = {line["id"] for line in before if line.get("live")}

    def seen(self, node: str, item_id: str, event: Event) -> None:
        """An item, by a notification or read on the node."""
        del event  # a screen would show it here
        if item_id not in self._seen:
            self._seen.add(item_id)
            note(self._ledger, {"node": node, "id": item_id, "live": item_id in self._notified})

    def notified(self, item_id: str) -> None:
        """A notification."""
        if item_id in self._notified:
            note(self._ledger, {"id": item_id, "again": True})
        self._notified.add(item_id)

    async def run(self) -> None:
        """Be connected whenever there is a server, until killed."""
        scene = self._scene
        while True:
            if is_open(scene["port"]):
                try:
                    async with Subscriber(
                        f"{scene['display']}/screen", scene["password"], host="127.0.0.1", port=scene["port"],
                        ca_file=scene["certificate"], service=scene["service"], nodes=scene["nodes"], seen=self.seen,
                        notified=self.notified,
                    ) as subscriber:  # fmt: skip
                        await subscriber.ended()
                except SubscriberError:
                    pass  # the server was killed meanwhile, or does not answer yet
            await asyncio.sleep(limits.DEMO_AGAIN_SECONDS)


def main(scene_file: str) -> None:
    """Until it is killed."""
    path = Path(scene_file)
    display = Display(json.loads(path.read_text()), path.with_name("display" + RECEIVED))
    asyncio.run(display.run())


if __name__ == "__main__":
    main(*sys.argv[1:])
