"""Queues and transactions of the STOMP listener, spoken to byte by byte."""

from __future__ import annotations

import pytest

from tests.support.stomp_client import frame
from tests.support.stomp_house import StompHouse, bus, connected
from tests.support.waiting import until
from xmppbus.journal import State

__all__ = ["bus"]


# --- queues -----------------------------------------------------------------------------------------------------------


async def test_a_queue_keeps_until_somebody_consumes_and_goes_to_nobody_else(bus: StompHouse) -> None:
    """No topic has it, and no node."""
    async with connected(bus) as client:
        await client.subscribe("/topic/#", id="topic")
        sent = await client.send("/queue/jobs", b"job")
        entry = await bus.house.journal.find(sent["item-id"])
        assert entry
        assert [(each.output, each.place) for each in await bus.house.journal.fates(entry.sequence)] == [
            ("queue", "jobs")
        ]
        await client.send("/topic/a")
        assert (await client.message())["destination"] == "/topic/a"
        await client.subscribe("/queue/jobs", id="queue")
        got = await client.message()
        assert (got.body, got["destination"], got["type"]) == (b"job", "/queue/jobs", "jobs")


async def fate(bus: StompHouse, item_id: str) -> State:
    entry = await bus.house.journal.find(item_id)
    assert entry
    (found,) = await bus.house.journal.fates(entry.sequence)
    return found.state


@pytest.mark.parametrize("ack", ["client", "client-individual"])
async def test_each_event_of_a_queue_goes_to_one_and_is_done_when_that_says_so(bus: StompHouse, ack: str) -> None:
    """It is on disk when the ACK has its RECEIPT."""
    async with connected(bus) as first, connected(bus) as second:
        for client in (first, second):
            await client.subscribe("/queue/jobs", ack=ack, **{"prefetch-count": "1"})
        sent = [await first.send("/queue/jobs", b"%d" % number) for number in range(2)]
        got = {client: await client.message() for client in (first, second)}
        assert {each.body for each in got.values()} == {b"0", b"1"}
        for client, message in got.items():
            await client.done("ACK", id=message["ack"])
        assert [await fate(bus, each["item-id"]) for each in sent] == [State.DELIVERED] * 2


async def test_with_auto_an_event_of_a_queue_is_done_once_it_is_sent(bus: StompHouse) -> None:
    """To one of those who are subscribed."""
    async with connected(bus) as first, connected(bus) as second:
        for client in (first, second):
            await client.subscribe("/queue/jobs")
        sent = await first.send("/queue/jobs", b"job")
        await until(lambda: delivered(bus, sent["item-id"]), 5, "it to be done")
        await first.send("/topic/a")
        for client in (first, second):
            client.say("DISCONNECT", receipt="last")
        commands = []
        for client in (first, second):
            while (got := await client.get()).command == "MESSAGE":
                commands.append(got.body)
        assert commands == [b"job"]


async def delivered(bus: StompHouse, item_id: str) -> bool:
    return await fate(bus, item_id) is State.DELIVERED


async def test_client_acknowledges_all_before_it_and_client_individual_only_one(bus: StompHouse) -> None:
    """What is not acknowledged goes to another when the client is gone."""
    left = {}
    for ack in ("client", "client-individual"):
        async with connected(bus) as client:
            for number in range(3):
                await client.send(f"/queue/{ack}", b"%d" % number)
            await client.subscribe(f"/queue/{ack}", ack=ack)
            got = [await client.message() for _ in range(3)]
            await client.done("ACK", id=got[1]["ack"])
        async with connected(bus) as other:
            await other.subscribe(f"/queue/{ack}", ack="client-individual")
            left[ack] = [(await other.message()).body for _ in range(1 if ack == "client" else 2)]
    assert left == {"client": [b"2"], "client-individual": [b"0", b"2"]}


async def test_a_nack_is_another_try_or_the_dead_letters(bus: StompHouse) -> None:
    """With the reason that was given."""
    async with connected(bus) as client:
        sent = await client.send("/queue/jobs", b"poison")
        await client.subscribe("/queue/jobs", ack="client-individual")
        await client.done("NACK", id=(await client.message())["ack"])
        again = await client.message()
        assert (again["redelivered"], again["attempt"], again.body) == ("true", "2", b"poison")
        await client.done("NACK", id=again["ack"], requeue="false", reason="no such customer")
        assert await fate(bus, sent["item-id"]) is State.DEAD
        ((found, _),) = await bus.house.journal.dead((), 10)
        assert found.text == "no such customer"


