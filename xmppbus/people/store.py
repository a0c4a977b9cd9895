"""What the chat plane keeps in the journal. What a store does, not how: `stores/people.py` has the how."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from xmppbus.journal import Entry
from xmppbus.people.model import Copy, Counted, Escalation, Incident, Message, Person, Status, Subscription, Tally
from xmppbus.route import Match, Target


class People(Protocol):
    """Survives kill -9 like the journal, in whose file it is. Every method that writes returns after the commit."""

    # --- who wants what ---

    async def subscriptions(self) -> list[Subscription]:
        """All of them, oldest first."""

    async def subscribe(self, subscription: Subscription) -> Subscription:
        """Keep it, with an id; one of the same owner and pattern is replaced. `Refused` (too-many-requests) beyond
        `limits.SUBSCRIPTIONS`, or `limits.SUBSCRIPTIONS_OF_ONE`."""

    async def unsubscribe(self, subscriptions: Sequence[int]) -> int:
        """Forget them; how many there were."""

    async def persons(self) -> list[Person]:
        """Everybody of whom something is kept."""

    async def keep_person(self, person: Person) -> None:
        """Keep it in the place of what was kept of the same JID. `Refused` beyond `limits.PERSONS`."""

    async def forget_person(self, jid: str) -> None:
        """Forget it."""

    async def tally(self) -> Tally:
        """How much there is of all this."""

    # --- incidents, and who has which message about them ---

    async def incident(self, key: str) -> Incident | None:
        """The last episode of that key."""

    async def incidents(self, statuses: Sequence[Status], limit: int) -> list[Incident]:
        """Those that stand so, newest first."""

    async def keep_incidents(self, incidents: Sequence[Incident]) -> None:
        """Keep them; one whose `sequence` is not above that of what is kept of the same key changes nothing."""

    async def copies_of(self, key: str) -> list[Copy]:
        """Who has a message about that incident."""

    async def copies(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Copy]:
        """The copies for (key, JID)."""

    async def outdate(self, copy: Copy) -> None:
        """A correction of it did not come: it does not show what its incident has come to."""

    # --- the ledger ---

    async def handed_over(self, messages: Sequence[Message], copies: Sequence[Copy]) -> None:
        """Messages that the server has been given, and the copies that they make or change. Twice is harmless."""

    async def message(self, message_id: str) -> Message | None:
        """The message with that id."""

    async def messages_of(self, sequence: int) -> list[Message]:
        """What was sent of an event, to whom, and what came back; oldest first."""

    async def received(self, message_ids: Sequence[str], moment: datetime) -> None:
        """Receipts (XEP-0184) came; the first counts."""

    async def displayed(self, message_ids: Sequence[str], moment: datetime) -> None:
        """Markers (XEP-0333) came; the first counts. Whatever was sent to that JID before it is displayed, too, and
        what corrects it and was received."""

    async def bounced(self, message_id: str, condition: str, text: str) -> None:
        """It came back with an error."""

    # --- escalation ---

    async def escalations(self) -> list[Escalation]:
        """Every chain that waits, the next due first."""

    async def begin_escalation(self, escalation: Escalation) -> None:
        """Keep it; one of the same route and episode that is there, or ever was, changes nothing."""

    async def escalate(self, escalation: Escalation, targets: Sequence[Target], following: datetime | None) -> bool:
        """In one commit: make the deliveries of its step, and go on to the next one, due at `following` (None: the
        chain ends). False, and nothing done, when that step is done already or the chain has ended; or, with targets,
        when somebody has its incident, though that be accepted and not folded yet."""

    async def end_escalations(self, episode: str) -> int:
        """Nobody needs to be called any more; how many chains ended."""

    # --- what people ask ---

    async def types(self, limit: int) -> list[Counted]:
        """Types seen, the most recent first."""

    async def last(self, limit: int, match: Match) -> list[Entry]:
        """The newest entries that match, newest first. Looks at a bounded number of entries."""

    async def search(self, words: Sequence[str], limit: int) -> list[Entry]:
        """The newest entries in whose type, summary or text all the words are, in any case. The same bound."""

    # --- deliveries ---

    async def deliver_again(self, sequence: int, target: Target) -> bool:
        """A delivery of that entry waits there from now on, behind what waits already, marked `again` if there was one
        before. False when the entry has been pruned."""

    async def mend(self, jid: str) -> int:
        """Whatever a JID has a message about, which says otherwise than things stand, is delivered to it; how many
        incidents it is."""

    async def send_again(self, message: Message) -> None:
        """Everything that a message told, which has come back, waits again where it was told from, as with
        `deliver_again`: also what is not settled yet, because the message was still on its way."""

    def count_waiting(self, target: Target) -> int:
        """How much waits at a place."""

    async def drop_waiting(self, target: Target, sequences: Sequence[int] | None = None) -> int:
        """Forget what waits at a place (all of it, or these), because nobody wants it any more; how many it was."""

    async def waiting(self, target: Target, limit: int, skip: int = 0) -> list[Entry]:
        """What waits at a place, oldest first, the first `skip` of it left out."""

    def wake(self, target: Target) -> None:
        """A place that was held is due now. Nothing is written."""
