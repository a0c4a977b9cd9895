"""What the servers do that the bus relies on or has to be proof against, each said as it is on both."""

import asyncio
import contextlib

from tests.support.conversation import PING, SMALL, connect, ids, listening, log_in, publish_request, refusal
from tests.support.raw import RawError, RawStream
from tests.support.raw_pubsub import create_node, delete_node, form, items, node_configuration, publish, subscribe
from tests.support.raw_xml import PUBSUB, PUBSUB_OWNER, Stanza
from tests.support.server import Server, ServerFactory
from tests.support.waiting import until

DISCO_INFO = "http://jabber.org/protocol/disco#info"
TIMEOUT = 5.0


async def error_of(stream: RawStream, service: str, inner: str) -> tuple[str, str]:
    """Type and condition of the error that answers a request."""
    answers: list[Stanza] = []
    take = stream._take_iq

    def keep(stanza: Stanza) -> None:
        answers.append(stanza)
        take(stanza)

    with contextlib.ExitStack() as stack:
        stream._take_iq = keep  # type: ignore[method-assign]  # RawError leaves the error's type out
        stack.callback(lambda: setattr(stream, "_take_iq", take))
        condition = await refusal(stream.iq("set", service, inner))
    error = next(child for child in answers[-1].element if child.tag.endswith("}error"))
    return error.get("type", ""), condition


# --- streams ----------------------------------------------------------------------------------------------------------


async def test_a_publish_without_from_is_filled_in_by_prosody_and_ends_the_stream_on_ejabberd(
    server: Server, bus: RawStream, node: str
) -> None:
    await create_node(bus, server.pubsub_service, node)
    bus.write(f"<iq type='set' id='x' to='{server.pubsub_service}'>{publish_request(node, '1')}</iq>")
    if server.name == "ejabberd":
        await asyncio.wait_for(bus.closed.wait(), TIMEOUT)
        assert bus.close_reason == "improper-addressing"
    else:
        assert await ids(bus, server, node) == ["1"]


async def test_a_from_outside_our_domain_ends_the_stream(server: Server, bus: RawStream) -> None:
    bus.write(f"<iq type='get' id='x' from='other.example' to='{server.domain}'>{PING}</iq>")
    await asyncio.wait_for(bus.closed.wait(), TIMEOUT)
    assert bus.close_reason in {"invalid-from", "invalid-namespace"}


async def test_a_second_connection_of_a_component_is_refused_by_prosody_and_shares_on_ejabberd(
    server: Server, bus: RawStream
) -> None:
    if server.name == "prosody":
        assert await refusal(connect(server)) == "conflict"
        return
    async with await connect(server) as second, await log_in(server, "stranger@localhost") as sender:
        for number in range(200):
            sender.write(f"<message to='bus.localhost' id='{number}'><body>x</body></message>")
        await until(lambda: len(bus.stanzas) + len(second.stanzas) == 200, TIMEOUT, "all the messages")
        assert bus.stanzas
        assert second.stanzas


async def test_prosody_can_be_told_to_let_the_second_connection_replace_the_first(own_server: ServerFactory) -> None:
    server = await own_server("prosody", kick_old=True)
    async with await connect(server) as first, await connect(server) as second:
        await asyncio.wait_for(first.closed.wait(), TIMEOUT)
        assert first.close_reason == "conflict"
        await second.iq("get", server.domain, PING)


async def test_two_components_on_one_port_get_their_own_stanzas(server: Server, bus: RawStream) -> None:
    async with (
        await connect(server, server.component_jids[1]) as other,
        await log_in(server, "stranger@localhost") as sender,
    ):
        for number in range(100):
            sender.write(f"<message to='{server.component_jids[number % 2]}' id='{number}'><body>x</body></message>")
        await until(lambda: len(bus.stanzas) + len(other.stanzas) == 100, TIMEOUT, "all the messages")
        assert {stanza.get("to") for stanza in bus.stanzas} == {server.component_jids[0]}
        assert {stanza.get("to") for stanza in other.stanzas} == {server.component_jids[1]}


async def test_ejabberd_mixes_two_components_of_one_port_up_by_default(own_server: ServerFactory) -> None:
    server = await own_server("ejabberd", global_routes=True)
    async with (
        await connect(server) as first,
        await connect(server, server.component_jids[1]) as second,
        await log_in(server, "stranger@localhost") as sender,
    ):
        for number in range(200):
            sender.write(f"<message to='bus.localhost' id='{number}'><body>x</body></message>")
        await until(lambda: len(first.stanzas) + len(second.stanzas) == 200, TIMEOUT, "all the messages")
        assert second.stanzas


