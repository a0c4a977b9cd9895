"""The item plane on real servers: order, once, and nothing lost, whatever happens to network, server and rights."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import pytest_asyncio

from tests.servers.outputs import (
    DEAD,
    DELIVERED,
    KEEPS_ALL,
    KEEPS_NONE,
    READERS,
    SOON,
    STOPPED,
    UNKNOWN,
    UNSENT,
    arrived,
    deliver_all,
    deliveries,
    ids_of,
    item_ids,
    now,
    outcomes,
    output,
    stream,
    subscribed,
    verdicts,
)
from tests.support.conversation import connect, log_in
from tests.support.proxy import FAULTS, Proxy
from tests.support.raw import RawStream
from tests.support.server import Server, ServerFactory
from tests.support.waiting import until
from xmppbus import limits
from xmppbus.journal import Outcome
from xmppbus.options import NodeOptions
from xmppbus.xmpp import requests
from xmppbus.xmpp.component import Stream
from xmppbus.xmpp.stanzas import event_of


@pytest_asyncio.fixture
async def bus(server: Server) -> AsyncIterator[Stream]:
    """Our stream, in session."""
    async with stream(server) as found:
        await asyncio.wait_for(found.ready(), SOON)
        yield found


@pytest_asyncio.fixture
async def reader(server: Server) -> AsyncIterator[RawStream]:
    """A reader's stream."""
    async with await log_in(server, "reader@localhost") as found:
        yield found


# --- delivering -------------------------------------------------------------------------------------------------------


async def test_every_event_is_an_item_on_the_node_of_its_type_in_order(
    server: Server, bus: Stream, reader: RawStream, node: str
) -> None:
    """A subscriber gets the same event, byte for byte."""
    found = await subscribed(server, bus, node, reader)
    run = deliveries(node, 150)
    assert set(await verdicts(found, node, run)) == {DELIVERED}
    assert await arrived(reader, 150) == ids_of(run)
    assert await item_ids(reader, server, node) == ids_of(run)
    read = [event_of(b"<item>%b</item>" % each.payload).event for each in reader.notifications]
    assert [each.encoded for each in read] == [each.event.encoded for each in run]


async def test_a_node_has_the_prefix_before_its_type(server: Server, bus: Stream, node: str) -> None:
    """So that two buses share a service."""
    found = output(bus, prefix="site/")
    assert await verdicts(found, node, deliveries(node, 1)) == [DELIVERED]
    async with await connect(server, server.component_jids[1]) as other:
        with_prefix = await other.iq("get", server.pubsub_service, DISCO.format(f"site/{node}"))
    assert with_prefix.get("type") == "result"


DISCO = "<query xmlns='http://jabber.org/protocol/disco#info' node='{}'/>"


async def test_the_first_publish_of_a_session_goes_alone(bus: Stream, node: str, monkeypatch: Any) -> None:
    """Its yes opens the window, and the next run of that session begins with it open."""
    found = output(bus, KEEPS_ALL)
    sizes: list[int] = []
    send = bus.pipeline.send

    def counted(*arguments: Any) -> None:
        send(*arguments)
        sizes.append(bus.pipeline.in_flight)

    monkeypatch.setattr(bus.pipeline, "send", counted)
    assert set(await verdicts(found, node, deliveries(node, 100))) == {DELIVERED}
    publishes = sizes[-100:]
    assert publishes[0] == 1
    assert max(publishes) == limits.WINDOW_ITEMS
    sizes.clear()
    assert set(await verdicts(found, node, deliveries(node, 100, first=100))) == {DELIVERED}
    assert sizes[1] == 2


async def test_the_window_is_never_larger_than_what_the_node_keeps(bus: Stream, node: str, monkeypatch: Any) -> None:
    """Absence would prove nothing."""
    found = output(bus, NodeOptions(max_items=5))
    sizes: list[int] = []
    send = bus.pipeline.send

    def counted(*arguments: Any) -> None:
        send(*arguments)
        sizes.append(bus.pipeline.in_flight)

    monkeypatch.setattr(bus.pipeline, "send", counted)
    assert set(await verdicts(found, node, deliveries(node, 40))) == {DELIVERED}
    assert max(sizes) == 5


