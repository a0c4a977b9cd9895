"""After a session, or a process, that ended in the middle: only what is on the node is taken for delivered."""

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio

from tests.servers.outputs import (
    DEAD,
    DELIVERED,
    KEEPS_ALL,
    UNKNOWN,
    deliver_all,
    deliveries,
    ids_of,
    item_ids,
    output,
    stream,
    verdicts,
)
from tests.support.conversation import log_in
from tests.support.proxy import Proxy
from tests.support.raw import RawStream
from tests.support.server import Server, ServerFactory
from xmppbus.journal import Delivery
from xmppbus.options import NodeOptions
from xmppbus.xmpp import requests
from xmppbus.xmpp.component import Stream

LONG_AGO = "2020-01-01T00:00:00Z"


@pytest_asyncio.fixture
async def bus(server: Server) -> AsyncIterator[Stream]:
    """Our stream, in session."""
    async with stream(server) as found:
        await asyncio.wait_for(found.ready(), 10)
        yield found


@pytest_asyncio.fixture
async def reader(server: Server) -> AsyncIterator[RawStream]:
    """Whoever looks at the node."""
    async with await log_in(server, "reader@localhost") as found:
        yield found


async def test_what_had_expired_before_a_kill_is_not_called_delivered_after_it(bus: Stream, node: str) -> None:
    """Though its neighbours are on the node."""
    run = [*deliveries(node, 1, expires=LONG_AGO), *deliveries(node, 2, first=1)]
    assert await verdicts(output(bus, KEEPS_ALL), node, run) == [DEAD, DELIVERED, DELIVERED]
    after_a_kill = output(bus, KEEPS_ALL)
    assert await verdicts(after_a_kill, node, run) == [DEAD, DELIVERED, DELIVERED]


async def test_an_item_of_a_former_life_settles_nothing_before_it(
    server: Server, bus: Stream, reader: RawStream, node: str
) -> None:
    """A node outlives a journal."""
    run = deliveries(node, 5)
    assert await verdicts(output(bus, KEEPS_ALL), node, run[4:]) == [DELIVERED]
    assert await verdicts(output(bus, KEEPS_ALL), node, run) == [DELIVERED] * 5
    assert set(await item_ids(reader, server, node)) == set(ids_of(run))


async def test_an_item_of_a_former_life_settles_nothing_on_a_node_that_keeps_as_many_as_it_can(
    ejabberd: Server, node: str
) -> None:
    """Absence there never means that newer ones have pushed it out."""
    async with stream(ejabberd) as bus, await log_in(ejabberd, "reader@localhost") as reader:
        await asyncio.wait_for(bus.ready(), 10)
        profile = NodeOptions(max_items=2, readers=["reader@localhost"])
        await output(bus, profile)._nodes.ensure(node, node)
        await bus.ask("set", bus.service, requests.configure(node, {"pubsub#max_items": "max"}))
        run = deliveries(node, 5)
        assert set(await verdicts(output(bus, profile), node, run[3:])) == {DELIVERED}
        assert set(await verdicts(output(bus, profile), node, run)) == {DELIVERED}
        assert set(await item_ids(reader, ejabberd, node)) == set(ids_of(run))


def with_a_big_one(node: str, count: int) -> list[Delivery]:
    """A run whose second event is larger than the node takes."""
    big = deliveries(node, 1, first=1, data="x" * 10_000)
    return [*deliveries(node, 1), *big, *deliveries(node, count - 2, first=2)]


async def test_what_the_service_refused_is_not_called_delivered_when_its_no_was_lost(
    own_server: ServerFactory, node: str
) -> None:
    """The cut comes before the no, and those behind it are stored."""
    server = await own_server("ejabberd")
    async with Proxy(server.component_port) as proxy, stream(server, port=proxy.port) as bus:
        await asyncio.wait_for(bus.ready(), 10)
        found = output(bus, KEEPS_ALL)
        assert await verdicts(found, node, deliveries(node, 1, first=100)) == [DELIVERED]
        await bus.ask("set", bus.service, requests.configure(node, {"pubsub#max_payload_size": "3000"}))
        proxy.to_bus.cut_before = b"payload-too-big"
        run = with_a_big_one(node, 5)
        told = await verdicts(found, node, run)
        assert UNKNOWN in told
        left = run[told.index(UNKNOWN) :]
        await asyncio.wait_for(bus.ready(), 10)
        assert DEAD in await verdicts(found, node, left)


async def test_a_short_run_that_was_found_does_not_end_the_looking(
    server: Server, bus: Stream, reader: RawStream, node: str
) -> None:
    """A claim may be cut short: what was behind it is in doubt still."""
    run = deliveries(node, 6)
    await verdicts(output(bus, KEEPS_ALL), node, run)
    after_a_kill = output(bus, KEEPS_ALL)
    assert await verdicts(after_a_kill, node, run[:1]) == [DELIVERED]
    before = bus.pipeline._count
    assert set(await verdicts(after_a_kill, node, run[1:])) == {DELIVERED}
    assert bus.pipeline._count - before == 1  # one look
    await deliver_all(after_a_kill, node, deliveries(node, 2, first=6))
    assert await item_ids(reader, server, node) == ids_of(deliveries(node, 8))
