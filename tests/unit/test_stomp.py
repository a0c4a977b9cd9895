"""The STOMP listener, spoken to byte by byte: topics, queues, receipts, transactions."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest

from tests.support.stomp_client import frame
from tests.support.stomp_house import StompHouse, bus, connected

__all__ = ["bus"]


# --- CONNECT ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offered", "agreed"), [("1.0,1.1,1.2", "1.2"), ("1.1,1.0", "1.1"), ("1.0", "1.0"), ("2.0, 1.2", "1.2")]
)
async def test_the_highest_common_version_is_spoken(bus: StompHouse, offered: str, agreed: str) -> None:
    """Whatever the order in which they are offered."""
    async with bus.client() as client:
        assert (await client.connect(offered))["version"] == agreed


async def test_a_client_that_names_no_version_speaks_1_0(bus: StompHouse) -> None:
    """As it was before there was a choice; STOMP is another word for CONNECT."""
    async with bus.client() as client:
        client.say("STOMP")
        assert (await client.get())["version"] == "1.0"


async def test_a_version_that_is_not_spoken_is_said_with_those_that_are(bus: StompHouse) -> None:
    """As the specification wants it."""
    async with bus.client() as client:
        client.say("CONNECT", {"accept-version": "2.0"})
        assert (await client.error())["version"] == "1.0,1.1,1.2"


@pytest.mark.parametrize("sent", [frame("SEND", {"destination": "/topic/a"}), b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\n"])
async def test_what_does_not_begin_with_connect_is_refused(bus: StompHouse, sent: bytes) -> None:
    """And nothing of it is done: a web page can make a browser send anything but a CONNECT."""
    async with bus.client() as client:
        client.raw(sent + frame("CONNECT") + frame("SEND", {"destination": "/topic/a"}, b"sneaked in"))
        assert (await client.error())["code"] == "usage"
    assert (await bus.house.journal.status()).entries == 0


async def test_a_second_connect_is_refused(bus: StompHouse) -> None:
    """There is one on each connection."""
    async with connected(bus) as client:
        client.say("CONNECT")
        assert "CONNECT" in (await client.error())["message"]


# --- topics -----------------------------------------------------------------------------------------------------------


async def test_a_topic_reaches_every_subscriber(bus: StompHouse) -> None:
    """And the sender, if it is one; from other doors, too."""
    async with connected(bus) as first, connected(bus) as second:
        await first.subscribe("/topic/user.signup")
        await second.subscribe("/topic/user.signup", id="mine")
        await first.send("/topic/user.signup", b"alice joined")
        got, other = await first.message(), await second.message()
        assert got.body == other.body == b"alice joined"
        assert (got["destination"], got["subscription"], other["subscription"]) == ("/topic/user.signup", "0", "mine")
        await bus.house.bus.accept([{"type": "user.signup", "data": "bob joined"}])
        assert (await second.message()).body == b"bob joined"


async def test_patterns_and_severities_choose(bus: StompHouse) -> None:
    """In the order in which the events came."""
    async with connected(bus) as client:
        await client.subscribe("/topic/disk.#", id="all", severity=">=warning")
        await client.subscribe("/topic/*.full", id="full")
        for type_, severity in (("disk.full", "error"), ("disk.full", "info"), ("disk.gone", "critical")):
            await client.send(f"/topic/{type_}", severity=severity)
        await client.send("/topic/room.full", id="last")
        got = [await client.message() for _ in range(5)]
        by = {each: [one["destination"][7:] for one in got if one["subscription"] == each] for each in ("all", "full")}
        assert by == {"all": ["disk.full", "disk.gone"], "full": ["disk.full", "disk.full", "room.full"]}


async def test_what_was_before_is_not_sent(bus: StompHouse) -> None:
    """A topic has no memory; a queue has."""
    async with connected(bus) as client:
        await client.send("/topic/a", b"before")
        await client.subscribe("/topic/#")
        await client.send("/topic/a", b"after")
        assert (await client.message()).body == b"after"


async def test_unsubscribed_is_unsubscribed(bus: StompHouse) -> None:
    """The other subscription goes on."""
    async with connected(bus) as client:
        await client.subscribe("/topic/#", id="one")
        await client.subscribe("/topic/#", id="two")
        await client.done("UNSUBSCRIBE", id="one")
        await client.send("/topic/a")
        await client.send("/topic/b")
        assert [(await client.message())["subscription"] for _ in range(2)] == ["two", "two"]


async def test_prefetch_bounds_a_topic_too(bus: StompHouse) -> None:
    """What is not acknowledged holds back what follows, and nothing is lost meanwhile."""
    async with connected(bus) as client, connected(bus) as publisher:
        await client.subscribe("/topic/#", ack="client", **{"prefetch-count": "2"})
        for number in range(5):
            await publisher.send("/topic/a", b"%d" % number)
        first, second = await client.message(), await client.message()
        assert (first.body, second.body) == (b"0", b"1")
        with contextlib.suppress(TimeoutError):
            raise AssertionError(await client.get(0.1))
        client.say("ACK", id=second["ack"])
        assert [(await client.message()).body for _ in range(2)] == [b"2", b"3"]


async def test_who_does_not_read_holds_up_nobody_and_misses_nothing(bus: StompHouse) -> None:
    """The journal is its queue."""
    async with connected(bus) as slow, connected(bus) as quick:
        await slow.subscribe("/topic/#")
        await quick.subscribe("/topic/#")
        body = b"x" * 100_000
        for number in range(60):  # far more than the kernel keeps for it
            await bus.house.bus.accept([{"type": "a", "data": f"{number} {body.decode()}"}])
            assert (await quick.message()).body.split()[0] == b"%d" % number
        assert [int((await slow.message()).body.split()[0]) for _ in range(60)] == list(range(60))


# --- receipts and refusals --------------------------------------------------------------------------------------------


async def test_many_sends_share_commits_and_each_has_its_receipt(bus: StompHouse) -> None:
    """In order."""
    async with connected(bus) as client:
        client.raw(b"".join(frame("SEND", {"destination": "/topic/a", "receipt": n}, b"%d" % n) for n in range(2_500)))
        assert [int((await client.get())["receipt-id"]) for _ in range(2_500)] == list(range(2_500))
    assert (await bus.house.journal.status()).entries == 2_500


async def test_a_refused_event_ends_the_connection_and_harms_no_neighbour(bus: StompHouse) -> None:
    """ERROR says which, what is wrong with it and how to mend it."""
    async with connected(bus) as client:
        good = frame("SEND", {"destination": "/topic/a", "receipt": "good"})
        bad = frame("SEND", {"destination": "/topic/a", "receipt": "bad", "severity": "loud"})
        client.raw(good + bad)
        assert (await client.get())["receipt-id"] == "good"
        got = await client.error()
        assert (got["receipt-id"], got["code"], got["field"]) == ("bad", "invalid-event", "severity")
        assert "not one of debug" in got["message"]
        assert b"SEND to /topic/a" in got.body


WRONG: list[tuple[str, dict[str, str], str]] = [
    ("SEND", {}, "/topic/TYPE or /queue/NAME"),
    ("SEND", {"destination": "/exchange/x"}, "/topic/TYPE or /queue/NAME"),
    ("SEND", {"destination": "/topic/a b"}, "dotted words"),
    ("SEND", {"destination": "/topic/a.#"}, "dotted words"),
    ("SEND", {"destination": "/queue/a b"}, "no name of"),
    ("SEND", {"destination": "/topic/a", "transaction": "t"}, "was not begun"),
    ("SEND", {"destination": "/topic/a", "type": "b"}, "differs from the destination"),
    ("SEND", {"destination": "/topic/a", "queue": "q"}, "/queue/NAME"),
    ("SUBSCRIBE", {"destination": "/topic/a"}, "id: is missing"),
    ("SUBSCRIBE", {"id": "0", "destination": "/topic/a b"}, "a type or a pattern"),
    ("SUBSCRIBE", {"id": "0", "destination": "/queue/a b"}, "no name of"),
    ("SUBSCRIBE", {"id": "0", "destination": "/topic/a", "ack": "often"}, "client-individual"),
    ("SUBSCRIBE", {"id": "0", "destination": "/topic/a", "selector": "a = 1"}, "severity"),
    ("SUBSCRIBE", {"id": "0", "destination": "/topic/a", "severity": "loud"}, "critical"),
    ("SUBSCRIBE", {"id": "0", "destination": "/topic/a", "accept": "text/xml"}, "cloudevents"),
    ("SUBSCRIBE", {"id": "0", "destination": "/topic/a", "prefetch-count": "0"}, "from 1 up"),
    ("UNSUBSCRIBE", {"id": "0"}, "no subscription"),
    ("BEGIN", {}, "is missing"),
    ("COMMIT", {"transaction": "t"}, "was not begun"),
    ("ABORT", {"transaction": "t"}, "was not begun"),
]


async def test_every_refusal_says_what_is_wrong(bus: StompHouse) -> None:
    """With the receipt's id, so that the client knows which frame it was."""
    for command, headers, said in WRONG:
        async with connected(bus) as client:
            client.say(command, headers, receipt="77")
            got = await client.error()
            assert said in got["message"], (command, headers)
            assert got["receipt-id"] == "77"
            assert got["code"] in ("usage", "invalid-event")