async def test_many_nodes_share_the_stream(bus: Stream, node: str) -> None:
    """Its bound holds back nobody for good."""
    found = output(bus, KEEPS_NONE)
    places = [f"{node}.{number}" for number in range(12)]
    runs = await asyncio.gather(*(verdicts(found, place, deliveries(place, 80)) for place in places))
    assert {verdict for run in runs for verdict in run} == {DELIVERED}
    assert bus.pipeline.in_flight == 0


async def test_what_has_expired_is_dead_and_not_sent(server: Server, bus: Stream, reader: RawStream, node: str) -> None:
    """Its neighbours are."""
    found = await subscribed(server, bus, node, reader)
    fresh = deliveries(node, 3)
    late = deliveries(node, 1, first=3, expires=(now() - timedelta(seconds=1)).isoformat())
    early = deliveries(node, 1, first=4, expires=(now() + timedelta(hours=1)).isoformat())
    told = await outcomes(found, node, [*fresh, *late, *early])
    assert [each.verdict for each in told] == [DELIVERED] * 3 + [DEAD, DELIVERED]
    assert told[3].condition == "expired"
    assert await arrived(reader, 4) == ids_of([*fresh, *early])


# --- refusals ---------------------------------------------------------------------------------------------------------


async def test_a_revoked_permission_kills_no_event_and_loses_no_order(
    server: Server, bus: Stream, reader: RawStream, node: str
) -> None:
    """The place stops at the first, tries one at a time, and goes on where it was."""
    found = await subscribed(server, bus, node, reader)
    run = deliveries(node, 60)
    assert set(await verdicts(found, node, run[:10])) == {DELIVERED}
    await server.revoke_publishing(node)
    for _ in range(3):
        told = await outcomes(found, node, run[10:])
        assert [each.verdict for each in told] == [STOPPED] + [UNSENT] * 49 or told[0].condition == "forbidden"
        assert not {each.verdict for each in told} & {DELIVERED, DEAD}
        assert told[0].text
    await server.restore_publishing(node)
    assert set(await verdicts(found, node, run[10:])) == {DELIVERED}
    assert await arrived(reader, 60) == ids_of(run)


async def test_a_place_that_may_not_be_made_stops_before_anything_is_sent(
    own_server: ServerFactory, server_name: str, node: str
) -> None:
    """And works as soon as the right is there."""
    server = await own_server(server_name)
    await server.revoke_creation()
    async with stream(server) as bus:
        found = output(bus, KEEPS_ALL)
        await found.ready()
        told = await outcomes(found, node, deliveries(node, 5))
        assert [each.verdict for each in told] == [STOPPED] + [UNSENT] * 4
        assert told[0].condition == "forbidden"
        await server.restore_creation()
        await deliver_all(found, node, deliveries(node, 5))


async def test_a_node_that_vanishes_is_made_again_as_it_was(
    server: Server, bus: Stream, reader: RawStream, node: str
) -> None:
    """Within the same run; never open to everybody."""
    found = await subscribed(server, bus, node, reader)
    assert set(await verdicts(found, node, deliveries(node, 3))) == {DELIVERED}
    await server.delete_node(node)
    run = deliveries(node, 100, first=3)
    assert set(await verdicts(found, node, run)) == {DELIVERED}
    answer = await bus.ask("get", bus.service, requests.configuration(node))
    assert requests.read_form(answer)["pubsub#access_model"] == ["whitelist"]


async def test_an_item_that_the_service_refuses_is_dead_and_its_neighbours_are_not(ejabberd: Server, node: str) -> None:
    """Only an answer about the event makes it dead."""
    async with stream(ejabberd) as bus:
        found = output(bus, KEEPS_ALL)
        await found.ready()
        await found._nodes.ensure(node, node)
        await bus.ask("set", bus.service, payload_limit(node, 2_000))
        run = [*deliveries(node, 2), *deliveries(node, 1, first=2, data="x" * 10_000), *deliveries(node, 2, first=3)]
        told = await outcomes(found, node, run)
        assert [each.verdict for each in told] == [DELIVERED, DELIVERED, DEAD, DELIVERED, DELIVERED]
        assert told[2].condition == "payload-too-big"


