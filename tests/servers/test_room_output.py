"""Rooms are told events: in order, once, and the reflected message is the yes; whatever happens to room and network."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import pytest
import pytest_asyncio

from tests.servers.chatting import body, firing, replaced
from tests.servers.outputs import SOON, deliveries
from tests.servers.rooming import Telling, telling
from tests.servers.talking import person
from tests.support.proxy import Proxy
from tests.support.room_owner import RoomOwner
from tests.support.server import Server
from tests.support.waiting import until
from xmppbus import limits
from xmppbus.event import OURS
from xmppbus.journal import State, Verdict
from xmppbus.people.incidents import RETRACTED
from xmppbus.people.model import Status, Subscription, message_id
from xmppbus.route import Target
from xmppbus.xmpp import muc, standing
from xmppbus.xmpp.messages import RETRACT, chat


@pytest_asyncio.fixture
async def owner(server: Server) -> AsyncIterator[RoomOwner]:
    """Somebody who makes rooms."""
    async with await person(server, "owner") as stream:
        yield RoomOwner(stream)


async def heard(owner: RoomOwner, room: str, count: int) -> list[str]:
    """What the bot has said, first lines, once it has said so much."""
    await owner.stream.until(lambda: len(owner.said(room)) >= count, SOON)
    return [each.splitlines()[0] for each in owner.bodies(room)]


async def run(of: Telling, room: str, count: int, **fields: Any) -> list[Verdict]:
    """Deliver numbered events in one run."""
    found = deliveries("test.room", count, **fields)
    return [outcome.verdict async for outcome in of.room.deliver_run(room, found)]


# --- telling --------------------------------------------------------------------------------------------------------


async def test_the_reflected_message_is_the_yes(server: Server, owner: RoomOwner, tmp_path: Path) -> None:
    """With the id that says which event it was and to whom; both servers keep it. The ledger knows it."""
    ops = await owner.make()
    async with telling(server, tmp_path, ops) as house:
        one = await house.accept(summary="disk full")
        await house.settled()
        assert await house.state(one) is State.DELIVERED
        assert "disk full" in (await heard(owner, ops, 1))[0]
        made = message_id(one.item_id, ops, 0)
        assert owner.said(ops)[0].get("id") == made
        assert [(each.id, each.jid) for each in await house.messages(one)] == [(made, ops)]


async def test_a_hundred_messages_are_in_order(server: Server, owner: RoomOwner, tmp_path: Path) -> None:
    """A few on their way at once."""
    ops = await owner.make()
    async with telling(server, tmp_path, ops) as house:
        sent = [await house.accept(summary=f"number {number}") for number in range(100)]
        ids = [message_id(each.item_id, ops, 0) for each in sent]
        await owner.stream.until(lambda: len(owner.said(ops)) == 100, 30)
        await house.settled()
        assert [each.get("id") for each in owner.said(ops)] == ids


async def test_a_room_subscribes_like_a_person(server: Server, owner: RoomOwner, tmp_path: Path) -> None:
    """And hears what it wants, in the room."""
    ops = await owner.make()
    async with telling(server, tmp_path, ops, routed=False) as house:
        moment = datetime(2026, 1, 31, tzinfo=UTC)
        await house.bot.audience.subscribe(Subscription(owner=ops, pattern="disk.#", created=moment))
        await house.accept(type="user.signup", summary="not this")
        await house.accept(summary="but this")
        await house.settled()
        (said,) = await heard(owner, ops, 1)
        assert "but this" in said


# --- incidents ------------------------------------------------------------------------------------------------------


async def test_an_incident_is_corrected_while_its_message_is_the_last(
    server: Server, owner: RoomOwner, tmp_path: Path
) -> None:
    """What others say in between does not count: only one's own last message can be corrected."""
    ops = await owner.make()
    async with telling(server, tmp_path, ops) as house:
        await house.accept(**firing(summary="disk 91 %"))
        await heard(owner, ops, 1)
        owner.say(ops, "I am looking at it")
        await house.accept(**firing(summary="disk 92 %"))
        await heard(owner, ops, 2)
        first, second = owner.said(ops)
        assert replaced(second) == first.get("id")
        assert "92 %" in body(second)


