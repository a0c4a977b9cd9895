"""Short forms of what the contract tests of the servers say all the time."""

from typing import Any

import pytest

from tests.support.raw import RawError, RawStream, account, component
from tests.support.raw_pubsub import items
from tests.support.raw_xml import PUBSUB
from tests.support.server import Server

SMALL = "<note xmlns='urn:example:note'>small</note>"
PING = "<ping xmlns='urn:xmpp:ping'/>"
DISCO_ITEMS = "http://jabber.org/protocol/disco#items"


async def connect(server: Server, jid: str = "") -> RawStream:
    """A stream of the first component, or of another."""
    return await component(server.host, server.component_port, jid or server.component_jid, server.secret)


async def log_in(server: Server, jid: str) -> RawStream:
    """An account's stream."""
    return await account(server.host, server.c2s_port, jid, server.accounts[jid])


async def listening(server: Server, node: str) -> RawStream:
    """The stream of an account that subscribes to this node only: ejabberd sends last items at every log-in."""
    jid = f"{node}@{server.domain}"
    await server.create_account(jid, "listening")
    return await log_in(server, jid)


async def refusal(coroutine: Any) -> str:
    """The condition with which a request is refused."""
    with pytest.raises(RawError) as caught:
        await coroutine
    return caught.value.condition


def publish_request(node: str, *item_ids: str, payload: str = SMALL) -> str:
    """A publish of one or more items."""
    inner = "".join(f"<item id='{item_id}'>{payload}</item>" for item_id in item_ids)
    return f"<pubsub xmlns='{PUBSUB}'><publish node='{node}'>{inner}</publish></pubsub>"


async def ids(stream: RawStream, server: Server, node: str) -> list[str]:
    """The ids of a node's items in the order of the answer."""
    return [item.item_id for item in await items(stream, server.pubsub_service, node)]


async def ids_asked_for(stream: RawStream, server: Server, node: str, *wanted: str) -> list[str]:
    """The ids of the items that come back when several are asked for by id (XEP-0060 §6.5.7)."""
    inner = "".join(f"<item id='{item_id}'/>" for item_id in wanted)
    answer = await stream.iq(
        "get", server.pubsub_service, f"<pubsub xmlns='{PUBSUB}'><items node='{node}'>{inner}</items></pubsub>"
    )
    return [item.get("id", "") for item in answer.element.iter(f"{{{PUBSUB}}}item")]


async def ids_by_disco(stream: RawStream, server: Server, node: str, inner: str = "") -> list[str]:
    """The ids that disco#items tells of a leaf node (XEP-0060 §5.5)."""
    query = f"<query xmlns='{DISCO_ITEMS}' node='{node}'>{inner}</query>"
    answer = await stream.iq("get", server.pubsub_service, query)
    return [item.get("name", "") for item in answer.element.iter(f"{{{DISCO_ITEMS}}}item")]


def of_node(listener: RawStream, node: str) -> list[str]:
    """The item ids of what the listener was told of that node, retractions marked."""
    found = [one for one in listener.notifications if one.node == node]
    return [f"-{one.item_id}" if one.retracted else one.item_id for one in found]


async def told(listener: RawStream, node: str, item_id: str) -> None:
    """Wait until the listener has been told of that item of that node."""
    await listener.until(lambda: item_id in of_node(listener, node))