async def test_the_same_id_again_is_known_and_with_other_content_a_conflict(bus: StompHouse) -> None:
    """So a client that got no RECEIPT can send again."""
    about = {"source": "shop", "id": "order-17"}
    async with connected(bus) as client:
        first = await client.send("/topic/order.paid", b"17", **about)
        again = await client.send("/topic/order.paid", b"17", **about)
        assert (first["result"], again["result"]) == ("new", "known")
        assert first["item-id"] == again["item-id"]
        client.say("SEND", {"destination": "/topic/order.paid", **about}, b"18")
        assert (await client.error())["code"] == "conflict"


async def test_a_receipt_says_whether_anybody_is_going_to_get_it(bus: StompHouse) -> None:
    """On a bus without a server no route takes an event; a queue keeps it."""
    async with connected(bus) as client:
        assert (await client.send("/topic/a"))["deliveries"] == "0"
        assert (await client.send("/queue/a"))["deliveries"] == "1"


async def test_disconnect_is_answered_and_is_the_end(bus: StompHouse) -> None:
    """Behind everything that was sent before it; what follows is not read."""
    async with connected(bus) as client:
        sent = frame("SEND", {"destination": "/topic/a", "receipt": "1"})
        client.raw(sent + frame("DISCONNECT", {"receipt": "2"}) + sent)
        assert [(await client.get())["receipt-id"] for _ in range(2)] == ["1", "2"]
        with pytest.raises(EOFError):
            await client.get()
    assert (await bus.house.journal.status()).entries == 1