async def test_an_incident_whose_message_is_not_the_last_is_told_anew(
    server: Server, owner: RoomOwner, tmp_path: Path
) -> None:
    """And only what matters: that it fires once more is not worth a message, its end is."""
    ops = await owner.make()
    async with telling(server, tmp_path, ops) as house:
        await house.accept(**firing(summary="disk 91 %"))
        await heard(owner, ops, 1)
        await house.accept(summary="something else")
        await heard(owner, ops, 2)
        await house.accept(**firing(summary="disk 92 %"))
        await house.accept(**firing(summary="disk 10 %", status="resolved"))
        await house.settled()
        said = await heard(owner, ops, 3)
        assert ["91 %" in said[0], "something else" in said[1], "resolved" in said[2]] == [True] * 3
        assert [replaced(each) for each in owner.said(ops)] == ["", "", ""]


async def test_what_becomes_of_an_incident_while_its_message_is_on_its_way_is_said(
    server: Server, owner: RoomOwner, tmp_path: Path
) -> None:
    """No route sends the acknowledgement there: the room is told because it has been told of the incident."""
    ops = await owner.make()
    async with telling(server, tmp_path, ops, types="disk.#") as house:
        late: list[Element] = []
        hooks = house.bot.stream.hooks
        hooks.messages.remove(house.bot.rooms._message)
        hooks.messages.append(late.append)
        await house.accept(**firing(summary="disk 91 %"))
        await until(lambda: any(muc.has_body(each) for each in late), SOON, "the message to come back")
        fields = {"type": "incident.acknowledged", "source": "xmppbus", "status": "acknowledged", "key": "db1"}
        await house.accept(**firing(**fields, data={"by": "romeo@example.org", "via": "chat"}))

        async def folded() -> bool:
            incident = await house.bot.journal.people.incident("db1")
            waiting = await house.bot.journal.people.waiting(Target("people", "all"), 1)
            return incident is not None and incident.status is Status.ACKNOWLEDGED and not waiting

        await until(folded, SOON, "the acknowledgement to be folded")
        hooks.messages.append(house.bot.rooms._message)
        for each in late:
            house.bot.rooms._message(each)
        await heard(owner, ops, 2)
        assert "acknowledged by romeo@example.org" in owner.bodies(ops)[1]
        assert replaced(owner.said(ops)[1]) == owner.said(ops)[0].get("id")
        hooks.messages.remove(late.append)


async def test_an_answer_of_the_bot_is_its_last_message_too(server: Server, owner: RoomOwner, tmp_path: Path) -> None:
    """Whoever in the house has said it."""
    ops = await owner.make()
    async with telling(server, tmp_path, ops) as house:
        await house.accept(**firing(summary="disk 91 %"))
        await heard(owner, ops, 1)
        sender = house.bot.talk.full()
        house.bot.talk.send(chat(to=ops, sender=sender, message_id="answer", body="pong", kind="groupchat"))
        await until(lambda: house.room.last.is_last(ops, "answer"), SOON, "the answer")
        await house.accept(**firing(summary="disk 10 %", status="resolved"))
        await heard(owner, ops, 3)
        assert replaced(owner.said(ops)[-1]) == ""


async def test_what_was_a_mistake_is_taken_back(server: Server, owner: RoomOwner, tmp_path: Path) -> None:
    """XEP-0424, for everybody in the room."""
    ops = await owner.make()
    async with telling(server, tmp_path, ops) as house:
        one = await house.accept(summary="a secret")
        await heard(owner, ops, 1)
        await house.settled()
        await house.accept(type=RETRACTED, source=OURS, id=f"{one.item_id}/retracted", data={"item": one.item_id})
        await heard(owner, ops, 2)
        found = owner.said(ops)[1].find(RETRACT, "retract")
        assert found is not None
        stanza = owner.said(ops)[0]
        given = [each.get("id") for each in stanza.element.findall("{urn:xmpp:sid:0}stanza-id")]
        assert found.get("id") == (given or [stanza.get("id")])[0]


# --- not there ------------------------------------------------------------------------------------------------------


async def test_without_a_voice_the_place_stops_until_it_has_one(
    server: Server, owner: RoomOwner, tmp_path: Path
) -> None:
    """Nothing is dead; as soon as a moderator gives it one, everything is said, in order."""
    ops = await owner.make(moderatedroom="1")
    async with telling(server, tmp_path, ops) as house:
        await owner.give(ops, nick="bot", role="visitor")
        await until(lambda: _role(house, ops) == "visitor", SOON, "no voice")
        await house.accept(summary="one")
        await house.accept(summary="two")
        place = await house.stopped(ops, "forbidden")
        assert place.stop is not None
        assert "voice" in place.stop.text
        assert (await house.bot.journal.status()).dead == 0
        await owner.give(ops, nick="bot", role="participant")
        assert ["one" in each or "two" in each for each in await heard(owner, ops, 2)] == [True, True]
        await house.settled()


