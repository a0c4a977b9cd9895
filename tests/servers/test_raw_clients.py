"""The independent clients, which everything else is judged by, speak with both servers."""

import asyncio
import ssl

import pytest

from tests.support import raw, raw_pubsub
from tests.support.raw_limit import RawPublisher, publish_stanza
from tests.support.server import Server

SETTINGS = {"persist_items": "1", "max_items": "5", "access_model": "open", "send_last_published_item": "never"}


async def owner_of(server: Server) -> raw.RawStream:
    return await raw.component(server.host, server.component_port, server.component_jid, server.secret)


async def test_an_account_over_verified_tls_sees_what_a_component_publishes(server: Server, node: str) -> None:
    tls = ssl.create_default_context(cafile=str(server.certificate))
    password = server.accounts["listener@localhost"]
    async with (
        await owner_of(server) as owner,
        await raw.account(server.host, server.c2s_port, "listener@localhost", password, tls=tls) as reader,
    ):
        await raw_pubsub.create_node(owner, server.pubsub_service, node, SETTINGS)
        await raw_pubsub.subscribe(reader, server.pubsub_service, node)
        for number in range(8):
            await raw_pubsub.publish(owner, server.pubsub_service, node, f"i{number}", f"<e xmlns='x:y'>{number}</e>")
        last = await reader.until_notified("i7")
        assert (last.node, last.payload) == (node, b"<e xmlns='x:y'>7</e>")
        assert [one.item_id for one in reader.notifications if not one.retracted] == [f"i{n}" for n in range(8)]
        kept = await raw_pubsub.items(reader, server.pubsub_service, node)
        assert [item.item_id for item in kept] == ["i3", "i4", "i5", "i6", "i7"]  # both list the oldest first


async def test_a_wrong_password_is_refused(server: Server) -> None:
    with pytest.raises(raw.RawError, match="not-authorized"):
        await raw.account(server.host, server.c2s_port, "listener@localhost", "wrong")


async def test_a_wrong_secret_is_refused(server: Server) -> None:
    with pytest.raises(raw.RawError, match="not-authorized"):
        await raw.component(server.host, server.component_port, server.component_jid, "wrong")


async def test_the_raw_limit_counts_no_error_as_a_publish(server: Server, node: str) -> None:
    def publish_one() -> None:
        with RawPublisher(server.host, server.component_port, server.component_jid, server.secret) as publisher:
            publisher.publish_all(
                [publish_stanza(publisher.jid, server.pubsub_service, node, 1, "a b c", b"<no/>" * 2)]
            )

    with pytest.raises(ConnectionError, match="not a result"):
        await asyncio.to_thread(publish_one)


async def test_what_is_deleted_is_not_found(server: Server, node: str) -> None:
    async with await owner_of(server) as owner:
        await raw_pubsub.create_node(owner, server.pubsub_service, node, SETTINGS)
        assert (await raw_pubsub.node_configuration(owner, server.pubsub_service, node))["pubsub#max_items"] == "5"
        await raw_pubsub.delete_node(owner, server.pubsub_service, node)
        with pytest.raises(raw.RawError, match="item-not-found"):
            await raw_pubsub.items(owner, server.pubsub_service, node)
