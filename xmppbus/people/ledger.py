"""What comes back of messages: receipts, markers and bounces, written down many at a time, and what follows from them.

Nothing here is ever answered. Whoever says something of a message is believed only if the message was sent to that JID.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from xmppbus import limits
from xmppbus.errors import JournalFailed
from xmppbus.event import OURS
from xmppbus.interfaces import Accept, Clock
from xmppbus.people.audience import CHAT, DIGEST, Audience
from xmppbus.people.model import Message
from xmppbus.people.store import People
from xmppbus.people.turns import Turns
from xmppbus.retry import Dice, Retry
from xmppbus.route import Target

log = logging.getLogger("xmppbus.people")

EARLY = 8
"""So much is kept of what comes back of one message before it is written down: a receipt and a marker of each of some
clients."""

SUSPENDED = "person.suspended"
RESUMED = "person.resumed"
"""Types of the events that tell owners; together they are the incident `person/JID`."""


class Meaning(enum.Enum):
    """What a bounce says."""

    GONE = "gone"  # of the JID: it is not there, or does not want us
    LATER = "later"  # of the moment: it may take the message another time
    NOTED = "noted"  # of the message: there is nothing to do but to know it


_GONE = frozenset(
    {
        # A missing account, and whoever has blocked us, on Prosody and ejabberd; and whoever is not there where nothing
        # is kept for those. ejabberd says nothing at all of a missing account once mod_mam is loaded.
        "service-unavailable",
        "item-not-found",
        "gone",
        "redirect",
        "jid-malformed",
        "forbidden",
        "not-allowed",  # Prosody without mod_s2s, for another domain
        "not-authorized",
        "not-acceptable",  # privacy lists (XEP-0016 §2.14)
        "registration-required",
        "subscription-required",
    }
)
_LATER = frozenset(
    {
        "recipient-unavailable",
        "remote-server-not-found",  # ejabberd, also for a component that is only away
        "remote-server-timeout",  # Prosody, for the same
        "resource-constraint",  # ejabberd, when its offline storage is full
        "internal-server-error",
        "policy-violation",
    }
)


def meaning(condition: str) -> Meaning:
    """By condition, never by the error's type: servers mark permanent errors as `wait`, and the other way round."""
    if condition in _GONE:
        return Meaning.GONE
    return Meaning.LATER if condition in _LATER else Meaning.NOTED


class Back(NamedTuple):
    """Something that came back. `jid` is the bare one that the server stamped; the ids are of messages of ours."""

    jid: str
    received: str = ""
    displayed: str = ""
    bounced: str = ""
    condition: str = ""  # of the error with which it bounced (RFC 6120 §8.3.3)
    text: str = ""


