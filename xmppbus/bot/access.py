"""Who may do what: one table, action and affiliation, and nothing else decides."""

from __future__ import annotations

import enum
from collections.abc import Mapping


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
