"""The input `bot`: hears what people say to the bot, and gives the answers back to where they spoke."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Awaitable, Mapping
from functools import partial
from typing import Any
from xml.etree.ElementTree import Element

from xmppbus import limits
from xmppbus.bot import commands, hearing
from xmppbus.bot.access import Action, Affiliation, affiliations_of, may
from xmppbus.bot.command import Asker, Place
from xmppbus.bot.conversation import Conversations, Line
from xmppbus.bot.desk import Desk, open_desk
from xmppbus.bot.invoking import Invocations
from xmppbus.bot.replying import picture, place_of, reply
from xmppbus.bot.standing import keep_standing
from xmppbus.house import House
from xmppbus.interfaces import Accept
from xmppbus.options import BotOptions
from xmppbus.people.addresses import bare
from xmppbus.people.catalogue import _, mark, speaking
from xmppbus.plugins import Options, Registry
from xmppbus.xmpp.adhoc import FEATURES
from xmppbus.xmpp.messages import Heard
from xmppbus.xmpp.rooms import Rooms
from xmppbus.xmpp.talk import Talk

log = logging.getLogger("xmppbus.bot")

UNREADABLE = mark("I can't read what is encrypted. Switch encryption off for this chat, please.")
UNREAD = mark(
    "I can't read that: it was not encrypted for the keys that I have now, or I find no keys of your device. Send it"
    " again; if that does not help, switch encryption off for this chat."
)


class Bot:
    """Listens as long as it runs. It needs `bot:` in the config."""

    def __init__(self, house: House, talk: Talk, rooms: Rooms, options: BotOptions) -> None:
        self._house = house
        self._talk = talk
        self._options = options
        self._rooms = rooms
        self._prefix = options.prefix
        self._desk: Desk | None = None
        self._conversations: Conversations | None = None
        self._invocations: Invocations | None = None
        self._early: deque[Heard] = deque(maxlen=limits.EARLY_HEARD)
        # Before the first session begins: clients keep what they are told of features, and nobody repeats what he said.
        talk.profile.features.update(FEATURES)
        self._affiliations = affiliations = affiliations_of(options)
        talk.may_subscribe = lambda jid: affiliations.of(jid) is not Affiliation.OUTCAST
        talk.may_know = lambda jid: may(affiliations.of(jid), Action.READ)
        talk.on_heard.append(self._hear)
        talk.answers.append(self._asked)

    async def run(self, accept: Accept) -> None:
        """Hear and answer until cancelled."""
        desk = self._desk = open_desk(self._house, accept, self._options)
        async with asyncio.TaskGroup() as group:
            self._conversations = Conversations(desk, group)
            self._invocations = Invocations(desk)
            group.create_task(keep_standing(desk, self._talk), name="the bot's status text")
            while self._early:
                self._hear(self._early.popleft())
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                self._conversations = self._invocations = None

    def take(self, options: BotOptions) -> None:
        """Go by these options from now on."""
        self._options, self._prefix = options, options.prefix
        self._affiliations.take(affiliations_of(options))
        if self._desk is not None:
            self._desk.take(options)

    def status(self) -> Mapping[str, Any]:
        """Where it is, who is being talked to, and how much was answered, or left out because it came too fast."""
        conversations, talk = self._conversations, self._talk.status()
        if conversations is None:
            return {"state": "down"}
        return {
            "state": "up",
            **{name: talk[name] for name in ("jid", "contacts", "online")},
            "talking": conversations.talking,
            "answered": conversations.answered,
            "dropped": conversations.dropped,
        }

    # --- messages ---------------------------------------------------------------------------------------------------

    def _hear(self, heard: Heard) -> None:
        if self._conversations is None:
            self._early.append(heard)
            return
        heard = hearing.located(heard, self._rooms)
        if not hearing.is_for_people(heard, self._rooms):
            return
        line = self._line(heard)
        if line is not None:
            self._conversations.hear(line)
        elif heard.is_encrypted and heard.kind != "groupchat":
            with speaking(heard.language):
                self._say(heard, _(UNREAD if self._talk.reads(heard.bare) else UNREADABLE))

    def _line(self, heard: Heard) -> Line | None:
        """What is wanted of the bot, if anything is."""
        asker, say, show = self._asker(heard), partial(self._say, heard), partial(self._show, heard)
        if heard.reactions is not None:
            if not any(hearing.is_yes(each) for each in heard.reactions.emojis):
                return None
            to = self._rooms.names.ours(heard.bare, heard.reactions.to)
            return Line(asker._replace(replies_to=to), "👍", say, heard.language, is_aside=True)
        if heard.is_encrypted:
            return None
        text = heard.body
        if heard.kind == "groupchat":
            text = hearing.addressed(heard.body, self._prefix, self._rooms.nick(heard.bare))
            if not text and self._desk is not None and self._desk.confirming.is_word(asker.who, heard.body):
                text = heard.body
            if not text and heard.replies_to and hearing.is_acting(heard.body):
                return Line(asker, heard.body, say, heard.language, is_aside=True)
        return Line(asker, text, say, heard.language, show=show) if text else None

    def _asker(self, heard: Heard) -> Asker:
        place = place_of(heard)
        if place is Place.CHAT:
            return Asker(heard.bare, place, full=heard.sender, replies_to=heard.replies_to)
        return self._occupant(heard.sender, place, self._rooms.names.ours(heard.bare, heard.replies_to))

    def _occupant(self, full: str, place: Place, replies_to: str = "") -> Asker:
        """Whoever is called that in a room now: with the real JID that the room shows us, or as nobody."""
        room, _slash, nick = full.partition("/")
        found = self._rooms.occupant(room, nick)
        jid, in_room = (found.jid, found.affiliation) if found else ("", "")
        return Asker(jid, place, room, nick, full, in_room, replies_to)

    def _say(self, heard: Heard, text: str) -> None:
        self._send(heard, reply(heard, text, self._talk.full(), str(uuid.uuid4())))

    def _show(self, heard: Heard, url: str) -> None:
        self._send(heard, picture(heard, url, self._talk.full(), str(uuid.uuid4())))

    def _send(self, heard: Heard, stanza: bytes) -> None:
        if place_of(heard) is Place.CHAT:
            self._talk.say(heard.sender, stanza)
        else:
            self._talk.send(stanza)  # a room has no keys: nothing is encrypted there

    # --- requests ---------------------------------------------------------------------------------------------------

    def _asked(self, iq: Element) -> bytes | Awaitable[bytes] | None:
        if self._invocations is None:
            return None
        full = iq.get("from", "")
        is_occupant = self._rooms.is_room(bare(full))  # who asks us through a room that we are in
        asker = self._occupant(full, Place.FORM) if is_occupant else Asker(bare(full), Place.FORM, full=full)
        return self._invocations.answer(iq, asker, self._talk.jid)


def build(house: House, options: Options) -> Bot:
    """For the registry; the config is the house's: `bot:`."""
    if options:
        raise ValueError("the bot has no options here; see `bot`")
    if house.talk is None or house.rooms is None or house.options.bot is None:
        raise ValueError("the bot needs `xmpp:` and `bot:` in the config")
    return Bot(house, house.talk, house.rooms, house.options.bot)


def register(registry: Registry) -> None:
    """Offer the input `bot`, and the commands."""
    registry.input("bot", build)
    commands.register(registry)
