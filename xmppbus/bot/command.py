"""What a command is: declared once, it serves text (chat, rooms) and ad-hoc commands (XEP-0050) alike.

A command takes values and returns values; how they look in a chat or a form is decided elsewhere.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from xmppbus.bot.access import Action
from xmppbus.errors import PluginInvalid
from xmppbus.plugins import Registry

if TYPE_CHECKING:
    from xmppbus.bot.desk import Desk

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")


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
    """One argument of a command. The value of an optional one that is not given is None.

    `choices` are the words that one of kind WORD can be.
    """

    name: str
    kind: Kind
    help: str
    required: bool = True
    choices: tuple[str, ...] = ()


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
    in_room: str = ""  # the affiliation with the room (XEP-0045 §5.2), where the room tells it
    replies_to: str = ""  # the id of the message of ours that this is a reply to (XEP-0461)

    @property
    def who(self) -> tuple[str, str, str]:
        """Names the asker in this place: two people, or one person in two places, never share a state."""
        return self.place.value, self.room, self.jid or self.full

    @property
    def subscriber(self) -> str:
        """Whose subscriptions the asker speaks of: the room's when it is said there, else his own."""
        return self.room if self.place is Place.ROOM else self.jid


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
    is_page: bool = False  # it is cut to what fits already
    # Makes a picture once the text is said, for that takes longer: its https address, or `Refused` with why not.
    picture: Callable[[], Awaitable[str]] | None = None


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
    said_only: bool = False  # it makes no sense as a form

    @property
    def written(self) -> str:
        """How it is written: `last [NUMBER] [PATTERN]`."""
        words = ["|".join(each.choices) if each.choices else each.name.upper() for each in self.arguments]
        optional = [word if each.required else f"[{word}]" for word, each in zip(words, self.arguments, strict=True)]
        return " ".join([self.name, *optional])


class Unusable(Exception):
    """What was said can't be used; the text says how to mend it. `left` is how much of the line was not yet read."""

    def __init__(self, text: str, left: int = 0) -> None:
        super().__init__(text)
        self.left = left


def commands_of(registry: Registry) -> dict[str, Command]:
    """Everything that is registered, by name. Raises `PluginInvalid` for what is no command."""
    found: dict[str, Command] = {}
    for name, offered in registry.commands.items():
        try:
            more = {"action": Action.READ, **offered.more}
            found[name] = Command(name, offered.help, _answering(offered.run), Action(more.pop("action")), **more)
        except (TypeError, ValueError) as error:
            raise PluginInvalid(f"the command {name!r} can't be used: {error}") from error
        if not _NAME.fullmatch(name):
            raise PluginInvalid(f"the command {name!r} should be one word of small letters, digits, `_` and `-`")
    return found


def _answering(run: Callable[..., Any]) -> Run:
    """A plugin's command may answer with a text alone."""

    async def answering(desk: Desk, asker: Asker, values: Values) -> Answer:
        answer = await run(desk, asker, values)
        return answer if isinstance(answer, Answer) else Answer(str(answer or ""))

    return answering
