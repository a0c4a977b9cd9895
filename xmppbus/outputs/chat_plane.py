"""Builds the outputs that reach people around what they share: the audience, the bot's talk, the budget of messages."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast
from zoneinfo import ZoneInfo

from xmppbus.errors import ConfigInvalid
from xmppbus.house import House
from xmppbus.options import BotOptions
from xmppbus.outputs.chat import Chat
from xmppbus.outputs.digest import Digest
from xmppbus.outputs.escalation import Escalations
from xmppbus.outputs.excess import Excess
from xmppbus.outputs.known import Folded
from xmppbus.outputs.people import ForPeople
from xmppbus.outputs.room import Room
from xmppbus.outputs.wording import Note
from xmppbus.people.audience import CHAT, DIGEST, ROOM, Audience
from xmppbus.people.budget import Budget
from xmppbus.people.ledger import Ledger
from xmppbus.people.store import People
from xmppbus.plugins import Options, Registry
from xmppbus.route import ESCALATION, Target
from xmppbus.xmpp.rooms import Rooms
from xmppbus.xmpp.sealing import Recipients
from xmppbus.xmpp.talk import Talk
from xmppbus.xmpp.upload import Uploads

if TYPE_CHECKING:
    from xmppbus.xmpp.omemo import Encryption

OMEMO_FILE = "omemo.keys"
"""Beside the journal."""

BROKEN_EXTRA = "the extra `omemo`, which `bot.omemo` needs, is installed and can't be loaded: {}. Install it anew"

PEOPLE = "people"
OUTPUTS = (PEOPLE, CHAT, DIGEST, ROOM)
"""What a bot brings with it, whatever the routes say."""


class Owners(Protocol):
    """Whose bot it is; see `xmppbus.bot.access`."""

    def is_owner(self, jid: str) -> bool:
        """Whether a bare JID is an owner's."""

    def owners(self) -> list[str]:
        """The bare JIDs of those who are named."""


def open_chat_plane(house: House, people: People, owners: Owners) -> None:
    """What all of it shares, if the config wants a bot; before the outputs are built."""
    bot = house.options.bot
    if bot is None or house.xmpp is None:
        return
    house.people = people
    house.audience = Audience(people, house.routes, house.clock)
    house.talk = Talk(house.xmpp, bot, house.audience, clock=house.clock)
    house.uploads = Uploads(house.xmpp, house.xmpp.options)
    house.rooms = Rooms(
        house.xmpp,
        house.talk,
        house.audience,
        bot,
        named=rooms_of_routes(house),
        is_owner=owners.is_owner,
        owners=owners.owners(),
        dice=random.random,
    )
    house.budget = Budget(bot.messages_per_minute)
    if bot.omemo:
        encryption, path = _encryption(), house.config.journal_path.with_name(OMEMO_FILE)
        encryption(house.xmpp, house.talk, path, Recipients(bot.omemo))


def _encryption() -> type[Encryption]:
    """Imported here, for what it needs is an extra, and nobody else has to have it."""
    try:
        from xmppbus.xmpp.omemo import Encryption
    except ImportError as error:
        raise ConfigInvalid(BROKEN_EXTRA.format(error)) from error
    return Encryption


def rooms_of_routes(house: House) -> set[str]:
    """Those of `to` and of every step of `escalate`."""
    return {
        address.place
        for route in house.routes
        for addresses in (route.to, *route.escalate)
        for address in addresses
        if address.output == ROOM
    }


class _Parts(NamedTuple):
    bot: BotOptions
    people: People
    audience: Audience
    talk: Talk
    rooms: Rooms
    budget: Budget


def _parts(house: House, options: Options) -> _Parts:
    if options:
        raise ValueError("it has no options of its own; see `bot`")
    bot, people, audience, talk = house.options.bot, house.people, house.audience, house.talk
    rooms, budget = house.rooms, house.budget
    if bot is None or people is None or audience is None or talk is None or rooms is None or budget is None:
        raise ValueError("people are reached by the bot; write `bot:` (and `xmpp:`) into the config")
    return _Parts(bot, people, audience, talk, rooms, budget)


def _people(house: House, options: Options) -> ForPeople:
    parts = _parts(house, options)
    return ForPeople(
        house.journal,
        parts.people,
        parts.audience,
        budget=parts.budget,
        presence_of=lambda jid: parts.talk.presence_of(jid).show,
        is_room=_is_room(house),
        corrects=lambda jid: parts.talk.is_component and parts.talk.shows_corrections(jid),
        is_awaited=lambda jid: cast("Chat", house.outputs[CHAT]).ledger.seconds(jid) > 0,
        zone=ZoneInfo(parts.bot.time_zone),
        clock=house.clock,
    )


def _chat(house: House, options: Options) -> Chat:
    parts = _parts(house, options)
    accept, clock, note = partial(house.bus.accept, is_ours=True), house.clock, _note(house, CHAT)
    return Chat(
        parts.talk,
        house.journal,
        parts.people,
        parts.audience,
        Ledger(parts.people, parts.audience, accept=accept, clock=clock, dice=random.random),
        excess=Excess(CHAT, parts.people, parts.audience, parts.budget, note),
        folded=_folded(house),
        zone=ZoneInfo(parts.bot.time_zone),
        clock=clock,
        note=note,
    )


def _room(house: House, options: Options) -> Room:
    parts, note = _parts(house, options), _note(house, ROOM)
    return Room(
        parts.rooms,
        parts.talk,
        house.journal,
        parts.people,
        parts.audience,
        excess=Excess(ROOM, parts.people, parts.audience, parts.budget, note),
        folded=_folded(house),
        zone=ZoneInfo(parts.bot.time_zone),
        clock=house.clock,
        note=note,
    )


def _digest(house: House, options: Options) -> Digest:
    parts, chat = _parts(house, options), cast("Chat", house.outputs[CHAT])
    return Digest(
        parts.talk,
        house.journal,
        parts.people,
        parts.audience,
        chat.ledger,
        budget=parts.budget,
        room=_room_for(house),
        folded=_folded(house),
        zone=ZoneInfo(parts.bot.time_zone),
        clock=house.clock,
        last=chat.last,
    )


def _room_for(house: House) -> Callable[[str], Room | None]:
    """The output `room`, which is built later."""
    is_room = _is_room(house)

    def room_for(jid: str) -> Room | None:
        return cast("Room", house.outputs[ROOM]) if is_room(jid) else None

    return room_for


def _folded(house: House) -> Folded:
    """Of the output `people`, which may be built later."""

    async def folded(sequence: int) -> None:
        await cast("ForPeople", house.outputs[PEOPLE]).folded(sequence)

    return folded


def _note(house: House, output: str) -> Note:
    """Of the output `escalation`, which is there when a route escalates."""

    def note(sequence: int, jid: str) -> str:
        calling = house.outputs.get(ESCALATION)
        return calling.note(sequence, Target(output, jid)) if isinstance(calling, Escalations) else ""

    return note


def _is_room(house: House) -> Callable[[str], bool]:
    """Also one that it is not to be in any more, if it has subscribed: what it wants to hear waits for it to be."""
    rooms, audience = house.rooms, house.audience

    def is_room(jid: str) -> bool:
        if rooms is None or audience is None:
            return False
        known = audience.known(jid)
        return rooms.is_room(jid) or (known is not None and known.is_room)

    return is_room


def register(registry: Registry) -> None:
    """Offer the outputs `people`, `chat`, `digest` and `room`."""
    registry.output(PEOPLE, _people)
    registry.output(CHAT, _chat)
    registry.output(DIGEST, _digest)
    registry.output(ROOM, _room)
