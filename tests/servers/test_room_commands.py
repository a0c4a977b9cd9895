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
