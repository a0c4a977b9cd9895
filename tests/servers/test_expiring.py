"""Nodes that nobody uses go after a while, and the next publish makes them again; on both servers, by our clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from tests.servers.outputs import DELIVERED, READERS, SOON, deliveries, stream, verdicts
from tests.support.conversation import connect, log_in
from tests.support.journals import routed
from tests.support.raw import RawStream
from tests.support.raw_pubsub import create_node, subscribe
from tests.support.server import Server
from tests.support.waiting import until
from xmppbus import limits
from xmppbus.options import NodeOptions
from xmppbus.outputs.pubsub import PubSub
from xmppbus.stores.sqlite import SqliteJournal
from xmppbus.xmpp import requests
from xmppbus.xmpp.component import Stream
from xmppbus.xmpp.replies import ErrorAnswer

PROFILE = NodeOptions(match="test.#", expire="2h", max_items=7, readers=READERS)


class Ahead:
    """A clock that is as far ahead as a test wants."""

    def __init__(self) -> None:
        self.by = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.by


@pytest.fixture
def clock() -> Ahead:
    """Of the outputs here."""
    return Ahead()


@pytest_asyncio.fixture
async def bus(server: Server) -> AsyncIterator[Stream]:
    """Our stream, in session."""
    async with stream(server) as found:
        await asyncio.wait_for(found.ready(), SOON)
        yield found


@pytest_asyncio.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    """Where it is kept which nodes are ours."""
    async with SqliteJournal(tmp_path / "journal.db") as opened:
        yield opened


@pytest.fixture
def opened(bus: Stream, journal: SqliteJournal, clock: Ahead) -> Callable[..., PubSub]:
    """An output as after each start of the daemon."""

    def make(*profiles: NodeOptions, named: str = "") -> PubSub:
        return PubSub(bus, profiles or (PROFILE,), prefix="", clock=clock, journal=journal, named=lambda: {named})

    return make


async def is_there(bus: Stream, node: str) -> bool:
    """Whether the service has such a node."""
    try:
        await bus.ask("get", bus.service, requests.features(node))
    except ErrorAnswer as error:
        if error.reply.name != "item-not-found":
            raise
        return False
    return True


@asynccontextmanager
async def operator(server: Server) -> AsyncIterator[RawStream]:
    """The other component, which may make nodes too."""
    async with await connect(server, server.component_jids[1]) as found:
        yield found


async def test_a_node_that_nobody_uses_goes_and_comes_again_as_its_profile_wants_it(
    bus: Stream,
    node: str,
    opened: Callable[..., PubSub],
    clock: Ahead,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not made by the service, which would let everybody read it; what is published then arrives."""
    caplog.set_level("INFO", "xmppbus.nodes")
    async with opened() as output:
        assert set(await verdicts(output, node, deliveries(node, 9))) == {DELIVERED}
        clock.by = timedelta(hours=1.9)
        assert await output._expiring.look() == []
        assert (output.status()["expiring"], output.status()["expired"]) == (1, 0)
        clock.by = timedelta(hours=2.1)
        assert await output._expiring.look() == [node]
        assert not await is_there(bus, node)
        assert f"node {node} is deleted: unused for 2 h" in caplog.text
        status = output.status()
        assert (status["expiring"], status["expired"], status["nodes"], status["differences"]) == (0, 1, 0, [])
        assert set(await verdicts(output, node, deliveries(node, 2, first=9))) == {DELIVERED}
        found = await bus.ask("get", bus.service, requests.configuration(node))
        fields = requests.read_form(found)
        assert (fields["pubsub#access_model"], fields["pubsub#max_items"]) == (["whitelist"], ["7"])
        clock.by += timedelta(hours=2.1)
        assert await output._expiring.look() == [node]


async def test_a_node_that_is_used_stays(
    bus: Stream, node: str, opened: Callable[..., PubSub], clock: Ahead, journal: SqliteJournal
) -> None:
    """Also one for which something waits; and one that a publish is on its way to."""
    async with opened() as output:
        await verdicts(output, node, deliveries(node, 1))
        clock.by = timedelta(hours=1.5)
        await verdicts(output, node, deliveries(node, 1, first=1))
        clock.by = timedelta(hours=3)
        assert await output._expiring.look() == []
        clock.by = timedelta(hours=4)
        async with output._expiring.using(node):
            assert await output._expiring.look() == []
        clock.by = timedelta(hours=7)
        await journal.append([routed(1, type=node)])
        assert await output._expiring.look() == []
        (run,) = await journal.claim("pubsub", 1, 1)
        assert await output._expiring.look() == []
        assert await verdicts(output, node, run.deliveries) == [DELIVERED]
        assert await is_there(bus, node)


