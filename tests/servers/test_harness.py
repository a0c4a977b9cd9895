"""The servers that the tests stand on do what their harness says."""

from tests.support.raw import RawError, account, component
from tests.support.raw_xml import PUBSUB
from tests.support.server import ACCOUNTS, Server, ServerFactory


def create(node: str) -> str:
    """The request that creates a node (XEP-0060 §8.1)."""
    return f"<pubsub xmlns='{PUBSUB}'><create node='{node}'/></pubsub>"


def publish(node: str, item_id: str) -> str:
    """The request that publishes a small item (XEP-0060 §7.1)."""
    item = f"<item id='{item_id}'><small xmlns='urn:example:small'>text</small></item>"
    return f"<pubsub xmlns='{PUBSUB}'><publish node='{node}'>{item}</publish></pubsub>"


async def answer(server: Server, jid: str, request: str) -> str:
    """ "result", or the condition of the error with which the pubsub service answers the component."""
    async with await component(server.host, server.component_port, jid, server.secret) as stream:
        try:
            await stream.iq("set", server.pubsub_service, request)
        except RawError as error:
            return error.condition
    return "result"


async def test_both_components_may_create_a_node_and_publish(server: Server, node: str) -> None:
    for number, jid in enumerate(server.component_jids):
        assert await answer(server, jid, create(f"{node}.{number}")) == "result"
        assert await answer(server, jid, publish(f"{node}.{number}", "1")) == "result"


async def test_every_account_of_the_config_can_log_in(server: Server) -> None:
    for jid, password in ACCOUNTS.items():
        async with await account(server.host, server.c2s_port, jid, password) as stream:
            assert stream.jid.startswith(jid)


async def test_an_account_made_while_the_server_runs_can_log_in(server: Server, node: str) -> None:
    await server.create_account(f"{node}@localhost", "its password")
    async with await account(server.host, server.c2s_port, f"{node}@localhost", "its password") as stream:
        assert stream.jid.startswith(node)


async def test_a_revoked_publisher_is_forbidden_until_it_is_restored(server: Server, node: str) -> None:
    assert await answer(server, server.component_jid, create(node)) == "result"
    await server.revoke_publishing(node)
    assert await answer(server, server.component_jid, publish(node, "1")) == "forbidden"
    await server.restore_publishing(node)
    assert await answer(server, server.component_jid, publish(node, "1")) == "result"


async def test_the_right_to_create_nodes_can_be_revoked_and_restored(
    server_name: str, own_server: ServerFactory, node: str
) -> None:
    server = await own_server(server_name)
    await server.revoke_creation()
    assert await answer(server, server.component_jid, create(node)) == "forbidden"
    await server.restore_creation()
    assert await answer(server, server.component_jid, create(node)) == "result"


async def test_a_restarted_server_has_its_ports_nodes_and_items(
    server_name: str, own_server: ServerFactory, node: str
) -> None:
    server = await own_server(server_name)
    await answer(server, server.component_jid, create(node))
    await answer(server, server.component_jid, publish(node, "1"))
    await server.restart()
    async with await component(server.host, server.component_port, server.component_jid, server.secret) as stream:
        items = await stream.iq(
            "get", server.pubsub_service, f"<pubsub xmlns='{PUBSUB}'><items node='{node}'/></pubsub>"
        )
        assert len(items.payloads) == 1


async def test_a_killed_server_starts_again(server_name: str, own_server: ServerFactory, node: str) -> None:
    server = await own_server(server_name)
    async with await component(server.host, server.component_port, server.component_jid, server.secret) as stream:
        server.kill()
        await stream.closed.wait()
    assert server.pid is None
    await server.start()
    assert await answer(server, server.component_jid, create(node)) == "result"