async def test_an_acknowledgement_and_goodbye_count_both(bus: StompHouse) -> None:
    """However quickly the client is gone behind them."""
    async with connected(bus) as client:
        sent = await client.send("/queue/jobs", b"job")
        await client.subscribe("/queue/jobs", ack="client")
        got = await client.message()
        client.raw(frame("ACK", {"id": got["ack"]}) + frame("DISCONNECT"))
    await until(lambda: delivered(bus, sent["item-id"]), 5, "it to be done")


async def test_an_ack_of_what_is_not_out_is_refused(bus: StompHouse) -> None:
    """Of what was acknowledged, of another's, of nothing."""
    for given in ("1-1", "77-1", "", "nonsense"):
        async with connected(bus) as client:
            await client.subscribe("/queue/jobs", ack="client")
            client.say("ACK", id=given)
            assert (await client.error())["code"] == "item-not-found"


@pytest.mark.parametrize(("version", "names"), [("1.0", ["message-id"]), ("1.1", ["message-id", "subscription"])])
async def test_older_versions_acknowledge_by_message_id(bus: StompHouse, version: str, names: list[str]) -> None:
    """And 1.0 need not name its subscriptions."""
    async with connected(bus, version) as client:
        await client.send("/queue/jobs", b"job")
        headers = {"destination": "/queue/jobs", "ack": "client", **({"id": "0"} if version == "1.1" else {})}
        await client.done("SUBSCRIBE", headers)
        got = await client.message()
        await client.done("ACK", {name: got[name] for name in names})
        await client.done("UNSUBSCRIBE", {"id": "0"} if version == "1.1" else {"destination": "/queue/jobs"})


async def test_nack_is_unknown_to_1_0(bus: StompHouse) -> None:
    """It says from which version on it is there."""
    async with connected(bus, "1.0") as client:
        await client.send("/queue/jobs", b"job")
        await client.done("SUBSCRIBE", {"destination": "/queue/jobs", "ack": "client"})
        client.say("NACK", {"message-id": (await client.message())["message-id"]})
        assert "accept-version:1.2" in (await client.error())["message"]


# --- transactions -----------------------------------------------------------------------------------------------------


async def test_a_transaction_is_kept_as_a_whole_at_commit(bus: StompHouse) -> None:
    """Not before; what is outside of it goes its own way."""
    async with connected(bus) as client:
        await client.subscribe("/topic/#")
        await client.done("BEGIN", transaction="t")
        for number in range(3):
            await client.send("/topic/inside", b"%d" % number, transaction="t")
        await client.send("/topic/outside")
        assert (await bus.house.journal.status()).entries == 1
        client.say("COMMIT", transaction="t")
        got = [(await client.message())["destination"] for _ in range(4)]
        assert got == ["/topic/outside", *["/topic/inside"] * 3]


async def test_an_aborted_transaction_was_never_there(bus: StompHouse) -> None:
    """What was acknowledged in it is out as before."""
    async with connected(bus) as client:
        sent = await client.send("/queue/jobs", b"job")
        await client.subscribe("/queue/jobs", ack="client-individual")
        got = await client.message()
        await client.done("BEGIN", transaction="t")
        await client.send("/topic/a", transaction="t")
        await client.done("ACK", id=got["ack"], transaction="t")
        await client.done("ABORT", transaction="t")
        assert await fate(bus, sent["item-id"]) is State.WAITING
        await client.done("ACK", id=got["ack"])
        assert await fate(bus, sent["item-id"]) is State.DELIVERED
    assert (await bus.house.journal.status()).entries == 1


async def test_a_job_and_what_came_of_it_are_one_transaction(bus: StompHouse) -> None:
    """First the result is on disk, then the job is done."""
    async with connected(bus) as client:
        sent = await client.send("/queue/jobs", b"job")
        await client.subscribe("/queue/jobs", ack="client-individual")
        await client.subscribe("/topic/result", id="1")
        got = await client.message()
        await client.done("BEGIN", transaction="t")
        await client.done("ACK", id=got["ack"], transaction="t")
        await client.send("/topic/result", b"42", transaction="t")
        assert await fate(bus, sent["item-id"]) is State.WAITING
        await client.done("COMMIT", transaction="t")
        assert await fate(bus, sent["item-id"]) is State.DELIVERED
    assert (await bus.house.journal.status()).entries == 2


async def test_a_bad_event_in_a_transaction_is_refused_at_once_and_all_of_it_is_gone(bus: StompHouse) -> None:
    """COMMIT has nothing left to refuse."""
    async with connected(bus) as client:
        await client.done("BEGIN", transaction="t")
        await client.send("/topic/a", transaction="t")
        client.say("SEND", {"destination": "/topic/a", "transaction": "t", "status": "firing"})
        assert (await client.error())["field"] == "key"
    assert (await bus.house.journal.status()).entries == 0
