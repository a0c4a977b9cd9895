"""Hands messages over to the server: many in one go, and settled by one fence behind them all.

Delivered means that the server has it. Messages are written slice by slice; while one slice is on its way the next is
written. What was handed over is in the ledger before anybody is told that it was delivered.
"""

from __future__ import annotations

import asyncio
import contextlib
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
from xmppbus.xmpp.replies import NoAnswer
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

    __slots__ = ("outcomes", "run", "written")

    def __init__(self, run: Run) -> None:
        self.run = run
        self.outcomes: list[Outcome] = []
        self.written: list[bool] = []

    def result(self) -> tuple[Run, list[Outcome]]:
        """The run, with one outcome for each delivery. Where nothing had to be said because of something that may not
        have come, nothing is settled either."""
        goes_on = True
        for index, outcome in enumerate(self.outcomes):
            if not goes_on and not self.written[index]:
                self.outcomes[index] = UNSENT
            goes_on = goes_on and outcome.verdict in GOES_ON
        missing = len(self.run.deliveries) - len(self.outcomes)
        return self.run, [*self.outcomes, *[UNSENT] * missing]


class _Slice:
    """What one fence settles."""

    def __init__(self) -> None:
        self.letters: list[tuple[_Progress, int]] = []  # whose, and which of its deliveries
        self.ended: list[_Progress] = []  # runs whose last letter is in it
        self.messages: list[Message] = []
        self.copies: list[Copy] = []
        self.sending: list[Message] = []  # the same, and those that could not be written
        self.session = 0
        self.bytes = 0
        self.fence: asyncio.Task[None] | None = None

    @property
    def is_full(self) -> bool:
        """Whether it is time for a fence."""
        return len(self.letters) >= limits.FENCE_DELIVERIES or self.bytes >= limits.FENCE_BYTES

    def fail(self, outcome: Outcome) -> None:
        """It went unanswered."""
        for progress, index in self.letters:
            if progress.written[index]:
                progress.outcomes[index] = outcome


class HandingOver:
    """Of one stream. Several series of messages may be handed over side by side."""

    def __init__(self, talk: Talk, people: People, ledger: Ledger) -> None:
        self._talk = talk
        self._people = people
        self._ledger = ledger

    async def hand_over(self, mail: Mail) -> AsyncIterator[tuple[Run, list[Outcome]]]:
        """Write it all, and yield each run as soon as it is known what became of it. Ends a run at the first delivery
        that does not go on, and writes nothing more once the session has ended."""
        flying: deque[_Slice] = deque()
        current = _Slice()
        try:
            for run, letters in mail:
                progress = _Progress(run)
                for letter in letters:
                    sealed = letter if self._talk.encryption is None else await self._sealed(run.place, letter)
                    if not self._write(current, progress, sealed):
                        break
                    if current.is_full:
                        flying.append(self._seal(current))
                        current = _Slice()
                        await self._room()
                    while len(flying) > limits.FENCES_AHEAD:
                        for done in await self._finish(flying.popleft()):
                            yield done.result()
                current.ended.append(progress)
            flying.append(self._seal(current))
            while flying:
                for done in await self._finish(flying.popleft()):
                    yield done.result()
        finally:
            for each in [*flying, current]:
                self._ledger.sent(each.sending)
                if each.fence is not None:
                    each.fence.cancel()

    async def _sealed(self, jid: str, letter: Letter) -> Letter:
        """The letter as it may be sent to a JID, encrypted or not; where that can't be said now, one that waits."""
        try:
            return letter._replace(stanzas=await self._talk.sealed(jid, letter.stanzas))
        except NoAnswer as error:
            return Letter(Outcome(Verdict.STOPPED, error.why.value))

    async def _room(self) -> None:
        """Let others have their turn, and the server catch up."""
        await asyncio.sleep(0)
        with contextlib.suppress(NoAnswer):  # the next one that is written learns it, too
            await self._talk.room()

    def _write(self, current: _Slice, progress: _Progress, letter: Letter) -> bool:
        """Whether the run goes on."""
        outcome, is_written = letter.outcome, False
        self._ledger.sending(letter.messages)
        current.sending += letter.messages
        try:
            for stanza in letter.stanzas:
                current.session = self._talk.send(stanza, current.session or None)
                current.bytes += len(stanza)
                is_written = True
        except NoAnswer as error:
            verdict = Verdict.UNKNOWN if is_written else Verdict.STOPPED
            outcome = Outcome(verdict, error.why.value)
        else:
            current.messages += letter.messages
            current.copies += letter.copies
        current.letters.append((progress, len(progress.outcomes)))
        progress.outcomes.append(outcome)
        progress.written.append(is_written)
        return outcome.verdict in GOES_ON

    def _seal(self, current: _Slice) -> _Slice:
        if current.session:
            current.fence = asyncio.create_task(self._talk.fence(current.session), name="fence of messages")
        return current

    async def _finish(self, done: _Slice) -> list[_Progress]:
        """Wait until the server has it, and write that down; the runs that have come to their end."""
        try:
            if done.fence is not None:
                await done.fence
            if done.messages or done.copies:
                await self._people.handed_over(done.messages, done.copies)
                await self._look_again(done.copies)
        except NoAnswer as error:
            done.fail(Outcome(Verdict.UNKNOWN, error.why.value))
        finally:
            self._ledger.sent(done.sending)
        return done.ended

    async def _look_again(self, copies: Sequence[Copy]) -> None:
        """An incident may have changed while a message about it was on its way. Whoever folds it looks for copies after
        he has written it down, and we look at it after we have written down the copies: one of us finds the other."""
        newest = {copy.key: 0 for copy in copies}
        found = await asyncio.gather(*(self._people.incident(key) for key in newest))
        newest |= {each.key: each.sequence for each in found if each is not None}
        for copy in copies:
            if copy.message_id and copy.sequence < newest[copy.key]:
                # Nothing if it waits already, as it does where it was addressed: its place is ours until we settle.
                await self._people.deliver_again(newest[copy.key], Target(CHAT, copy.jid))
