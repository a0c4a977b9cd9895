"""Makes letters: what each JID of a batch is told of each of its deliveries, worded, as stanzas."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator
from datetime import datetime

from xmppbus import limits
from xmppbus.journal import DELIVERED, Delivery, Outcome, Run, Verdict
from xmppbus.outputs.handing import Letter
from xmppbus.outputs.known import Known
from xmppbus.outputs.wording import Wording
from xmppbus.people.model import Message, message_id
from xmppbus.people.telling import (
    EVENT,
    Shape,
    Told,
    expiry,
    is_retraction,
    key_of,
    retracted_item,
    revision_of,
    take_back,
    tell,
)


class LastMessages:
    """The last message that each JID got from us, as far as one full JID sends them all: only that one is corrected.

    In memory, and bounded: of one that is forgotten nothing is corrected.
    """

    def __init__(self, most: int = limits.LAST_MESSAGES) -> None:
        self._last: OrderedDict[str, str] = OrderedDict()
        self._most = most

    def is_last(self, jid: str, made: str) -> bool:
        """Whether that message is the JID's last one, corrections left out."""
        return self._last.get(jid) == made

    def sent(self, jid: str, made: str = "") -> None:
        """The JID got a message; without an id, one that is never corrected."""
        self._last[jid] = made
        self._last.move_to_end(jid)
        if len(self._last) > self._most:
            self._last.popitem(last=False)


class Speaking:
    """For one batch. Letters must be made in the order in which they are sent."""

    def __init__(self, known: Known, wording: Wording, now: datetime, last: LastMessages | None) -> None:
        """`last` is given where all messages are sent from one full JID."""
        self._known = known
        self._wording = wording
        self._now = now
        self._last = last
        self._plain: dict[int, bool] = {}  # by entry

    def letters(self, run: Run, moved: Collection[int]) -> Iterator[Letter]:
        """One for each delivery, in order; an empty one for those that were moved elsewhere."""
        for delivery in run.deliveries:
            yield _NOTHING if delivery.id in moved else self.letter(run.place, delivery)

    def letter(self, jid: str, delivery: Delivery) -> Letter:
        """What a JID is told of one delivery."""
        is_plain = self._plain.get(delivery.sequence)
        if is_plain is None:
            is_plain = self._plain[delivery.sequence] = self._is_plain(delivery)
        return self._event(jid, delivery) if is_plain and not delivery.again else self._letter(jid, delivery)

    def _is_plain(self, delivery: Delivery) -> bool:
        """Whether it is an event that everybody is told alike."""
        event = delivery.event
        return not (key_of(event) or is_retraction(event) or expiry(event, self._now))

    def _event(self, jid: str, delivery: Delivery) -> Letter:
        """The hot path: what `_letter` would come to, too."""
        made = message_id(delivery.item_id, jid, 0)
        stanza = self._wording.stanza(EVENT, jid, made, delivery, None)
        if self._last is not None:
            self._last.sent(jid, made)
        return Letter(DELIVERED, (stanza,), (Message(made, delivery.sequence, jid, 0, "", self._now),))

    def _letter(self, jid: str, delivery: Delivery) -> Letter:
        expires = expiry(delivery.event, self._now)
        if expires and not self._mends(jid, delivery):
            return Letter(Outcome(Verdict.DEAD, "expired", f"it expired at {expires}"))
        told = self._told(jid, delivery)
        if not told.sayings and told.copy is None:
            return _NOTHING
        stanzas: list[bytes] = []
        messages: list[Message] = []
        incident = self._known.incidents.get(key_of(delivery.event))
        for saying in told.sayings:
            made = message_id(delivery.item_id, jid, saying.revision)
            stanzas.append(self._wording.stanza(saying, jid, made, delivery, incident))
            key = saying.key or (incident.key if saying.shape is Shape.LINE and incident else "")
            messages.append(Message(made, delivery.sequence, jid, saying.revision, key, self._now))
            if self._last is not None and not saying.replaces:
                self._last.sent(jid, made)
        if told.copy is not None:
            self._known.copies[told.copy.key, jid] = told.copy
        copies = () if told.copy is None else (told.copy,)
        return Letter(DELIVERED, tuple(stanzas), tuple(messages), copies)

    def _mends(self, jid: str, delivery: Delivery) -> bool:
        """Whether the JID has a message about the delivery's incident, which has to be kept true."""
        key = key_of(delivery.event)
        incident = self._known.incidents.get(key) if key else None
        return incident is not None and self._known.has_copy(jid, incident)

    def sent(self, jid: str) -> None:
        """The JID is sent something else."""
        if self._last is not None:
            self._last.sent(jid)

    def _told(self, jid: str, delivery: Delivery) -> Told:
        known = self._known
        if is_retraction(delivery.event):
            sent = known.taken_back.get((retracted_item(delivery.event), jid), [])
            return take_back(sent, known.copies_among(sent))
        key = key_of(delivery.event)
        incident = known.incidents.get(key) if key else None
        copy = known.copies.get((key, jid)) if incident else None
        corrects = copy is None or (
            self._wording.corrects(jid) and (self._last is None or self._last.is_last(jid, copy.message_id))
        )
        return tell(delivery, jid, incident, copy, revision=revision_of(delivery), corrects=corrects)


_NOTHING = Letter()
