"""What the servers do with items and with questions about them, each said as it is on both."""

import asyncio

import pytest_asyncio

from tests.support.conversation import (
    PING,
    SMALL,
    connect,
    ids,
    ids_asked_for,
    ids_by_disco,
    listening,
    log_in,
    of_node,
    publish_request,
    refusal,
    told,
)
from tests.support.raw import RawStream
from tests.support.raw_pubsub import create_node, items, publish, subscribe
from tests.support.raw_xml import PUBSUB
from tests.support.server import Server

RSM = "http://jabber.org/protocol/rsm"


# --- items ------------------------------------------------------------------------------------------------------------


async def test_several_items_in_one_publish_are_lost_by_prosody_and_refused_by_ejabberd(
    server: Server, bus: RawStream, node: str
) -> None:
    await create_node(bus, server.pubsub_service, node)
    publishing = bus.iq("set", server.pubsub_service, publish_request(node, "1", "2"))
    if server.name == "ejabberd":
        assert await refusal(publishing) == "bad-request"
        assert await ids(bus, server, node) == []
    else:
        await publishing
        assert await ids(bus, server, node) == ["1"]


async def test_an_item_id_used_again_overwrites_and_notifies_again(server: Server, bus: RawStream, node: str) -> None:
    await create_node(bus, server.pubsub_service, node)
    async with await listening(server, node) as listener:
        await subscribe(listener, server.pubsub_service, node)
        for text in ("first", "second"):
            await publish(bus, server.pubsub_service, node, "1", SMALL.replace("small", text))
        await listener.until(lambda: len(of_node(listener, node)) == 2)
    (item,) = await items(bus, server.pubsub_service, node)
    assert b"second" in item.payload


async def test_eviction_is_silent_on_prosody_and_retracted_to_everybody_on_ejabberd(
    server: Server, bus: RawStream, node: str
) -> None:
    await create_node(bus, server.pubsub_service, node, {"max_items": "2"})
    async with await listening(server, node) as listener:
        await subscribe(listener, server.pubsub_service, node)
        for number in range(4):
            await publish(bus, server.pubsub_service, node, str(number), SMALL)
        for item_id in ("3", "-1") if server.name == "ejabberd" else ("3",):
            await told(listener, node, item_id)
        noticed = of_node(listener, node)
    assert await ids(bus, server, node) == ["2", "3"]
    assert {name for name in noticed if name.startswith("-")} == ({"-0", "-1"} if server.name == "ejabberd" else set())


async def test_eviction_is_silent_everywhere_without_notify_retract(server: Server, bus: RawStream, node: str) -> None:
    await create_node(bus, server.pubsub_service, node, {"max_items": "2", "notify_retract": "0"})
    async with await listening(server, node) as listener:
        await subscribe(listener, server.pubsub_service, node)
        for number in range(4):
            await publish(bus, server.pubsub_service, node, str(number), SMALL)
        await told(listener, node, "3")
        assert of_node(listener, node) == ["0", "1", "2", "3"]


async def test_the_absence_of_an_item_proves_nothing_after_newer_ones(
    server: Server, bus: RawStream, node: str
) -> None:
    await create_node(bus, server.pubsub_service, node, {"max_items": "3"})
    for number in range(4):
        await publish(bus, server.pubsub_service, node, str(number), SMALL)
    assert await ids_asked_for(bus, server, node, "0") == []


async def test_pipelined_publishes_are_stored_and_notified_in_sending_order(
    server: Server, bus: RawStream, node: str
) -> None:
    await create_node(bus, server.pubsub_service, node, {"max_items": "200"})
    sent = [str(number) for number in range(150)]
    async with await listening(server, node) as listener:
        await subscribe(listener, server.pubsub_service, node)
        await asyncio.gather(*(publish(bus, server.pubsub_service, node, item_id, SMALL) for item_id in sent))
        await told(listener, node, sent[-1])
        assert of_node(listener, node) == sent
    assert await ids(bus, server, node) == sent


async def test_a_subscriber_who_is_offline_gets_nothing_later_from_prosody_and_the_last_item_from_ejabberd(
    server: Server, bus: RawStream, node: str
) -> None:
    await server.create_account(f"{node}@localhost", "offline")
    await create_node(bus, server.pubsub_service, node)
    async with await log_in(server, f"{node}@localhost") as listener:
        await subscribe(listener, server.pubsub_service, node)
    for number in range(3):
        await publish(bus, server.pubsub_service, node, str(number), SMALL)
    async with await log_in(server, f"{node}@localhost") as listener:
        if server.name == "ejabberd":
            await told(listener, node, "2")
        await listener.iq("get", server.domain, PING)
        assert of_node(listener, node) == (["2"] if server.name == "ejabberd" else [])


async def test_no_item_is_sent_at_subscription_when_it_is_switched_off(
    server: Server, bus: RawStream, node: str
) -> None:
    fields = {"send_last_published_item": "never"} if server.name == "ejabberd" else {}
    await create_node(bus, server.pubsub_service, node, fields)
    await publish(bus, server.pubsub_service, node, "1", SMALL)
    async with await listening(server, node) as listener:
        await subscribe(listener, server.pubsub_service, node)
        await publish(bus, server.pubsub_service, node, "2", SMALL)
        await told(listener, node, "2")
        assert of_node(listener, node) == ["2"]


async def test_a_payload_above_250_000_bytes_is_refused_by_ejabberd_only(
    server: Server, bus: RawStream, node: str
) -> None:
    await create_node(bus, server.pubsub_service, node)
    below, above = (f"<note xmlns='urn:example:note'>{'x' * size}</note>" for size in (240_000, 260_000))
    await publish(bus, server.pubsub_service, node, "below", below)
    if server.name == "ejabberd":
        assert await refusal(publish(bus, server.pubsub_service, node, "above", above)) == "not-acceptable"
    else:
        await publish(bus, server.pubsub_service, node, "above", above)


