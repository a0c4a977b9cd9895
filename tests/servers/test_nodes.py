"""Nodes: made as their profiles want them, on both servers, and every difference is said."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.servers.outputs import DELIVERED, STOPPED, deliveries, outcomes, output, stream, verdicts
from tests.support.conversation import SMALL, connect, log_in, refusal
from tests.support.raw import RawError, RawStream
from tests.support.raw_pubsub import create_node, delete_node, node_configuration, publish, set_affiliation, subscribe
from tests.support.server import Server, ServerFactory
from xmppbus.options import NodeOptions
from xmppbus.xmpp import requests
from xmppbus.xmpp.component import Stream
from xmppbus.xmpp.nodes import Nodes, profile_of
from xmppbus.xmpp.replies import ErrorAnswer

DEFAULT = {
    "persist_items": "1",
    "max_items": "64",
    "access_model": "whitelist",
    "publish_model": "publishers",
    "send_last_published_item": "never",
    "notify_retract": "0",
    "deliver_notifications": "1",
    "deliver_payloads": "1",
}


@pytest_asyncio.fixture
async def bus(server: Server) -> AsyncIterator[Stream]:
    """Our stream, in session."""
    async with stream(server) as found:
        await asyncio.wait_for(found.ready(), 10)
        yield found


@pytest_asyncio.fixture
async def operator(server: Server) -> AsyncIterator[RawStream]:
    """The other component, which may make nodes too."""
    async with await connect(server, server.component_jids[1]) as found:
        yield found


async def configuration(bus: Stream, node: str) -> dict[str, str]:
    """A node's options without their prefix, as its owner reads them."""
    answer = await bus.ask("get", bus.service, requests.configuration(node))
    return {name.removeprefix("pubsub#"): (values or [""])[0] for name, values in requests.read_form(answer).items()}


def different(nodes: Nodes, node: str) -> dict[str, tuple[str, str]]:
    """What is said to differ: option to wanted and got."""
    return {each.option: (each.wanted, each.got) for each in nodes.differences.get(node, ())}


def test_the_first_profile_that_matches_wins() -> None:
    """And what none matches has the defaults."""
    first, second = NodeOptions(match="user.#", max_items=1), NodeOptions(match="user.signup", max_items=2)
    assert profile_of([first, second], "user.signup") is first
    assert profile_of([first, second], "disk.full") == NodeOptions()


async def test_a_node_is_made_with_the_defaults(bus: Stream, node: str) -> None:
    """Kept, 64 items, for those on the list; nothing differs."""
    nodes = Nodes(bus, [])
    made = await nodes.ensure(node, node)
    found = await configuration(bus, node)
    assert {name: found[name] for name in DEFAULT} == DEFAULT
    assert (made.persistent, made.max_items, made.made) == (True, 64, True)
    assert nodes.differences == {}


async def test_a_profile_says_how_a_node_is_made(server: Server, bus: Stream, node: str) -> None:
    """An option that the service lacks does not keep the node from being made."""
    profile = NodeOptions(
        title="Disks", max_items=10, access_model="open", publish_model="open", persist_items=True, notify_retract=True
    )
    nodes = Nodes(bus, [profile])
    await nodes.ensure(node, node)
    found = await configuration(bus, node)
    wanted = {"max_items": "10", "access_model": "open", "publish_model": "open", "notify_retract": "1"}
    if server.name == "prosody":
        wanted["title"] = "Disks"
    assert {name: found[name] for name in wanted} == wanted
    assert not nodes.differences


async def test_a_node_without_persistence_is_made(bus: Stream, node: str) -> None:
    """It can't be asked for its items."""
    made = await Nodes(bus, [NodeOptions(persist_items=False)]).ensure(node, node)
    assert not made.persistent
    assert (await configuration(bus, node))["persist_items"] == "0"


async def test_more_items_than_the_service_keeps_are_clamped_and_said(server: Server, bus: Stream, node: str) -> None:
    """The node is made with as many as there can be."""
    nodes = Nodes(bus, [NodeOptions(max_items=10_000)])
    made = await nodes.ensure(node, node)
    most = {"prosody": 256, "ejabberd": 1000}[server.name]
    assert made.max_items == most
    assert different(nodes, node) == {"max_items": ("10000", str(most))}
    await nodes.ensure(node, node)
    assert different(nodes, node) == {"max_items": ("10000", str(most))}


async def test_ten_thousand_items_are_kept_where_the_service_is_told_to(
    own_server: ServerFactory, server_name: str, node: str
) -> None:
    """With the line that `xmppbus check` says."""
    server = await own_server(server_name, pubsub_max_items=10_000)
    async with stream(server) as found:
        await asyncio.wait_for(found.ready(), 10)
        nodes = Nodes(found, [NodeOptions(max_items=10_000)])
        assert (await nodes.ensure(node, node)).max_items == 10_000
        assert not nodes.differences


