"""What comes back of messages, on real servers: receipts, markers, bounces, and what follows from them."""

import asyncio
import itertools
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.servers.chatting import House, bodies, body, chatting, firing, replaced, said
from tests.servers.outputs import SOON
from tests.servers.talking import BOT, bare, person
from tests.support.conversation import connect, log_in
from tests.support.raw import RawStream
from tests.support.server import Server, ServerFactory
from tests.support.waiting import until
from xmppbus import limits
from xmppbus.interfaces import Accepted
from xmppbus.people.model import Message
from xmppbus.route import owners_route

OFFLINE: dict[str, dict[str, Any]] = {
    "prosody": {"modules": ["offline"]},
    "ejabberd": {"modules": {"mod_offline": {"access_max_user_messages": 5}}},
}


ELSEWHERE = "events.localhost"
GONE = f"romeo@{ELSEWHERE}"
"""Somebody of another domain, which this test speaks for."""


async def test_receipts_and_markers_are_kept(server: Server, tmp_path: Path) -> None:
    """The first one counts; one marker stands for everything before it; twice is harmless."""
    async with chatting(server, tmp_path) as house, await person(server) as romeo:
        await house.subscribe(romeo)
        first, second = await house.accept({"data": "one"}, {"data": "two"})
        await romeo.until(lambda: len(said(romeo)) == 2, SOON)
        await house.settled()
        ids = [each.get("id") for each in said(romeo)]
        for each in [*ids, *ids]:
            romeo.write(receipt(each, said(romeo)[0].get("from")))
        romeo.write(marker(ids[1], BOT))

        async def seen() -> bool:
            return (await message(house, second)).displayed is not None

        await until(seen, SOON, "a marker in the ledger")
        for event in (first, second):
            row = await message(house, event)
            assert row.sent is not None
            assert row.received is not None
            assert row.displayed is not None
            assert row.displayed >= row.sent


async def test_nobody_vouches_for_somebody_else(server: Server, tmp_path: Path) -> None:
    """It is the bare JID that the server stamped that counts; ids that nobody knows change nothing."""
    async with (
        chatting(server, tmp_path) as house,
        await person(server) as romeo,
        await person(server) as tybalt,
    ):
        await house.subscribe(romeo)
        (event,) = await house.accept({"data": "one"})
        await romeo.until(lambda: len(said(romeo)) == 1, SOON)
        await house.settled()
        made = said(romeo)[0].get("id")
        tybalt.write(receipt(made, BOT) + marker(made, BOT) + receipt("", BOT) + receipt("x" * 5_000, BOT))
        tybalt.write(error(made, bare(tybalt), BOT, "item-not-found"))
        await tybalt.iq("get", BOT, "<ping xmlns='urn:xmpp:ping'/>")
        await house.settled()
        row = await message(house, event)
        assert (row.received, row.displayed, row.bounced) == (None, None, "")
        assert house.audience.person(bare(romeo)).bounces == 0


async def test_whoever_refuses_everything_is_suspended_and_owners_are_told(server: Server, tmp_path: Path) -> None:
    """Once, after some refusals in a row; what waits is held, and a sign of life brings everything back."""
    async with (
        await person(server) as owner,
        chatting(server, tmp_path, routes=[owners_route([bare(owner)])]) as house,
        await connect(server, ELSEWHERE) as elsewhere,
    ):
        await house.subscribe(GONE, pattern="user.#")
        for number in range(limits.BOUNCES):
            (event,) = await house.accept({"type": "user.signup", "data": f"{number}"})
            await refuse(elsewhere, number + 1, "item-not-found")
            await until(partial(has_bounced, house, event), SOON, "a bounce in the ledger")
            assert (await message(house, event)).bounced == "item-not-found"
        await until(lambda: bool(house.audience.person(GONE).suspended), SOON, "a suspension")
        await owner.until(lambda: len(said(owner)) == 1, SOON)
        assert f"{GONE} is sent nothing more" in bodies(owner)[0]
        (late,) = await house.accept({"type": "user.signup", "data": "late"})
        await house.settled()
        assert await house.states(late) == {}
        elsewhere.write(f"<message from='{GONE}/x' to='{BOT}' type='chat'><body>I am back</body></message>")
        await until(lambda: not house.audience.person(GONE).suspended, SOON, "the end of the suspension")
        await owner.until(lambda: len(said(owner)) == 2, SOON)
        assert replaced(said(owner)[1]) == said(owner)[0].get("id")
        await house.accept({"type": "user.signup", "data": "fresh"})
        await elsewhere.until(lambda: len(said(elsewhere)) == limits.BOUNCES + 1, SOON)
        assert bodies(elsewhere)[-1] == "• fresh"


