"""The item plane: every event to a node, in order, in a sliding window; delivered means that the service said so.

A place is an event type, or the node that a route names; its node has the configured prefix in front.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Container, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from xmppbus import limits
from xmppbus.errors import condition
from xmppbus.house import House
from xmppbus.interfaces import Clock
from xmppbus.journal import UNSENT, Delivery, Outcome, Verdict
from xmppbus.options import NodeOptions
from xmppbus.outputs.expiring import Expiring, Keeping
from xmppbus.outputs.publishing import Publishing
from xmppbus.plugins import Options, Registry
from xmppbus.xmpp import requests
from xmppbus.xmpp.component import Stream
from xmppbus.xmpp.nodes import Node, Nodes
from xmppbus.xmpp.replies import ErrorAnswer, NoAnswer, Unanswered

_REMADE = 2
"""How often a node that vanishes is made again within one run before its place stops."""


_CHANGED = ("item-not-found", "conflict", "precondition-not-met")
"""What a publish is refused with when the node has gone, or is configured otherwise than when we looked (§7.1.5)."""


_NOT_SHOWN = ("forbidden", "not-allowed", "not-authorized", "feature-not-implemented")
"""On somebody else's node we may perhaps publish and not read: then a repeat is possible, with the same item id."""


class _Checked(NamedTuple):
    """A node as it was when we looked: in which session, and until when (the loop's clock) that is good enough."""

    node: Node
    session: int
    until: float


