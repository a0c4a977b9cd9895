"""One message from the daemon's bot: to a person, or into a room that it is in."""

from __future__ import annotations

import asyncio
import contextlib
import uuid

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.people.addresses import bare
from xmppbus.xmpp.messages import Heard, chat
from xmppbus.xmpp.replies import ErrorReply
from xmppbus.xmpp.rooms import Rooms
from xmppbus.xmpp.services.asking import came_back, condition_words
from xmppbus.xmpp.standing import State
from xmppbus.xmpp.talk import Talk


async def tell(talk: Talk, to: str, text: str) -> str:
    """Tell a person something, encrypted where that is switched on; its id, once the server has it.

    Raises `NoAnswer`, and `Refused` when it comes back at once.
    """
    made = str(uuid.uuid4())
    stanza = chat(to=to, sender=talk.full(), message_id=made, body=text, markable=False, receipt=False)
    (sealed,) = await talk.sealed(bare(to), (stanza,))
    back: asyncio.Future[Heard] = asyncio.get_running_loop().create_future()

    def look(heard: Heard) -> None:
        if heard.kind == "error" and heard.id == made and not back.done():
            back.set_result(heard)

    talk.on_heard.append(look)
    try:
        await talk.fence(talk.send(sealed))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limits.BOUNCE_SECONDS):
                heard = await back
                raise came_back(to, ErrorReply(heard.condition, "", heard.text))
    finally:
        talk.on_heard.remove(look)
    return made


async def say(talk: Talk, rooms: Rooms, room: str, text: str) -> str:
    """Say something in a room that the bot is in; its id, once everybody there has it. Raises `NoAnswer`, `Refused`."""
    if not rooms.is_room(room):
        message = f"the bot is not in {room}: write it under `bot: rooms:`, or write `join {room}` to the bot"
        raise Refused(Code.NOT_FOUND, message)
    standing = rooms.standing(room)
    if standing is None or standing.state is not State.IN:
        why = f": {standing.words}" if standing is not None and standing.words else ""
        raise Refused(Code.TIMEOUT, f"the bot is not in {room} just now{why}; try again")
    made = str(uuid.uuid4())
    stanza = chat(to=room, sender=talk.full(), message_id=made, body=text, kind="groupchat", markable=False)
    reply = rooms.say(room, made, stanza)
    try:
        async with asyncio.timeout(limits.ROOM_REFLECT_SECONDS):
            said = await reply
    except TimeoutError:
        raise Refused(Code.TIMEOUT, f"{room} has not sent it back; whether it has it is not known") from None
    finally:
        reply.cancel()
    if said.condition:
        raise Refused(
            Code.FORBIDDEN, f"{room} did not take it ({condition_words(ErrorReply(said.condition, '', said.text))})"
        )
    return made
