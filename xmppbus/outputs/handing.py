"""Hands messages over to the server: many in one go, and settled by one fence behind them all.

Delivered means that the server has it. Messages are written slice by slice; while one slice is on its way the next is
written. What was handed over is in the ledger before anybody is told that it was delivered.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import NamedTuple

from xmppbus import limits
from xmppbus.journal import DELIVERED, UNSENT, Outcome, Run, Verdict
from xmppbus.people.audience import CHAT
from xmppbus.people.ledger import Ledger
from xmppbus.people.model import Copy, Message
from xmppbus.people.store import People
from xmppbus.route import Target
from xmppbus.xmpp.replies import NoAnswer, Unanswered
from xmppbus.xmpp.talk import Talk

GOES_ON = (Verdict.DELIVERED, Verdict.DEAD)


class Letter(NamedTuple):
    """What one delivery comes to: stanzas, and what the ledger says of them once they are with the server.

    `outcome` is what settles the delivery then; without stanzas, what settles it at once.
    """

    outcome: Outcome = DELIVERED
    stanzas: tuple[bytes, ...] = ()
    messages: tuple[Message, ...] = ()
    copies: tuple[Copy, ...] = ()


Mail = Iterable[tuple[Run, Iterator[Letter]]]
"""Letters are made as they are needed, one for each delivery of a run, in order."""


class _Progress:
    """Of one run: what has become of its deliveries so far."""

    __slots__ = ("failed", "outcomes", "run", "silent")

    def __init__(self, run: Run) -> None:
        self.run = run
        self.outcomes: list[Outcome] = []
        self.silent: list[int] = []  # deliveries for which nothing had to be sent
        self.failed = False

    def fail(self, outcome: Outcome, index: int) -> None:
        """What was to be sent for one delivery was not, or nobody knows."""
        self.outcomes[index] = outcome
        self.failed = True

    def result(self) -> tuple[Run, list[Outcome]]:
        """The run, with one outcome for each delivery."""
        missing = len(self.run.deliveries) - len(self.outcomes)
        if self.failed:
            self._end()
        return self.run, [*self.outcomes, *[UNSENT] * missing] if missing else self.outcomes

    def _end(self) -> None:
        """It ends at the first delivery that does not go on. Where nothing had to be said because of something that
        may not have come, nothing is settled."""
        end = next(index for index, each in enumerate(self.outcomes) if each.verdict not in GOES_ON)
        for index in range(end + 1, len(self.outcomes)):
            if index in self.silent or self.outcomes[index].verdict is Verdict.STOPPED:
                self.outcomes[index] = UNSENT


class _Slice:
    """What is written in one go, and settled by one fence."""

    def __init__(self) -> None:
        self.letters: list[tuple[_Progress, int]] = []  # whose, and for which of its deliveries
        self.ended: list[_Progress] = []  # runs whose last letter is in it
        self.stanzas: list[bytes] = []
        self.messages: list[Message] = []
        self.copies: list[Copy] = []
        self.bytes = 0
        self.fence: asyncio.Task[None] | None = None

    @property
    def is_full(self) -> bool:
        """Whether it is time to send it."""
        return len(self.letters) >= limits.FENCE_DELIVERIES or self.bytes >= limits.FENCE_BYTES

    def add(self, progress: _Progress, letter: Letter) -> None:
        """One more."""
        if letter.stanzas:
            self.letters.append((progress, len(progress.outcomes)))
            self.stanzas += letter.stanzas
            self.bytes += sum(map(len, letter.stanzas))
        else:
            progress.silent.append(len(progress.outcomes))
        progress.outcomes.append(letter.outcome)
        self.messages += letter.messages
        self.copies += letter.copies

    def fail(self, outcome: Outcome) -> None:
        """It was not written, or went unanswered."""
        for progress, index in self.letters:
            progress.fail(outcome, index)
        self.messages.clear()
        self.copies.clear()


class HandingOver:
    """Of one stream. Several series of messages may be handed over side by side."""

    def __init__(self, talk: Talk, people: People, ledger: Ledger) -> None:
        self._talk = talk
        self._people = people
        self._ledger = ledger

    async def hand_over(self, mail: Mail) -> AsyncIterator[tuple[Run, list[Outcome]]]:
        """Write it all, and yield each run as soon as it is known what became of it. Ends a run at the first delivery
        that does not go on, and writes nothing more once the session has ended in which it began."""
        series = _Series(self._talk, self._people, self._ledger)
        try:
            for run, letters in mail:
                progress = _Progress(run)
                for letter in letters if series.ended is None else (Letter(series.ended),):
                    sealed = letter if self._talk.encryption is None else await self._sealed(run.place, letter)
                    series.current.add(progress, sealed)
                    if series.current.is_full:
                        await series.send()
                        while series.is_ahead:
                            for done in await series.settle():
                                yield done.result()
                    if sealed.outcome.verdict not in GOES_ON or series.ended is not None:
                        break
                series.current.ended.append(progress)
            await series.send()
            while series.flying:
                for done in await series.settle():
                    yield done.result()
        finally:
            series.leave()

    async def _sealed(self, jid: str, letter: Letter) -> Letter:
        """The letter as it may be sent to a JID, encrypted or not; where that can't be said now, one that waits."""
        try:
            return letter._replace(stanzas=await self._talk.sealed(jid, letter.stanzas))
        except NoAnswer as error:
            return Letter(Outcome(Verdict.STOPPED, error.why.value))