class PubSub:
    """An `Output`: publishes on the nodes of one service."""

    def __init__(
        self,
        stream: Stream,
        profiles: Sequence[NodeOptions],
        *,
        prefix: str,
        clock: Clock,
        journal: Keeping,
        named: Callable[[], Container[str]] = frozenset,
    ) -> None:
        self._stream = stream
        self._prefix = prefix
        self._clock = clock
        self._nodes = Nodes(stream, profiles)
        self._checked: dict[str, _Checked] = {}
        self._opened: dict[str, int] = {}  # node -> the session in which its first publish got a yes
        self._took: dict[str, int] = {}  # node -> the last session in which it took an item
        self._expiring = Expiring(stream, journal, clock=clock, named=named, forget=self._forget_all)
        self._expiring.take(profiles)
        self._looking: asyncio.Task[None]

    async def __aenter__(self) -> PubSub:
        await self._expiring.open()
        self._looking = asyncio.create_task(self._expiring.run(), name="nodes that nobody uses")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """The stream is somebody else's to close."""
        self._looking.cancel()
        await asyncio.wait([self._looking])

    def take(self, profiles: Sequence[NodeOptions]) -> None:
        """Go by these profiles from now on: every node is looked at again before the next publish there."""
        self._nodes.profiles = profiles
        self._expiring.take(profiles)
        self._checked.clear()

    async def ready(self) -> None:
        """While a session is up."""
        await self._stream.ready()

    def status(self) -> Mapping[str, Any]:
        """See `docs/reference/status.md`."""
        up = bool(self._stream.session)
        differences = [each._asdict() for found in self._nodes.differences.values() for each in found]
        return {
            "state": "up" if up else "down",
            "reason": "" if up else self._stream.status()["reason"],
            "service": self._stream.service,
            "nodes": len(self._checked),
            "expiring": self._expiring.count,
            "expired": self._expiring.gone,
            "differences": differences,
        }

    async def deliver_run(self, place: str, deliveries: Sequence[Delivery]) -> AsyncIterator[Outcome]:
        """As `interfaces.Output` says. The first publish of a session goes alone, and opens the window with its yes."""
        name = self._prefix + place
        async with self._expiring.using(name):
            left = list(deliveries)
            for attempt in range(_REMADE + 1):
                try:
                    if not self._stream.session:
                        raise NoAnswer(Unanswered.DISCONNECTED)
                    node = await self._node(name, place)
                    stored = await self._stored(node, left)
                except (ErrorAnswer, NoAnswer) as error:
                    self._forget(name)
                    yield _not_begun(error)
                    for _ in left[1:]:
                        yield UNSENT
                    return
                alone = not self._is_open(node)
                takes = self._took.get(name) == self._stream.session
                publishing = Publishing(self._stream, node, left, self._now(), alone=alone, stored=stored, takes=takes)
                # Until all of it is answered, whatever ends this has the next run look the node up again.
                self._opened.pop(name, None)
                again = 0
                try:
                    async for outcome in publishing.outcomes():
                        if outcome.condition in _CHANGED and outcome.verdict is Verdict.STOPPED and attempt < _REMADE:
                            # It is made or looked at again once whatever else is in flight is resolved.
                            again = again or publishing.yielded
                        if not again:
                            yield outcome
                finally:
                    publishing.leave()  # whoever leaves early has nothing more sent
                    if publishing.takes:
                        self._took[name] = publishing.session
                if publishing.failed:
                    self._forget(name)
                elif publishing.published:  # else more than this run was in doubt
                    self._opened[name] = publishing.session
                if not again:
                    return
                left = left[again - 1 :]

    def _forget(self, name: str) -> None:
        """Something was refused or went unanswered: look at the node, and at what is on it, before the next publish."""
        self._checked.pop(name, None)
        self._opened.pop(name, None)

    def _forget_all(self, name: str) -> None:
        """The node has gone: the next publish makes it, and what was said of it is said no more."""
        self._forget(name)
        self._took.pop(name, None)
        self._nodes.differences.pop(name, None)

    def _is_open(self, node: Node) -> bool:
        return self._opened.get(node.name) == self._stream.session

    async def _node(self, name: str, event_type: str) -> Node:
        now, session = asyncio.get_running_loop().time(), self._stream.session
        checked = self._checked.get(name)
        if checked and checked.session == session and now < checked.until:
            return checked.node
        node = await self._nodes.ensure(name, event_type)
        await self._expiring.looked_at(node, event_type)
        self._checked[name] = _Checked(node._replace(made=False), session, now + limits.NODE_CHECK_SECONDS)
        return node

    async def _stored(self, node: Node, deliveries: Sequence[Delivery]) -> set[int]:
        """Which of a run's deliveries are on the node already, or have been and were pushed out by newer ones.

        Asked once for each session, since what was in flight when the last one ended may have been stored. Those that
        a person sends again are left out: their items may be there from the first time.
        """
        asked = (
            {}
            if node.made or self._is_open(node)
            else {each.item_id: index for index, each in enumerate(deliveries) if not each.again}
        )
        if not asked or not node.persistent:
            return set()
        try:
            answer = await self._stream.ask("get", self._stream.service, requests.items(node.name, asked))
        except ErrorAnswer as error:
            if not node.ours and error.reply.name in _NOT_SHOWN:
                return set()
            raise
        found = {asked[item_id] for item_id in requests.read_item_ids(answer) if item_id in asked}
        if len(found) >= node.max_items:  # so many newer ones leave no room for an older one
            oldest = sorted(found)[-node.max_items]
            found |= {index for index in asked.values() if index < oldest}
        return found

    def _now(self) -> datetime:
        return self._clock()


def _not_begun(error: ErrorAnswer | NoAnswer) -> Outcome:
    """Nothing was sent; and what is said of a node is never about the event."""
    if isinstance(error, NoAnswer):
        return Outcome(Verdict.STOPPED, error.why.value)
    found = error.reply.condition
    return Outcome(Verdict.STOPPED, found.name, error.reply.text or condition(found.name).advice)


def build(house: House, options: Options) -> PubSub:
    """For the registry; the config is the house's: `xmpp:` and `nodes:`."""
    if options:
        raise ValueError("pubsub has no options of its own; see `xmpp` and `nodes`")
    if house.xmpp is None or house.options.xmpp is None:
        raise ValueError("publishing needs an XMPP server; add `xmpp:` to the config")
    return PubSub(
        house.xmpp,
        house.options.nodes,
        prefix=house.options.xmpp.node_prefix,
        clock=house.clock,
        journal=house.journal,
        named=partial(_named, house),
    )


def _named(house: House) -> set[str]:
    """The nodes that routes name: somebody wants them to be there."""
    return {
        address.place
        for route in house.routes
        for addresses in (route.to, *route.escalate)
        for address in addresses
        if address.output == "pubsub"
    }


def register(registry: Registry) -> None:
    """Offer the output `pubsub`."""
    registry.output("pubsub", build)