def _role(house: Telling, room: str) -> str:
    found = house.bot.rooms.occupant(room, house.bot.rooms.nick(room))
    return found.role if found else ""


async def test_put_out_it_says_so_and_goes_on_when_it_is_back(
    server: Server, owner: RoomOwner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The place says why; what waits is said on return."""
    monkeypatch.setattr(limits, "ROOM_KICKED_SECONDS", 2.0)
    ops = await owner.make()
    async with telling(server, tmp_path, ops) as house:
        await owner.give(ops, nick="bot", role="none")
        await house.bot.until(ops, standing.State.KICKED)
        one = await house.accept(summary="waits")
        place = await house.stopped(ops, "kicked")
        assert place.stop is not None
        assert "by the test" in place.stop.text
        assert await house.state(one) is State.WAITING
        assert "waits" in (await heard(owner, ops, 1))[0]
        await house.settled()


async def test_a_room_that_has_silently_lost_us_is_entered_again(
    server: Server, owner: RoomOwner, tmp_path: Path
) -> None:
    """Its error says so, and nothing is lost."""
    ops = await owner.make()
    async with telling(server, tmp_path, ops) as house:
        bot = house.bot
        bot.stream.hooks.presences.remove(bot.rooms._presence)
        bot.talk.send(muc.leave(ops, "bot", sender=bot.talk.full()))
        await owner.stream.until(lambda: not owner.sees(ops, "bot"))
        await bot.talk.fence(bot.talk.session)
        bot.stream.hooks.presences.append(bot.rooms._presence)
        assert bot.state(ops) is standing.State.IN
        one = await house.accept(summary="said all the same")
        assert "said all the same" in (await heard(owner, ops, 1))[0]
        await house.settled()
        assert await house.state(one) is State.DELIVERED


async def test_a_room_that_nobody_wants_us_in_holds_what_waits(
    server: Server, owner: RoomOwner, tmp_path: Path
) -> None:
    """It was left since; nothing of it is dead."""
    ops, other = await owner.make(), await owner.make()
    async with telling(server, tmp_path, ops) as house:
        found = [outcome async for outcome in house.room.deliver_run(other, deliveries("test.room", 3))]
        assert [each.verdict for each in found] == [Verdict.STOPPED, Verdict.UNSENT, Verdict.UNSENT]
        assert found[0].condition == "gone"


# --- the network ----------------------------------------------------------------------------------------------------


async def test_what_nobody_knows_is_said_again_with_the_same_id(
    server: Server, owner: RoomOwner, tmp_path: Path
) -> None:
    """The connection is cut when the room has taken it and we have not heard so."""
    ops = await owner.make()
    async with Proxy(server.component_port) as proxy, telling(server, tmp_path, ops, port=proxy.port) as house:
        proxy.to_bus.cut_before = b"number 0"
        sent = [await house.accept(summary=f"number {number}") for number in range(3)]
        ids = [message_id(each.item_id, ops, 0) for each in sent]
        await until(lambda: proxy.cuts == 1, SOON, "the cut")
        await owner.stream.until(lambda: ids[2] in [each.get("id") for each in owner.said(ops)], 30)
        await house.settled()
        assert list(dict.fromkeys(each.get("id") for each in owner.said(ops))) == ids


async def test_a_message_that_never_comes_back_is_unknown(
    server: Server, owner: RoomOwner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a deadline; what is behind it was not sent, and the room is asked whether it has us."""
    monkeypatch.setattr(limits, "ROOM_REFLECT_SECONDS", 0.3)
    ops = await owner.make()
    async with telling(server, tmp_path, ops) as house:
        bot = house.bot
        before = bot.rooms._rooms[ops].pings
        bot.stream.hooks.messages.remove(bot.rooms._message)
        assert await run(house, ops, 3) == [Verdict.UNKNOWN, Verdict.UNSENT, Verdict.UNSENT]
        bot.stream.hooks.messages.append(bot.rooms._message)
        await until(lambda: bot.rooms._rooms[ops].pings > before, SOON, "the ping")
        assert await run(house, ops, 3) == [Verdict.DELIVERED] * 3
        assert len(bot.rooms._reflections) == 0
