"""T1: `kill -9` is a supported way to stop."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.chaos.scene import KEEPING, Scene, scene, times
from tests.support.server import ServerFactory

KILLS = times(10, 100)  # on each of two servers
ACCEPT_AGAIN_TIMEOUT = 10.0  # the figure is printed; a busy machine may take longer than an idle one


async def test_the_daemon_may_be_killed_at_any_moment(
    server_name: str, own_server: ServerFactory, tmp_path: Path
) -> None:
    """Under load at three doors: what was accepted is delivered, nothing else is, and in order."""
    server = await own_server(server_name, **KEEPING[server_name])
    async with scene(server, tmp_path, pace=4) as it:  # it is up for half of the time: so the window is full
        async with it.load.running():
            for _ in range(KILLS):
                await kill_and_restart(it)
        verdict = await it.judged(notified_is_complete=True)
    assert verdict.good, verdict
    assert verdict.accepted > 10 * KILLS


async def kill_and_restart(it: Scene) -> None:
    """Some moment of its life later: SIGKILL. One time in five it is killed again while it starts."""
    dice = it.ledger.dice
    await asyncio.sleep(dice.uniform(0, 0.8))
    it.fault()
    it.daemon.kill()
    if dice.random() < 0.2:
        it.daemon.spawn()
        await asyncio.sleep(dice.uniform(0, 0.8))
        it.daemon.kill()
    begun = it.fault()
    it.measured("from the start to the open socket", await it.daemon.start())
    it.measured("from the start to the first yes", await it.until_accepted_since(begun, ACCEPT_AGAIN_TIMEOUT))
