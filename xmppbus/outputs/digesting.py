"""Makes the letters of digests: what is due for a JID in one message, and corrections of what it has already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from xmppbus import limits
from xmppbus.journal import DELIVERED, Delivery, Outcome, Run, Verdict
from xmppbus.outputs.handing import Letter
from xmppbus.outputs.known import Known
from xmppbus.outputs.speaking import Speaking
from xmppbus.outputs.wording import Wording
from xmppbus.people.audience import DIGEST, Audience
from xmppbus.people.model import Incident, Message, message_id
from xmppbus.people.telling import expiry, is_retraction, key_of, revision_of
from xmppbus.people.texts import digest_text
from xmppbus.route import Target


class Digesting:
    """For one batch."""

    def __init__(
        self,
        known: Known,
        wording: Wording,
        speaking: Speaking,
        audience: Audience,
        *,
        is_room: bool,
        now: datetime,
    ) -> None:
        self._known = known
        self._wording = wording
        self._speaking = speaking
        self._audience = audience
        self._is_room = is_room
        self._now = now

    def letters(self, run: Run) -> Iterator[Letter]:
        """One for each delivery, in order. The digest is in that of the first event it tells of."""
        jid = run.place
        letters = {each.id: Letter() for each in run.deliveries}
        newest = {key: each for each in run.deliveries if (key := key_of(each.event))}
        told: list[Delivery] = []
        for each in run.deliveries:
            key = key_of(each.event)
            incident = self._known.incidents.get(key) if key else None
            expires = expiry(each.event, self._now)
            if expires and not (incident and self._known.has_copy(jid, incident)):
                letters[each.id] = Letter(Outcome(Verdict.DEAD, "expired", f"it expired at {expires}"))
            elif is_retraction(each.event) or (incident and self._is_mended(jid, incident)):
                if newest.get(key, each) is each:
                    letters[each.id] = self._speaking.letter(jid, each)
            elif self._is_wanted(jid, each, incident):
                told.append(each)
        if told:
            letter = self._one(jid, told) or self._several(jid, told)
            letters[told[0].id] = letter
        yield from letters.values()

    def _is_mended(self, jid: str, incident: Incident) -> bool:
        """Whether what the JID has of it is corrected. In a room that is seldom the last message, and so a change would
        be one more message: it is told with the others."""
        return not self._is_room and self._known.has_copy(jid, incident)

    def _is_wanted(self, jid: str, each: Delivery, incident: Incident | None) -> bool:
        """Long after it was sent here, somebody may have unsubscribed or muted it."""
        if self._audience.muted(jid, each.event, incident, self._now):
            return False
        return self._audience.is_wanted(Target(DIGEST, jid), each.event, incident)

    def _one(self, jid: str, told: Sequence[Delivery]) -> Letter | None:
        """If it is all about one thing, that is told as it would have been at once."""
        about = {key_of(each.event) or each.item_id for each in told}
        if len(about) > 1:
            return None
        letter = self._speaking.letter(jid, told[-1])
        if not letter.messages:
            return letter
        (first, *_) = letter.messages
        also = tuple(first._replace(sequence=each.sequence) for each in told[:-1])
        return letter._replace(messages=(*letter.messages, *also))

    def _several(self, jid: str, told: Sequence[Delivery]) -> Letter:
        # An id of its own beside what else is told of its last event, and another one when there is more to tell.
        revision = -len(told) - limits.RUN_EVENTS * 2 * revision_of(told[-1])
        made = message_id(told[-1].item_id, jid, revision)
        text = digest_text([each.event for each in told], self._known.incidents)
        stanza = self._wording.digest(jid, made, text, is_room=self._is_room)
        self._speaking.sent(jid)
        messages = tuple(Message(made, each.sequence, jid, revision, "", self._now) for each in told)
        return Letter(DELIVERED, (stanza,), messages)
