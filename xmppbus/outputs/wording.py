"""What is said, in words and as stanzas. Rendered once for all who are told the same, and addressed to each."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, tzinfo

from xmppbus import limits
from xmppbus.journal import Delivery
from xmppbus.people.model import Incident
from xmppbus.people.telling import Saying, Shape
from xmppbus.people.texts import (
    end_text,
    event_text,
    incident_line,
    incident_text,
    noted,
    retraction_text,
    rise_text,
    shortened,
)
from xmppbus.xmpp.messages import Message, retraction
from xmppbus.xmpp.talk import Talk

RESOURCE_DIGITS = 8
"""A resource is shown by some clients before each line, so it is short: of a thousand open incidents two have the same
once in nine thousand times, and then a client that looks at it closely shows a correction as a line of its own."""


def resource_of(key: str) -> str:
    """The resource from which an incident speaks: clients correct only the last message of one full JID."""
    return hashlib.sha256(key.encode()).hexdigest()[:RESOURCE_DIGITS]


Note = Callable[[int, str], str]
"""Why a JID is told of an entry, if not because it wanted to be: that others have not reacted. Empty otherwise."""


def no_note(sequence: int, jid: str) -> str:  # noqa: ARG001  # a `Note`
    """Nobody is called."""
    return ""


class Wording:
    """For one batch: what it has rendered is kept as long as it is."""

    def __init__(self, talk: Talk, zone: tzinfo, now: datetime, note: Note = no_note) -> None:
        self._talk = talk
        self._zone = zone
        self._now = now
        self._note = note
        self._rendered: dict[tuple[Shape, str, int, str, str], Message] = {}

    def stanza(self, saying: Saying, jid: str, made: str, delivery: Delivery, incident: Incident | None) -> bytes:
        """A message to a JID with the id `made`. `incident` is the delivery's, where it has one."""
        if saying.shape is Shape.RETRACTION:
            body = retraction_text()
            return retraction(
                to=jid, sender=self._sender(saying.key), message_id=made, retracts=saying.retracts, body=body
            )
        about = incident.sequence if incident and saying.shape in (Shape.STATE, Shape.LINE) else delivery.sequence
        note = "" if saying.replaces else self._note(delivery.sequence, jid)
        name = (saying.shape, saying.key, about, saying.was, note)
        message = self._rendered.get(name)
        if message is None:
            message = Message(self._sender(saying.key), noted(self._text(saying, delivery, incident), note))
            self._rendered[name] = message
        return message.stanza(jid, made, saying.replaces)

    def corrects(self, jid: str) -> bool:
        """Whether a JID's clients show corrections: to the others each change is said in a message of its own."""
        return self._talk.shows_corrections(jid)

    def digest(self, jid: str, made: str, text: str, *, is_room: bool) -> bytes:
        """A digest to a person or a room."""
        message = (
            Message(self._talk.full(), text, kind="groupchat", markable=False, store=False)
            if is_room
            else Message(self._talk.full(), text)
        )
        return message.stanza(jid, made)

    def _sender(self, key: str) -> str:
        return self._talk.full(resource_of(key)) if key else self._talk.full()

    def _text(self, saying: Saying, delivery: Delivery, incident: Incident | None) -> str:
        if incident is None or saying.shape is Shape.EVENT:
            return event_text(delivery.event)
        if saying.shape is Shape.END:
            return end_text(delivery.event)
        if saying.shape is Shape.STATE:
            return incident_text(incident, self._zone, self._now)
        if saying.was:
            return rise_text(incident, saying.was)
        return shortened(incident_line(incident), limits.LINE_CHARACTERS)
