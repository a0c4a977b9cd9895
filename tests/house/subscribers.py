"""Two subscribers that have nothing in common: slixmpp as an application uses it, and a raw socket with expat."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.support.oracle import event_in
from tests.support.raw import RawStream, account
from tests.support.raw_pubsub import items, subscribe
from tests.support.server import Server
from tests.support.slixmpp_stream import slixmpp_client, start
from tests.support.waiting import until

RAW_JID, SLIXMPP_JID = "listener@localhost", "reader@localhost"
JSON_CONTAINER = "{urn:xmpp:json:0}json"
Event = dict[str, Any]


class Readers:
    """The events of one node as each of the two has read them, by the item's id."""

    def __init__(self, node: str, raw: RawStream) -> None:
        self.node = node
        self._raw = raw
        self.slixmpp: list[tuple[str, Event]] = []

    @property
    def expat(self) -> list[tuple[str, Event]]:
        """What came over the raw socket."""
        return [
            (one.item_id, event_in(one.payload))
            for one in self._raw.notifications
            if one.node == self.node and not one.retracted
        ]

    def take(self, message: Any) -> None:
        """slixmpp's event `pubsub_publish`."""
        items = message["pubsub_event"]["items"]
        if items["node"] == self.node:
            for item in items:
                container = next(item["payload"].iter(JSON_CONTAINER))
                self.slixmpp.append((item["id"], json.loads(container.text)))

    async def until_seen(self, item_id: str, timeout: float) -> Event:
        """Wait until both have it; they must agree, and the event is returned."""

        def seen() -> bool:
            return all(item_id in {seen for seen, _ in found} for found in (self.expat, self.slixmpp))

        await until(seen, timeout, f"{item_id} to reach both subscribers")
        by_expat, by_slixmpp = (dict(found)[item_id] for found in (self.expat, self.slixmpp))
        assert by_expat == by_slixmpp
        return by_expat


@asynccontextmanager
async def readers(server: Server, node: str) -> AsyncIterator[Readers]:
    """Two accounts, logged in and subscribed to a node that is there."""
    async with (
        await account(server.host, server.c2s_port, RAW_JID, server.accounts[RAW_JID]) as raw,
        slixmpp_client(server, SLIXMPP_JID) as client,
    ):
        found = Readers(node, raw)
        await subscribe(raw, server.pubsub_service, node)

        async def take(message: Any) -> None:
            found.take(message)

        client.register_plugin("xep_0060")
        client.add_event_handler("pubsub_publish", take)
        await start(client, server.host, server.c2s_port)
        client.send_presence()
        await asyncio.wait_for(client.plugin["xep_0060"].subscribe(server.pubsub_service, node), 10)
        yield found


async def kept(server: Server, node: str) -> list[str]:
    """Ids of the items on the node, oldest first, as an account may read them."""
    async with await account(server.host, server.c2s_port, RAW_JID, server.accounts[RAW_JID]) as raw:
        return [item.item_id for item in await items(raw, server.pubsub_service, node)]