async def test_an_access_model_that_the_service_lacks_leaves_no_open_node(prosody: Server, node: str) -> None:
    """It is refused, the place stops, and nothing is published for everybody."""
    async with stream(prosody) as found:
        await asyncio.wait_for(found.ready(), 10)
        with pytest.raises(ErrorAnswer):
            await Nodes(found, [NodeOptions(access_model="authorize")]).ensure(node, node)
        assert node not in await node_names(found)


async def node_names(found: Stream) -> list[str]:
    """All nodes of the service."""
    return requests.read_nodes(await found.ask("get", found.service, requests.nodes()))


async def test_making_a_node_twice_changes_nothing(bus: Stream, node: str) -> None:
    """Nor does making it many times at once."""
    nodes = Nodes(bus, [])
    await asyncio.gather(*(nodes.ensure(node, node) for _ in range(8)))
    assert not (await nodes.ensure(node, node)).made
    assert {name: value for name, value in (await configuration(bus, node)).items() if name in DEFAULT} == DEFAULT


async def test_a_second_maker_is_no_harm(server: Server, bus: Stream, operator: RawStream, node: str) -> None:
    """The node is somebody else's: it is used as it is, and that is said."""
    await create_node(operator, server.pubsub_service, node, {"access_model": "whitelist"})
    nodes = Nodes(bus, [])
    made = await nodes.ensure(node, node)
    assert not made.made
    assert "configuration" in different(nodes, node) or server.name == "prosody"  # Prosody's admins own every node


async def test_an_existing_node_is_brought_in_line(server: Server, bus: Stream, node: str) -> None:
    """What was open to everybody is not any more, and more items are kept."""
    await Nodes(bus, [NodeOptions(access_model="open", max_items=10)]).ensure(node, node)
    nodes = Nodes(bus, [NodeOptions(max_items=32)])
    assert (await nodes.ensure(node, node)).max_items == 32
    found = await configuration(bus, node)
    assert (found["access_model"], found["max_items"]) == ("whitelist", "32")
    assert not nodes.differences
    async with await log_in(server, "stranger@localhost") as stranger:
        assert await refusal(subscribe(stranger, server.pubsub_service, node)) in {"forbidden", "not-allowed"}


async def test_no_item_is_deleted_to_bring_a_node_in_line(bus: Stream, node: str) -> None:
    """Fewer items, or none at all, are only said to be wanted."""
    await Nodes(bus, [NodeOptions(max_items=32)]).ensure(node, node)
    nodes = Nodes(bus, [NodeOptions(max_items=8)])
    assert (await nodes.ensure(node, node)).max_items == 32
    assert different(nodes, node) == {"max_items": ("8", "32")}
    nodes = Nodes(bus, [NodeOptions(max_items=32, persist_items=False)])
    assert (await nodes.ensure(node, node)).persistent
    assert "persist_items" in different(nodes, node)


async def test_readers_may_subscribe_and_strangers_may_not(server: Server, bus: Stream, node: str) -> None:
    """A reader is a member of the node (XEP-0060 §4.1)."""
    await Nodes(bus, [NodeOptions(readers=["reader@localhost"])]).ensure(node, node)
    async with await log_in(server, "reader@localhost") as reader, await log_in(server, "stranger@localhost") as other:
        await subscribe(reader, server.pubsub_service, node)
        assert await refusal(subscribe(other, server.pubsub_service, node)) in {"forbidden", "not-allowed"}


async def test_a_domain_among_the_readers_is_said_to_admit_nobody(server: Server, bus: Stream, node: str) -> None:
    """Both servers compare bare JIDs."""
    nodes = Nodes(bus, [NodeOptions(readers=["localhost"])])
    await nodes.ensure(node, node)
    assert different(nodes, node) == {"readers": ("localhost", "the service may admit bare JIDs only")}
    async with await log_in(server, "stranger@localhost") as stranger:
        with pytest.raises(RawError):
            await subscribe(stranger, server.pubsub_service, node)


async def test_without_the_right_to_create_nodes_the_reason_is_the_services(
    own_server: ServerFactory, server_name: str, node: str
) -> None:
    """And it works as soon as the right is given."""
    server = await own_server(server_name)
    await server.revoke_creation()
    async with stream(server) as found:
        await asyncio.wait_for(found.ready(), 10)
        with pytest.raises(ErrorAnswer) as caught:
            await Nodes(found, []).ensure(node, node)
        assert caught.value.reply.condition.name == "forbidden"
    await server.restore_creation()
    async with stream(server) as found:
        await asyncio.wait_for(found.ready(), 10)
        assert (await Nodes(found, []).ensure(node, node)).made


