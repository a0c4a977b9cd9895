"""A private XMPP server for a benchmark, and a node that the product made on it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import unix_client
from tests.benchmarks.events import event_bytes
from tests.benchmarks.product import Product, Stream
from tests.support import raw, raw_pubsub
from tests.support.ejabberd import Ejabberd
from tests.support.ports import free_port
from tests.support.prosody import Prosody
from tests.support.server import Server

# A server's own limit, without its storage: every publish is delivered to who listens, and forgotten.
NODE = {"persist_items": False, "access_model": "open"}


def make_server(name: str, directory: Path) -> Server:
    """Not started yet. Nothing is tuned but what a busy installation would tune."""
    return Prosody(directory) if name == "prosody" else Ejabberd(directory)


@contextlib.contextmanager
def xmpp_server(name: str, directory: Path) -> Iterator[Server]:
    """A running one."""
    server = make_server(name, directory)
    directory.mkdir(parents=True, exist_ok=True)
    asyncio.run(server.start())
    try:
        yield server
    finally:
        asyncio.run(server.stop())


def stream_to(server: Server) -> Stream:
    """The daemon's way to it."""
    return Stream(server.component_jid, server.host, server.component_port, server.secret, server.pubsub_service)


def closed(stream: Stream) -> Stream:
    """The same server, as if it were down."""
    return Stream(stream.component, stream.host, free_port(), stream.secret, stream.pubsub_service)


def make_node(product: Product, server: Server, node: str, size: int) -> bytes:
    """Let the product create the node by publishing on it; returns the payload of one of its real items."""
    with product.daemon(stream_to(server)):
        with product.connect() as connection:
            unix_client.publish(connection, [event_bytes(node, size)], 1).results()
        product.until_waiting(0, 30)
        return asyncio.run(one_payload(product, server, node, size))


async def one_payload(product: Product, server: Server, node: str, size: int) -> bytes:
    """Publish one event and look at its item from outside."""
    watcher = await raw.component(server.host, server.component_port, server.component_jids[1], server.secret)
    async with watcher:
        await raw_pubsub.subscribe(watcher, server.pubsub_service, node)
        with product.connect() as connection:
            (result,) = unix_client.publish(connection, [event_bytes(node, size)], 1).results()
        notification = await watcher.until_notified(result["id"])
        await raw_pubsub.unsubscribe(watcher, server.pubsub_service, node)
    return notification.payload
