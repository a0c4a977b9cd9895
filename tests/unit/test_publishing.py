"""One run in its window, against a service that answers what no real one can be made to answer."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from defusedxml.ElementTree import fromstring

from tests.servers.outputs import DEAD, DELIVERED, STOPPED, UNSENT, deliveries, now
from xmppbus.journal import Outcome
from xmppbus.outputs.publishing import Publishing
from xmppbus.xmpp.nodes import Node
from xmppbus.xmpp.pipeline import Pipeline
from xmppbus.xmpp.replies import STANZAS

SERVICE = "pubsub.example"
NODE = Node("backup.done", persistent=True, max_items=256, made=False, guard="")


class Service:
    """Answers every publish in the order of sending; `says` gives a condition, or nothing for a yes."""

    def __init__(self, says: Callable[[int], str]) -> None:
        self.pipeline = Pipeline()
        self.pipeline.open(self._receive)
        self.stream: Any = SimpleNamespace(pipeline=self.pipeline, service=SERVICE, sender="", session=1)
        self._says = says
        self._count = 0

    def _receive(self, data: bytes) -> None:
        for publish in fromstring(b"<stream>%b</stream>" % data):
            asyncio.get_running_loop().call_soon(self._answer, publish.attrib["id"], self._says(self._count))
            self._count += 1

    def _answer(self, request_id: str, condition: str) -> None:
        answer = Element("iq", {"id": request_id, "from": SERVICE, "type": "error" if condition else "result"})
        if condition:
            SubElement(SubElement(answer, "error"), f"{{{STANZAS}}}{condition}")
        self.pipeline.take(answer)

    async def publish(self, count: int, node: Node = NODE, *, alone: bool = True, takes: bool = False) -> list[Outcome]:
        """A run's outcomes."""
        run = deliveries(node.name, count)
        publishing = Publishing(self.stream, node, run, now(), alone=alone, takes=takes)
        return [outcome async for outcome in publishing.outcomes()]


async def test_a_vague_no_to_the_first_item_of_a_node_kills_nothing() -> None:
    """It may be about the node's configuration, or about how we ask."""
    told = await Service(lambda _: "bad-request").publish(3)
    assert [each.verdict for each in told] == [STOPPED, UNSENT, UNSENT]
    assert told[0].condition == "bad-request"


async def test_a_vague_no_is_about_the_item_where_the_node_takes_others() -> None:
    """In this session, in this run or before."""
    told = await Service(lambda count: "not-acceptable" if count == 1 else "").publish(3)
    assert [each.verdict for each in told] == [DELIVERED, DEAD, DELIVERED]
    told = await Service(lambda count: "not-acceptable" if count == 0 else "").publish(2, takes=True)
    assert [each.verdict for each in told] == [DEAD, DELIVERED]
