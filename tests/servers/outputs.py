"""What the tests of stream and output share: a stream to a server, events on their way, and what came of them."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from tests.support.raw import RawStream
from tests.support.raw_pubsub import items, subscribe
from tests.support.server import Server
from xmppbus.event import parse
from xmppbus.journal import Delivery, Outcome, PlaceStatus, Verdict
from xmppbus.options import NodeOptions, XmppOptions
from xmppbus.outputs.pubsub import PubSub
from xmppbus.xmpp.component import Stream

SOON = 10.0
READERS = ["listener@localhost", "reader@localhost"]
KEEPS_ALL = NodeOptions(max_items=200, readers=READERS)
KEEPS_NONE = NodeOptions(persist_items=False, readers=READERS)
DELIVERED, UNSENT = Verdict.DELIVERED, Verdict.UNSENT
STOPPED, UNKNOWN, DEAD = Verdict.STOPPED, Verdict.UNKNOWN, Verdict.DEAD


def now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


def options(server: Server, **changed: Any) -> XmppOptions:
    """How to reach the server as its first component."""
    given = {
        "component": server.component_jid,
        "host": server.host,
        "port": server.component_port,
        "pubsub_service": server.pubsub_service,
    }
    return XmppOptions(**{**given, **changed})


def account_options(server: Server, **changed: Any) -> XmppOptions:
    """How to reach it as an account."""
    given = {"component": None, "account": "listener@localhost", "port": server.c2s_port}
    return options(server, **{**given, "ca_file": str(server.certificate), **changed})


def stream(server: Server, **changed: Any) -> Stream:
    """A stream, not entered yet."""
    return Stream(options(server, **changed), server.secret, dice=random.random)


class Drawers:
    """As much of a journal as an output needs, in memory: what its process knows goes with it."""

    def __init__(self) -> None:
        self._drawers: dict[str, dict[str, Any]] = {}

    @property
    def kept(self) -> "Drawers":
        """The drawers."""
        return self

    async def places(self) -> list[PlaceStatus]:
        """Nothing waits."""
        return []

    async def all(self, drawer: str) -> dict[str, Any]:
        """Everything in a drawer."""
        return dict(self._drawers.get(drawer, {}))

    async def keep(self, drawer: str, name: str, value: Any) -> None:
        """In the place of the one before."""
        self._drawers.setdefault(drawer, {})[name] = value

    async def drop(self, drawer: str, name: str) -> bool:
        """Whether it was there."""
        return self._drawers.get(drawer, {}).pop(name, None) is not None


def output(of: Stream, *profiles: NodeOptions, prefix: str = "") -> PubSub:
    """An output on a stream."""
    return PubSub(of, profiles, prefix=prefix, clock=now, journal=Drawers())


def deliveries(event_type: str, count: int, *, first: int = 0, **fields: Any) -> list[Delivery]:
    """Deliveries of numbered events."""
    found = []
    for number in range(first, first + count):
        sent = {"type": event_type, "data": f"number {number}", **fields}
        event = parse(sent, {"id": f"{number}", "source": f"urn:test:{event_type}", "time": now().isoformat()}).event
        found.append(Delivery(number + 1, number + 1, event.item_id, event))
    return found


async def outcomes(of: PubSub, place: str, run: Sequence[Delivery]) -> list[Outcome]:
    """Deliver a run to its end."""
    return [outcome async for outcome in of.deliver_run(place, run)]


async def verdicts(of: PubSub, place: str, run: Sequence[Delivery]) -> list[Verdict]:
    """Deliver a run to its end, and leave the reasons out."""
    return [outcome.verdict for outcome in await outcomes(of, place, run)]


async def deliver_all(of: PubSub, place: str, run: Sequence[Delivery], tries: int = 200) -> None:
    """Deliver as a deliverer does: again from the first that is not settled, whenever there is a session."""
    left = list(run)
    for _ in range(tries):
        await of.ready()
        found = await outcomes(of, place, left[:100])
        assert not [each for each in found if each.verdict is DEAD]
        done = next((index for index, each in enumerate(found) if each.verdict is not DELIVERED), len(found))
        left = left[done:]
        if not left:
            return
    raise AssertionError(f"{len(left)} of {len(run)} are not delivered after {tries} tries: {found[done]}")


async def item_ids(reader: RawStream, server: Server, node: str) -> list[str]:
    """What is on the node, oldest first."""
    return [item.item_id for item in await items(reader, server.pubsub_service, node)]


async def subscribed(server: Server, bus: Stream, node: str, reader: RawStream, *profiles: NodeOptions) -> PubSub:
    """An output whose node is there and has a subscriber."""
    found = output(bus, *(profiles or (KEEPS_ALL,)))
    await found._nodes.ensure(node, node)
    await subscribe(reader, server.pubsub_service, node)
    return found


async def arrived(reader: RawStream, count: int) -> list[str]:
    """The item ids of notifications, once there are so many."""
    await reader.until(lambda: len(reader.notifications) >= count, SOON)
    return [each.item_id for each in reader.notifications]


def ids_of(run: Sequence[Delivery]) -> list[str]:
    """The item ids of a run."""
    return [each.item_id for each in run]
