"""Hands out what waits in one queue, to whoever asks, each to one at a time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NamedTuple, Self

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.interfaces import Clock
from xmppbus.journal import DELIVERED, Backlog, Delivery, Journal, Outcome, Verdict
from xmppbus.queues.leases import Lease, Leased, LeaseLost, Leases
from xmppbus.retry import Dice, Retry
from xmppbus.route import QUEUE, Target

log = logging.getLogger("xmppbus.queues")

_RETRY = Retry(limits.QUEUE_RETRY_FIRST_SECONDS, limits.QUEUE_RETRY_MOST_SECONDS)
_FOREVER = float("inf")


class Times(NamedTuple):
    """Clocks: one that nobody sets, in seconds, for leases; and the time of day, for what expires."""

    ticks: Callable[[], float]
    clock: Clock


class _Asking(NamedTuple):
    """A consumer that waits for an event."""

    consumer: Consumer
    answer: asyncio.Future[Leased]


class Broker:
    """One queue while somebody consumes it, and what it remembers of it afterwards."""

    def __init__(self, name: str, journal: Journal, times: Times, dice: Dice, opens: float = 0.0) -> None:
        self.name = name
        self.consumers: set[Consumer] = set()
        self.leases = Leases()
        self._ticks, self._clock = times
        self._dice = dice
        self._opens = opens  # before that only those who come back with what they had get anything
        self._backlog: Backlog = journal.backlog(Target(QUEUE, name), self._more)
        self._asking: deque[_Asking] = deque()
        self._unread = True  # the backlog may have more than was read
        self._reading: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_moment: float | None = None
        self._settling: set[asyncio.Task[None]] = set()
        self._dropping: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def is_idle(self) -> bool:
        """Whether nobody consumes it, and nothing of it need be remembered."""
        return not (self.consumers or self.leases.later or self.leases.out or self._settling or self._dropping)

    def close(self) -> None:
        """The house is being left: whoever asks gets nothing more."""
        self._closed = True
        self._backlog.close()
        if self._timer:
            self._timer.cancel()
        if self._reading:
            self._reading.cancel()
        for asking in self._asking:
            if not asking.answer.done():
                asking.answer.set_exception(_closing())

    async def settled_all(self) -> None:
        """What consumers have said is written."""
        if writing := [*self._settling, *([self._dropping] if self._dropping else [])]:
            await asyncio.wait(writing)

    async def purge(self) -> int:
        """Forget what waits and nobody has; how many there were."""
        purged, more = 0, limits.QUEUE_PURGE_EVENTS
        while more == limits.QUEUE_PURGE_EVENTS:  # what comes meanwhile must not keep it going
            more = await self._backlog.drop(limits.QUEUE_PURGE_EVENTS, [*self.leases.out])
            purged += more
        self.leases.empty(later=True)
        self._unread = True
        self._turn()
        return purged

    # --- asked by consumers -------------------------------------------------------------------------------------------

    def enter(self, consumer: Consumer) -> None:
        """One more consumes."""
        self.consumers.add(consumer)

    def leave(self, consumer: Consumer) -> None:
        """One less: what it has is somebody else's at once."""
        self.consumers.discard(consumer)
        for asking in self._asking:
            if asking.consumer is consumer:
                asking.answer.cancel()
        for lease in [each for each in self.leases.out.values() if each.holder is consumer]:
            self._give_back(lease)
        if self.consumers:
            self._turn()
        else:
            self.leases.empty()
            self._unread = True

    def ask(self, consumer: Consumer) -> asyncio.Future[Leased]:
        """The next event, once there is one."""
        if self._closed:
            raise _closing()
        answer: asyncio.Future[Leased] = asyncio.get_running_loop().create_future()
        self._asking.append(_Asking(consumer, answer))
        self._turn()
        return answer

    async def settled(self, answer: asyncio.Future[Leased]) -> bool:
        """Whether there is an event for who asked, once that is known; there may be one later all the same."""
        if (seconds := self._opens - self._ticks()) > 0:
            await asyncio.sleep(seconds)
            self._turn()
        while not answer.done() and (going := self._reading or self._dropping):
            either: list[asyncio.Future[Any]] = [answer, going]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        return answer.done()

    async def adopt(self, consumer: Consumer, delivery: int, item_id: str) -> Leased:
        """One that a consumer had when its connection was lost. Raises `LeaseLost` when somebody else has it, or it is
        done."""
        found = await self._backlog.these([delivery])
        if not found or found[0].item_id != item_id or not self.leases.withdraw(delivery):
            raise LeaseLost(f"delivery {delivery} is done, or somebody else has it")
        return self._lease(found[0], consumer)

    async def settle(self, consumer: Consumer, delivery: int, outcome: Outcome) -> None:
        """What became of it, on disk when this returns. Raises `LeaseLost`."""
        self.leases.held(delivery, consumer)
        lease = self.leases.end(delivery)
        # It goes on when whoever waits for it is cancelled: until it is written nobody else may have the event.
        task = asyncio.get_running_loop().create_task(self._write(lease, outcome))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)
        await asyncio.shield(task)

    async def _write(self, lease: Lease, outcome: Outcome) -> None:
        seconds = None
        if outcome.verdict is Verdict.STOPPED:
            seconds = _RETRY.decide(lease.delivery.attempts + 1, self._dice)
        try:
            await self._backlog.settle([(lease.delivery, outcome)])
        except Exception:
            seconds = limits.QUEUE_RETRY_FIRST_SECONDS
            raise
        finally:
            if seconds is None:
                self.leases.forget([lease.delivery.id])
            else:
                self.leases.try_later(lease.delivery.id, self._ticks() + seconds)
            lease.holder.freed()
            self._turn()

    def release(self, consumer: Consumer, delivery: int) -> None:
        """Let another have it at once. Raises `LeaseLost`."""
        self._give_back(self.leases.held(delivery, consumer))
        self._turn()

    def renew(self, consumer: Consumer, delivery: int) -> None:
        """Have it for as long again, from now. Raises `LeaseLost`."""
        self.leases.held(delivery, consumer).until = self._ticks() + consumer.lease_seconds

    # --- handing out --------------------------------------------------------------------------------------------------

    def _more(self) -> None:
        """More waits than did."""
        self._unread = True
        if self._asking:
            self._turn()

    def _turn(self) -> None:
        """Hand out what is ready, and see to it that there is more."""
        if self._closed:
            return
        now = self._ticks()
        for lease in self.leases.ran_out(now):
            log.warning("queue %s: the lease of %s ran out", self.name, lease.delivery.item_id)
            self._give_back(lease)
        self._hand_out()
        if self._asking and not self._reading and not self._dropping and self._may_read(now):
            self._reading = asyncio.get_running_loop().create_task(self._read())
        self._set_timer(now)

    def _hand_out(self) -> None:
        expired: list[tuple[Delivery, Outcome]] = []
        while self._asking and not self._dropping:
            if self._asking[0].answer.done():  # its consumer has left
                self._asking.popleft()
                continue
            delivery = self.leases.next()
            if delivery is None:
                break
            if expires := self._expired(delivery):
                expired.append((delivery, Outcome(Verdict.DEAD, "expired", f"it expired at {expires}")))
                continue
            asking = self._asking.popleft()
            asking.answer.set_result(self._lease(delivery, asking.consumer))
        if expired:
            self._dropping = asyncio.get_running_loop().create_task(self._drop(expired))

    def _expired(self, delivery: Delivery) -> str:
        """When it was over, if it is."""
        expires: str = delivery.event.get("expires") or ""
        return expires if expires and datetime.fromisoformat(expires.upper()) <= self._clock() else ""

    async def _drop(self, expired: list[tuple[Delivery, Outcome]]) -> None:
        """Nobody is to have them any more. Nothing more is handed out meanwhile: what has expired may be very many."""
        numbers = [delivery.id for delivery, _ in expired]
        try:
            await self._backlog.settle(expired)
        except Exception:
            log.exception("queue %s: what has expired can't be dropped now", self.name)
            for number in numbers:
                self.leases.try_later(number, self._ticks() + limits.QUEUE_RETRY_FIRST_SECONDS)
        else:
            self.leases.forget(numbers)
        finally:
            self._dropping = None
        self._turn()

    def _lease(self, delivery: Delivery, consumer: Consumer) -> Leased:
        self.leases.lease(delivery, consumer, self._ticks() + consumer.lease_seconds)
        return Leased(delivery.id, delivery.sequence, delivery.item_id, delivery.event, delivery.attempts + 1)

    def _give_back(self, lease: Lease) -> None:
        self.leases.end(lease.delivery.id)
        self.leases.ready_again(lease.delivery)
        lease.holder.freed()

    def _may_read(self, now: float) -> bool:
        if now < self._opens:
            return False
        return (self._unread and not self.leases.is_crowded) or self.leases.is_due(now)

    async def _read(self) -> None:
        """Read until everybody who asks has one, or there is no more."""
        try:
            while self._asking and not self._dropping and await self._read_some():
                self._hand_out()
        except Exception as error:
            log.exception("queue %s: what waits in it can't be read", self.name)
            self._unread = True
            while self._asking:
                answer = self._asking.popleft().answer
                if not answer.done():
                    answer.set_exception(error)
        finally:
            self._reading = None
        self._turn()

    async def _read_some(self) -> bool:
        """Whether there was anything to read."""
        now, emptied = self._ticks(), self.leases.emptied
        if due := self.leases.due(now, limits.QUEUE_WINDOW):
            found = await self._backlog.these(due)
            if emptied != self.leases.emptied:
                self.leases.forget(due)  # they are read again, with all that is there now
                self._unread = True
            else:
                self.leases.read_again(due, found, now)
            return True
        if self._unread and not self.leases.is_crowded:
            self._unread = False
            found = await self._backlog.after(self.leases.reached, limits.QUEUE_WINDOW)
            if emptied != self.leases.emptied:  # what is before these was let go of meanwhile
                self._unread = True
                return True
            self._unread = self._unread or bool(found)
            self.leases.read(found)
            return bool(found)
        return False

    def _set_timer(self, now: float) -> None:
        # What is due while nobody asks, or is being read, is looked at when somebody does, or when it is read.
        looks = bool(self._asking) and not self._reading and not self._dropping
        moment = self._opens if now < self._opens else self.leases.next_moment(due=looks)
        if moment == self._timer_moment:
            return
        if self._timer:
            self._timer.cancel()
        self._timer, self._timer_moment = None, moment
        if moment is not None:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, moment - now), self._time)

    def _time(self) -> None:
        self._timer, self._timer_moment = None, None
        self._turn()


