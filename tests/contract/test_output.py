"""What every output promises (`xmppbus.interfaces.Output`), each on the real other side.

A new output adds a scene to SCENES: how to open it, to look at what has arrived, and to have the other side refuse.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import pytest_asyncio

from tests.conftest import make_server
from tests.servers.outputs import Drawers, deliveries, now, stream
from tests.support.conversation import log_in
from tests.support.proxy import Proxy
from tests.support.raw import RawStream
from tests.support.raw_pubsub import items, subscribe
from tests.support.server import Server
from tests.support.waiting import until
from xmppbus.errors import CONDITIONS, About
from xmppbus.interfaces import Output
from xmppbus.journal import Delivery, Outcome, Verdict
from xmppbus.options import NodeOptions
from xmppbus.outputs.pubsub import PubSub

SOON = 10.0
PLACE = "contract.output"
OTHER = "contract.other"


@dataclass
class Scene:
    """An output that is entered and ready, and the other side of it."""

    output: Output
    reader: RawStream
    server: Server
    proxy: Proxy

    async def run(self, run: list[Delivery], place: str = PLACE) -> list[Outcome]:
        """Deliver a run to its end."""
        return [outcome async for outcome in self.output.deliver_run(place, run)]

    async def there(self, place: str = PLACE) -> list[str]:
        """Item ids at the place, oldest first."""
        return [item.item_id for item in await items(self.reader, self.server.pubsub_service, place)]

    async def refuse(self) -> None:
        """From now on the place refuses us."""
        await self.server.revoke_publishing(PLACE)

    async def allow(self) -> None:
        """The place takes us again."""
        await self.server.restore_publishing(PLACE)


@asynccontextmanager
async def pubsub(server_name: str, directory: Any) -> AsyncIterator[Scene]:
    """The pubsub output on a server of its own, behind a line that can be cut."""
    profile = NodeOptions(max_items=200, readers=["reader@localhost"])
    async with (
        make_server(server_name, directory) as server,
        Proxy(server.component_port) as proxy,
        stream(server, port=proxy.port) as bus,
        await log_in(server, "reader@localhost") as reader,
        PubSub(bus, [profile], prefix="", clock=now, journal=Drawers()) as output,
    ):
        await asyncio.wait_for(output.ready(), SOON)
        yield Scene(output, reader, server, proxy)


SCENES: dict[str, Callable[[Any], AbstractAsyncContextManager[Scene]]] = {
    "pubsub on prosody": partial(pubsub, "prosody"),
    "pubsub on ejabberd": partial(pubsub, "ejabberd"),
}


@pytest_asyncio.fixture(params=sorted(SCENES))
async def scene(request: pytest.FixtureRequest, tmp_path: Any) -> AsyncIterator[Scene]:
    """Each output in turn."""
    async with SCENES[request.param](tmp_path / "server") as found:
        yield found


def verdicts(told: list[Outcome]) -> list[Verdict]:
    """Without the reasons."""
    return [each.verdict for each in told]


async def test_there_is_one_outcome_each_and_everything_arrives_in_order(scene: Scene) -> None:
    """Delivered is what the other side has said yes to."""
    run = deliveries(PLACE, 130)
    assert verdicts(await scene.run(run)) == [Verdict.DELIVERED] * 130
    assert await scene.there() == [each.item_id for each in run]


async def test_a_run_of_one_is_a_run(scene: Scene) -> None:
    """As most runs are."""
    assert verdicts(await scene.run(deliveries(PLACE, 1))) == [Verdict.DELIVERED]


async def test_the_same_run_again_does_no_harm(scene: Scene) -> None:
    """It is at the other side once, in its place."""
    run = deliveries(PLACE, 20)
    await scene.run(run)
    assert verdicts(await scene.run(run)) == [Verdict.DELIVERED] * 20
    assert sorted(await scene.there()) == sorted(each.item_id for each in run)


async def test_a_refused_place_stops_and_kills_nothing(scene: Scene) -> None:
    """The first says why; the others were not sent; allowed again, it goes on where it was."""
    run = deliveries(PLACE, 30)
    await scene.run(run[:5])
    await scene.refuse()
    for _ in range(2):
        told = await scene.run(run[5:])
        assert len(told) == 25
        assert told[0].verdict is Verdict.STOPPED
        assert CONDITIONS[told[0].condition].about is not About.EVENT
        assert not {*verdicts(told)} & {Verdict.DELIVERED, Verdict.DEAD}
    await scene.allow()
    assert verdicts(await scene.run(run[5:])) == [Verdict.DELIVERED] * 25
    assert await scene.there() == [each.item_id for each in run]


async def test_another_place_is_not_held_up(scene: Scene) -> None:
    """By one that refuses."""
    await scene.run(deliveries(PLACE, 1))
    await scene.refuse()
    refused, taken = await asyncio.gather(
        scene.run(deliveries(PLACE, 5, first=1)), scene.run(deliveries(OTHER, 5), OTHER)
    )
    assert refused[0].verdict is Verdict.STOPPED
    assert verdicts(taken) == [Verdict.DELIVERED] * 5


async def test_what_is_in_flight_at_a_cut_is_unknown_and_then_found(scene: Scene) -> None:
    """Never delivered and never dead by guessing; nothing is repeated or out of order afterwards."""
    run = deliveries(PLACE, 60)
    await scene.run(run[:1])
    scene.proxy.to_bus.cut_before = b"<publish "
    told = verdicts(await asyncio.wait_for(scene.run(run[1:]), SOON))
    first = told.index(Verdict.UNKNOWN)
    assert set(told[:first]) <= {Verdict.DELIVERED}
    assert set(told[first:]) <= {Verdict.UNKNOWN, Verdict.UNSENT}
    await asyncio.wait_for(scene.output.ready(), SOON)
    assert verdicts(await scene.run(run[1 + first :])) == [Verdict.DELIVERED] * (59 - first)
    assert await scene.there() == [each.item_id for each in run]


async def test_without_a_connection_it_is_not_ready_and_says_so(scene: Scene) -> None:
    """Nothing is claimed meanwhile; it is ready again by itself."""
    await scene.proxy.refuse()
    scene.proxy.reset()
    await until(lambda: scene.output.status()["state"] != "up", SOON, "the loss to be noticed")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(scene.output.ready(), 0.5)
    await until(lambda: scene.output.status()["reason"], SOON, "the reason")
    assert (await scene.run(deliveries(PLACE, 3)))[0].verdict is Verdict.STOPPED
    await scene.proxy.listen()
    await asyncio.wait_for(scene.output.ready(), SOON)
    assert verdicts(await scene.run(deliveries(PLACE, 3))) == [Verdict.DELIVERED] * 3


async def test_its_state_is_one_word(scene: Scene) -> None:
    """For `xmppbus status`."""
    state = scene.output.status()["state"]
    assert state == "up"


async def test_a_run_may_be_left_in_its_middle(scene: Scene) -> None:
    """As when the house closes: nothing more is sent, and the rest is delivered by the next run."""
    run = deliveries(PLACE, 101)
    await scene.run(run[:1])
    await subscribe(scene.reader, scene.server.pubsub_service, PLACE)
    run = run[1:]
    told = []
    async with aclosing(scene.output.deliver_run(PLACE, run)) as outcomes:  # type: ignore[type-var]  # it is a generator
        async for outcome in outcomes:
            told.append(outcome)
            if len(told) == 10:
                break
    assert verdicts(told) == [Verdict.DELIVERED] * 10
    assert verdicts(await scene.run(run[10:])) == [Verdict.DELIVERED] * 90
    await scene.reader.until(lambda: len(scene.reader.notifications) >= 100, SOON)
    assert [each.item_id for each in scene.reader.notifications] == [each.item_id for each in run]
