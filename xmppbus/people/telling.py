"""What one JID is told of an event: decided here from what is known of it. How that is worded and sent, is not."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from xmppbus.event import OURS, Event
from xmppbus.journal import Delivery
from xmppbus.people.incidents import RETRACTED, UNACKNOWLEDGED, has_risen
from xmppbus.people.model import Copy, Incident, Message, Status, message_id


class Shape(enum.Enum):
    """What a message says."""

    EVENT = "event"  # the event itself
    STATE = "state"  # how its incident stands
    LINE = "line"  # the same in a line, because it has to be noticed: clients need not notify of a correction
    END = "end"  # how an earlier episode of its incident ended
    RETRACTION = "retraction"  # that a message is taken back


class Saying(NamedTuple):
    """One message to one JID; its id is the `message_id` of the event, the JID and `revision`."""

    shape: Shape
    revision: int
    key: str = ""  # sent from the resource of this incident, so that it is what is corrected there
    replaces: str = ""  # the id of the message that it corrects
    retracts: str = ""  # the id of the message that it takes back
    was: str = ""  # how severe the JID believes it to be


class Told(NamedTuple):
    """What to say, in order (nothing: the JID knows it), and the copy that it comes to, where that changes."""

    sayings: tuple[Saying, ...] = ()
    copy: Copy | None = None


NOTHING = Told()
EVENT = Saying(Shape.EVENT, 0)
_PLAIN = Told((EVENT,))

_LATE = 1 << 48
"""Above every other revision."""

_MESSAGES = 2
"""How many messages one telling comes to at most: revisions of different tellings are as far apart."""


def key_of(event: Event) -> str:
    """The key of the incident that an event is about; empty when it is about none."""
    fields = event.fields
    return fields.get("key") or "" if "status" in fields else ""


def is_retraction(event: Event) -> bool:
    """Whether the event takes another one back, whose item id is in its data."""
    return event.type == RETRACTED and event.source == OURS


def retracted_item(event: Event) -> str:
    """The item id of what a retraction takes back; empty when it names none."""
    data = event.get("data")
    item = data.get("item") if isinstance(data, dict) else None
    return item if isinstance(item, str) else ""


def expiry(event: Event, now: datetime) -> str:
    """When it expired, if it has; else nothing."""
    expires: str = event.get("expires") or ""
    return expires if expires and datetime.fromisoformat(expires.upper()) <= now else ""


def tell(
    delivery: Delivery,
    jid: str,
    incident: Incident | None,
    copy: Copy | None,
    *,
    revision: int = 0,
    corrects: bool = True,
) -> Told:
    """What a JID is told. `incident` is what the event names, as it stands now, and `copy` what the JID has of it.
    One that is older than the event was not changed by it: whoever has no copy gets an event like any other.

    `revision` is above 0 when it is to be told again. Without `corrects` the JID's clients would not correct the copy
    (XEP-0308: a correction is of the last message from its full JID), so what matters is told in a new message.
    """
    if incident is None:
        return _PLAIN if not revision else Told((Saying(Shape.EVENT, revision),))
    if copy is None or not copy.message_id:
        return _opened(delivery, jid, incident, revision)
    if copy.episode == incident.episode:
        if corrects:
            return _changed(delivery, incident, copy, revision)
        return _said(delivery, incident, copy, revision)
    if _is_end_of_another(delivery, incident):
        return _ended(delivery, copy, revision, corrects=corrects)
    return _opened(delivery, jid, incident, revision)


def take_back(messages: Sequence[Message], copies: Sequence[Copy]) -> Told:
    """Take back what a JID was sent of an entry. `copies` are the JID's copies of their incidents: one that is taken
    back can't be corrected any more."""
    sayings = [_taken_back(each) for each in messages if not each.bounced]
    gone = {each.id for each in messages}
    copy = next((each._replace(message_id="") for each in copies if each.message_id in gone), None)
    return Told(tuple(sayings), copy)


def _taken_back(message: Message) -> Saying:
    if message.revision < 0:  # a digest: the other events in it are not taken back, so it is said which one is
        return Saying(Shape.EVENT, message.revision)
    key = message.key if message.revision % _MESSAGES == 0 else ""
    return Saying(Shape.RETRACTION, message.revision, key, "", message.id)


def revision_of(delivery: Delivery) -> int:
    """The revision of what a delivery is told with. One that was put back to waiting is told with new ids, or nobody
    would see it; its own id is new then, and the same after a crash."""
    return delivery.id * _MESSAGES if delivery.again else 0


def _named(delivery: Delivery, incident: Incident, revision: int) -> int:
    """The revision of a message that says how an incident stands. It may have been sent before, and nobody knows if it
    came: where it says something else now, it is not the same message, or a client would take it for a repeat."""
    late = incident.sequence > delivery.sequence
    return revision + _LATE + incident.sequence * _MESSAGES if late else revision


def _opened(delivery: Delivery, jid: str, incident: Incident, revision: int) -> Told:
    """The JID has nothing that could be corrected: what it is told now is what will be."""
    if incident.sequence < delivery.sequence:
        return Told((Saying(Shape.EVENT, revision),))
    named = _named(delivery, incident, revision)
    made = message_id(delivery.item_id, jid, named)
    copy = Copy(incident.key, jid, incident.episode, made, incident.sequence, incident.severity)
    return Told((Saying(Shape.STATE, named, incident.key),), copy)


def _changed(delivery: Delivery, incident: Incident, copy: Copy, revision: int) -> Told:
    if copy.sequence >= incident.sequence and not revision:
        return NOTHING
    named = _named(delivery, incident, revision)
    sayings = [Saying(Shape.STATE, named, incident.key, copy.message_id)]
    changed = copy._replace(sequence=incident.sequence)
    is_worse = _is_worse(incident, copy)
    if is_worse or (revision and incident.status is not Status.RESOLVED):
        # Not from the incident's resource: the correctable message stays the last one there.
        sayings.append(Saying(Shape.LINE, named + 1, was=copy.severity if is_worse else ""))
    if is_worse:
        changed = changed._replace(severity=incident.severity)
    return Told(tuple(sayings), changed)


def _said(delivery: Delivery, incident: Incident, copy: Copy, revision: int) -> Told:
    """The same in a new message. That it fires once more is not worth one."""
    event = delivery.event
    is_repeat = event.get("status") == Status.FIRING and event.type != UNACKNOWLEDGED
    is_known = copy.sequence >= incident.sequence or (is_repeat and not _is_worse(incident, copy))
    if is_known and not revision:
        return NOTHING
    return _opened(delivery, copy.jid, incident, revision)


def _ended(delivery: Delivery, copy: Copy, revision: int, *, corrects: bool) -> Told:
    """The incident is in its next episode already; what the JID has still says how the last one began."""
    if copy.sequence >= delivery.sequence:
        return NOTHING
    changed = copy._replace(sequence=delivery.sequence)
    if not corrects:
        changed = changed._replace(message_id=message_id(delivery.item_id, copy.jid, revision))
    return Told((Saying(Shape.END, revision, copy.key, copy.message_id if corrects else ""),), changed)


def _is_worse(incident: Incident, copy: Copy) -> bool:
    return has_risen(incident, above=copy.severity)


def _is_end_of_another(delivery: Delivery, incident: Incident) -> bool:
    return delivery.event.get("status") == Status.RESOLVED and delivery.sequence < incident.sequence
