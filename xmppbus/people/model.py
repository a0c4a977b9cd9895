"""The nouns of the chat plane: people's subscriptions, incidents, and what was sent to whom. Only data, and pure."""

from __future__ import annotations

import enum
import uuid
from datetime import datetime
from functools import lru_cache
from hashlib import sha1
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

if TYPE_CHECKING:
    from hashlib import _Hash


class Status(enum.StrEnum):
    """How an incident stands; the values of an event's `status`."""

    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Quiet(Struct, frozen=True, kw_only=True):
    """Hours in which only what breaks through is said: minutes since local midnight, over midnight when start > end."""

    start: int
    end: int
    zone: str = ""  # a name of the time zone database; the house's (`bot.time_zone`) when empty
    breaks_through: str = "critical"  # this severity or worse is said all the same


class Subscription(Struct, frozen=True, kw_only=True):
    """What a person or a room wants to hear of. One for each owner and pattern; a second one takes its place."""

    owner: str  # the bare JID of a person, or of a room
    pattern: str
    severity: str = ""  # as in `route.Match`: `>=warning` is that or worse; empty: any
    digest_seconds: int = 0  # gather for so long, then say it in one message; 0: every event at once
    digest_events: int = 0  # or until so many have been gathered; 0: no such bound
    quiet: Quiet | None = None
    created: datetime
    id: int = 0  # given by the journal


class Mute(Struct, frozen=True, kw_only=True):
    """What a person does not want to hear of for a while: types that match a pattern, or one incident's key."""

    pattern: str = ""
    key: str = ""
    until: datetime | None = None  # None: until it is taken back


class Joined(Struct, frozen=True, kw_only=True):
    """That we were asked into a room while we ran: we are to be there after a restart, too."""

    nick: str = ""  # ours there; the bot's name when it is empty
    password: str = ""
    by: str = ""  # who asked us in: a bare JID


class Person(Struct, frozen=True, kw_only=True):
    """What we know of a bare JID, beside its subscriptions."""

    jid: str
    sees_us: bool = False  # is subscribed to our presence: is told how things stand
    shows_us: bool = False  # lets us see its presence
    mutes: tuple[Mute, ...] = ()
    hold_below: str = ""  # while it is dnd, xa or offline, hold what is less severe than this; empty: hold nothing
    suspended: str = ""  # why nothing is sent to it for now; empty: it is sent
    bounces: int = 0  # refusals in a row
    requested: str = ""  # a stranger's `subscribe`, as it was typed, that waits for an owner's yes
    is_room: bool = False  # it was told something as a room, or has subscribed: it is one, also when we have left it
    joined: Joined | None = None  # only of a room


class Incident(Struct, frozen=True, kw_only=True):
    """Events with one key and a status, from firing to resolved; folded in the order in which they were accepted."""

    key: str
    episode: str  # the item id of the event that opened it: the next time it fires is another episode
    sequence: int  # of the last event that is folded into it
    status: Status
    severity: str  # of the last firing event; of work that is over, of its end
    worst: str  # of those since it opened
    type: str  # of the last firing event
    summary: str  # as `severity`
    link: str = ""
    source: str = ""
    count: int = 1  # firing events since it opened
    opened: datetime
    by: str = ""  # who acknowledged it, or resolved it by hand
    acknowledged: datetime | None = None
    resolved: datetime | None = None
    acknowledgements: int = 0  # how often it was acknowledged in this episode, so that each has a name of its own
    changes: tuple[datetime, ...] = ()  # when it last opened or was resolved: too many in a while is flapping
    flapping: bool = False


class Copy(NamedTuple):
    """The one message about an incident that a JID has: what is corrected when the incident changes."""

    key: str
    jid: str
    episode: str
    message_id: str  # of the first message: every correction names it (XEP-0308 §4)
    sequence: int  # the incident's `sequence` that it shows
    severity: str  # the worst that the JID was told of with a message of its own


class Message(NamedTuple):
    """A message that was handed to the server, and what came back. `received` by a client of theirs (XEP-0184),
    `displayed` there (XEP-0333); `bounced` is the condition with which it came back, with `text`.
    """

    id: str
    sequence: int  # of the event
    jid: str  # bare
    revision: int
    key: str = ""  # of the incident, if it is one's
    sent: datetime | None = None
    received: datetime | None = None
    displayed: datetime | None = None
    bounced: str = ""
    text: str = ""


class Escalation(NamedTuple):
    """A chain that waits for its next step: at `due` it goes on unless somebody has acknowledged."""

    route: str
    episode: str  # the item id of the event that began it
    key: str  # of its incident; empty for an event that is none
    sequence: int  # of the event that began it
    step: int  # the next one, from 0
    due: datetime


class Counted(NamedTuple):
    """How often a type was seen among what the journal still has, and when last."""

    type: str
    times: int
    last: datetime


class Tally(NamedTuple):
    """How much the chat plane keeps."""

    subscriptions: int
    people: int  # whose settings are kept
    incidents: dict[str, int]  # by status


def message_id(item_id: str, jid: str, revision: int) -> str:
    """The id of a message: the same for the same message, so that whoever gets it twice can tell.

    The UUIDv5 (RFC 9562 §5.5) of JID, newline, revision within the item id; made for thousands of JIDs at once.
    """
    hashed = _hash_of(item_id).copy()
    hashed.update(f"{jid}\n{revision}".encode())
    digest = bytearray(hashed.digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


@lru_cache(maxsize=256)
def _hash_of(item_id: str) -> _Hash:
    return sha1(uuid.UUID(item_id).bytes, usedforsecurity=False)
