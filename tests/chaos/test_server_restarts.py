"""T3: the server is killed and started again, under load."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from tests.chaos.scene import KEEPING, Scene, scene, times
from tests.support.oracle import Verdict
from tests.support.server import ServerFactory

RESTARTS = {"prosody": times(5, 100), "ejabberd": times(2, 20)}
PUBLISH_AGAIN_TIMEOUT = 60.0  # the figure is printed
FORGOTTEN_SECONDS = 3.0
"""ejabberd answers with yes up to 2 s before Mnesia has it on disk; a second more for our clock and the journal's."""


async def test_the_server_may_be_killed_at_any_moment(
    server_name: str, own_server: ServerFactory, tmp_path: Path
) -> None:
    """Everything accepted meanwhile is on the node in the end, once and in order."""
    server = await own_server(server_name, **KEEPING[server_name])
    kills: list[float] = []
    async with scene(server, tmp_path) as it:
        async with it.load.running():
            for number in range(RESTARTS[server_name]):
                orderly = server_name == "ejabberd" and number % 2 == 1
                kills += [await kill_the_server(it, orderly=orderly)]
        verdict = await it.judged(notified_is_complete=False)
        forgotten = await forgotten_by_the_server(it, verdict, kills) if server_name == "ejabberd" else []
    print(f"  {len(forgotten)} were forgotten by the server after its yes")
    verdict.lost = [name for name in verdict.lost if name not in forgotten]
    assert verdict.good, verdict


async def kill_the_server(it: Scene, *, orderly: bool) -> float:
    """Kill it, leave it dead for a while, start it; the wall clock's time of the kill."""
    dice = it.ledger.dice
    await asyncio.sleep(dice.uniform(0.5, 4))
    it.fault()
    killed = datetime.now(UTC).timestamp()
    if orderly:
        await it.server.stop()
    else:
        it.server.kill()
    await asyncio.sleep(dice.uniform(0, 2))
    await it.server.start()
    it.fault()
    opened = monotonic()
    again = await it.until_notified_since(opened, PUBLISH_AGAIN_TIMEOUT)
    it.measured("from the open port to the first notification", again)
    return killed


async def forgotten_by_the_server(it: Scene, verdict: Verdict, kills: list[float]) -> list[tuple[str, str]]:
    """Of what is lost, what the server had said yes to just before a kill (and had not written to its disk)."""
    found = []
    for source, event_id in verdict.lost:
        shown = await it.daemon.fetched(source, event_id)
        assert shown is not None, (source, event_id)
        (delivery,) = shown["deliveries"]
        settled = datetime.fromisoformat(delivery["settled"]).timestamp()
        if any(kill - FORGOTTEN_SECONDS < settled < kill + 1 for kill in kills):
            found.append((source, event_id))
        else:
            print(f"lost: {json.dumps(shown)}")
    return found
