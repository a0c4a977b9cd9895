"""T4: everything that a network does to a connection, by a proxy between the bus and its server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import monotonic

from tests.chaos.scene import Scene, on_both, scene, times
from tests.support.proxy import FAULTS, Proxy
from tests.support.server import Server, ServerFactory
from tests.support.waiting import until

FAULTS_EACH = times(30, 500)
RECOVERY_TIMEOUT = 90.0  # after many short sessions the bus pauses for a minute at most
NOTICE_TIMEOUT = 30.0  # the promise: a black hole is noticed within 30 s
SESSION_LASTED = 2.0  # a shorter session is met with a longer pause before the next

# How often each: those that end a connection cost the bus a moment, the others as long as they last.
OFTEN = {
    "reset": 8,
    "finish": 6,
    "cut_in_a_stanza": 10,
    "cut_before_an_answer": 12,
    "garble": 7,
    "delay": 2,
    "crawl": 1,
    "stall": 2,
    "swallow": 2,
}
LASTING = {"delay", "crawl", "stall", "swallow"}


async def test_no_fault_of_the_network_loses_repeats_or_overtakes(own_server: ServerFactory, tmp_path: Path) -> None:
    """Thirty faults on each server under load; some hit a connection that has only just been made again."""
    await on_both(own_server, tmp_path, suffer_all)


async def suffer_all(server: Server, directory: Path) -> None:
    """The faults of one server, one after another."""
    async with Proxy(server.component_port) as proxy, scene(server, directory, port=proxy.port) as it:
        async with it.load.running():
            for _ in range(FAULTS_EACH):
                await suffer(it, proxy)
        verdict = await it.judged(notified_is_complete=True)
        print(f"  {server.name}: {proxy.cuts} connections cut, {proxy.connections} made")
    assert verdict.good, verdict


async def suffer(it: Scene, proxy: Proxy) -> None:
    """One fault, until events arrive again."""
    dice = it.ledger.dice
    (name,) = dice.choices(list(OFTEN), list(OFTEN.values()))
    connections, directions = proxy.connections, (proxy.to_bus, proxy.to_server)
    begun = it.fault()
    FAULTS[name](proxy, dice)
    if name in LASTING:
        await asyncio.sleep(dice.uniform(0.5, 3))
        begun = monotonic()
    elif name == "garble":  # it need not end the connection: it may fall where text is. `heal` does
        await until(lambda: directions[0].garbage is directions[1].garbage is None, RECOVERY_TIMEOUT, "garbage to pass")
        await asyncio.sleep(dice.uniform(0, 0.5))
    else:
        await until(lambda: proxy.connections > connections, RECOVERY_TIMEOUT, f"the bus to connect again after {name}")
    proxy.heal()
    healed = it.fault()
    await it.until_notified_since(healed, RECOVERY_TIMEOUT)
    it.measured(f"from {name} to the next notification", monotonic() - begun)
    if dice.random() < 0.7:
        await asyncio.sleep(SESSION_LASTED)


async def test_a_black_hole_is_noticed_within_thirty_seconds(own_server: ServerFactory, tmp_path: Path) -> None:
    """The connection stays open and nothing comes through: `status` says so, and nothing is lost."""
    await on_both(own_server, tmp_path, fall_into_a_black_hole)


async def fall_into_a_black_hole(server: Server, directory: Path) -> None:
    """One way with one server, the other way with the other."""
    async with Proxy(server.component_port) as proxy, scene(server, directory, port=proxy.port, pace=0.5) as it:
        async with it.load.running():
            await it.until_notified_since(monotonic(), 10)
            begun = it.fault()
            direction = proxy.to_server if server.name == "prosody" else proxy.to_bus
            direction.black_hole = True

            async def noticed() -> bool:
                return bool((await it.daemon.status())["xmpp"]["state"] != "up")

            await until(noticed, NOTICE_TIMEOUT, "the black hole to be noticed")
            it.measured("until the black hole was noticed", monotonic() - begun)
            proxy.heal()
            it.fault()
            it.measured("until events arrived again", await it.until_notified_since(monotonic(), RECOVERY_TIMEOUT))
        verdict = await it.judged(notified_is_complete=True)
    assert verdict.good, verdict
