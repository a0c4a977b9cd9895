"""Who may do what: one table, action and affiliation, and nothing else decides."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from xmppbus.options import BotOptions
from xmppbus.people.addresses import bare, bare_jid, domain_of


class Affiliation(enum.StrEnum):
    """What a JID is to the bot, the highest first (the words of XEP-0060 §4.1)."""

    OWNER = "owner"
    PUBLISHER = "publisher"
    MEMBER = "member"
    NONE = "none"
    OUTCAST = "outcast"


class Action(enum.StrEnum):
    """What somebody may want to do."""

    TALK = "talk"  # help, whoami, version: says nothing of what happens here
    ASK = "ask"  # become a subscriber, where a stranger's wish waits for an owner's yes
    READ = "read"  # list, last, show, search, status
    SUBSCRIBE = "subscribe"  # for oneself: subscribe, mute, snooze...
    PUBLISH = "publish"
    ACKNOWLEDGE = "acknowledge"  # ack, unack, resolve: concerns everybody's copies
    ADMINISTER = "administer"  # who, dead, nodes, retract, allow, deny, invitations into rooms


_O, _P, _M, _N = Affiliation.OWNER, Affiliation.PUBLISHER, Affiliation.MEMBER, Affiliation.NONE

ALLOWED: Mapping[Action, frozenset[Affiliation]] = {
    Action.TALK: frozenset({_O, _P, _M, _N}),
    Action.ASK: frozenset({_O, _P, _M, _N}),
    Action.READ: frozenset({_O, _P, _M}),
    Action.SUBSCRIBE: frozenset({_O, _P, _M}),
    Action.PUBLISH: frozenset({_O, _P}),
    Action.ACKNOWLEDGE: frozenset({_O, _P, _M}),
    Action.ADMINISTER: frozenset({_O}),
}


def may(affiliation: Affiliation, action: Action) -> bool:
    """Whether that affiliation is enough. Outcasts may nothing: they are not even answered."""
    return affiliation in ALLOWED[action]


class Affiliations:
    """What everybody is, as the config says it: by bare JID, else by domain, else by affiliation with the room."""

    def __init__(self, given: Mapping[str, str], rooms: Mapping[str, Mapping[str, str]]) -> None:
        """`given` is JID or domain to affiliation; `rooms` is, for each room, its affiliation to ours."""
        self._given = {bare_jid(name): Affiliation(each) for name, each in given.items()}
        self._rooms = {
            bare_jid(room): {name: Affiliation(each) for name, each in table.items()} for room, table in rooms.items()
        }

    def take(self, other: Affiliations) -> None:
        """What they are from now on, for everybody who asks here."""
        self._given, self._rooms = other._given, other._rooms

    def of(self, jid: str, room: str = "", in_room: str = "") -> Affiliation:
        """What a JID is. `jid` is as the server stamped it, and compared as it stands: what only looks like another
        is another. It is empty for an occupant whose real JID a room hides: that is anybody, whatever the room says.
        `in_room` is the occupant's affiliation there (XEP-0045 §5.2).
        """
        if not jid:
            return Affiliation.NONE
        named = self._given.get(bare(jid)) or self._given.get(domain_of(jid))
        return named or self._rooms.get(room, {}).get(in_room, Affiliation.NONE)

    def is_owner(self, jid: str) -> bool:
        """Whether a JID is an owner wherever he speaks: not by what he is in some room."""
        return self.of(jid) is Affiliation.OWNER

    def owners(self) -> list[str]:
        """The bare JIDs of the owners, in order of the config; a domain is nobody to write to."""
        return [jid for jid, each in self._given.items() if each is Affiliation.OWNER and "@" in jid]


def affiliations_of(bot: BotOptions | None) -> Affiliations:
    """As the config says it; without a bot nobody is anything."""
    if bot is None:
        return Affiliations({}, {})
    rooms = {room.jid: {str(name): str(each) for name, each in room.affiliations.items()} for room in bot.rooms}
    return Affiliations(bot.affiliations, rooms)
