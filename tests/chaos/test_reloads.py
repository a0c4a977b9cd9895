"""A new config under load: what was accepted is delivered, once and in order, whichever config holds when."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import yaml

from tests.chaos.scene import Scene, on_both, scene, times
from tests.support.server import Server, ServerFactory
from tests.support.waiting import until

RELOADS = times(50, 500)
BESIDE: list[dict[str, Any]] = [
    {"name": "beside", "match": "chaos.#", "via": ["dedup"], "to": ["pubsub:chaos.beside"]},
    {"name": "default", "match": "#", "to": ["pubsub", "pubsub:chaos.copy"]},
]
"""In the place of the built-in route, and a station beside it, whose events wait while it is not in the config."""


async def test_fifty_reloads_under_load_lose_nothing_and_overtake_nothing(
    own_server: ServerFactory, tmp_path: Path
) -> None:
    """Routes and stations come and go at every one; every fifth config can't be used, and changes nothing."""
    await on_both(own_server, tmp_path, play)


async def play(server: Server, directory: Path) -> None:
    """One server's."""
    async with scene(server, directory) as it:
        plain = yaml.safe_load(it.daemon.config_file.read_text())
        async with it.load.running():
            for number in range(RELOADS):
                if number % 5 == 4:
                    await refused(it)
                else:
                    routes = BESIDE if number % 2 == 0 else []
                    it.daemon.config_file.write_text(yaml.safe_dump({**plain, "routes": routes}))
                    # Of one sort of line the log takes a hundred a minute: the long form asks by command.
                    await taken(it, by_signal=number % 4 != 0 and number < 60)
            it.daemon.config_file.write_text(yaml.safe_dump({**plain, "routes": BESIDE}))
            await taken(it, by_signal=False)
        verdict = await it.judged(notified_is_complete=True)
    assert verdict.good, verdict
    assert verdict.accepted > RELOADS


async def refused(it: Scene) -> None:
    """Exit 78, and the old config holds."""
    it.daemon.config_file.write_text("routes: [{name: a}]\n")
    assert (await it.daemon.run("reload")).code == 78


async def taken(it: Scene, *, by_signal: bool) -> None:
    """Both ways in turn."""
    if not by_signal:
        await it.daemon.command("reload")
        return
    before = it.daemon.log().count("xmppbus.reload")
    os.kill(it.daemon.pid or 0, signal.SIGHUP)
    await until(lambda: it.daemon.log().count("xmppbus.reload") > before, 10, "the config to be taken")