async def test_senders_are_bounced_while_the_component_is_away(prosody: Server) -> None:
    async with await log_in(prosody, "stranger@localhost") as sender:
        assert await refusal(sender.iq("get", prosody.component_jid, PING)) == "remote-server-timeout"


async def test_every_iq_to_the_server_is_answered(server: Server, bus: RawStream) -> None:
    await bus.iq("get", server.domain, PING)


# --- nodes ------------------------------------------------------------------------------------------------------------


async def test_an_account_may_not_create_nodes(server: Server, node: str) -> None:
    async with await log_in(server, "stranger@localhost") as stream:
        assert await refusal(create_node(stream, server.pubsub_service, node)) == "forbidden"


async def test_a_node_that_exists_is_a_conflict_for_every_maker(server: Server, bus: RawStream, node: str) -> None:
    await create_node(bus, server.pubsub_service, node)
    assert await refusal(create_node(bus, server.pubsub_service, node)) == "conflict"
    async with await connect(server, server.component_jids[1]) as other:
        assert await refusal(create_node(other, server.pubsub_service, node)) == "conflict"


async def test_an_unknown_node_option_is_ignored_by_prosody_and_refused_by_ejabberd(
    server: Server, bus: RawStream, node: str
) -> None:
    creating = create_node(bus, server.pubsub_service, node, {"frobnicate": "1"})
    if server.name == "ejabberd":
        assert await refusal(creating) == "resource-constraint"
    else:
        await creating
        assert "pubsub#frobnicate" not in await node_configuration(bus, server.pubsub_service, node)


async def test_the_configuration_read_back_is_the_one_that_was_asked_for(
    server: Server, bus: RawStream, node: str
) -> None:
    wanted = {"max_items": "64", "access_model": "whitelist", "persist_items": "1", "title": "Disks"}
    if server.name == "ejabberd":
        del wanted["title"]
    await create_node(bus, server.pubsub_service, node, wanted)
    found = await node_configuration(bus, server.pubsub_service, node)
    assert {name: found[f"pubsub#{name}"] for name in wanted} == wanted


async def test_more_items_than_the_cap_are_refused(server: Server, bus: RawStream, node: str) -> None:
    cap, condition = (1000, "resource-constraint") if server.name == "ejabberd" else (256, "bad-request")
    asked = {"max_items": str(cap + 1)}
    assert await refusal(create_node(bus, server.pubsub_service, node, asked)) == condition
    await create_node(bus, server.pubsub_service, node, {"max_items": str(cap)})


async def test_the_cap_can_be_configured(server_name: str, own_server: ServerFactory, node: str) -> None:
    server = await own_server(server_name, pubsub_max_items=5000)
    async with await connect(server) as stream:
        await create_node(stream, server.pubsub_service, node, {"max_items": "5000"})


async def test_access_models(server: Server, bus: RawStream, node: str) -> None:
    accepted = []
    for model in ("open", "whitelist", "presence", "roster", "authorize"):
        with contextlib.suppress(RawError):
            await create_node(bus, server.pubsub_service, f"{node}.{model}", {"access_model": model})
            accepted.append(model)
    everything = ["open", "whitelist", "presence", "roster", "authorize"]
    assert accepted == (everything if server.name == "ejabberd" else ["open", "whitelist"])


async def test_a_new_node_is_open_unless_it_is_configured(server: Server, bus: RawStream, node: str) -> None:
    await create_node(bus, server.pubsub_service, node)
    configuration = await node_configuration(bus, server.pubsub_service, node)
    assert configuration["pubsub#access_model"] == "open"
    async with await log_in(server, "stranger@localhost") as stranger:
        await subscribe(stranger, server.pubsub_service, node)


async def test_a_stranger_may_not_read_a_whitelist_node(server: Server, bus: RawStream, node: str) -> None:
    await create_node(bus, server.pubsub_service, node, {"access_model": "whitelist"})
    await publish(bus, server.pubsub_service, node, "1", SMALL)
    expected = {"forbidden", "not-allowed"}
    async with await log_in(server, "stranger@localhost") as stranger:
        assert await refusal(subscribe(stranger, server.pubsub_service, node)) in expected
        assert await refusal(items(stranger, server.pubsub_service, node)) in expected
        assert await refusal(publish(stranger, server.pubsub_service, node, "2", SMALL)) == "forbidden"


async def test_our_affiliations_can_be_asked_of_ejabberd_only(server: Server, bus: RawStream, node: str) -> None:
    await create_node(bus, server.pubsub_service, node)
    asking = bus.iq("get", server.pubsub_service, f"<pubsub xmlns='{PUBSUB}'><affiliations/></pubsub>")
    if server.name == "ejabberd":
        found = {element.get("node") for element in (await asking).element.iter(f"{{{PUBSUB}}}affiliation")}
        assert node in found
    else:
        assert await refusal(asking) == "service-unavailable"


