"""What a command is: declared once, it serves text (chat, rooms) and ad-hoc commands (XEP-0050) alike.

A command takes values and returns values; how they look in a chat or a form is decided elsewhere.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from xmppbus.bot.access import Action
    from xmppbus.bot.desk import Desk


class Kind(enum.Enum):
    """What an argument is, and so how it is read, checked and shown in a form."""

    WORD = "word"  # one word, or several in quotes
    TEXT = "text"  # the rest of the line
    PATTERN = "pattern"  # `user.*`, `#`
    TYPE = "type"  # an event's type
    SEVERITY = "severity"
    NUMBER = "number"
    DURATION = "duration"  # `15m`, `2h`, `1d`
    EVENT = "event"  # an item id, or the first characters of one
    KEY = "key"  # an incident's key
    JID = "jid"
    WAY = "way"  # `every`, `digest 15m`, `quiet 22:00-07:00 [ZONE]`
    COMMAND = "command"  # the name of a command


class Argument(NamedTuple):
    """One argument of a command. Optional ones come last; the value of one that is not given is None."""

    name: str
    kind: Kind
    help: str
    required: bool = True


class Place(enum.Enum):
    """Where a command was given."""

    CHAT = "chat"
    ROOM = "room"
    PRIVATE = "private"  # a private message in a room
    FORM = "ad-hoc"


class Asker(NamedTuple):
    """Who asks: the bare JID that the server stamped, or, in a room, the real one that the room told us.

    `jid` is empty in a room that hides real JIDs: then nobody has more than anybody's rights.
    """

    jid: str
    place: Place
    room: str = ""  # the room's bare JID
    nick: str = ""
    full: str = ""  # where the answer goes


class Table(NamedTuple):
    """Rows of a kind: lines in a chat, a reported table in a form (XEP-0004 §3.4)."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]


class Answer(NamedTuple):
    """What a command says. `confirm` names what will be done once the asker has sent back a one-time word."""

    text: str = ""
    table: Table | None = None
    confirm: Callable[[], Awaitable[Answer]] | None = None
    failed: bool = False  # a refusal; the text says what to do


Values = Mapping[str, Any]
Run = Callable[["Desk", Asker, Values], Awaitable[Answer]]


@dataclass(frozen=True)
class Command:
    """A word that people can say. `example` is what `help NAME` shows to be typed."""

    name: str
    help: str
    run: Run
    action: Action
    arguments: tuple[Argument, ...] = ()
    example: str = ""
    aliases: tuple[str, ...] = field(default=())


class Unusable(Exception):
    """What was said can't be used; the text says how to mend it."""
