"""A person with a client, in a conversation: says, hears, reacts; every message of the bot is looked at once."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections import deque
from typing import NamedTuple
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

from tests.support.raw import RawStream, account
from tests.support.raw_xml import Stanza
from tests.support.server import Server

DEADLINE = 15.0
CORRECTION, RETRACTION, REACTIONS = "urn:xmpp:message-correct:0", "urn:xmpp:message-retract:1", "urn:xmpp:reactions:0"
REPLY, RECEIPTS, MARKERS, DELAY = "urn:xmpp:reply:0", "urn:xmpp:receipts", "urn:xmpp:chat-markers:0", "urn:xmpp:delay"
MUC, MUC_USER = "http://jabber.org/protocol/muc", "http://jabber.org/protocol/muc#user"
INVITATION, IDS = "jabber:x:conference", "urn:xmpp:sid:0"
COMMANDS, DATA = "http://jabber.org/protocol/commands", "jabber:x:data"


class Said(NamedTuple):
    """A message of the bot as it came."""

    id: str
    sender: str
    body: str
    replaces: str
    retracts: str
    kind: str
    delayed: bool
    name: str  # what replies and reactions call it: in a room the id that the room gave it (XEP-0359), else its own

    @property
    def sort(self) -> str:
        """What it does to what was said before."""
        return "retraction" if self.retracts else "correction" if self.replaces else "message"


class Person:
    """One account with one client."""

    def __init__(self, server: Server, jid: str, password: str, bot: str) -> None:
        self.jid = jid
        self.bot = bot
        self.statuses: list[str] = []
        self.answer: Stanza | None = None  # the last answer to a command
        self.last: Said | None = None  # the last thing that was heard from the bot
        self.show = "available"
        self._server = server
        self._password = password
        self._inbox: deque[Said] = deque()
        self._declined: deque[str] = deque()  # why the bot does not come into a room
        self._rooms: dict[str, deque[Said]] = {}
        self._originals: set[str] = set()
        self._looked_at = 0
        self._stream: RawStream | None = None

    @property
    def stream(self) -> RawStream:
        """The client's stream; only while it is logged in."""
        assert self._stream is not None, f"{self.jid} is not logged in"
        return self._stream

    async def log_in(self) -> None:
        """With a new client."""
        server = self._server
        self._stream = await account(server.host, server.c2s_port, self.jid, self._password, resource="phone")
        self._looked_at = 0

    async def leave(self) -> None:
        """Close the client; what the bot says from now on is the server's to keep."""
        if self._stream is not None:
            await self._stream.close()
            self._stream = None

    # --- saying ---

    def say(self, text: str, *, to: str = "", kind: str = "chat", extra: str = "") -> None:
        """A message to the bot (its bare JID), or to somebody else."""
        body = f"<body>{escape(text)}</body>" if text else ""
        self.stream.write(
            f"<message type='{kind}' id='{uuid.uuid4()}' to={quoteattr(to or self.bot)}>{body}{extra}</message>"
        )

    def reply(self, text: str, room: str = "") -> None:
        """A reply (XEP-0461) to what was heard last, sent to where it came from, or to everybody in a room."""
        last = self._last()
        extra = f"<reply xmlns='{REPLY}' to={quoteattr(last.sender)} id='{last.name}'/>"
        if room:
            self.say(text, to=room, kind="groupchat", extra=extra)
        else:
            self.say(text, to=last.sender, extra=extra)

    def react(self, emojis: str, room: str = "") -> None:
        """A reaction (XEP-0444) to what was heard last."""
        inner = "".join(f"<reaction>{each}</reaction>" for each in emojis.split())
        extra = f"<reactions xmlns='{REACTIONS}' id='{self._last().name}'>{inner}</reactions>"
        self.say("", to=room or self._last().sender, kind="groupchat" if room else "chat", extra=extra)

    def receive(self) -> None:
        """A receipt (XEP-0184) for what was heard last."""
        self.say("", to=self._last().sender, extra=f"<received xmlns='{RECEIPTS}' id='{self._last().id}'/>")

    def see(self) -> None:
        """A marker (XEP-0333) for what was heard last."""
        self.say("", to=self._last().sender, extra=f"<displayed xmlns='{MARKERS}' id='{self._last().id}'/>")

    def be(self, show: str) -> None:
        """Change the presence."""
        self.show = show
        inner = "" if show == "available" else f"<show>{show}</show>"
        self.stream.write(f"<presence>{inner}</presence>")

    def add(self) -> None:
        """Ask for the bot's presence, and let it have ours, as clients do when somebody adds a contact."""
        self.stream.write(f"<presence type='subscribe' to='{self.bot}'/>")

    async def run(self, node: str, fields: dict[str, str]) -> None:
        """An ad-hoc command in a single step (XEP-0050): with fields, the form is submitted at once."""
        execute = f"<command xmlns='{COMMANDS}' node={quoteattr(node)} action='execute'/>"
        first = await self._ask(execute)
        session = next((each.get("sessionid", "") for each in first.element.iter(f"{{{COMMANDS}}}command")), "")
        if first.get("type") == "error" or not fields:
            self.answer = first
            return
        inner = "".join(
            f"<field var={quoteattr(name)}><value>{escape(value)}</value></field>" for name, value in fields.items()
        )
        form = f"<x xmlns='{DATA}' type='submit'>{inner}</x>"
        self.answer = await self._ask(
            f"<command xmlns='{COMMANDS}' node={quoteattr(node)} sessionid={quoteattr(session)}>{form}</command>"
        )

    async def join(self, room: str, nick: str) -> None:
        """Enter a room (XEP-0045 §7.2), without history; it is made as it is when there is none."""
        self._rooms.setdefault(room, deque())
        self.stream.write(f"<presence to='{room}/{nick}'><x xmlns='{MUC}'><history maxstanzas='0'/></x></presence>")
        await self.stream.until(lambda: any(self._is_own(each, room, nick) for each in self.stream.stanzas), DEADLINE)
        created = [each for each in self.stream.stanzas if self._is_own(each, room, nick) and "201" in _codes(each)]
        if created:
            await self.stream.iq(
                "set", room, f"<query xmlns='{MUC}#owner'><x xmlns='{DATA}' type='submit'>{NON_ANONYMOUS}</x></query>"
            )

    def invite(self, room: str) -> None:
        """Have a room that we are in invite the bot (XEP-0045 §7.8.2)."""
        self.stream.write(f"<message to='{room}'><x xmlns='{MUC_USER}'><invite to='{self.bot}'/></x></message>")

    def invite_directly(self, room: str) -> None:
        """Invite it ourselves (XEP-0249)."""
        self.stream.write(f"<message to='{self.bot}'><x xmlns='{INVITATION}' jid='{room}'/></message>")

    # --- hearing ---

    async def declined(self) -> str:
        """Why the bot does not accept an invitation, as the room says it."""
        await self.stream.until(self._has_declined, DEADLINE)
        return self._declined.popleft()

    def _has_declined(self) -> bool:
        self._look()
        return bool(self._declined)

    async def hear(self, room: str = "", sort: str = "message", like: re.Pattern[str] | None = None) -> Said:
        """The next message, `correction` or `retraction` that the bot sent to this person, or said in a room; the first
        one whose body is `like` that.

        Each sort has an order of its own: an answer and a correction are on their way at the same time.
        """
        wanted = self._rooms.setdefault(room, deque()) if room else self._inbox

        def next_one() -> Said | None:
            self._look()
            found = (each for each in wanted if each.sort == sort)
            return next((each for each in found if like is None or like.match(each.body)), None)

        try:
            await self.stream.until(lambda: next_one() is not None, DEADLINE)
        except TimeoutError:
            left = [each.body for each in wanted]
            what = f"no {sort} like {like.pattern!r}" if like else f"no {sort}"
            raise AssertionError(f"{what} came from the bot within {DEADLINE:g} s; there is {left}") from None
        found = next_one()
        assert found is not None
        wanted.remove(found)
        self.last = found
        return found

    async def nothing_more(self) -> list[Said]:
        """What is left unheard once everything that the server has for this client has arrived."""
        mark = str(uuid.uuid4())
        self.say(mark, to=self.stream.jid)
        await self.stream.until(lambda: any(mark in _body(each.element) for each in self.stream.stanzas), DEADLINE)
        self._look()
        return [*self._inbox, *(each for said in self._rooms.values() for each in said)]

    async def status_like(self, is_like: re.Pattern[str]) -> str:
        """Wait for a status text of the bot's."""
        matches = is_like.match

        def there() -> bool:
            self._look()
            return any(matches(each) for each in self.statuses)

        try:
            await self.stream.until(there, DEADLINE)
        except TimeoutError:
            raise AssertionError(f"the bot's status was {self.statuses}") from None
        return next(each for each in reversed(self.statuses) if matches(each))

    async def _ask(self, inner: str) -> Stanza:
        stream = self.stream
        iq_id = str(uuid.uuid4())
        waiting: asyncio.Future[Stanza] = asyncio.get_running_loop().create_future()
        stream._pending[iq_id] = waiting  # an error is an answer here too
        stream.write(f"<iq type='set' id='{iq_id}' to='{self.bot}'>{inner}</iq>")
        return await asyncio.wait_for(waiting, DEADLINE)

    def _last(self) -> Said:
        assert self.last is not None, f"{self.jid} has heard nothing yet"
        return self.last

    def _is_own(self, stanza: Stanza, room: str, nick: str) -> bool:
        return stanza.name == "presence" and stanza.get("from") == f"{room}/{nick}"

    def is_in(self, room: str) -> bool:
        """Whether we have entered it."""
        return room in self._rooms

    def _look(self) -> None:
        """Sort what has arrived since the last look."""
        stanzas = self.stream.stanzas
        for stanza in stanzas[self._looked_at :]:
            sender = stanza.get("from")
            bare = sender.partition("/")[0]
            if stanza.name == "presence" and bare == self.bot:
                self._see_presence(stanza)
            elif stanza.name == "message" and bare in self._rooms:
                if stanza.get("type") == "groupchat" and sender.endswith("/bot"):
                    self._rooms[bare].append(_said(stanza))
                elif stanza.get("type") == "chat":
                    self._inbox.append(_said(stanza))
                elif (no := stanza.find(MUC_USER, "decline")) is not None:
                    self._declined.append(no.findtext(f"{{{MUC_USER}}}reason") or "")
            elif stanza.name == "message" and bare == self.bot and stanza.get("type") != "error":
                said = _said(stanza)
                if said.body or said.retracts:
                    self._inbox.append(said)
        self._looked_at = len(stanzas)

    def _see_presence(self, stanza: Stanza) -> None:
        if stanza.get("type") == "subscribe":
            self.stream.write(f"<presence type='subscribed' to='{self.bot}'/>")
        text = next((each.text or "" for each in stanza.element if each.tag.endswith("}status")), "")
        if not stanza.get("type") and text:
            self.statuses.append(text)


