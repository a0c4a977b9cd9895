"""A XEP-0060 subscriber with an account of its own, as anybody would write one: the demonstration's eyes."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Sequence
from typing import Any
from xml.etree.ElementTree import Element

import slixmpp
from slixmpp.exceptions import IqError, IqTimeout

from xmppbus import limits
from xmppbus.errors import BusError, Refused
from xmppbus.event import Event
from xmppbus.xmpp.stanzas import event_of

_EVENT = "http://jabber.org/protocol/pubsub#event"
_PUBSUB = "http://jabber.org/protocol/pubsub"

Seen = Callable[[str, str, Event], None]
"""Called with node, item id and event, once for each item."""


class SubscriberError(BusError):
    """The subscriber could not log in or subscribe; the text says why."""


class Subscriber:
    """Subscribes to nodes as soon as they are there, and tells `seen` of each item that arrives or was there before."""

    def __init__(
        self,
        jid: str,
        password: str,
        *,
        host: str,
        port: int,
        ca_file: str,
        service: str,
        nodes: Sequence[str],
        seen: Seen,
        notified: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`notified` is called with the item id of each notification, also when the same comes again."""
        self._notified = notified
        self._ended = asyncio.Event()
        self._host, self._port, self._service, self._nodes, self._seen = host, port, service, nodes, seen
        context = ssl.create_default_context(cafile=ca_file)
        self._client: Any = slixmpp.ClientXMPP(jid, password, ssl_context=context)
        self._client.register_plugin("xep_0060")
        self._client.add_event_handler("pubsub_publish", self._arrived)
        self._client.add_event_handler("disconnected", lambda _: self._ended.set())
        self._told: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Subscriber:
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._client.add_event_handler("session_start", lambda _: _finish(started, None))
        refused = SubscriberError("the account's password is refused")
        self._client.add_event_handler("failed_all_auth", lambda _: _finish(started, refused))
        self._client.connect(self._host, self._port)
        try:
            await asyncio.wait_for(started, limits.CONNECT_DEADLINE_SECONDS)
        except TimeoutError:
            self._client.cancel_connection_attempt()
            self._client.abort()
            raise SubscriberError(f"no login at {self._host}:{self._port} in time") from None
        self._client.send_presence()  # notifications are headlines: a server drops them for those who are not there
        self._tasks = [asyncio.create_task(self._follow(node)) for node in self._nodes]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._client.disconnect(wait=limits.CLOSE_SECONDS), limits.CLOSE_SECONDS + 1)
        self._client.abort()

    async def ended(self) -> None:
        """Return when the connection has ended, whoever ended it."""
        await self._ended.wait()

    async def _follow(self, node: str) -> None:
        """Subscribe; a node is made with its first event, so until then there is nothing to subscribe to."""
        pubsub = self._client.plugin["xep_0060"]
        while True:
            try:
                await pubsub.subscribe(self._service, node, timeout=limits.IQ_SECONDS)
                found = await pubsub.get_items(self._service, node, timeout=limits.IQ_SECONDS)
            except (IqError, IqTimeout):
                await asyncio.sleep(limits.SUBSCRIBE_AGAIN_SECONDS)
                continue
            for item in found.xml.iter(f"{{{_PUBSUB}}}item"):  # oldest first
                self._tell(node, item)
            return

    def _arrived(self, message: Any) -> None:
        for items in message.xml.iter(f"{{{_EVENT}}}items"):
            for item in items.iter(f"{{{_EVENT}}}item"):
                self._notified(item.get("id", ""))
                self._tell(items.get("node", ""), item)

    def _tell(self, node: str, element: Element) -> None:
        try:
            item = event_of(element)
        except Refused:
            return  # somebody else's item
        if item.item_id not in self._told:
            self._told.add(item.item_id)
            self._seen(node, item.item_id, item.event)


def _finish(future: asyncio.Future[None], error: Exception | None) -> None:
    if not future.done():
        future.set_exception(error) if error else future.set_result(None)