async def test_a_stanza_above_512_kib_ends_the_stream_on_prosody(prosody: Server, node: str) -> None:
    async with await connect(prosody) as bus:
        await create_node(bus, prosody.pubsub_service, node)
        huge = f"<note xmlns='urn:example:note'>{'x' * 600 * 1024}</note>"
        assert await refusal(publish(bus, prosody.pubsub_service, node, "1", huge)) == "closed"


async def test_several_items_in_one_retract_are_not_all_retracted(server: Server, bus: RawStream, node: str) -> None:
    await create_node(bus, server.pubsub_service, node)
    for item_id in ("1", "2"):
        await publish(bus, server.pubsub_service, node, item_id, SMALL)
    inner = f"<retract node='{node}'><item id='1'/><item id='2'/></retract>"
    retracting = bus.iq("set", server.pubsub_service, f"<pubsub xmlns='{PUBSUB}'>{inner}</pubsub>")
    if server.name == "ejabberd":
        assert await refusal(retracting) == "bad-request"
        assert await ids(bus, server, node) == ["1", "2"]
    else:
        await retracting
        assert await ids(bus, server, node) == ["2"]


# --- look-up ----------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def ten_items(server: Server, bus: RawStream, node: str) -> str:
    """A whitelist node of ours with the items 0 to 9."""
    await create_node(bus, server.pubsub_service, node, {"access_model": "whitelist", "max_items": "10"})
    for number in range(10):
        await publish(bus, server.pubsub_service, node, str(number), SMALL)
    return node


async def test_items_can_be_asked_for_by_several_ids_at_once(server: Server, bus: RawStream, ten_items: str) -> None:
    assert sorted(await ids_asked_for(bus, server, ten_items, "7", "2", "5")) == ["2", "5", "7"]


async def test_absent_ids_are_left_out_without_an_error(server: Server, bus: RawStream, ten_items: str) -> None:
    assert await ids_asked_for(bus, server, ten_items, "7", "absent") == ["7"]
    assert await ids_asked_for(bus, server, ten_items, "absent") == []


async def test_a_look_up_by_id_is_refused_to_an_outcast_and_on_a_missing_node(
    server: Server, bus: RawStream, ten_items: str
) -> None:
    await server.revoke_publishing(ten_items)
    assert await refusal(ids_asked_for(bus, server, ten_items, "7")) == "forbidden"
    await server.delete_node(ten_items, "operator.localhost")
    assert await refusal(ids_asked_for(bus, server, ten_items, "7")) == "item-not-found"


async def test_max_items_gives_the_newest_and_rsm_only_works_on_ejabberd(
    server: Server, bus: RawStream, ten_items: str
) -> None:
    newest = await items(bus, server.pubsub_service, ten_items, 3)
    assert [item.item_id for item in newest] == ["7", "8", "9"]
    inner = f"<items node='{ten_items}'/><set xmlns='{RSM}'><max>3</max></set>"
    answer = await bus.iq("get", server.pubsub_service, f"<pubsub xmlns='{PUBSUB}'>{inner}</pubsub>")
    assert len(answer.payloads) == (3 if server.name == "ejabberd" else 10)


async def test_disco_lists_the_items_of_a_leaf_in_an_order_of_the_servers_own(
    server: Server, bus: RawStream, ten_items: str
) -> None:
    oldest_first = [str(number) for number in range(10)]
    expected = oldest_first if server.name == "ejabberd" else oldest_first[::-1]
    assert await ids_by_disco(bus, server, ten_items) == expected


async def test_disco_is_silent_to_an_outcast_on_ejabberd(server: Server, bus: RawStream, ten_items: str) -> None:
    await server.revoke_publishing(ten_items)
    if server.name == "ejabberd":
        assert await ids_by_disco(bus, server, ten_items) == []
    else:
        assert await refusal(ids_by_disco(bus, server, ten_items)) == "forbidden"


async def test_an_overwritten_item_becomes_the_newest_on_prosody_and_stays_where_it_was_on_ejabberd(
    server: Server, bus: RawStream, ten_items: str
) -> None:
    await publish(bus, server.pubsub_service, ten_items, "4", SMALL)
    place = (await ids(bus, server, ten_items)).index("4")
    assert place == (4 if server.name == "ejabberd" else 9)


async def test_a_node_without_persistence_cannot_be_asked(server: Server, bus: RawStream, node: str) -> None:
    fields = {"persist_items": "0"} | ({"send_last_published_item": "never"} if server.name == "ejabberd" else {})
    await create_node(bus, server.pubsub_service, node, fields)
    await publish(bus, server.pubsub_service, node, "1", SMALL)
    if server.name == "ejabberd":
        assert await ids_asked_for(bus, server, node, "1") == []
    else:
        assert await refusal(ids_asked_for(bus, server, node, "1")) == "feature-not-implemented"


async def test_an_overwritten_item_is_evicted_by_its_first_writing_on_ejabberd_and_by_its_last_on_prosody(
    server: Server, bus: RawStream, ten_items: str
) -> None:
    await publish(bus, server.pubsub_service, ten_items, "0", SMALL)
    await publish(bus, server.pubsub_service, ten_items, "10", SMALL)
    evicted = {str(number) for number in range(11)} - set(await ids(bus, server, ten_items))
    assert evicted == ({"0"} if server.name == "ejabberd" else {"1"})