NON_ANONYMOUS = "".join(
    f"<field var='{name}'><value>{value}</value></field>"
    for name, value in (
        ("FORM_TYPE", f"{MUC}#roomconfig"),
        ("muc#roomconfig_whois", "anyone"),
    )
)


def _body(element: Element) -> str:
    return next((child.text or "" for child in element if child.tag.endswith("}body")), "")


def _codes(stanza: Stanza) -> set[str]:
    return {each.get("code", "") for each in stanza.element.iter(f"{{{MUC_USER}}}status")}


def _attribute(stanza: Stanza, namespace: str, name: str) -> str:
    found = stanza.find(namespace, name)
    return found.get("id", "") if found is not None else ""


def _said(stanza: Stanza) -> Said:
    room = stanza.get("from").partition("/")[0]
    given = [each.get("id", "") for each in stanza.element.iter(f"{{{IDS}}}stanza-id") if each.get("by") == room]
    return Said(
        stanza.get("id"),
        stanza.get("from"),
        _body(stanza.element),
        _attribute(stanza, CORRECTION, "replace"),
        _attribute(stanza, RETRACTION, "retract"),
        stanza.get("type"),
        stanza.find(DELAY, "delay") is not None,
        given[0] if given and stanza.get("type") == "groupchat" else stanza.get("id"),
    )
