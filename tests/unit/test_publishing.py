"""One run in its window, against a service that answers what no real one can be made to answer."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from xml.etree.ElementTree import Element, SubElement

import pytest
from defusedxml.ElementTree import fromstring

from tests.servers.outputs import DEAD, DELIVERED, STOPPED, UNSENT, deliveries, now
from xmppbus import limits
from xmppbus.journal import Outcome
from xmppbus.outputs import publishing
from xmppbus.outputs.publishing import Publishing, outcome_of
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
        running = Publishing(self.stream, node, run, now(), alone=alone, takes=takes)
        return [outcome async for outcome in running.outcomes()]


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


async def test_many_busy_nodes_do_not_starve_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits longest has the next free place on the stream."""
    monkeypatch.setattr(limits, "STREAM_IQS", 8)
    service = Service(lambda _: "")
    order: list[str] = []

    async def publish(name: str, count: int) -> None:
        await service.publish(count, NODE._replace(name=name), alone=False)
        order.append(name)

    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(publish(f"busy.n{number}", 200))
        group.create_task(publish("small.one", 1))
    assert order[0] == "small.one"


async def test_a_place_waits_for_room_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many answers come meanwhile."""
    monkeypatch.setattr(limits, "STREAM_IQS", 8)
    service, most = Service(lambda _: ""), 0
    when_room = service.pipeline.when_room

    def counted(call: Callable[[], None]) -> None:
        nonlocal most
        when_room(call)
        most = max(most, len(service.pipeline._waiting))

    monkeypatch.setattr(service.pipeline, "when_room", counted)
    await asyncio.gather(*(service.publish(100, NODE._replace(name=f"n{n}"), alone=False) for n in range(4)))
    assert most <= 4


async def test_a_bug_while_an_answer_is_dealt_with_ends_the_run_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """It must not leave the place waiting for ever; what was answered before it is told."""
    service = Service(lambda _: "")
    calls = 0

    def broken(answer: Any) -> Outcome:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise ZeroDivisionError("a bug")
        return outcome_of(answer)

    monkeypatch.setattr(publishing, "outcome_of", broken)
    told: list[Outcome] = []
    running = Publishing(service.stream, NODE, deliveries("backup.done", 9), now(), alone=True)
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(collect(running, told), 5)
    assert [each.verdict for each in told] == [DELIVERED, DELIVERED]


async def collect(running: Publishing, told: list[Outcome]) -> None:
    """Outcomes as they come, to be looked at after a failure too."""
    async for outcome in running.outcomes():
        told.append(outcome)  # noqa: PERF401  # a comprehension would keep nothing
