"""Client mode: an account publishes where it is a publisher, with the same output as a component."""

from __future__ import annotations

import asyncio

from tests.servers.outputs import DELIVERED, SOON, account_options, deliveries, ids_of, item_ids, output, verdicts
from tests.support.raw import component
from tests.support.raw_pubsub import create_node, set_affiliation
from tests.support.server import Server
from xmppbus.options import NodeOptions
from xmppbus.xmpp.component import Stream


async def test_an_account_publishes_in_order_where_it_is_a_publisher(server: Server, node: str) -> None:
    """On a node that somebody else has made, without the right to make any."""
    async with await component(server.host, server.component_port, server.component_jid, server.secret) as owner:
        await create_node(owner, server.pubsub_service, node, {"access_model": "open", "max_items": "20"})
        await set_affiliation(owner, server.pubsub_service, node, "listener@localhost", "publisher")
        password = server.accounts["listener@localhost"]
        async with Stream(account_options(server), password, dice=lambda: 0.5) as stream:
            await asyncio.wait_for(stream.ready(), SOON)
            run = deliveries(node, 15)
            profile = NodeOptions(access_model="open", max_items=20)
            assert await verdicts(output(stream, profile), node, run) == [DELIVERED] * 15
        assert await item_ids(owner, server, node) == ids_of(run)
