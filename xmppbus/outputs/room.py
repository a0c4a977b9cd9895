"""The chat plane in rooms: a place is a room's bare JID; delivered means that the room has sent it to everybody.

Everybody in a room hears from one occupant, the bot, so only its last message there can be corrected: an incident's is,
as long as it is the last one; else it is told anew, and only what matters (XEP-0308 §5).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

from xmppbus import limits
from xmppbus.errors import About, Refused, condition
from xmppbus.interfaces import Clock
from xmppbus.journal import DELIVERED, HELD, UNSENT, Delivery, Journal, Outcome, Run, Verdict
from xmppbus.outputs.excess import Excess
from xmppbus.outputs.handing import GOES_ON, Letter, look_again
from xmppbus.outputs.known import Folded, look_up
from xmppbus.outputs.speaking import LastMessages, Speaking
from xmppbus.outputs.wording import Note, Wording, no_note
from xmppbus.people.audience import DIGEST, ROOM, Audience
from xmppbus.people.model import Incident
from xmppbus.people.store import People
from xmppbus.people.telling import Saying, Shape, is_retraction, key_of
from xmppbus.people.texts import noted, retraction_text
from xmppbus.route import Target
from xmppbus.xmpp import muc
from xmppbus.xmpp.messages import CORRECT, Message, retraction
from xmppbus.xmpp.reflections import Names, Said
from xmppbus.xmpp.replies import NoAnswer
from xmppbus.xmpp.rooms import Rooms
from xmppbus.xmpp.standing import State
from xmppbus.xmpp.talk import Talk

_NOT_THERE = ("not-acceptable", "item-not-found", "gone", "recipient-unavailable")
"""What a room says to somebody who is not in it (XEP-0045 §7.4): nothing about the message."""

_TOO_FAST = ("policy-violation", "resource-constraint")


class _Flight(NamedTuple):
    """One delivery on its way. `outcome` settles it when there is nothing to wait for, and when all has come back."""

    room: str
    key: str  # of its incident
    letter: Letter
    outcome: Outcome
    replies: tuple[asyncio.Future[Said], ...] = ()


class _RoomWording(Wording):
    """The same words for everybody in a room: from one occupant, with no receipts, which a crowd would send."""

    def __init__(self, talk: Talk, zone: tzinfo, now: datetime, note: Note, names: Names) -> None:
        """`names` are what a retraction names there (XEP-0424 §4)."""
        super().__init__(talk, zone, now, note)
        self._names = names

    def corrects(self, jid: str) -> bool:  # noqa: ARG002  # as `Wording` has it
        """Nobody knows the clients of everybody there; a correction reads well where it is not shown as one."""
        return True

    def stanza(self, saying: Saying, jid: str, made: str, delivery: Delivery, incident: Incident | None) -> bytes:
        """As `Wording` says."""
        sender = self._talk.full()
        if saying.shape is Shape.RETRACTION:
            retracts, body = self._names.given(saying.retracts), retraction_text()
            return retraction(to=jid, sender=sender, message_id=made, retracts=retracts, body=body, kind="groupchat")
        note = "" if saying.replaces else self._note(delivery.sequence, jid)
        text = noted(self._text(saying, delivery, incident), note)
        return Message(sender, text, kind="groupchat", markable=False, store=False).stanza(jid, made, saying.replaces)


class Room:
    """An `Output`: tells rooms."""

    def __init__(
        self,
        rooms: Rooms,
        talk: Talk,
        journal: Journal,
        people: People,
        audience: Audience,
        *,
        excess: Excess,
        folded: Folded,
        zone: tzinfo,
        clock: Clock,
        note: Note = no_note,
    ) -> None:
        self._rooms = rooms
        self._talk = talk
        self._journal = journal
        self._people = people
        self._audience = audience
        self._excess = excess
        self._folded = folded
        self.zone = zone  # of the config that holds now
        self._clock = clock
        self._note = note
        self._flying: dict[str, set[str]] = {}  # room -> ids of messages of this output that have not come back
        self._open: dict[str, int] = {}  # room -> the session in which it took what we said
        self.last = LastMessages()
        rooms.on_change.append(self._changed)
        rooms.on_own.append(self._came_back)

    async def __aenter__(self) -> Room:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """The rooms are somebody else's to leave."""

    async def ready(self) -> None:
        """While a session is up."""
        await self._talk.ready()

    def status(self) -> Mapping[str, Any]:
        """See `docs/reference/status.md`."""
        up = bool(self._talk.session)
        found = self._rooms.status()
        missing = found["rooms"] - found["states"].get(str(State.IN), 0)
        reason = f"not in {missing} of {found['rooms']} rooms" if missing else ""
        return {
            "state": "up" if up else "down",
            "reason": reason if up else "no session with the XMPP server; see `xmpp`",
            **found,
        }

    # --- out ----------------------------------------------------------------------------------------------------------

    async def deliver_run(self, place: str, deliveries: Sequence[Delivery]) -> AsyncIterator[Outcome]:
        """As `interfaces.Output` says. A few are on their way at once, and never two about one incident."""
        await self._remember(place)
        if self._rooms.standing(place) is None and not any(self._is_awaited(place, each) for each in deliveries):
            for _ in deliveries:
                yield DELIVERED  # what was said there before we left is not mended
            return
        if why := self.why_not(place):
            yield why
            for _ in deliveries[1:]:
                yield UNSENT
            return
        runs = [Run(0, ROOM, place, tuple(deliveries))]
        known = await look_up(runs, self._journal, self._people, self._folded)
        now = self._clock()
        moved = await self._excess.move(runs, known, now)
        speaking = Speaking(known, self.wording(now), now, self.last)
        flying: deque[_Flight] = deque()
        stopped = False
        try:
            for each in deliveries:
                key = key_of(each.event)
                while flying and (stopped or self._is_full(place, flying) or _is_about(key, flying)):
                    outcome = await self._land(place, flying.popleft(), stopped=stopped)
                    stopped = stopped or outcome.verdict not in GOES_ON
                    yield outcome
                if stopped:
                    yield UNSENT
                else:
                    letter = Letter() if each.id in moved else speaking.letter(place, each)
                    flying.append(self._start(place, key, letter))
            while flying:
                outcome = await self._land(place, flying.popleft(), stopped=stopped)
                stopped = stopped or outcome.verdict not in GOES_ON
                yield outcome
        finally:
            for flight in flying:
                self._give_up(flight)

    async def _remember(self, place: str) -> None:
        """That it is a room: nobody writes to it as to a person once the bot is not to be there any more."""
        if not self._audience.person(place).is_room:
            with contextlib.suppress(Refused):  # so many are known already that none more is
                await self._audience.alter(place, is_room=True)

    def _is_awaited(self, place: str, delivery: Delivery) -> bool:
        """Whether the room is to hear of it, and not only to see mended what it has heard."""
        event = delivery.event
        if is_retraction(event):
            return False
        return not key_of(event) or self._audience.is_wanted(Target(ROOM, place), event)

    async def tell(self, place: str, letters: Iterable[Letter]) -> list[Outcome]:
        """Say what was gathered for a room, in letters that are made already; one outcome each, in order."""
        flying = deque(self._start(place, "", each) for each in letters)
        outcomes: list[Outcome] = []
        stopped = False
        try:
            while flying:
                outcomes.append(await self._land(place, flying.popleft(), stopped=stopped))
                stopped = stopped or outcomes[-1].verdict not in GOES_ON
        finally:
            for flight in flying:
                self._give_up(flight)
        return outcomes

    def wording(self, now: datetime) -> Wording:
        """What is said in rooms, for one batch."""
        return _RoomWording(self._talk, self.zone, now, self._note, self._rooms.names)

    def why_not(self, room: str) -> Outcome | None:
        """Why nothing can be said there now. Whatever ends it wakes the place."""
        if suspended := self._audience.person(room).suspended:
            return Outcome(Verdict.STOPPED, HELD, suspended, limits.SUSPENDED_SECONDS)
        standing = self._rooms.standing(room)
        if standing is None:
            text = "the bot is not to be in that room any more; invite it again, or drop what waits"
            return Outcome(Verdict.STOPPED, "gone", text, limits.ROOM_MOST_SECONDS)
        if standing.state is State.IN:
            return None
        if standing.state in (State.WAITING, State.JOINING):
            return Outcome(Verdict.STOPPED, "not-connected", "the bot is entering the room", limits.ROOM_JOIN_SECONDS)
        return Outcome(Verdict.STOPPED, str(standing.state), standing.words, limits.ROOM_REFUSED_SECONDS)

    def _is_full(self, room: str, flying: deque[_Flight]) -> bool:
        """The first one goes alone: what a room does not take must not be overtaken by what it takes then."""
        return len(flying) >= (limits.ROOM_WINDOW if self._open.get(room) == self._talk.session else 1)

    def _start(self, room: str, key: str, letter: Letter) -> _Flight:
        replies: list[asyncio.Future[Said]] = []
        outcome = letter.outcome
        try:
            ids = dict.fromkeys(each.id for each in letter.messages)  # a digest is one message about several events
            for made, stanza in zip(ids, letter.stanzas, strict=True):
                self._flying.setdefault(room, set()).add(made)
                replies.append(self._rooms.say(room, made, stanza))
        except NoAnswer as error:
            outcome = Outcome(Verdict.UNKNOWN if replies else Verdict.STOPPED, error.why.value)
        return _Flight(room, key, letter, outcome, tuple(replies))

    async def _land(self, room: str, flight: _Flight, *, stopped: bool) -> Outcome:
        """Wait for what became of it, and write that down."""
        if stopped and not flight.replies:
            return UNSENT  # it goes without saying only once what was before it has been said
        outcome = flight.outcome
        try:
            async with asyncio.timeout(limits.ROOM_REFLECT_SECONDS):
                for reply in flight.replies:
                    said = await reply
                    outcome = self._outcome(room, said) if said.condition else outcome
        except TimeoutError:
            self._rooms.doubt(room)
            outcome = Outcome(Verdict.UNKNOWN, "timeout", "the room has not sent it back; looking whether it has us")
        finally:
            self._give_up(flight)
        if outcome.verdict in GOES_ON:
            await self._people.handed_over(flight.letter.messages, flight.letter.copies)
            await look_again(self._people, flight.letter.copies, ROOM)
            if flight.replies:
                self._open[room] = self._talk.session
        else:
            self._open.pop(room, None)
            self.last.sent(room)  # nobody knows which one that is
        return outcome

    def _outcome(self, room: str, said: Said) -> Outcome:
        """What an error says of a message."""
        name = said.condition
        if name == "not-connected":
            return Outcome(Verdict.UNKNOWN, name)
        if name in _NOT_THERE:
            lost = Outcome(Verdict.STOPPED, "recipient-unavailable", "the room has lost us; it is entered again")
            return self.why_not(room) or lost
        if name == "forbidden":
            text = "the bot has no voice in the room; a moderator can give it one"
            return Outcome(Verdict.STOPPED, name, text, limits.ROOM_REFUSED_SECONDS)
        if name not in _TOO_FAST and condition(name).about is About.EVENT:
            return Outcome(Verdict.DEAD, name, said.text)
        return Outcome(Verdict.STOPPED, name, said.text or condition(name).advice)

    def _give_up(self, flight: _Flight) -> None:
        for reply in flight.replies:
            reply.cancel()
        for each in flight.letter.messages:
            self._has_landed(flight.room, each.id)

    # --- what comes back ----------------------------------------------------------------------------------------------

    def _changed(self, room: str) -> None:
        """We are in it, or may speak there, or not any more."""
        self._open.pop(room, None)
        self._people.wake(Target(ROOM, room))
        self._people.wake(Target(DIGEST, room))

    def _came_back(self, room: str, stanza: Element) -> None:
        made = stanza.get("id", "")
        is_correction = stanza.find(f"{{{CORRECT}}}replace") is not None
        if self._has_landed(room, made) or is_correction or not muc.has_body(stanza):
            return
        if room not in self._flying:  # or what is on its way comes behind it
            self.last.sent(room, made)  # an answer of the bot's, say

    def _has_landed(self, room: str, made: str) -> bool:
        """Whether it was on its way until now."""
        flying = self._flying.get(room, set())
        if made not in flying:
            return False
        flying.remove(made)
        if not flying:
            del self._flying[room]
        return True


def _is_about(key: str, flying: deque[_Flight]) -> bool:
    return bool(key) and any(each.key == key for each in flying)
