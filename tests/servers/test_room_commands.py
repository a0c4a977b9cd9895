"""What is said of rooms that do not answer, and what in rooms is not answered, on real servers."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.administrator import ROOMS
from tests.support.living_house import living
from tests.support.raw import component
from tests.support.server import COMPONENTS, Server
from tests.support.talk_person import Person
from tests.support.waiting import until
from xmppbus import limits
from xmppbus.house import House
from xmppbus.interfaces import Accepted
from xmppbus.journal import State as Fate
from xmppbus.xmpp.standing import State

AUTOMATIC = (
    "<headers xmlns='http://jabber.org/protocol/shim'><header name='Auto-Submitted'>auto-replied</header></headers>"
)


async def owner_of(server: Server) -> Person:
    """Somebody with a client, who is to be the bot's owner."""
    jid = f"romeo.{uuid4().hex[:8]}@{server.domain}"
    await server.create_account(jid, "pw")
    person = Person(server, jid, "pw", f"bot@{server.component_jid}")
    await person.log_in()
    return person


async def test_who_says_join_does_not_wait_for_a_service_that_is_silent(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on by itself; `leave` ends it, and says goodbye to whoever may have let us in without a word."""
    monkeypatch.setattr(limits, "ROOM_ANSWER_SECONDS", 0.3)
    romeo, room = await owner_of(server), f"ops@{COMPONENTS[1]}"
    silent = await component(server.host, server.component_port, COMPONENTS[1], server.secret)
    async with silent, living(server, tmp_path, {"affiliations": {romeo.jid: "owner"}}) as house:
        assert house.rooms is not None
        romeo.say(f"join {room}")
        assert (await romeo.hear()).body.startswith(f"{room} does not answer yet. I go on trying")
        standing = house.rooms.standing(room)
        assert standing is not None
        assert standing.state is State.JOINING
        romeo.say(f"leave {room}")
        assert (await romeo.hear()).body == f"I have left {room}."
        assert house.rooms.standing(room) is None
        await silent.until(
            lambda: [each.get("type") for each in silent.stanzas if each.name == "presence"] == ["", "unavailable"]
        )
    await romeo.leave()


async def test_another_program_in_the_room_is_not_answered(server: Server, tmp_path: Path) -> None:
    """What it says is marked as automatic (RFC 3834): what a person says behind it is answered first."""
    romeo, room = await owner_of(server), f"ops-{uuid4().hex[:8]}@{ROOMS}"
    await romeo.join(room, "romeo")
    bot = {"affiliations": {romeo.jid: "owner"}, "rooms": [{"jid": room}]}
    async with living(server, tmp_path, bot) as house:
        rooms = house.rooms
        assert rooms is not None
        await until(lambda: rooms.nick(room), 15, "the bot to be in the room")
        romeo.say("!version", to=room, kind="groupchat", extra=AUTOMATIC)
        romeo.say("version", to=f"{room}/bot", extra=AUTOMATIC)
        romeo.say("!whoami", to=room, kind="groupchat")
        assert (await romeo.hear(room)).body.startswith("romeo: You are ")
        assert not await romeo.nothing_more()
    await romeo.leave()


async def test_an_accounts_bot_is_spoken_to_in_rooms_too(server: Server, tmp_path: Path) -> None:
    """By its name and in private; it tells the room, and hears an ack there."""
    romeo, room = await owner_of(server), f"ops-{uuid4().hex[:8]}@{ROOMS}"
    await romeo.join(room, "romeo")
    account = f"bot.{uuid4().hex[:8]}@{server.domain}"
    await server.create_account(account, "pw")
    bot = {"affiliations": {romeo.jid: "owner"}, "rooms": [{"jid": room}]}
    routes = [{"name": "ops", "match": "disk.#", "to": [f"room:{room}"]}]
    async with living(server, tmp_path, bot, account=account, routes=routes) as house:
        rooms = house.rooms
        assert rooms is not None
        await until(lambda: rooms.nick(room), 15, "the bot to be in the room")
        romeo.say("bot: whoami", to=room, kind="groupchat")
        assert (await romeo.hear(room)).body.startswith(f"romeo: You are {romeo.jid}, owner.")
        romeo.say("rooms", to=f"{room}/bot")
        assert (await romeo.hear()).body == f"{room} · in it as bot, 2 occupants · in the config"
        await event(house, key="db1", status="firing", severity="error", summary="it is full")
        assert (await romeo.hear(room)).body.startswith("✖ *firing* it is full")
        romeo.react("👍", room)
        assert (await romeo.hear(room, "correction")).body.startswith("✖ *acknowledged* it is full")
    await romeo.leave()


async def event(house: House, **fields: str) -> int:
    """The sequence of an event that was accepted."""
    (answer,) = await house.bus.accept([{"id": uuid4().hex, "type": "disk.full", **fields}])
    assert isinstance(answer, Accepted), answer
    return answer.sequence


async def told(house: House, sequence: int, room: str) -> list[tuple[str, Fate]]:
    """Which outputs had it for a room, and what became of it, once nothing is under way."""

    async def settled() -> bool:
        places = await house.journal.places()
        return not [each for each in places if each.output in ("people", "room", "chat") and not each.stop]

    await until(settled, 15, "what is on its way to have arrived")
    return [(each.output, each.state) for each in await house.journal.fates(sequence) if each.place == room]


async def test_a_room_that_the_bot_has_left_stays_a_room(server: Server, tmp_path: Path) -> None:
    """Nobody writes to it as to a person: what it heard is not mended, and what it still wants to hear waits."""
    romeo, mark = await owner_of(server), uuid4().hex[:8]
    ops, hall = f"ops-{mark}@{ROOMS}", f"hall-{mark}@{ROOMS}"
    bot = {"affiliations": {romeo.jid: "owner"}, "rooms": [{"jid": ops}]}
    for room in (ops, hall):
        await romeo.join(room, "romeo")
    async with living(server, tmp_path, bot) as house:
        rooms = house.rooms
        assert rooms is not None
        romeo.say(f"join {hall}")
        assert "I am in" in (await romeo.hear()).body
        await until(lambda: rooms.nick(ops), 15, "the bot to be in the room")
        for room in (ops, hall):
            romeo.say("!subscribe disk.#", to=room, kind="groupchat")
            assert "This room gets" in (await romeo.hear(room)).body
        await event(house, key=mark, status="firing", severity="error", summary="it is full")
        for room in (ops, hall):
            assert "it is full" in (await romeo.hear(room)).body
        romeo.say(f"leave {hall}")
        romeo.say((await romeo.hear()).body.rpartition(" ")[2])
        assert "I have left" in (await romeo.hear()).body
        sequence = await event(house, key=mark, status="resolved", severity="error", summary="it is full")
        assert await told(house, sequence, ops) == [("room", Fate.DELIVERED)]
        assert await told(house, sequence, hall) == [("room", Fate.DELIVERED)]
    async with living(server, tmp_path, {**bot, "rooms": []}) as house:
        sequence = await event(house, summary="it is full again", severity="error")

        async def is_stopped() -> bool:
            found = [each for each in await house.journal.places() if each.place == ops]
            return [(each.output, each.stop and each.stop.condition) for each in found] == [("room", "gone")]

        await until(is_stopped, 15, "the room's place to be stopped")
        assert await told(house, sequence, ops) == [("room", Fate.WAITING)]
        romeo.say("who")
        assert "I am not to be there any more" in (await romeo.hear()).body
    assert [each.body for each in await romeo.nothing_more() if "full again" in each.body] == []
    await romeo.leave()
