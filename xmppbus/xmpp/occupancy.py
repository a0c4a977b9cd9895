"""One room that we want to be in: enters it, looks whether it still has us, and comes back when it has put us out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple
from xml.etree.ElementTree import Element

from xmppbus import limits
from xmppbus.retry import Dice
from xmppbus.xmpp import muc
from xmppbus.xmpp.answers import PING
from xmppbus.xmpp.component import Stream
from xmppbus.xmpp.muc import Seen
from xmppbus.xmpp.replies import ErrorAnswer, NoAnswer, Unanswered, error_of
from xmppbus.xmpp.standing import UNANSWERED, WAITING, Standing, State, nicks, pause, ping_says, put_out, refused
from xmppbus.xmpp.talk import Talk

log = logging.getLogger("xmppbus.xmpp")


class Wanted(NamedTuple):
    """A room that we want to be in, and why: the config or a route names it, or somebody has asked us in."""

    jid: str
    nick: str
    why: Literal["config", "route", "asked"]
    password: str = ""
    password_file: str = ""


class Occupant(NamedTuple):
    """Somebody in a room. `jid` is the real bare one, empty where the room does not show it to us."""

    nick: str
    jid: str = ""
    affiliation: str = "none"
    role: str = "none"


class Crowd:
    """How many occupants of all rooms are known."""

    def __init__(self) -> None:
        self.count = 0


class Shared(NamedTuple):
    """What all rooms share."""

    stream: Stream
    talk: Talk
    owners: Sequence[str]  # who owns a room that is made by our entering it
    turns: asyncio.Semaphore  # joins that wait for their answer
    dice: Dice
    crowd: Crowd
    changed: Callable[[str], None]  # we are in a room now, or may speak there, or not any more


class Occupancy:
    """Ours in one room. `live` keeps it up; what the room says is told to it at once, in the order of arrival."""

    def __init__(self, wanted: Wanted, shared: Shared) -> None:
        self.wanted = wanted
        self.nick = wanted.nick  # as the room calls us
        self.occupants: dict[str, Occupant] = {}
        self.attempts = 0  # that failed, in a row
        self.due = 0.0  # the loop's clock: when it is tried again
        self.pings = 0
        self._shared = shared
        self._standing = WAITING
        self._session = 0  # in which we stand so
        self._reply: asyncio.Future[Standing] | None = None
        self._poke = asyncio.Event()
        self._heard = 0.0  # the loop's clock: when something last came from the room
        self._since = 0.0  # the same: since when we are in it
        self._doubted = False
        self._put_out: Standing | None = None  # while we were coming in
        self._settled = asyncio.Event()

    @property
    def standing(self) -> Standing:
        """How we stand with it; what was true in another session is not any more."""
        was_there = self._standing.state in (State.IN, State.JOINING)
        return WAITING if was_there and self._session != self._shared.talk.session else self._standing

    @property
    def is_in(self) -> bool:
        """Whether we are in it."""
        return self._standing.state is State.IN and self._session == self._shared.talk.session

    async def settled(self) -> Standing:
        """How we stand once the first attempt has come to something."""
        await self._settled.wait()
        return self.standing

    def try_now(self) -> None:
        """Don't wait any longer; `settled` waits for what comes of it."""
        self._settled.clear()
        self._poke.set()

    def doubt(self) -> None:
        """Something says that the room may have lost us: look."""
        self._doubted = True
        self._poke.set()

    def hides(self) -> None:
        """The room hides real JIDs from now on: what we know of them is not for us."""
        self.occupants = {nick: each._replace(jid="") for nick, each in self.occupants.items()}

    def shows(self) -> None:
        """The room shows real JIDs from now on: be told of everybody again, which entering it twice does."""
        talk = self._shared.talk
        with contextlib.suppress(NoAnswer):
            talk.send(muc.join(self.wanted.jid, self.nick, sender=talk.full()), self._session)

    # --- what the room says -------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """A new session has begun."""
        self._answer(WAITING)
        self.attempts = 0
        self._poke.set()

    def heard(self) -> None:
        """Something came from it."""
        self._heard = self._now()

    def take(self, seen: Seen) -> None:
        """A presence from the room."""
        self.heard()
        # COMPAT(ejabberd<=23.01): no code when the room is destroyed (test_a_destroyed_room_is_said_with_the_place_...)
        if muc.SELF in seen.codes or (self.is_in and seen.nick == self.nick):
            self._take_own(seen)
        elif not seen.is_there:
            self._forget(seen.nick)
        elif seen.nick:
            self._know(seen)

    def take_error(self, stanza: Element) -> None:
        """A presence of ours came back."""
        if self._reply is not None:
            self._answer(refused(error_of(stanza)))
        else:
            self.doubt()

    def _take_own(self, seen: Seen) -> None:
        if not seen.is_there:
            self._forget(seen.nick)
            if muc.RENAMED in seen.codes:
                self.nick = seen.new_nick or self.nick
            elif not self._answer(put_out(seen)):
                self._go_out(put_out(seen))
            return
        could_speak = self._may_speak()
        self.nick = seen.nick
        self._know(seen)
        if not self._answer(Standing(State.IN, is_new=muc.CREATED in seen.codes)) and self._may_speak() != could_speak:
            self._shared.changed(self.wanted.jid)

    def _go_out(self, standing: Standing) -> None:
        if self.is_in:
            self._enter(standing)
            self._poke.set()
        else:
            self._put_out = standing

    def _may_speak(self) -> bool:
        own = self.occupants.get(self.nick)
        return own is not None and own.role != "visitor"

    def _know(self, seen: Seen) -> None:
        crowd = self._shared.crowd
        if seen.nick not in self.occupants:
            is_us = muc.SELF in seen.codes
            if not is_us and (len(self.occupants) >= limits.ROOM_OCCUPANTS or crowd.count >= limits.OCCUPANTS):
                return
            crowd.count += 1
        self.occupants[seen.nick] = Occupant(seen.nick, seen.jid, seen.affiliation, seen.role)

    def _forget(self, nick: str) -> None:
        if self.occupants.pop(nick, None):
            self._shared.crowd.count -= 1

    def _forget_all(self) -> None:
        self._shared.crowd.count -= len(self.occupants)
        self.occupants.clear()

    def _answer(self, standing: Standing) -> bool:
        """Whether that was waited for."""
        reply, self._reply = self._reply, None
        if reply is None or reply.done():
            return False
        reply.set_result(standing)
        return True

    # --- being there --------------------------------------------------------------------------------------------------

    async def live(self) -> None:
        """Be in the room until cancelled."""
        while True:
            try:
                await self._shared.talk.ready()
                await self._come_in()
                if self.is_in:
                    await self._stay()
                await self._wait()
            except NoAnswer:
                self._enter(WAITING)  # the session is over; the next one begins anew
                await asyncio.sleep(0)
            except Exception:  # the house is kept alive: one room's bug is not the others'
                log.exception("%s: being in the room failed", self.wanted.jid, extra={"room": self.wanted.jid})
                self.attempts += 1
                await asyncio.sleep(pause(State.REFUSED, self.attempts, self._shared.dice))

    def leave(self) -> None:
        """Say that we go, also while we are coming in. Raises `NoAnswer`."""
        if self.standing.state in (State.IN, State.JOINING):
            talk = self._shared.talk
            talk.send(muc.leave(self.wanted.jid, self.nick, sender=talk.full()), self._session)
            self._enter(WAITING)

    async def _come_in(self) -> None:
        async with self._shared.turns:
            self._poke.clear()
            self._doubted, self._put_out = False, None
            session = self._shared.talk.session
            if not session:
                return
            self._session = session
            # Why it failed before is worth knowing until it does not fail.
            self._enter(Standing(State.JOINING, "" if self._standing is WAITING else self._standing.words))
            standing = await self._join(session)
            if standing.is_new and session == self._shared.talk.session:
                standing = await self._configure(standing)
            if session != self._shared.talk.session:
                standing = WAITING
            elif standing.state is State.IN:
                standing = self._put_out or standing
                self._since = now = self._now()
                # So that a thousand rooms are not all asked in the same moment.
                self._heard = now - self._shared.dice() * limits.ROOM_PING_SECONDS / 2
            self._enter(standing)
        if standing is not WAITING:
            self._settled.set()

    async def _join(self, session: int) -> Standing:
        talk = self._shared.talk
        try:
            password = self._password()
        except (OSError, ValueError) as error:
            return Standing(State.PASSWORD, f"its password file can't be read: {error}")
        standing = WAITING
        for nick in nicks(self.wanted.nick):
            self._forget_all()
            self.nick = nick
            self._reply = asyncio.get_running_loop().create_future()
            await talk.room()
            talk.send(muc.join(self.wanted.jid, nick, sender=talk.full(), password=password), session)
            try:
                standing = await asyncio.wait_for(self._reply, limits.ROOM_JOIN_SECONDS)
            except TimeoutError:
                standing = UNANSWERED
            finally:
                self._reply = None
            if standing.state is not State.NICK:
                break
        return standing

    def _password(self) -> str:
        if not self.wanted.password_file:
            return self.wanted.password
        with open(self.wanted.password_file, encoding="utf-8") as file:
            return file.readline().rstrip("\r\n")

    async def _configure(self, standing: Standing) -> Standing:
        """There was no such room: make it, so that others can come in, and give it to the bot's owners."""
        room = self.wanted.jid
        text = "%s: there was no such room; it is made, and belongs to the bot and its owners"
        log.warning(text, room, extra={"room": room})
        try:
            try:
                await self._ask("set", room, muc.configuration(muc.NEW_ROOM))
            except ErrorAnswer:
                await self._ask("set", room, muc.configuration({}))
            if self._shared.owners:
                await self._ask("set", room, muc.affiliations(self._shared.owners, "owner"))
        except ErrorAnswer as error:
            log.warning("%s: it could not be made as it should be: %s", room, error, extra={"room": room})
        return standing

    async def _stay(self) -> None:
        """Until we are not in it any more. A room that was silent for long is asked whether it has us (XEP-0410)."""
        while self.is_in:
            silent = self._now() - self._heard
            if self._doubted or silent >= limits.ROOM_PING_SECONDS:
                self._doubted = False
                if not await self._is_still_in():
                    return
            else:
                await self._poked(limits.ROOM_PING_SECONDS - silent)

    async def _is_still_in(self) -> bool:
        self.pings += 1
        try:
            await self._ask("get", f"{self.wanted.jid}/{self.nick}", f"<ping xmlns='{PING}'/>")
        except ErrorAnswer as error:
            still = ping_says(error.reply.name)
        except NoAnswer as error:
            if error.why is Unanswered.DISCONNECTED:
                raise
            still = None
        else:
            still = True
        if still is False and self.is_in:
            self._enter(Standing(State.UNREACHABLE, "the room has lost us"))
            return False
        self.heard()  # or nobody knows: it is asked again after a while
        return True

    async def _ask(self, kind: str, to: str, inner: str) -> Element:
        pipeline = self._shared.stream.pipeline
        request_id = pipeline.new_id()
        stanza = muc.request(kind, request_id, to, inner, sender=self._shared.talk.full())
        return await pipeline.ask(request_id, stanza, to)

    async def _wait(self) -> None:
        """Until it is worth another attempt."""
        now = self._now()
        if self._since and now - self._since >= limits.ROOM_LASTED_SECONDS:
            self.attempts = 0
        self._since = 0.0
        state = self.standing.state
        if state is not State.WAITING:
            self.attempts += 1
        seconds = pause(state, self.attempts, self._shared.dice)
        if seconds:
            self.due = now + seconds
            await self._poked(seconds)
            self.due = 0.0

    async def _poked(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._poke.wait()
        except TimeoutError:
            return
        self._poke.clear()

    def _enter(self, standing: Standing) -> None:
        before, self._standing = self._standing, standing
        if standing.state is before.state and standing.words == before.words:
            return
        is_fine = standing.state in (State.IN, State.JOINING, State.WAITING)
        level = logging.INFO if is_fine else logging.WARNING
        log.log(level, "%s: %s%s", self.wanted.jid, standing.state, f": {standing.words}" if standing.words else "")
        if State.IN in (standing.state, before.state):
            self._shared.changed(self.wanted.jid)
        if standing.state is not State.IN:
            self._forget_all()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