class Ledger:
    """Takes what comes back at once, and works it off beside everything else."""

    def __init__(self, people: People, audience: Audience, *, accept: Accept, clock: Clock, dice: Dice) -> None:
        self._people = people
        self._audience = audience
        self._accept = accept
        self._clock = clock
        self._dice = dice
        self._retry = Retry(limits.BOUNCE_FIRST_SECONDS, limits.BOUNCE_MOST_SECONDS)
        self._heard: deque[Back] = deque()
        self._wake = asyncio.Event()
        self._busy = False
        self._attempts: OrderedDict[str, tuple[int, float]] = (
            OrderedDict()
        )  # of a JID in a row, and when the next is due
        self._under_way: dict[str, list[Back] | None] = {}  # what came back of messages that are not written down yet
        # A marker names the first id of what was corrected, so it may be of what is under way: it waits for that.
        self._markers: deque[tuple[str, Back]] = deque()
        self.turns = Turns(people)  # of the outputs that tell people
        self.dropped = 0  # what came while too much was waiting

    def hear(self, back: Back) -> None:
        """Something has come back. Beyond the bound it is dropped: a receipt less is no harm."""
        of = back.received or back.displayed or back.bounced
        if of in self._under_way:
            early = self._under_way[of] or []
            self._under_way[of] = [*early, back][:EARLY]
            return
        if back.displayed and self._under_way and len(self._markers) < limits.HEARD_WAITING:
            self._markers.append((next(reversed(self._under_way)), back))
            return
        self._take(back)

    def _take(self, back: Back) -> None:
        if len(self._heard) >= limits.HEARD_WAITING:
            self.dropped += 1
            return
        self._heard.append(back)
        self._wake.set()

    def sending(self, messages: Iterable[Message]) -> None:
        """They are being sent: what comes back of them meanwhile is kept until it is known whether they were."""
        self._under_way |= dict.fromkeys([each.id for each in messages])

    def sent(self, messages: Iterable[Message]) -> None:
        """They are in the ledger; or will be sent again, as nobody knows."""
        for each in messages:
            for back in self._under_way.pop(each.id, None) or ():
                self._take(back)
        while self._markers and self._markers[0][0] not in self._under_way:
            self._take(self._markers.popleft()[1])

    def alive(self, jid: str) -> None:
        """There is a sign of life: whoever was given up, or waited for, is sent everything again."""
        if self._attempts.pop(jid, None):
            self._wake_places(jid)
        if self._audience.person(jid).bounces:
            self.hear(Back(jid))

    def seconds(self, jid: str) -> float:
        """How long still until a JID whose messages came back is tried again."""
        _, due = self._attempts.get(jid, (0, 0.0))
        return max(0.0, due - asyncio.get_running_loop().time()) if due else 0.0

    @property
    def is_idle(self) -> bool:
        """Whether everything that was heard is written down."""
        return not (self._heard or self._markers or self._under_way or self._busy)

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            self._wake.clear()
            if not self._heard:
                await self._wake.wait()
            batch = [self._heard.popleft() for _ in range(min(len(self._heard), limits.HEARD_AT_ONCE))]
            self._busy = True
            try:
                await self._work(batch)
            except JournalFailed:
                raise
            except Exception:  # the house is kept alive: what one of them brought must not end the ledger
                log.exception("what came back could not be written down")
            finally:
                self._busy = False

    async def _work(self, batch: Sequence[Back]) -> None:
        sent = await self._ours(batch)
        now = self._clock()
        received = [each.received for each in batch if self._is_theirs(sent, each.received, each.jid)]
        displayed = [each.displayed for each in batch if self._is_theirs(sent, each.displayed, each.jid)]
        if received:
            await self._people.received(list(dict.fromkeys(received)), now)
        if displayed:
            await self._people.displayed(list(dict.fromkeys(displayed)), now)
        for each in batch:
            try:
                await self._follow(each, sent)
            except JournalFailed:
                raise
            except Exception:  # what can't be done for one of them is not the others'
                log.exception("what came back of %s could not be dealt with", each.jid, extra={"jid": each.jid})

    async def _follow(self, back: Back, sent: dict[str, Message]) -> None:
        """What follows from one of them."""
        if self._is_theirs(sent, back.bounced, back.jid):
            await self._bounced(back, sent[back.bounced])
        elif not back.bounced and (
            not (back.received or back.displayed) or self._is_theirs(sent, back.received or back.displayed, back.jid)
        ):
            await self._lives(back.jid)

    async def _ours(self, batch: Sequence[Back]) -> dict[str, Message]:
        ids = {made for each in batch for made in (each.received, each.displayed, each.bounced) if made}
        found = await asyncio.gather(*(self._people.message(made) for made in ids))
        return {each.id: each for each in found if each is not None}

    @staticmethod
    def _is_theirs(sent: dict[str, Message], made: str, jid: str) -> bool:
        message = sent.get(made)
        return message is not None and message.jid == jid

    def _wake_places(self, jid: str) -> None:
        for output in (CHAT, DIGEST):
            self._people.wake(Target(output, jid))

    async def _lives(self, jid: str) -> None:
        self._attempts.pop(jid, None)
        person = self._audience.person(jid)
        if not person.bounces:
            return
        await self._audience.resume(jid)
        await self._people.mend(jid)
        self._wake_places(jid)
        if person.suspended:
            summary = f"{jid} is sent messages again"
            await self._tell(jid, self._clock().isoformat(), type=RESUMED, status="resolved", summary=summary)

    # --- bounces ------------------------------------------------------------------------------------------------------

    async def _bounced(self, back: Back, message: Message) -> None:
        if message.bounced:
            return  # said before: a server may say it for each of its copies
        await self._people.bounced(message.id, back.condition, back.text)
        await self._forget_copy(message)
        means = meaning(back.condition)
        if means is Meaning.LATER and self._next_attempt(message.jid):
            await self._people.send_again(message)
        elif means is not Meaning.NOTED:
            await self._count(back, message)

    async def _forget_copy(self, message: Message) -> None:
        """What never came can't be corrected; and what it was to correct still says what it said before."""
        if not message.key:
            return
        copy = (await self._people.copies([(message.key, message.jid)])).get((message.key, message.jid))
        if copy is not None and copy.message_id == message.id:
            await self._people.handed_over([], [copy._replace(message_id="")])
        elif copy is not None:
            await self._people.outdate(copy)

    def _next_attempt(self, jid: str) -> bool:
        """Whether there is to be one more; the place waits for it as long as `seconds` says."""
        attempts, due = self._attempts.get(jid, (0, 0.0))
        now = asyncio.get_running_loop().time()
        if due > now:
            return True  # several messages of one attempt came back
        if attempts >= limits.BOUNCE_ATTEMPTS:
            del self._attempts[jid]
            return False
        self._attempts[jid] = attempts + 1, now + self._retry.decide(attempts + 1, self._dice)
        self._attempts.move_to_end(jid)
        if len(self._attempts) > limits.PERSONS:
            self._attempts.popitem(last=False)
        return True

    async def _count(self, back: Back, message: Message) -> None:
        """One more refusal in a row; after some of them the person is sent nothing, and owners are told."""
        person = self._audience.person(back.jid)
        if person.suspended:
            return
        why = f"{back.condition}: {back.text}" if back.text else back.condition
        bounces = person.bounces + 1
        if bounces < limits.BOUNCES:
            await self._audience.alter(back.jid, bounces=bounces)
            return
        suspended = f"{bounces} messages in a row came back ({why})"
        await self._audience.alter(back.jid, bounces=bounces, suspended=suspended)
        log.warning("%s is sent nothing more: %s", back.jid, suspended, extra={"jid": back.jid})
        await self._tell(
            back.jid,
            message.id,
            type=SUSPENDED,
            status="firing",
            severity="warning",
            summary=f"{back.jid} is sent nothing more: {suspended}"[: limits.SUMMARY_CHARACTERS],
            data={"jid": back.jid, "condition": back.condition, "text": back.text},
        )

    async def _tell(self, jid: str, name: str, **fields: Any) -> None:
        """An event of the incident that a person can't be reached, along the routes."""
        made = f"{jid}/{fields['type']}/{name}"
        await self._accept([{"source": OURS, "id": made, "subject": jid, "key": f"person/{jid}", **fields}])