async def test_the_affiliations_of_our_own_node_can_be_asked(server: Server, bus: RawStream, node: str) -> None:
    await create_node(bus, server.pubsub_service, node)
    inner = f"<pubsub xmlns='{PUBSUB_OWNER}'><affiliations node='{node}'/></pubsub>"
    answer = await bus.iq("get", server.pubsub_service, inner)
    found = {one.get("jid"): one.get("affiliation") for one in answer.element.iter(f"{{{PUBSUB_OWNER}}}affiliation")}
    assert found == {server.component_jid: "owner"}


async def test_a_publish_to_a_missing_node_makes_an_open_one_on_ejabberd(
    server: Server, bus: RawStream, node: str
) -> None:
    await create_node(bus, server.pubsub_service, node, {"access_model": "whitelist"})
    await delete_node(bus, server.pubsub_service, node)
    publishing = publish(bus, server.pubsub_service, node, "1", SMALL)
    if server.name == "prosody":
        assert await refusal(publishing) == "item-not-found"
        return
    await publishing
    configuration = await node_configuration(bus, server.pubsub_service, node)
    assert configuration["pubsub#access_model"] == "open"


async def test_publish_options_keep_a_missing_node_from_being_made_open(
    server: Server, bus: RawStream, node: str
) -> None:
    options = form(f"{PUBSUB}#publish-options", {"access_model": "whitelist"})
    inner = (
        f"<pubsub xmlns='{PUBSUB}'><publish node='{node}'><item id='1'>{SMALL}</item></publish>"
        f"<publish-options>{options}</publish-options></pubsub>"
    )
    if server.name == "prosody":
        assert await refusal(bus.iq("set", server.pubsub_service, inner)) == "item-not-found"
        return
    await bus.iq("set", server.pubsub_service, inner)
    configuration = await node_configuration(bus, server.pubsub_service, node)
    assert configuration["pubsub#access_model"] == "whitelist"


async def test_permanent_errors_are_marked_wait_by_ejabberd(server: Server, bus: RawStream, node: str) -> None:
    configure = f"<configure>{form(f'{PUBSUB}#node_config', {'max_items': '100000'})}</configure>"
    inner = f"<pubsub xmlns='{PUBSUB}'><create node='{node}'/>{configure}</pubsub>"
    found = await error_of(bus, server.pubsub_service, inner)
    assert found == (("wait", "resource-constraint") if server.name == "ejabberd" else ("modify", "bad-request"))


# --- features and clients ---------------------------------------------------------------------------------------------


async def test_prosody_offers_multiple_items_and_no_subscription_options(prosody: Server) -> None:
    async with await connect(prosody) as bus:
        answer = await bus.iq("get", prosody.pubsub_service, f"<query xmlns='{DISCO_INFO}'/>")
    features = {element.get("var", "") for element in answer.element.iter(f"{{{DISCO_INFO}}}feature")}
    assert f"{PUBSUB}#multi-items" in features
    assert f"{PUBSUB}#access-whitelist" in features or f"{PUBSUB}#access-open" in features


async def test_subscriptions_have_one_option_on_prosody_and_none_on_ejabberd(
    server: Server, bus: RawStream, node: str
) -> None:
    await create_node(bus, server.pubsub_service, node)
    async with await listening(server, node) as listener:
        await subscribe(listener, server.pubsub_service, node)
        inner = f"<options node='{node}' jid='{node}@localhost'/>"
        asking = listener.iq("get", server.pubsub_service, f"<pubsub xmlns='{PUBSUB}'>{inner}</pubsub>")
        if server.name == "ejabberd":
            assert await refusal(asking) == "feature-not-implemented"
        else:
            fields = {field.get("var") for field in (await asking).element.iter("{jabber:x:data}field")}
            assert fields == {"FORM_TYPE", "pubsub#include_body"}


async def test_stock_limits_slow_a_client_down_and_not_a_component(server_name: str, own_server: ServerFactory) -> None:
    server = await own_server(server_name, stock_limits=True)
    async with await connect(server) as bus, await log_in(server, "stranger@localhost") as client:
        assert await seconds_of_30_kb(client, server) > 10 * await seconds_of_30_kb(bus, server)


async def seconds_of_30_kb(stream: RawStream, server: Server) -> float:
    """How long 30 KB take, and the answer to a ping after them."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    for _ in range(3):
        stream.write(f"<message to='{server.domain}' from='{stream.jid}'><body>{'x' * 10_000}</body></message>")
    await stream.iq("get", server.domain, PING, 30)
    return loop.time() - begun