class _Series:
    """Slices on their way, all in one session: what follows may not overtake what went unanswered."""

    def __init__(self, talk: Talk, people: People, ledger: Ledger) -> None:
        self._talk = talk
        self._people = people
        self._ledger = ledger
        self._session: int | None = None
        self.current = _Slice()
        self.flying: deque[_Slice] = deque()
        self.ended: Outcome | None = None  # why nothing more can be sent

    @property
    def is_ahead(self) -> bool:
        """Whether enough is on its way for now."""
        return len(self.flying) > limits.FENCES_AHEAD

    async def send(self) -> None:
        """Write the current slice, with a fence behind it; let others have their turn, and the server catch up."""
        sent, self.current = self.current, _Slice()
        self.flying.append(sent)
        if not sent.stanzas:
            return
        self._ledger.sending(sent.messages)
        try:
            if self.ended is not None:
                raise NoAnswer(Unanswered.DISCONNECTED)
            await self._talk.room()
            self._session = self._talk.send(b"".join(sent.stanzas), self._session)
            sent.stanzas.clear()
            sent.fence = asyncio.create_task(self._talk.fence(self._session), name="fence of messages")
            await asyncio.sleep(0)
        except NoAnswer as error:
            self._ledger.sent(sent.messages)
            self.ended = Outcome(Verdict.STOPPED, error.why.value)
            sent.fail(self.ended)

    async def settle(self) -> list[_Progress]:
        """Wait until the server has the oldest slice, and write that down; the runs that have come to their end."""
        done = self.flying.popleft()
        sent = list(done.messages)
        try:
            if done.fence is not None:
                await done.fence
            if done.messages or done.copies:
                await self._people.handed_over(done.messages, done.copies)
                await look_again(self._people, done.copies, CHAT)
        except NoAnswer as error:
            done.fail(Outcome(Verdict.UNKNOWN, error.why.value))
            self.ended = self.ended or Outcome(Verdict.STOPPED, error.why.value)
        finally:
            self._ledger.sent(sent)
        return done.ended

    def leave(self) -> None:
        """Whoever waits no longer learns nothing more."""
        for each in self.flying:
            self._ledger.sent(each.messages)
            if each.fence is not None:
                each.fence.cancel()


async def look_again(people: People, copies: Sequence[Copy], output: str) -> None:
    """An incident may have changed while a message about it was on its way. Whoever folds it looks for copies after he
    has written it down, and we look at it after we have written down the copies: one of us finds the other."""
    newest = {copy.key: 0 for copy in copies}
    found = await asyncio.gather(*(people.incident(key) for key in newest))
    newest |= {each.key: each.sequence for each in found if each is not None}
    for copy in copies:
        if copy.message_id and copy.sequence < newest[copy.key]:
            # Nothing if it waits already, as it does where it was addressed: its place is ours until we settle.
            await people.deliver_again(newest[copy.key], Target(output, copy.jid))
