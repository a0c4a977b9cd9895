"""Every command of the bot, by everybody, said in a room and whispered there, and as a form through the room.

In a room that shows real JIDs people have their own rights, and those that the config gives to who is something in the
room; in one that hides them nobody has more than a stranger, whatever the room says of him.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from tests.servers.test_rights import Cell, executed, typed, verdict
from tests.support.administrator import ROOMS
from tests.support.living_house import living
from tests.support.rights import ACTIONS, AFFILIATIONS, Traces, expected, leaves_a_trace
from tests.support.room_owner import RoomOwner
from tests.support.server import Server
from tests.support.talk_person import Person
from tests.support.waiting import until
from xmppbus import limits
from xmppbus.xmpp.standing import State

ADMITTED = "admitted"
"""Somebody whom the config does not name, and who is a member of the room: there that makes him a publisher."""

OF_THE_ROOM = ("subscribe", "unsubscribe", "mute", "unmute", "snooze", "hold")
"""In a room these are about what all of it hears."""

GENEROUS = {"owner": "owner", "admin": "owner", "member": "publisher"}


class Room:
    """A house whose bot is in a room with everybody."""

    def __init__(self, jid: str, people: dict[str, Person], traces: Traces, *, is_hidden: bool) -> None:
        self.jid = jid
        self.people = people
        self.traces = traces
        self.is_hidden = is_hidden

    def affiliation(self, name: str) -> str:
        """What somebody is to the bot in this room."""
        if self.is_hidden:
            return "none"
        return "publisher" if name == ADMITTED else name


@asynccontextmanager
async def room(server: Server, directory: Path, *, is_hidden: bool, before: str = "") -> AsyncIterator[Room]:
    """The room belongs to an owner of the bot, who says something there `before` the bot comes."""
    mark = uuid4().hex[:8]
    people = {
        each: Person(server, f"{each}.{mark}@{server.domain}", "pw", f"bot@{server.component_jid}")
        for each in (*AFFILIATIONS, ADMITTED)
    }
    for person in people.values():
        await server.create_account(person.jid, "pw")
        await person.log_in()
    jid = f"rights-{mark}@{ROOMS}"
    try:
        owner = RoomOwner(people["owner"].stream, "owner")
        await owner.join(jid)
        for name, person in people.items():
            await person.join(jid, name)
        await owner.configure(jid, whois="moderators" if is_hidden else "anyone")
        await owner.give(jid, jid=people[ADMITTED].jid, affiliation="member")
        if before:
            owner.say(jid, before)
            await owner.stream.until(lambda: before in owner.bodies(jid, "owner"))
        bot = {
            "affiliations": {person.jid: name for name, person in people.items() if name not in ("none", ADMITTED)},
            "rooms": [{"jid": jid, "affiliations": GENEROUS}],
        }
        async with living(server, directory, bot) as house:
            traces = Traces(house, "")
            traces.item = await traces.event()

            def is_in() -> bool:
                standing = house.rooms.standing(jid) if house.rooms else None
                return standing is not None and standing.state is State.IN

            await until(is_in, 15, "the bot to be in the room")
            yield Room(jid, people, traces, is_hidden=is_hidden)
    finally:
        await asyncio.gather(*(person.leave() for person in people.values()))


@pytest.fixture(autouse=True)
def _nobody_is_told_to_slow_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same refusal thirty times in a second is what this is about."""
    for pace in ("ANSWERS_PER_MINUTE", "SAME_ANSWERS_PER_MINUTE"):
        monkeypatch.setattr(limits, pace, 10_000)


@pytest.mark.parametrize("is_hidden", [False, True], ids=["shown", "hidden"])
@pytest.mark.parametrize("place", ["room", "private", "form"])
async def test_every_command_by_everybody_in_a_room(
    server: Server, tmp_path: Path, place: str, *, is_hidden: bool
) -> None:
    """With the prefix to everybody, in a private message to the bot, or as an ad-hoc command of its nick there."""
    wrong: dict[Cell, object] = {}
    async with room(server, tmp_path, is_hidden=is_hidden) as scene:
        heard = [name for name in scene.people if scene.affiliation(name) != "outcast"]

        async def cell(command: str, name: str) -> None:
            said, done = await given(scene, scene.people[name], command, place)
            affiliation = scene.affiliation(name)
            wanted = expected(command, affiliation)
            if command == "more" and place == "form" and wanted == "done":
                wanted = "item-not-found"  # it is for chats alone
            should = None if done is None else leaves_a_trace(command, affiliation, "hidden" if is_hidden else place)
            if (said, done) != (wanted, should):
                wrong[command, name] = {"said": said, "done": done}

        for command in ACTIONS:
            if place == "room" and command in OF_THE_ROOM:
                for name in heard:
                    await cell(command, name)
            else:
                await asyncio.gather(*(cell(command, name) for name in heard))
        for person in scene.people.values():
            left = [each for each in await person.nothing_more() if each.kind != "groupchat"]
            assert not left, left
        if not is_hidden:
            await nothing_is_answered_or_done(scene, scene.people["outcast"], place)
    assert not wrong


async def given(scene: Room, person: Person, command: str, place: str) -> tuple[str, bool | None]:
    """Give a command; what is answered, and whether it was done."""
    traces, mark = scene.traces, uuid4().hex
    subject = scene.jid if place == "room" else person.jid
    fields = await traces.prepare(command, mark, subject)
    if place == "form":
        said = await executed(person, command, fields, f"{scene.jid}/bot")
    else:
        say(scene, person, typed(command, fields), place)
        said = verdict(await told(scene, person) if place == "room" else (await person.hear()).body)
    done = await traces.done(command, mark, subject)
    if command in OF_THE_ROOM:
        await traces.clean(subject)
    return said, done


async def nothing_is_answered_or_done(scene: Room, outcast: Person, place: str) -> None:
    """All commands one after the other, and silence."""
    subject = scene.jid if place == "room" else outcast.jid
    marks = {command: uuid4().hex for command in ACTIONS}
    for command, mark in marks.items():
        fields = await scene.traces.prepare(command, mark, subject)
        if place == "form":
            assert await executed(outcast, command, fields, f"{scene.jid}/bot") == "silent"
        else:
            say(scene, outcast, typed(command, fields), place)
    # Somebody else's word behind them is answered: so they have been heard, in a room as in private.
    witness = scene.people["owner"]
    say(scene, witness, "version", "room")
    while "xmppbus" not in await told(scene, witness):
        pass
    said = [each.body for each in await outcast.nothing_more() if each.kind != "groupchat" or "outcast: " in each.body]
    assert not said
    done = [command for command, mark in marks.items() if await scene.traces.done(command, mark, subject)]
    assert not done


def say(scene: Room, person: Person, text: str, place: str) -> None:
    """To everybody, or to the bot alone."""
    if place == "room":
        person.say(f"!{text}", to=scene.jid, kind="groupchat")
    else:
        person.say(text, to=f"{scene.jid}/bot")


async def told(scene: Room, person: Person) -> str:
    """What the bot says next to somebody in the room; what it says to others there is for them."""
    name = next(name for name, each in scene.people.items() if each is person)
    while not (said := (await person.hear(scene.jid)).body).startswith(f"{name}: "):
        pass
    return said
