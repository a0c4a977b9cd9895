"""The chat plane: what people are told, each as a chat message from the bot, in any client.

A place is a bare JID. An incident is one message, corrected in place; any other event is one message. Delivered means
handed over to the server, which a ping behind the messages shows; what receipts and bounces say more is in the ledger.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import tzinfo
from typing import Any

from xmppbus import limits
from xmppbus.interfaces import Clock
from xmppbus.journal import HELD, Delivery, Journal, Outcome, Run, Verdict
from xmppbus.outputs.excess import Excess
from xmppbus.outputs.handing import HandingOver, Mail
from xmppbus.outputs.known import Folded, look_up
from xmppbus.outputs.running import in_turn, one_run
from xmppbus.outputs.speaking import LastMessages, Speaking
from xmppbus.outputs.wording import Note, Wording, no_note
from xmppbus.people.audience import CHAT, Audience
from xmppbus.people.ledger import Back, Ledger
from xmppbus.people.store import People
from xmppbus.xmpp.messages import Heard
from xmppbus.xmpp.presence import Presence
from xmppbus.xmpp.talk import Talk

CAME_BACK = "its messages came back; it is tried again"


class Chat:
    """An `Output` and a `ManyOutput`: tells people, and listens to what comes back."""

    def __init__(
        self,
        talk: Talk,
        journal: Journal,
        people: People,
        audience: Audience,
        ledger: Ledger,
        *,
        excess: Excess,
        folded: Folded,
        zone: tzinfo,
        clock: Clock,
        note: Note = no_note,
    ) -> None:
        self._talk = talk
        self._journal = journal
        self._people = people
        self._audience = audience
        self.ledger = ledger
        self._excess = excess
        self._folded = folded
        self.zone = zone  # of the config that holds now
        self._clock = clock
        self._note = note
        self._handing = HandingOver(talk, people, ledger)
        self._listening: asyncio.Task[None] | None = None
        self.last = None if talk.is_component else LastMessages()
        talk.on_heard.append(self._heard)
        talk.on_presence.append(self._seen)

    async def __aenter__(self) -> Chat:
        self._listening = asyncio.create_task(self.ledger.run(), name="ledger")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """The stream is somebody else's to close."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])

    async def ready(self) -> None:
        """While a session is up."""
        await self._talk.ready()

    def status(self) -> Mapping[str, Any]:
        """See `docs/reference/status.md`."""
        up = bool(self._talk.session)
        return {
            "state": "up" if up else "down",
            "reason": "" if up else "no session with the XMPP server; see `xmpp`",
            "unheard": self.ledger.dropped,
        }

    # --- out ----------------------------------------------------------------------------------------------------------

    def deliver_run(self, place: str, deliveries: Sequence[Delivery]) -> AsyncIterator[Outcome]:
        """As `interfaces.Output` says."""
        return one_run(self, Run(0, CHAT, place, tuple(deliveries)))

    def deliver_many(self, runs: Sequence[Run]) -> AsyncIterator[tuple[Run, list[Outcome]]]:
        """As `handing_over.ManyOutput` says."""
        return in_turn(self.ledger.turns, CHAT, runs, self._held, self._tell)

    async def _tell(self, runs: Sequence[Run]) -> AsyncIterator[tuple[Run, list[Outcome]]]:
        await self._talk.prepare([run.place for run in runs])
        known = await look_up(runs, self._journal, self._people, self._folded)
        now = self._clock()
        speaking = Speaking(known, Wording(self._talk, self.zone, now, self._note), now, self.last)
        moved = await self._excess.move(runs, known, now)
        mail: Mail = ((run, speaking.letters(run, moved)) for run in runs)
        async for result in self._handing.hand_over(mail):
            yield result

    def _held(self, jid: str) -> Outcome | None:
        """Why nothing is sent to a JID for now. Its end wakes the place."""
        if suspended := self._audience.person(jid).suspended:
            return Outcome(Verdict.STOPPED, HELD, suspended, limits.SUSPENDED_SECONDS)
        if seconds := self.ledger.seconds(jid):
            return Outcome(Verdict.STOPPED, HELD, CAME_BACK, seconds)
        return None

    # --- what comes back ----------------------------------------------------------------------------------------------

    def _heard(self, heard: Heard) -> None:
        if heard.kind == "error":
            self.ledger.hear(Back(heard.bare, bounced=heard.id, condition=heard.condition, text=heard.text))
        elif heard.received or heard.displayed:
            self.ledger.hear(Back(heard.bare, received=heard.received, displayed=heard.displayed))
        elif heard.kind != "groupchat":
            self.ledger.alive(heard.bare)

    def _seen(self, jid: str, presence: Presence) -> None:
        if presence.show not in ("offline", "unknown", "awaited"):
            self.ledger.alive(jid)