async def test_one_who_has_said_all_still_gets_the_answers(bus: StompHouse) -> None:
    """`printf ... | nc`: the sending half of the connection is closed at once."""
    async with bus.client() as client:
        client.raw(frame("CONNECT") + frame("SEND", {"destination": "/topic/a", "receipt": "1"}))
        client.writer.write_eof()
        assert [(await client.get()).command for _ in range(2)] == ["CONNECTED", "RECEIPT"]


# --- what a frame carries ---------------------------------------------------------------------------------------------


async def test_what_goes_in_comes_out(bus: StompHouse) -> None:
    """Fields, own headers with strange names, text of any kind, bytes with NULs."""
    headers = {"severity": "notice", "key": "a:b", "x-own": "with: colon \\ and ä", "correlation-id": "7"}
    escaped = {name: value.replace("\\", "\\\\").replace(":", "\\c") for name, value in headers.items()}
    async with connected(bus) as client:
        await client.subscribe("/topic/#")
        body = b"\0\xff\0"
        await client.done("SEND", {"destination": "/topic/a", **escaped, "content-length": len(body)}, body)
        got = await client.message()
        assert got.body == body
        assert {name: got[name] for name in headers} == headers
        assert got["content-type"] == "application/octet-stream"


async def test_a_body_may_be_json_or_the_whole_event(bus: StompHouse) -> None:
    """Both ways."""
    async with connected(bus) as client:
        await client.subscribe("/topic/#", id="data")
        await client.subscribe("/topic/#", id="whole", accept="application/cloudevents+json")
        await client.send("/topic/a", b'{"n": 1}', **{"content-type": "application/json"})
        got = {each["subscription"]: each for each in [await client.message() for _ in range(2)]}
        assert json.loads(got["data"].body) == {"n": 1}
        whole = json.loads(got["whole"].body)
        assert (whole["type"], whole["data"], whole["specversion"]) == ("a", {"n": 1}, "1.0")
        whole["id"] = "another"
        content = {"content-type": "application/cloudevents+json"}
        await client.send("/topic/a", json.dumps(whole).encode(), **content)
        assert (await client.message())["ce-id"] == "another"


async def test_no_event_can_forge_a_header_of_stomp(bus: StompHouse) -> None:
    """Its extensions are anybody's."""
    async with connected(bus) as client:
        await client.subscribe("/topic/#", ack="client")
        forged = {"subscription": "9", "ack": "9-9", "sequence": "0", "redelivered": "true", "attempt": "99"}
        await bus.house.bus.accept([{"type": "a", "summary": "x\ndestination:/topic/b", **forged}])
        got = await client.message()
        assert (got["subscription"], got["ack"], got["destination"]) == ("0", "1-1", "/topic/a")
        assert {"redelivered", "attempt"}.isdisjoint(got.headers)
        assert got["summary"] == "x\ndestination:/topic/b"


async def test_cr_at_the_end_of_lines_is_taken(bus: StompHouse) -> None:
    """As telnet sends it."""
    async with bus.client() as client:
        client.raw(
            b"CONNECT\r\naccept-version:1.2\r\n\r\n\0\r\nSEND\r\ndestination:/topic/a\r\nreceipt:1\r\n\r\nhi\0\r\n"
        )
        assert [(await client.get()).command for _ in range(2)] == ["CONNECTED", "RECEIPT"]


async def test_a_closing_house_says_so_and_finishes_what_it_has_in_hand(bus: StompHouse) -> None:
    """Nothing that had its RECEIPT is lost, and what had none may be sent again."""
    async with connected(bus) as client:
        leaving = asyncio.create_task(bus.reload({"inputs": {}}))
        assert (await client.error())["code"] == "closing"
        await leaving
    assert "stomp" not in bus.house.inputs