async def test_comparing_changes_nothing(bus: Stream, node: str) -> None:
    """It is what `xmppbus check` does."""
    await Nodes(bus, [NodeOptions(access_model="open")]).ensure(node, node)
    found = await Nodes(bus, []).compare(node, node)
    assert [(each.option, each.wanted, each.got) for each in found] == [("access_model", "whitelist", "open")]
    assert (await configuration(bus, node))["access_model"] == "open"


async def test_a_guarded_publish_makes_no_open_node(ejabberd: Server, node: str) -> None:
    """ejabberd makes a missing node at a publish: with our access model."""
    async with stream(ejabberd) as found:
        await asyncio.wait_for(found.ready(), 10)
        made = await Nodes(found, []).ensure(node, node)
        assert "whitelist" in made.guard
    async with await connect(ejabberd) as bus:
        await delete_node(bus, ejabberd.pubsub_service, node)
        item = f"<publish node='{node}'><item id='1'>{SMALL}</item></publish>"
        publishing = f"<pubsub xmlns='http://jabber.org/protocol/pubsub'>{item}{made.guard}</pubsub>"
        await bus.iq("set", ejabberd.pubsub_service, publishing)
        after = await node_configuration(bus, ejabberd.pubsub_service, node)
        assert after["pubsub#access_model"] == "whitelist"
        await publish(bus, ejabberd.pubsub_service, node, "2", SMALL)


async def test_somebody_elses_node_is_published_on_if_we_may(server: Server, bus: Stream, node: str) -> None:
    """It is open to publishers; its configuration is not ours."""
    async with await connect(server, server.component_jids[1]) as other:
        await create_node(other, server.pubsub_service, node, {"publish_model": "open", "max_items": "20"})
        assert set(await verdicts(output(bus), node, deliveries(node, 10))) == {DELIVERED}


async def test_status_says_what_differs(server: Server, bus: Stream, node: str) -> None:
    """With the node's name, option, wanted and got."""
    found = output(bus, NodeOptions(max_items=5000))
    await outcomes(found, node, deliveries(node, 1))
    status = found.status()
    most = {"prosody": "256", "ejabberd": "1000"}[server.name]
    assert status["state"] == "up"
    assert status["nodes"] == 1
    assert status["differences"] == [{"node": node, "option": "max_items", "wanted": "5000", "got": most}]


async def test_without_the_right_to_create_nodes_those_that_are_there_are_published_on(
    own_server: ServerFactory, server_name: str, node: str
) -> None:
    """Our own, and somebody else's whose publisher we are."""
    server = await own_server(server_name)
    async with stream(server) as bus, await connect(server, server.component_jids[1]) as other:
        await asyncio.wait_for(bus.ready(), 10)
        assert await verdicts(output(bus), node, deliveries(node, 1)) == [DELIVERED]
        await create_node(other, server.pubsub_service, f"{node}.other", {"access_model": "open"})
        await set_affiliation(other, server.pubsub_service, f"{node}.other", server.component_jid, "publisher")
    await server.revoke_creation()
    async with stream(server) as bus:
        await asyncio.wait_for(bus.ready(), 10)
        for each in (node, f"{node}.other"):
            found = output(bus, NodeOptions(match=node), NodeOptions(access_model="open"))
            told = await outcomes(found, each, deliveries(each, 2, first=1))
            assert [outcome.verdict for outcome in told] == [DELIVERED, DELIVERED], told[0]


async def test_nothing_is_published_on_a_node_that_stays_open(prosody: Server, node: str) -> None:
    """It was open, and the service does not take the access model that is wanted now."""
    async with stream(prosody) as bus:
        await asyncio.wait_for(bus.ready(), 10)
        assert await verdicts(output(bus, NodeOptions(access_model="open")), node, deliveries(node, 1)) == [DELIVERED]
        told = await outcomes(output(bus, NodeOptions(access_model="authorize")), node, deliveries(node, 1, first=1))
        assert (told[0].verdict, told[0].condition) == (STOPPED, "not-allowed")
        assert "is open, not authorize" in told[0].text


async def test_what_a_service_can_do_is_asked_again_when_it_was_away(
    server: Server, bus: Stream, node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A moment without the service is not how it is for good."""
    nodes = Nodes(bus, [])
    monkeypatch.setattr(bus, "service", "nobody.localhost")
    with contextlib.suppress(ErrorAnswer):
        await nodes.ensure(node, node)
    nodes.differences.clear()
    monkeypatch.setattr(bus, "service", server.pubsub_service)
    await nodes.ensure(node, node)
    assert nodes._most_items
    assert nodes.differences == {}
