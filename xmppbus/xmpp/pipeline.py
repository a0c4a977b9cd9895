"""Requests in flight on one stream: sent in order, answered by id, never left without an answer.

The hot path. What is sent in one turn of the event loop is one write; an answer costs one look into a dict; all
deadlines share one timer. When the session ends, whatever is in flight is unanswered at once.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

from xmppbus import limits
from xmppbus.xmpp.replies import ErrorAnswer, NoAnswer, Unanswered, error_of

log = logging.getLogger(__name__)

Answer = Element | Unanswered
Answered = Callable[[Any, Answer], None]


class _Pending(NamedTuple):
    deadline: float
    size: int
    to: str
    answered: Answered
    token: Any


class Pipeline:
    """IQs of one stream. Closed until `open` gives it something to write to; it may be opened again."""

    def __init__(self) -> None:
        self._write: Callable[[bytes], None] | None = None
        self._pending: dict[str, _Pending] = {}
        self._unanswered_bytes = 0
        self._unsent: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: deque[Callable[[], None]] = deque()
        self._prefix = ""
        self._count = 0
        self.answers = 0  # in this session
        self._loop: asyncio.AbstractEventLoop

    @property
    def is_open(self) -> bool:
        """Whether something can be sent."""
        return self._write is not None

    @property
    def in_flight(self) -> int:
        """How many requests are unanswered."""
        return len(self._pending)

    @property
    def has_room(self) -> bool:
        """Whether the bounds on the stream let another request go; control traffic is not held back by them."""
        return len(self._pending) < limits.STREAM_IQS and self._unanswered_bytes < limits.STREAM_BYTES

    def open(self, write: Callable[[bytes], None]) -> None:
        """A session is up: requests go to `write` from now on."""
        self._loop = asyncio.get_running_loop()
        self._write = write
        self.answers = 0
        # Unguessable, so that nobody else can answer in the service's place.
        self._prefix = secrets.token_hex(6)

    def close(self) -> None:
        """The session is over: everything in flight is unanswered, and nothing more is sent."""
        self._write = None
        self._unsent.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lost, self._pending, self._unanswered_bytes = self._pending, {}, 0
        for each in lost.values():
            self._tell(each, Unanswered.DISCONNECTED)
        self._wake()

    def when_room(self, call: Callable[[], None]) -> None:
        """Call once when there is room again, or when the session has ended; first come, first served."""
        self._waiting.append(call)

    def new_id(self) -> str:
        """An id for a request of this session."""
        self._count += 1
        return f"{self._prefix}{self._count:x}"

    def send(self, request_id: str, stanza: bytes, to: str, answered: Answered, token: Any = None) -> None:
        """Send an IQ. `answered(token, answer)` is called exactly once: with the reply, or with why there is none."""
        if self._write is None:
            raise NoAnswer(Unanswered.DISCONNECTED)
        deadline = self._loop.time() + limits.IQ_SECONDS
        self._pending[request_id] = _Pending(deadline, len(stanza), to, answered, token)
        self._unanswered_bytes += len(stanza)
        if self._timer is None:
            self._timer = self._loop.call_at(deadline, self._expire)
        self.write(stanza)

    def write(self, stanza: bytes) -> None:
        """Send bytes that nobody answers, behind what was sent before."""
        if self._write is None:
            raise NoAnswer(Unanswered.DISCONNECTED)
        if not self._unsent:
            self._loop.call_soon(self.flush)
        self._unsent.append(stanza)

    def flush(self) -> None:
        """Hand over what this turn of the loop has gathered."""
        if self._unsent and self._write is not None:
            gathered = self._unsent[0] if len(self._unsent) == 1 else b"".join(self._unsent)
            self._unsent.clear()
            self._write(gathered)

    async def ask(self, request_id: str, stanza: bytes, to: str) -> Element:
        """Send an IQ and return its result. Raises `ErrorAnswer` or `NoAnswer`."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.send(request_id, stanza, to, _resolve, future)
        answer = await future
        if isinstance(answer, Unanswered):
            raise NoAnswer(answer)
        if answer.get("type") == "error":
            raise ErrorAnswer(error_of(answer))
        return answer

    def take(self, stanza: Element) -> bool:
        """Resolve the request that this IQ of type result or error answers; whether there was one."""
        found = self._pending.get(stanza.get("id", ""))
        # A missing `from` is our own server's (RFC 6120 §8.1.2.1); anybody else's answer is not one.
        if found is None or stanza.get("from", found.to) != found.to:
            return False
        del self._pending[stanza.attrib["id"]]
        self._unanswered_bytes -= found.size
        self.answers += 1
        if self._waiting:
            self._wake()  # before the one that is answered takes the room that came of it
        self._tell(found, stanza)
        if self._waiting:
            self._wake()
        return True

    def _tell(self, pending: _Pending, answer: Answer) -> None:
        try:
            pending.answered(pending.token, answer)
        except Exception:  # the house is kept alive: one request's bug must not harm its neighbours
            log.exception("an answer could not be dealt with")

    def _wake(self) -> None:
        # As many as wait now: one that finds no room, or more to send, comes again behind the others.
        for _ in range(len(self._waiting)):
            if self.is_open and not self.has_room:
                break
            call = self._waiting.popleft()
            try:
                call()
            except Exception:  # the same
                log.exception("a sender could not go on")

    def _expire(self) -> None:
        """The oldest request's time is up: it and those as old are unanswered; wait for the next oldest."""
        self._timer = None
        now = self._loop.time()
        late = []
        for request_id, pending in self._pending.items():
            if pending.deadline > now:
                self._timer = self._loop.call_at(pending.deadline, self._expire)
                break
            late.append(request_id)
        for request_id in late:
            pending = self._pending.pop(request_id)
            self._unanswered_bytes -= pending.size
            self._tell(pending, Unanswered.TIMEOUT)
        self._wake()


def _resolve(future: asyncio.Future[Answer], answer: Answer) -> None:
    if not future.done():
        future.set_result(answer)
