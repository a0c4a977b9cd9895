"""The rooms that the bot is in (XEP-0045): those of the config and of routes, and those that its owners asked it into.

Who is who in them is as their services say it. A service is believed because an owner, or the config, chose the room.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Self
from xml.etree.ElementTree import Element

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.options import BotOptions
from xmppbus.people.addresses import bare, bare_jid, domain_of
from xmppbus.people.audience import Audience
from xmppbus.people.model import Joined
from xmppbus.retry import Dice
from xmppbus.xmpp import muc
from xmppbus.xmpp.component import Stream
from xmppbus.xmpp.invitations import Invitations
from xmppbus.xmpp.messages import Heard
from xmppbus.xmpp.occupancy import Crowd, Occupancy, Occupant, Shared, Wanted
from xmppbus.xmpp.reflections import LOST, Names, Reflections, Said
from xmppbus.xmpp.replies import NoAnswer, error_of, local_name
from xmppbus.xmpp.standing import Standing, State
from xmppbus.xmpp.talk import Talk

log = logging.getLogger("xmppbus.xmpp")

_PUT_OUT = frozenset({"not-acceptable", "item-not-found", "gone", "recipient-unavailable"})
"""What a room answers to a message of somebody who is not in it (§7.4), or of whom it knows nothing any more."""


class Listed(NamedTuple):
    """How it stands with one room."""

    jid: str
    why: str  # it is in the config, a route names it, or we were asked in
    standing: Standing
    nick: str  # ours; empty while we are not in it
    seconds: float  # until it is tried again
    occupants: int  # that are known, we among them


class Rooms:
    """Entered after the bot's talk, and left before it. `is_owner` is asked with a bare JID."""

    def __init__(
        self,
        stream: Stream,
        talk: Talk,
        audience: Audience,
        options: BotOptions,
        *,
        named: Iterable[str],
        is_owner: Callable[[str], bool],
        owners: Iterable[str] = (),
        dice: Dice,
    ) -> None:
        """`named` are the rooms of routes; `owners` are given the rooms that are made by our entering them."""
        self.on_change: list[Callable[[str], None]] = []  # we are in that room now, or are not any more, or may speak
        self.on_own: list[Callable[[str, Element], None]] = []  # what we have said there has come back
        self._stream = stream
        self._talk = talk
        self._audience = audience
        self._nick = options.name
        self._rooms: dict[str, Occupancy] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._is_open = False
        self._reflections = Reflections(limits.ROOM_UNREFLECTED)
        self.names = Names(limits.LAST_MESSAGES)
        turns = asyncio.Semaphore(limits.ROOM_JOINS_AT_ONCE)
        self._owners = list(owners)
        self._shared = Shared(stream, talk, self._owners, turns, dice, Crowd(), self._changed)
        self.invitations = Invitations(talk, self, is_owner)
        for wanted in self._by_config(options, named):
            self._want(wanted)

    async def __aenter__(self) -> Self:
        for wanted in self._asked():
            self._want(wanted)
        hooks = self._stream.hooks
        hooks.begun.append(self._begun)
        hooks.presences.append(self._presence)
        hooks.errors.append(self._error)
        hooks.messages.append(self._message)
        await self.invitations.__aenter__()
        self._is_open = True
        for jid in self._rooms:
            self._start(jid)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._is_open = False
        await self.invitations.__aexit__()
        await self._stop(*self._tasks)
        hooks = self._stream.hooks
        hooks.messages.remove(self._message)
        hooks.errors.remove(self._error)
        hooks.presences.remove(self._presence)
        hooks.begun.remove(self._begun)
        self._reflections.lose()

    def _by_config(self, options: BotOptions, named: Iterable[str]) -> list[Wanted]:
        rooms = [
            Wanted(bare_jid(room.jid), room.nick or self._nick, "config", "", room.password_file or "")
            for room in options.rooms
        ]
        return [*rooms, *(Wanted(bare_jid(jid), self._nick, "route") for jid in named)]

    def _asked(self) -> list[Wanted]:
        return [
            Wanted(person.jid, person.joined.nick or self._nick, "asked", person.joined.password)
            for person in self._audience.persons()
            if person.joined is not None
        ]

    async def take(self, options: BotOptions, *, named: Iterable[str], owners: Iterable[str]) -> None:
        """Be in the rooms of these options from now on: leave and join what is another. Nothing else is touched."""
        self._owners[:] = owners
        wanted: dict[str, Wanted] = {}
        for each in (*self._by_config(options, named), *self._asked()):
            wanted.setdefault(each.jid, each)
        for jid, room in list(self._rooms.items()):
            if wanted.get(jid) != room.wanted:
                await self._drop(jid)
        for jid, each in wanted.items():
            if jid not in self._rooms:
                self._want(each)
                if self._is_open:
                    self._start(jid)

    def _want(self, wanted: Wanted) -> Occupancy:
        """The first who wants it says how."""
        return self._rooms.setdefault(wanted.jid, Occupancy(wanted, self._shared))

    def _start(self, jid: str) -> None:
        self._tasks[jid] = asyncio.create_task(self._rooms[jid].live(), name=f"room {jid}")

    async def _stop(self, *jids: str) -> None:
        """A server does not say in a component's place that it has gone: rooms would keep us."""
        tasks = [self._tasks.pop(jid) for jid in jids]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        with contextlib.suppress(NoAnswer):
            for jid in jids:
                self._rooms[jid].leave()

    # --- asked --------------------------------------------------------------------------------------------------------

    def is_room(self, jid: str) -> bool:
        """Whether that bare JID is a room that we are in, or want to be in."""
        return jid in self._rooms

    def trusts(self, service: str) -> bool:
        """Whether the config names a room of that service."""
        return any(each.wanted.why != "asked" and domain_of(jid) == service for jid, each in self._rooms.items())

    def standing(self, room: str) -> Standing | None:
        """How we stand with it; None for one that we want nothing of."""
        found = self._rooms.get(room)
        return None if found is None else found.standing

    def nick(self, room: str) -> str:
        """What we are called there; empty where we are not."""
        found = self._rooms.get(room)
        return found.nick if found is not None and found.is_in else ""

    def occupant(self, room: str, nick: str) -> Occupant | None:
        """Who is called that there now. None: nobody of whom we know; his real JID is empty where the room hides it."""
        found = self._rooms.get(room)
        return found.occupants.get(nick) if found is not None and found.is_in else None

    def is_own_reflection(self, heard: Heard) -> bool:
        """Whether it is what we said ourselves."""
        return heard.kind == "groupchat" and bool(heard.nick) and heard.nick == self.nick(heard.bare)

    def listed(self) -> list[Listed]:
        """All of them."""
        now = asyncio.get_running_loop().time()
        return [
            Listed(
                jid,
                each.wanted.why,
                each.standing,
                each.nick if each.is_in else "",
                max(0.0, each.due - now),
                len(each.occupants),
            )
            for jid, each in self._rooms.items()
        ]

    def status(self) -> dict[str, Any]:
        """What `xmppbus status` shows."""
        listed = self.listed()
        troubles = [
            {
                "room": each.jid,
                "state": str(each.standing.state),
                "reason": each.standing.words,
                "seconds": round(each.seconds),
            }
            for each in listed
            if each.standing.state is not State.IN
        ]
        renamed = {each.jid: each.nick for each in listed if each.nick not in ("", self._rooms[each.jid].wanted.nick)}
        return {
            "rooms": len(self._rooms),
            "states": dict(Counter(str(each.standing.state) for each in listed)),
            "occupants": self._shared.crowd.count,
            "not_in": troubles[: limits.ROOMS_LISTED],
            "renamed": dict(list(renamed.items())[: limits.ROOMS_LISTED]),
            "invitations_ignored": self.invitations.ignored,
        }

    # --- done ---------------------------------------------------------------------------------------------------------

    async def join(self, jid: str, *, nick: str = "", password: str = "", by: str = "") -> Standing:
        """Be in that room from now on, also after a restart; how the first attempt went.

        `Refused` beyond `limits.ROOMS`. Raises `ValueError` for what is no JID of a room.
        """
        room = bare_jid(jid)
        if "@" not in room:
            raise ValueError(f"{jid!r} is not a room such as ops@muc.example.org")
        known = self._rooms.get(room)
        if known is not None and known.is_in:
            return known.standing
        if known is None and len(self._rooms) >= limits.ROOMS:
            raise Refused(Code.TOO_MANY, f"the bot is in {limits.ROOMS} rooms, which are all that it may be in")
        if known is None or known.wanted.why == "asked":
            await self._audience.alter(room, joined=Joined(nick=nick, password=password, by=by))
            await self._drop(room)
            self._want(Wanted(room, nick or self._nick, "asked", password))
            if self._is_open:
                self._start(room)
        else:
            known.try_now()
        try:
            async with asyncio.timeout(limits.ROOM_JOIN_SECONDS):
                return await self._rooms[room].settled()
        except TimeoutError:
            return self._rooms[room].standing

    async def leave(self, room: str) -> bool:
        """Leave a room that we were asked into, for good; whether there was one. `Refused` for one of the config."""
        known = self._rooms.get(room)
        if known is not None and known.wanted.why != "asked":
            because = "a route names it" if known.wanted.why == "route" else "it is one of the bot's rooms"
            raise Refused(Code.FORBIDDEN, f"the config wants the bot in {room} ({because}); take it out there")
        if known is not None:
            await self._audience.alter(room, joined=None)
            await self._drop(room)
        return known is not None

    async def _drop(self, room: str) -> None:
        if room in self._tasks:
            await self._stop(room)
        self._rooms.pop(room, None)

    def say(self, room: str, message_id: str, stanza: bytes) -> asyncio.Future[Said]:
        """Say something in a room we are in; the future says what became of it. Cancel it to give it up.

        Raises `NoAnswer` without a session.
        """
        reply = self._reflections.expect(room, message_id)
        try:
            self._talk.send(stanza)
        except NoAnswer:
            self._reflections.refused(room, message_id, LOST)
            raise
        return reply

    def doubt(self, room: str) -> None:
        """Something that should have come back has not: look whether the room still has us."""
        found = self._rooms.get(room)
        if found is not None:
            found.doubt()

    # --- what arrives -------------------------------------------------------------------------------------------------

    def _begun(self, _: int) -> None:
        self._reflections.lose()
        for each in self._rooms.values():
            each.begin()

    def _of(self, stanza: Element) -> Occupancy | None:
        return self._rooms.get(bare(stanza.get("from", "")))

    def _presence(self, stanza: Element) -> None:
        found = self._of(stanza)
        if found is not None and stanza.get("type") in (None, "unavailable"):
            found.take(muc.seen(stanza))

    def _message(self, stanza: Element) -> None:
        found = self._of(stanza)
        if found is None or stanza.get("type") != "groupchat":
            return
        found.heard()
        room, _, nick = stanza.get("from", "").partition("/")
        if not nick:
            codes = muc.codes_of(stanza)
            if found.is_in and muc.NON_ANONYMOUS in codes:
                found.shows()
            elif codes & muc.HIDDEN:
                found.hides()
        elif found.is_in and nick == found.nick:
            if given := muc.stanza_id(stanza, room):
                self.names.learn(room, stanza.get("id", ""), given)
            for listener in self.on_own:
                listener(room, stanza)
            self._reflections.reflected(room, muc.names_of(stanza))

    def _error(self, stanza: Element) -> None:
        found = self._of(stanza)
        if found is None:
            return
        if local_name(stanza) == "presence":
            found.take_error(stanza)
            return
        room, _, nick = stanza.get("from", "").partition("/")
        if nick:
            return  # of a private message, to somebody who has left
        error = error_of(stanza)
        self._reflections.refused(room, stanza.get("id", ""), Said(error.name, error.text))
        if error.name in _PUT_OUT:
            found.doubt()

    def _changed(self, room: str) -> None:
        found = self._rooms.get(room)
        if found is not None and not found.is_in:
            # What it had not sent to everybody when it put us out, it never will.
            standing = found.standing
            self._reflections.lose(room, LOST if standing.state is State.WAITING else Said("not-acceptable"))
        for listener in self.on_change:
            listener(room)