async def test_a_publish_waits_for_the_end_of_a_deletion(
    bus: Stream, node: str, opened: Callable[..., PubSub], clock: Ahead
) -> None:
    """And then makes the node, so that it is not lost with the old one."""
    async with opened() as output:
        await verdicts(output, node, deliveries(node, 1))
        clock.by = timedelta(hours=3)
        gone, told = await asyncio.gather(output._expiring.look(), verdicts(output, node, deliveries(node, 1, first=1)))
        assert (gone, told) == ([node], [DELIVERED])
        answer = await bus.ask("get", bus.service, requests.items(node, ()))
        assert len(requests.read_item_ids(answer)) == 1


async def test_a_node_with_a_subscriber_stays(
    server: Server, bus: Stream, node: str, opened: Callable[..., PubSub], clock: Ahead
) -> None:
    """However long nothing is published there."""
    async with opened() as output, await log_in(server, "reader@localhost") as reader:
        await verdicts(output, node, deliveries(node, 1))
        await subscribe(reader, server.pubsub_service, node)
        clock.by = timedelta(days=30)
        assert await output._expiring.look() == []
        assert await is_there(bus, node)


async def test_nodes_that_are_somebody_elses_or_that_a_route_names_stay(
    server: Server, bus: Stream, node: str, opened: Callable[..., PubSub], clock: Ahead
) -> None:
    """Made by others, given to other publishers, or without `expire`."""
    async with operator(server) as other:
        await create_node(other, server.pubsub_service, f"{node}.others", {"publish_model": "open"})
        forever = NodeOptions(match=f"{node}.forever", readers=READERS)
        places = [f"{node}.{each}" for each in ("others", "shared", "named", "forever", "gone")]
        async with opened(forever, PROFILE, named=f"{node}.named") as output:
            for each in places:
                assert await verdicts(output, each, deliveries(each, 1)) == [DELIVERED]
            wanted = requests.affiliations(f"{node}.shared", {"listener@localhost": "publisher"})
            await bus.ask("set", bus.service, wanted)
            clock.by = timedelta(days=30)
            assert await output._expiring.look() == [f"{node}.gone"]
            assert [await is_there(bus, each) for each in places] == [True, True, True, True, False]


async def test_the_time_goes_on_over_restarts(node: str, opened: Callable[..., PubSub], clock: Ahead) -> None:
    """And `expire` that comes with a new config counts for nodes that are there."""
    async with opened(NodeOptions()) as output:
        await verdicts(output, node, deliveries(node, 1))
    for hours in (0.8, 1.6):
        clock.by = timedelta(hours=hours)
        async with opened() as output:
            assert await output._expiring.look() == []
    clock.by = timedelta(hours=2, seconds=limits.NODE_CHECK_SECONDS + 60)
    async with opened(NodeOptions()) as output:
        assert await output._expiring.look() == []
        output.take([PROFILE])
        assert await output._expiring.look() == [node]
    async with opened() as output:
        clock.by += timedelta(days=1)
        assert await output._expiring.look() == []


async def test_a_node_that_somebody_deleted_is_no_longer_ours(
    server: Server, bus: Stream, node: str, opened: Callable[..., PubSub], clock: Ahead
) -> None:
    """Whoever makes it then has it."""
    async with opened() as output, operator(server) as other:
        await verdicts(output, node, deliveries(node, 1))
        await bus.ask("set", bus.service, requests.delete(node))
        clock.by = timedelta(hours=3)
        assert await output._expiring.look() == []
        await create_node(other, server.pubsub_service, node)
        assert await output._expiring.look() == []
        assert await is_there(bus, node)


async def test_a_look_asks_about_so_many(
    bus: Stream, node: str, opened: Callable[..., PubSub], clock: Ahead, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the next about the others, whatever became of the first."""
    monkeypatch.setattr(limits, "NODE_EXPIRE_AT_ONCE", 2)
    places = [f"{node}.{number}" for number in range(4)]
    async with opened() as output:
        for each in places:
            await verdicts(output, each, deliveries(each, 1))
        for each in places[:2]:
            wanted = requests.affiliations(each, {"listener@localhost": "publisher"})
            await bus.ask("set", bus.service, wanted)
        clock.by = timedelta(hours=3)
        assert await output._expiring.look() == []
        assert await output._expiring.look() == places[2:]


async def test_so_many_nodes_are_known(
    bus: Stream, node: str, opened: Callable[..., PubSub], clock: Ahead, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond that they are made and used like every other, and stay."""
    monkeypatch.setattr(limits, "KEPT_IN_A_DRAWER", 1)
    async with opened() as output:
        for each in (node, f"{node}.more"):
            assert await verdicts(output, each, deliveries(each, 1)) == [DELIVERED]
        clock.by = timedelta(hours=3)
        assert await output._expiring.look() == [node]
        assert await is_there(bus, f"{node}.more")


async def test_it_looks_by_itself(
    node: str, opened: Callable[..., PubSub], clock: Ahead, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every so often, for as long as the output is open."""
    monkeypatch.setattr(limits, "NODE_EXPIRE_LOOK_SECONDS", 0.05)
    async with opened() as output:
        await verdicts(output, node, deliveries(node, 1))
        clock.by = timedelta(hours=3)
        await until(lambda: output.status()["expired"] == 1, SOON, "the node to go")
