"""An outage of any length and a right that was taken away kill no event, and lose no order."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import monotonic
from typing import Any

from tests.chaos.load import DOORS
from tests.chaos.scene import KEEPING, Scene, on_both, scene, times
from tests.support.server import Server, ServerFactory
from tests.support.waiting import until

OUTAGE_SECONDS = times(12, 3_600)
AGAIN_TIMEOUT = 90.0  # a place that was refused for long is tried again a minute later at most


async def stopped_places(it: Scene) -> dict[str, dict[str, Any]]:
    """What `xmppbus status` says of places that are stopped."""
    return {each["place"]: each for each in (await it.daemon.status())["stopped"]}


def notified_since(it: Scene, moment: float) -> set[str]:
    """Nodes of which something has come since then."""
    return {one.node for one in it.subscriber.notifications if one.monotonic > moment}


async def test_an_outage_of_any_length_kills_no_event_and_loses_no_order(
    own_server: ServerFactory, tmp_path: Path
) -> None:
    """The server is down for long; the bus says yes all the while, is killed in the middle, and delivers it all."""
    await on_both(own_server, tmp_path, outlive_an_outage)


async def outlive_an_outage(server: Server, directory: Path) -> None:
    """On one server."""
    async with scene(server, directory, pace=0.7) as it:
        async with it.load.running():
            it.fault()
            await server.stop()
            before = len(it.ledger.accepted)
            await until(lambda: len(it.ledger.accepted) > before + 200, 30, "200 events to be accepted")
            assert (await it.daemon.status())["state"] == "down"
            await asyncio.sleep(OUTAGE_SECONDS / 2)
            it.daemon.kill()
            await it.daemon.start()
            await asyncio.sleep(OUTAGE_SECONDS / 2)
        waiting = (await it.daemon.status())["journal"]["waiting"]
        assert waiting >= len(it.ledger.accepted) - before
        assert (await it.daemon.status())["journal"]["dead"] == 0
        await server.start()
        opened = it.fault()
        it.measured(
            "from the open port to the first notification", await it.until_notified_since(opened, AGAIN_TIMEOUT)
        )
        verdict = await it.judged(notified_is_complete=False)
        print(f"  {server.name}: {waiting} waited in the end")
    assert verdict.good, verdict


async def test_a_revoked_permission_kills_no_event_and_loses_no_order(
    server_name: str, own_server: ServerFactory, tmp_path: Path
) -> None:
    """Its node stops and is shown with the reason, the others go on; given back, everything comes in order."""
    server = await own_server(server_name, **KEEPING[server_name])
    async with scene(server, tmp_path) as it:
        refused, *others = it.load.publishers[0].nodes
        async with it.load.running():
            await until(lambda: len(it.ledger.accepted) > 100, 30, "100 events to be accepted")
            it.fault()
            await server.revoke_publishing(refused)

            async def is_stopped() -> bool:
                return refused in await stopped_places(it)

            await until(is_stopped, 30, "the node to be shown as stopped")
            stop = (await stopped_places(it))[refused]
            assert stop["condition"] == "forbidden", stop
            begun = it.fault()
            await until(lambda: set(others) <= notified_since(it, begun), 30, "the other nodes to go on")

            async def was_tried_again() -> bool:
                return int((await stopped_places(it))[refused]["attempts"]) >= 3

            await until(was_tried_again, AGAIN_TIMEOUT, "three attempts")
            assert (await it.daemon.status())["journal"]["dead"] == 0
            await server.restore_publishing(refused)
            restored = it.fault()
            await until(lambda: refused in notified_since(it, restored), AGAIN_TIMEOUT, "the node to go on")
            it.measured("from the right given back to the first notification", monotonic() - restored)
        verdict = await it.judged(notified_is_complete=True)
    assert verdict.good, verdict


async def test_no_right_to_create_nodes_kills_no_event_and_loses_no_order(
    server_name: str, own_server: ServerFactory, tmp_path: Path
) -> None:
    """Events of a type whose node can't be made wait until it can."""
    server = await own_server(server_name, **KEEPING[server_name])
    async with scene(server, tmp_path, doors={"http": DOORS["http"]}) as it:
        it.fault()
        await server.revoke_creation()
        sent = [(await it.daemon.command("publish", "chaos.new", f"event {n}")).out.strip() for n in range(5)]

        async def is_stopped() -> bool:
            return "chaos.new" in await stopped_places(it)

        await until(is_stopped, 60, "the node to be shown as stopped")
        await server.restore_creation()
        await it.daemon.until_nothing_waits(AGAIN_TIMEOUT)
        shown = [await it.daemon.show(item_id) for item_id in sent]
        assert [each["deliveries"][0]["state"] for each in shown] == ["delivered"] * 5
        it.subscriber.nodes = ["chaos.new"]
        assert [item.item_id for item in (await it.subscriber.kept())["chaos.new"]] == sent