async def test_a_node_that_takes_no_items_stops_and_kills_nothing(ejabberd: Server, node: str) -> None:
    """Without persistence and without payloads there is nothing to publish (XEP-0060 §7.1.3)."""
    async with stream(ejabberd) as bus:
        found = output(bus, NodeOptions(persist_items=False, deliver_payloads=False))
        await found.ready()
        told = await outcomes(found, node, deliveries(node, 3))
        assert [each.verdict for each in told] == [STOPPED, UNSENT, UNSENT]
        assert told[0].condition == "item-forbidden"


def payload_limit(node: str, size: int) -> str:
    """Lower what a node takes."""
    return requests.configure(node, {"pubsub#max_payload_size": str(size)})


# --- unknown is not no ------------------------------------------------------------------------------------------------


async def test_without_a_session_nothing_is_sent_and_nothing_is_lost(own_server: ServerFactory, node: str) -> None:
    """The first is stopped for our own sake, the others were not sent."""
    server = await own_server("prosody")
    async with stream(server) as bus:
        found = output(bus, KEEPS_ALL)
        await found.ready()
        await bus.__aexit__()
        told = await outcomes(found, node, deliveries(node, 3))
        assert told[0] == Outcome(STOPPED, "not-connected")
        assert [each.verdict for each in told[1:]] == [UNSENT, UNSENT]


@asynccontextmanager
async def line(server: Server) -> AsyncIterator[tuple[Proxy, Stream, RawStream]]:
    """A stream in session through a proxy that can break it, and a reader."""
    async with Proxy(server.component_port) as proxy, stream(server, port=proxy.port) as bus:
        await asyncio.wait_for(bus.ready(), SOON)
        async with await log_in(server, "reader@localhost") as reader:
            yield proxy, bus, reader


async def test_what_was_stored_and_not_answered_is_found_and_not_sent_again(
    own_server: ServerFactory, server_name: str, node: str
) -> None:
    """The cut is between the server's commit and our receipt of its yes."""
    server = await own_server(server_name)
    async with line(server) as (proxy, bus, reader):
        found = await subscribed(server, bus, node, reader)
        assert await verdicts(found, node, deliveries(node, 1)) == [DELIVERED]
        proxy.to_bus.cut_before = b"<publish "
        run = deliveries(node, 40, first=1)
        told = await verdicts(found, node, run)
        assert UNKNOWN in told
        assert DEAD not in told
        await deliver_all(found, node, run[told.index(UNKNOWN) :])
        everything = ids_of([*deliveries(node, 1), *run])
        assert await arrived(reader, 41) == everything
        assert await item_ids(reader, server, node) == everything


async def test_thirty_cuts_lose_nothing_repeat_nothing_and_keep_the_order(
    own_server: ServerFactory, server_name: str, node: str
) -> None:
    """Cuts before an answer, within a stanza, by RST and by FIN."""
    options = {"pubsub_storage": "sql"} if server_name == "prosody" else {}
    server = await own_server(server_name, pubsub_max_items=10_000, **options)
    dice = random.Random(4)
    run = deliveries(node, 900)
    async with line(server) as (proxy, bus, reader):
        profile = NodeOptions(max_items=2000, readers=READERS)
        found = await subscribed(server, bus, node, reader, profile)
        cutting = asyncio.create_task(cut(proxy, reader, dice, 30))
        try:
            await deliver_all(found, node, run)
        finally:
            cutting.cancel()
        seen = await arrived(reader, len(run))
        assert proxy.cuts >= 15
        assert seen == ids_of(run)
        assert await item_ids(reader, server, node) == ids_of(run)


def is_through(proxy: Proxy, reader: RawStream, goal: int) -> bool:
    """Whether so much has been notified, and there is a connection to cut."""
    return len(reader.notifications) >= goal and proxy.open > 0


async def cut(proxy: Proxy, reader: RawStream, dice: random.Random, count: int) -> None:
    """Cut the connection again and again, each time after some more has been notified."""
    for number in range(count):
        goal = (number + 1) * 25
        await until(partial(is_through, proxy, reader, goal), 60, "progress")
        FAULTS[dice.choice(["cut_before_an_answer", "cut_in_a_stanza", "reset", "finish"])](proxy, dice)