class Consumer:
    """One of those who compete for the events of a queue. Leaving the block gives back at once what it has."""

    def __init__(self, broker_of: Callable[[], Broker], prefetch: int, lease_seconds: float | None) -> None:
        self.lease_seconds = _FOREVER if lease_seconds is None else lease_seconds
        self._broker_of = broker_of
        self._broker: Broker
        self._prefetch = prefetch
        self._out = 0
        self._freed = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._broker = self._broker_of()
        self._broker.enter(self)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._broker.leave(self)

    async def take(self) -> Leased:
        """The next event, once there is one, and fewer than `prefetch` are out. Raises `Refused` (closing)."""
        while self._out >= self._prefetch:
            self._freed.clear()
            await self._freed.wait()
        with self._asking() as answer:
            return await answer

    async def take_now(self) -> Leased | None:
        """The next event, if there is one now, and fewer than `prefetch` are out. Raises `Refused` (closing)."""
        if self._out >= self._prefetch:
            return None
        with self._asking() as answer:
            if not await self._broker.settled(answer):
                answer.cancel()
                self.freed()
                return None
            return await answer

    @contextlib.contextmanager
    def _asking(self) -> Iterator[asyncio.Future[Leased]]:
        """An answer that is awaited; what was handed out to whoever does not wait any more is another's."""
        answer = self._broker.ask(self)
        self._out += 1
        try:
            yield answer
        except BaseException:
            if answer.done() and not answer.cancelled() and not answer.exception():
                with contextlib.suppress(LeaseLost):
                    self._broker.release(self, answer.result().id)
            else:
                answer.cancel()
                self.freed()
            raise

    async def adopt(self, lease_id: int, item_id: str) -> Leased:
        """An event that this consumer had in another life of the connection or of the daemon, if nobody else has it.
        Raises `LeaseLost`."""
        found = await self._broker.adopt(self, lease_id, item_id)
        self._out += 1
        return found

    async def ack(self, lease_id: int) -> None:
        """It is done. Raises `LeaseLost`."""
        await self._broker.settle(self, lease_id, DELIVERED)

    async def requeue(self, lease_id: int, text: str = "") -> None:
        """It is handed out again after a while, which grows with each try. Raises `LeaseLost`."""
        await self._broker.settle(self, lease_id, Outcome(Verdict.STOPPED, "requeued", text))

    async def reject(self, lease_id: int, text: str = "") -> None:
        """It is dead, and why: a person decides. Raises `LeaseLost`."""
        await self._broker.settle(self, lease_id, Outcome(Verdict.DEAD, "rejected", text))

    async def release(self, lease_id: int) -> None:
        """Another gets it at once, and it does not count as a try. Raises `LeaseLost`."""
        self._broker.release(self, lease_id)

    def renew(self, lease_id: int) -> None:
        """Keep it for as long again. Raises `LeaseLost`."""
        self._broker.renew(self, lease_id)

    def freed(self) -> None:
        """One less is out."""
        self._out -= 1
        self._freed.set()


def _closing() -> Refused:
    return Refused(Code.CLOSING, "the daemon is stopping; try again in a moment", retry_after=2)
