"""`rooms`, `join`, `leave`: where the bot is, and where it should be; and what `status` says of where it is not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from xmppbus import limits
from xmppbus.bot.access import Action
from xmppbus.bot.command import Answer, Argument, Asker, Kind, Place, Table, Unusable, Values
from xmppbus.bot.desk import Desk
from xmppbus.bot.telling import tell
from xmppbus.people.catalogue import _, mark, several
from xmppbus.people.durations import lasting
from xmppbus.people.model import Person
from xmppbus.plugins import Registry
from xmppbus.render import plain
from xmppbus.xmpp.rooms import Listed, Rooms
from xmppbus.xmpp.standing import State

_SHOWN = 10
_ON_THE_WAY = (State.WAITING, State.JOINING)


def _rooms_of(desk: Desk) -> Rooms:
    rooms = desk.house.rooms
    if rooms is None:
        raise Unusable(_("There is no server, so there are no rooms."))
    return rooms


async def rooms(desk: Desk, asker: Asker, values: Values) -> Answer:  # noqa: ARG001  # it has no arguments
    """All of them, those that something is wrong with first."""
    listed = sorted(_rooms_of(desk).listed(), key=lambda each: (each.standing.state is State.IN, each.jid))
    if not listed:
        return Answer(_("I am in no room. `join ROOM` takes me there, or invite me."))
    rows = [(each.jid, _state(each), _why(desk, each)) for each in listed[: limits.ANSWER_ROWS]]
    left = len(listed) - len(rows)
    text = several("{count} room more is not shown.", "{count} rooms more are not shown.", left) if left else ""
    return Answer(text.format(count=left), Table((_("room"), _("state"), _("why")), rows))


def _state(listed: Listed) -> str:
    """`in it as bot, 4 occupants`, `banned: we were banned by romeo; tried again in 5 min`."""
    standing = listed.standing
    if standing.state is State.IN:
        text = several("in it as {nick}, {count} occupant", "in it as {nick}, {count} occupants", listed.occupants)
        return text.format(nick=plain(listed.nick), count=f"{listed.occupants:,}")
    said = f"{standing.state}: {plain(standing.words)}" if standing.words else str(standing.state)
    if not listed.seconds:
        return said
    return _("{state}; tried again in {lasting}").format(state=said, lasting=lasting(listed.seconds))


def _why(desk: Desk, listed: Listed) -> str:
    if listed.why == "config":
        return _("in the config")
    if listed.why == "route":
        return _("a route names it")
    joined = desk.audience.person(listed.jid).joined
    return _("asked in by {jid}").format(jid=joined.by) if joined and joined.by else _("asked in")


def room_state(desk: Desk, jid: str) -> str:
    """How it stands with one room that has subscribed."""
    found = next((each for each in _rooms_of(desk).listed() if each.jid == jid), None)
    return _state(found) if found else _("I am not to be there any more: `join` it, or `leave` it for good")


def troubles(desk: Desk) -> Iterator[str]:
    """A line for each room that does not let the bot in, or has put it out."""
    if desk.house.rooms is None:
        return
    outside = [
        each
        for each in desk.house.rooms.listed()
        if each.standing.state not in (State.IN, *_ON_THE_WAY)
        or (each.standing.state is State.JOINING and each.standing.words)  # it has failed before
    ]
    for each in outside[:_SHOWN]:
        yield _("room {room} · {state}").format(room=each.jid, state=_state(each))
    left = len(outside) - _SHOWN
    if left > 0:
        yield several("and {count} room more: `rooms`", "and {count} rooms more: `rooms`", left).format(count=left)


async def join(desk: Desk, asker: Asker, values: Values) -> Answer:
    """Be in a room from now on."""
    room = values["room"]
    try:
        async with asyncio.timeout(limits.ROOM_ANSWER_SECONDS):
            standing = await _rooms_of(desk).join(room, password=values["password"] or "", by=asker.jid)
    except TimeoutError:
        return Answer(_("{room} does not answer yet. I go on trying; `rooms` says how it stands.").format(room=room))
    if standing.state is State.IN:
        if standing.is_new:
            return Answer(_("There was no {room}, so I have made it. It belongs to my owners.").format(room=room))
        return Answer(_("I am in {room} now.").format(room=room))
    text = _("I am not in {room}: {why}. I try it again now and then; `leave {room}` ends that.")
    return Answer(text.format(room=room, why=plain(standing.words) or standing.state), failed=True)


async def leave(desk: Desk, asker: Asker, values: Values) -> Answer:
    """Be in it no longer; what it has subscribed to ends."""
    room = values["room"] or asker.room
    if not room:
        raise Unusable(_("Which room? `rooms` lists those that I am in."))
    ending = desk.audience.interests.of(room)
    if not ending:
        return await _leave(desk, asker, room)
    patterns = ", ".join(f"`{each.pattern}`" for each in ending)
    text = _("{room} hears of {patterns}; that ends when I leave.").format(room=room, patterns=patterns)
    return Answer(text, confirm=lambda: _leave(desk, asker, room))


async def _leave(desk: Desk, asker: Asker, room: str) -> Answer:
    was_there = await _rooms_of(desk).leave(room)
    ended = await desk.audience.unsubscribe(room)
    if not was_there and not ended:
        raise Unusable(_("I am in no room {room}. `rooms` lists those that I am in.").format(room=room))
    await desk.audience.keep(Person(jid=room, is_room=True))  # its mutes end, and so does what it holds
    text = _("I have left {room}.").format(room=room)
    if asker.room != room:
        return Answer(text)
    tell(desk, asker.jid, text)  # nothing can be said any more where it was asked
    return Answer(text if asker.place is Place.FORM else "")


def register(registry: Registry) -> None:
    """Offer them."""
    room = Argument("room", Kind.JID, mark("the room's JID"))
    password = Argument("password", Kind.WORD, mark("if it wants one; others may read it here"), required=False)
    registry.command("rooms", mark("Which rooms I am in, or am kept out of"), rooms, action=Action.ADMINISTER)
    registry.command(
        "join",
        mark("Enter a room and stay there"),
        join,
        action=Action.ADMINISTER,
        arguments=(room, password),
        example="join ops@muc.example.org",
    )
    registry.command(
        "leave",
        mark("Leave a room for good"),
        leave,
        action=Action.ADMINISTER,
        arguments=(room._replace(help=mark("the room's JID; else the one where you say it"), required=False),),
        example="leave ops@muc.example.org",
    )