async def test_what_a_person_sends_again_is_sent_though_it_is_there(
    server: Server, bus: Stream, reader: RawStream, node: str
) -> None:
    """The look-up says nothing about it."""
    found = await subscribed(server, bus, node, reader)
    run = deliveries(node, 4)
    assert set(await verdicts(found, node, run)) == {DELIVERED}
    again = [each._replace(again=True) for each in run]
    fresh = output(bus, KEEPS_ALL)  # as after a restart: it has to look
    assert set(await verdicts(fresh, node, again)) == {DELIVERED}
    assert await arrived(reader, 8) == ids_of(run) * 2


async def test_a_new_process_finds_what_the_last_one_left_on_the_node(
    server: Server, bus: Stream, reader: RawStream, node: str
) -> None:
    """Killed with a window in flight and nothing written down."""
    found = await subscribed(server, bus, node, reader)
    run = deliveries(node, 120)
    assert set(await verdicts(found, node, run[:70])) == {DELIVERED}
    after_a_restart = output(bus, KEEPS_ALL)
    assert set(await verdicts(after_a_restart, node, run)) == {DELIVERED}
    assert await arrived(reader, 120) == ids_of(run)


async def test_more_than_the_node_keeps_may_have_been_in_flight(
    server: Server, bus: Stream, reader: RawStream, node: str
) -> None:
    """As many as it keeps are found: older ones were pushed out by them."""
    found = await subscribed(server, bus, node, reader, NodeOptions(max_items=5, readers=READERS))
    run = deliveries(node, 60)
    assert set(await verdicts(found, node, run[:50])) == {DELIVERED}
    after_a_restart = output(bus, NodeOptions(max_items=5, readers=READERS))
    assert set(await verdicts(after_a_restart, node, run)) == {DELIVERED}
    assert await arrived(reader, 60) == ids_of(run)


async def test_a_node_without_persistence_loses_nothing_either(
    own_server: ServerFactory, server_name: str, node: str
) -> None:
    """It can't be asked: what is unknown comes again, with the same id."""
    server = await own_server(server_name)
    async with line(server) as (proxy, bus, reader):
        found = await subscribed(server, bus, node, reader, KEEPS_NONE)
        run = deliveries(node, 50)
        assert set(await verdicts(found, node, run[:1])) == {DELIVERED}
        proxy.to_bus.cut_before = b"<publish "
        told = await verdicts(found, node, run[1:])
        await deliver_all(found, node, run[1 + told.index(UNKNOWN) :])
        await reader.until_notified(run[-1].item_id, SOON)
        seen = [each.item_id for each in reader.notifications]
        assert set(seen) == set(ids_of(run))
        assert list(dict.fromkeys(seen)) == ids_of(run)


def has_asked(bus: Stream, count: int) -> bool:
    """Whether so many IQs were sent, and there is a session."""
    return bus.pipeline._count >= count and bus.session > 0


async def test_order_is_kept_over_outages_of_the_server(own_server: ServerFactory, server_name: str, node: str) -> None:
    """It is stopped and started while a run is on its way."""
    server = await own_server(server_name)
    run = deliveries(node, 180)
    async with stream(server) as bus:
        found = output(bus, KEEPS_ALL)
        delivering = asyncio.create_task(deliver_all(found, node, run))
        for number in range(3):
            progress = number * 3 + 1
            await until(partial(has_asked, bus, progress), SOON, "progress")
            await server.restart()
        await delivering
    async with await log_in(server, "reader@localhost") as reader:
        assert await item_ids(reader, server, node) == ids_of(run)


async def test_an_answer_that_never_comes_is_unknown_after_a_while(
    own_server: ServerFactory, node: str, monkeypatch: Any
) -> None:
    """One timer for all of them."""
    server = await own_server("prosody")
    monkeypatch.setattr(limits, "IQ_SECONDS", 0.5)
    async with line(server) as (proxy, bus, _):
        found = output(bus, KEEPS_ALL)
        assert await verdicts(found, node, deliveries(node, 1)) == [DELIVERED]
        proxy.to_bus.stalled = True
        begun = time.monotonic()
        told = await outcomes(found, node, deliveries(node, 100, first=1))
        assert time.monotonic() - begun < 3
        assert told[0] == Outcome(UNKNOWN, "timeout")
        assert {each.verdict for each in told} == {UNKNOWN, UNSENT}
        proxy.heal()
        await deliver_all(found, node, deliveries(node, 100, first=1))