async def counted(house: House, bounces: int) -> None:
    await until(lambda: house.audience.person(GONE).bounces == bounces, SOON, "a count")


async def test_a_receipt_between_refusals_begins_the_count_anew(server: Server, tmp_path: Path) -> None:
    """In a row means in a row."""
    async with chatting(server, tmp_path) as house, await connect(server, ELSEWHERE) as elsewhere:
        await house.subscribe(GONE)
        for number in range(limits.BOUNCES - 1):
            await house.accept({"data": f"{number}"})
            await refuse(elsewhere, number + 1, "forbidden")
            await counted(house, number + 1)
        await house.accept({"data": "taken"})
        await elsewhere.until(lambda: len(said(elsewhere)) == limits.BOUNCES, SOON)
        await house.settled()
        elsewhere.write(receipt(said(elsewhere)[-1].get("id"), BOT).replace("<message ", f"<message from='{GONE}/x' "))
        await until(lambda: house.audience.person(GONE).bounces == 0, SOON, "a new beginning")


async def test_what_came_back_for_the_moment_is_sent_again_with_new_ids(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Later, in order, and only so often."""
    monkeypatch.setattr(limits, "BOUNCE_FIRST_SECONDS", 0.2)
    async with chatting(server, tmp_path, dice=1.0) as house, await connect(server, ELSEWHERE) as elsewhere:
        await house.subscribe(GONE)
        events = await house.accept({"data": "one"}, {"data": "two"})
        await refuse(elsewhere, 2, "recipient-unavailable")
        await elsewhere.until(lambda: len(said(elsewhere)) == 4, SOON)
        await house.settled()
        assert bodies(elsewhere) == ["• one", "• two", "• one", "• two"]
        assert len({each.get("id") for each in said(elsewhere)}) == 4
        rows = await house.messages(events[0])
        assert [each.bounced for each in rows] == ["recipient-unavailable", ""]
        assert house.audience.person(GONE).bounces == 0


async def test_what_comes_back_before_it_is_settled_is_sent_again(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the ping behind the rest of its run is on its way."""
    monkeypatch.setattr(limits, "BOUNCE_FIRST_SECONDS", 0.2)
    monkeypatch.setattr(limits, "FENCE_DELIVERIES", 1)
    async with chatting(server, tmp_path, dice=1.0) as house, await connect(server, ELSEWHERE) as elsewhere:
        await house.subscribe(GONE)
        fence, came_back = house.talk.fence, asyncio.Event()
        fences = itertools.count()

        async def slow(session: int) -> None:
            if next(fences):
                await came_back.wait()
            await fence(session)

        monkeypatch.setattr(house.talk, "fence", slow)
        first, _ = await house.accept({"data": "one"}, {"data": "two"})
        await refuse(elsewhere, 1, "recipient-unavailable")
        await until(lambda: house.ledger.seconds(GONE) > 0, SOON, "another attempt")
        came_back.set()
        await elsewhere.until(lambda: len(said(elsewhere)) == 3, SOON)
        await house.settled()
        assert bodies(elsewhere) == ["• one", "• two", "• one"]
        assert [each.bounced for each in await house.messages(first)] == ["recipient-unavailable", ""]


async def test_a_digest_that_came_back_is_told_again_whole(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not at once: its place waits as long as that of other messages."""
    monkeypatch.setattr(limits, "BOUNCE_FIRST_SECONDS", 0.2)
    async with chatting(server, tmp_path, dice=1.0) as house, await connect(server, ELSEWHERE) as elsewhere:
        await house.subscribe(GONE, digest_seconds=3_600, digest_events=3)
        events = await house.accept(*({"data": each} for each in ("one", "two", "three")))
        await refuse(elsewhere, 1, "recipient-unavailable")
        await elsewhere.until(lambda: len(said(elsewhere)) == 2, SOON)
        await house.settled()
        assert [body(each).splitlines()[0] for each in said(elsewhere)] == ["*3 events*"] * 2
        assert body(said(elsewhere)[0]) == body(said(elsewhere)[1])
        assert len({each.get("id") for each in said(elsewhere)}) == 2
        for event in events:
            assert [each.bounced for each in await house.messages(event)] == ["recipient-unavailable", ""]


async def test_what_was_missed_while_suspended_is_mended(server: Server, tmp_path: Path) -> None:
    """A message that is there does not say for ever that it fires; nor does one whose correction came back."""
    async with chatting(server, tmp_path) as house, await connect(server, ELSEWHERE) as elsewhere:
        await house.subscribe(GONE)
        await house.accept(firing(), firing("db2"))
        await elsewhere.until(lambda: len(said(elsewhere)) == 2, SOON)
        await house.settled()
        first, other = said(elsewhere)
        (over,) = await house.accept(firing(status="resolved"))
        await elsewhere.until(lambda: len(said(elsewhere)) == 3, SOON)
        await house.settled()
        elsewhere.write(error(said(elsewhere)[2].get("id"), GONE, BOT, "service-unavailable"))
        await until(partial(has_bounced, house, over), SOON, "a bounce in the ledger")
        await counted(house, 1)
        await house.audience.suspend(GONE, "it was refused")
        await house.accept(firing("db2", status="resolved"))
        await house.settled()
        elsewhere.write(f"<message from='{GONE}/x' to='{BOT}' type='chat'><body>I am back</body></message>")

        def mended() -> set[str]:
            return {replaced(each) for each in said(elsewhere)[3:] if body(each).startswith("✔ *resolved*")}

        await elsewhere.until(lambda: mended() == {first.get("id"), other.get("id")}, SOON)


async def test_what_happens_while_somebody_can_not_be_reached_is_one_message(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that was away for a night is not met with all of the night's messages."""
    monkeypatch.setattr(limits, "BOUNCE_FIRST_SECONDS", 1.0)
    async with chatting(server, tmp_path, dice=1.0) as house, await connect(server, ELSEWHERE) as elsewhere:
        await house.subscribe(GONE)
        await house.accept({"data": "one"})
        await refuse(elsewhere, 1, "remote-server-timeout")
        await until(lambda: house.ledger.seconds(GONE) > 0, SOON, "another attempt")
        await house.accept({"data": "two"}, {"data": "three"})
        await elsewhere.until(lambda: len(said(elsewhere)) == 3, SOON)
        await house.settled()
        again, *gathered = sorted((body(each) for each in said(elsewhere)[1:]), key=len)
        assert again.startswith("• one\n")
        assert gathered == ["*2 events*\n• disk.full two\n• disk.full three"]


async def test_nobody_is_tried_for_ever(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After some attempts it counts as a refusal."""
    monkeypatch.setattr(limits, "BOUNCE_FIRST_SECONDS", 0.01)
    monkeypatch.setattr(limits, "BOUNCE_MOST_SECONDS", 0.02)
    async with chatting(server, tmp_path) as house, await connect(server, ELSEWHERE) as elsewhere:
        await house.subscribe(GONE)
        await house.accept({"data": "one"})
        for attempt in range(limits.BOUNCE_ATTEMPTS + 1):
            await refuse(elsewhere, attempt + 1, "remote-server-timeout")
        await until(lambda: house.audience.person(GONE).bounces == 1, SOON, "a refusal")
        await house.settled()
        assert len(said(elsewhere)) == limits.BOUNCE_ATTEMPTS + 1


async def test_what_never_came_is_not_corrected(server: Server, tmp_path: Path) -> None:
    """The next change of the incident is a message of its own."""
    async with chatting(server, tmp_path) as house, await connect(server, ELSEWHERE) as elsewhere:
        await house.subscribe(GONE)
        (event,) = await house.accept(firing())
        await refuse(elsewhere, 1, "forbidden")
        await until(partial(has_bounced, house, event), SOON, "a bounce in the ledger")
        await house.settled()
        await house.accept(firing(status="resolved"))
        await elsewhere.until(lambda: len(said(elsewhere)) == 2, SOON)
        assert replaced(said(elsewhere)[1]) == ""


async def test_what_a_server_says_of_an_account_that_is_not_there(
    own_server: ServerFactory, server_name: str, tmp_path: Path
) -> None:
    """Both say service-unavailable, which counts as a refusal."""
    server = await own_server(server_name, **OFFLINE[server_name])
    async with chatting(server, tmp_path) as house:
        await house.subscribe("nobody@localhost")
        (event,) = await house.accept({"data": "one"})
        await until(partial(has_bounced, house, event), SOON, "a bounce in the ledger")
        assert (await message(house, event)).bounced == "service-unavailable"
        await until(lambda: house.audience.person("nobody@localhost").bounces == 1, SOON, "a refusal")


async def test_a_full_offline_storage_is_waited_for(own_server: ServerFactory, tmp_path: Path) -> None:
    """ejabberd says so (Prosody has no bound): whoever comes back gets what was stored, and then the rest."""
    server = await own_server("ejabberd", **OFFLINE["ejabberd"])
    async with chatting(server, tmp_path, dice=1.0) as house:
        await house.subscribe("reader@localhost")
        await house.accept(*({"data": f"number {number}"} for number in range(8)))

        async def is_full() -> bool:
            return house.ledger.seconds("reader@localhost") > 0 and house.ledger.is_idle

        await until(is_full, SOON, "a full storage")
        async with await log_in(server, "reader@localhost") as reader:
            reader.write(f"<message to='{BOT}' type='chat'><body>hello</body></message>")
            await reader.until(lambda: len(said(reader)) >= 8, SOON)
            assert set(bodies(reader)) == {f"• number {number}" for number in range(8)}


async def test_a_flood_of_receipts_is_bounded(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is beyond the bound is dropped and counted, and everything else goes on."""
    monkeypatch.setattr(limits, "HEARD_WAITING", 50)
    async with chatting(server, tmp_path) as house, await person(server) as romeo:
        await house.subscribe(romeo)
        romeo.write("".join(receipt(f"{number}", BOT) for number in range(2_000)))
        (event,) = await house.accept({"data": "one"})
        await romeo.until(lambda: len(said(romeo)) == 1, SOON)
        await romeo.iq("get", BOT, "<ping xmlns='urn:xmpp:ping'/>")
        await house.settled()
        romeo.write(receipt(said(romeo)[0].get("id"), BOT))

        async def received() -> bool:
            return (await message(house, event)).received is not None

        await until(received, SOON, "a receipt in the ledger")


# --- short forms ------------------------------------------------------------------------------------------------------


def receipt(of: str, to: str) -> str:
    """As a client sends it."""
    return f"<message to='{to}' type='chat'><received xmlns='urn:xmpp:receipts' id='{of}'/></message>"


def marker(of: str, to: str) -> str:
    """The same, of what was looked at."""
    return f"<message to='{to}' type='chat'><displayed xmlns='urn:xmpp:chat-markers:0' id='{of}'/></message>"


def error(of: str, sender: str, to: str, condition: str) -> str:
    """A message that comes back."""
    return (
        f"<message from='{sender}' to='{to}' type='error' id='{of}'><error type='cancel'>"
        f"<{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
    )


async def refuse(elsewhere: RawStream, count: int, condition: str) -> None:
    """Send back, as their server would, what has not come back yet, once there are so many messages in all."""
    await elsewhere.until(lambda: len(said(elsewhere)) >= count, SOON)
    for each in said(elsewhere)[:count]:
        if not each.payloads:
            each.payloads.append(b"came back")
            elsewhere.write(error(each.get("id"), each.get("to"), each.get("from"), condition))


async def message(house: House, of: Accepted, index: int = 0) -> Message:
    """One row of the ledger."""
    return (await house.messages(of))[index]


async def has_bounced(house: House, of: Accepted) -> bool:
    """Whether the ledger says that it came back."""
    return any(each.bounced for each in await house.messages(of))
