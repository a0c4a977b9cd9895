"""Connections of the STOMP listener: who may have one, and the sweep that ends those that stall.

A connection that stalls costs a few kilobytes, and gives its place to whoever comes when there is none left.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import socket
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from xmppbus import limits
from xmppbus.errors import BusError, Code, Refused
from xmppbus.inputs.stomp_frames import BadFrame, Frame, Parser
from xmppbus.inputs.stomp_session import Session, Wrong
from xmppbus.web.connection import network

log = logging.getLogger("xmppbus.stomp")

SWEEP_SECONDS = 0.25
_CLOSING = Refused(Code.CLOSING, "the daemon is stopping; connect again in a moment", retry_after=2)


class Connections:
    """All that are open."""

    def __init__(self) -> None:
        self.open: dict[Connection, None] = {}  # those that count, in the order in which they came
        self.every: set[Connection] = set()  # also those that were told to go, and have not gone yet
        self.refused = 0  # turned away, or put out for another
        self.late = 0  # ended by a deadline
        self.held = 0  # bytes of unfinished frames
        self._by_address: Counter[str] = Counter()
        self._nobody = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        # The journal, the other listeners and the stream need descriptors, too.
        self._most = min(limits.STOMP_CONNECTIONS, max(descriptors // 4, 16))

    def add(self, connection: Connection) -> bool:
        """Count it in; false when there are too many, and all of them have something to do."""
        self.every.add(connection)
        of_one = self._by_address[connection.address] >= limits.STOMP_CONNECTIONS_PER_ADDRESS
        if (of_one or len(self.open) >= self._most) and not self._put_out(connection.address if of_one else ""):
            self.refused += 1
            return False
        self.open[connection] = None
        self._by_address[connection.address] += 1
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep)
        return True

    def lost(self, connection: Connection) -> None:
        """It is no more."""
        self.remove(connection)
        self.every.discard(connection)
        if not self.every:
            self._nobody.set()

    def remove(self, connection: Connection) -> None:
        """Count it out."""
        if connection in self.open:
            del self.open[connection]
            self._by_address[connection.address] -= 1
            if not self._by_address[connection.address]:
                del self._by_address[connection.address]

    async def close(self) -> None:
        """What is being answered may be finished, for a while; then they are gone."""
        waiting = [task for task in [each.leave() for each in self.every] if task]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=limits.ANSWER_GRACE_SECONDS)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        for connection in self.every:
            connection.abort()
        if self.every:
            self._nobody.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._nobody.wait(), limits.STOMP_GOODBYE_SECONDS)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _put_out(self, address: str) -> bool:
        """End the one that does least, of an address or of all."""
        ranked = [(each.idleness(), each) for each in self.open if not address or each.address == address]
        idle = [(rank, each) for rank, each in ranked if rank is not None]
        if not idle:
            return False
        _, found = min(idle, key=lambda each: each[0])
        self.refused += 1
        found.put_out()
        return True

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in list(self.open):
            if connection.look(now):
                self.late += 1
        self._timer = loop.call_later(SWEEP_SECONDS, self._sweep) if self.open else None


class Idleness(NamedTuple):
    """The least goes first."""

    rank: int
    since: float


class Connection(asyncio.Protocol):
    """One client: bytes to frames, frames to its session, and deadlines for both sides."""

    def __init__(self, connections: Connections, make: Callable[[Connection], Session]) -> None:
        self.address = ""
        self.session = make(self)
        self.task: asyncio.Task[None] | None = None
        self._connections = connections
        self._parser = Parser()
        self._transport: asyncio.Transport
        self._can_write = asyncio.Event()
        self._can_write.set()
        self._arrived = asyncio.Event()
        self._next: Frame | None = None  # taken, and not to be handled with those before it
        self._failure: Refused | BadFrame | None = None
        self._open = True
        self._ended = False  # no more will come
        self._reading = True
        self._lingers = True  # so that who has more to say can read why we end it
        self._held = 0
        loop = asyncio.get_running_loop()
        self._clock = loop.time
        self._made = self._heard = self._said = loop.time()
        self._begun = 0.0  # since when a frame is not whole
        self._stuck = 0.0  # since when the client reads nothing
        self._wrote = False

    # --- as asyncio says ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As asyncio says."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # for the type checker: a stream's protocol
        self._transport = transport
        transport.set_write_buffer_limits(high=0)  # what the kernel does not take is not written
        self.address = network(transport.get_extra_info("peername"))
        kernel = transport.get_extra_info("socket")
        kernel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, limits.STREAM_SOCKET_BYTES)
        kernel.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if not self._connections.add(self):
            self._leave(Refused(Code.TOO_MANY, "too many open connections; try again", retry_after=5))
            return
        self.task = asyncio.create_task(self._work())

    def data_received(self, data: bytes) -> None:
        """As asyncio says."""
        self._heard = self._clock()
        if self._ended or self._failure is not None:
            return  # it was told to go
        self._parser.feed(data)
        if self._count() > limits.STOMP_HELD_BYTES:
            self.fail(Refused(Code.TOO_MANY, "too many large frames at the same time; try again", retry_after=2))
        if self._held > limits.STOMP_AHEAD_BYTES and self._reading:
            self._reading = False
            self._transport.pause_reading()
        self._arrived.set()

    def eof_received(self) -> bool:
        """As asyncio says. What it has said is still dealt with and answered."""
        self._lingers = False
        stays = not self._ended and not self._transport.get_extra_info("ssl_object")
        self._gone()
        return stays

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        """As asyncio says."""
        self._open = False
        self._connections.lost(self)
        self._gone()

    def pause_writing(self) -> None:
        """As asyncio says."""
        self._can_write.clear()
        self._stuck = self._clock()

    def resume_writing(self) -> None:
        """As asyncio says."""
        self._can_write.set()
        self._stuck = 0.0
        self.session.woken()

    def _gone(self) -> None:
        self._ended = True
        self.session.stop()
        self._arrived.set()
        if not self._open:
            self._can_write.set()

    # --- for its session: `Wire` --------------------------------------------------------------------------------------

    @property
    def is_ready(self) -> bool:
        """As `Wire` says."""
        return self._open and not self._ended and self._can_write.is_set()

    def write(self, data: bytes) -> None:
        """As `Wire` says."""
        if self._open:
            self._said = self._clock()
            self._wrote = True
            self._transport.write(data)

    async def ready(self) -> None:
        """As `Wire` says."""
        while self._open and not self._can_write.is_set():
            await self._can_write.wait()

    def fail(self, refusal: Refused) -> None:
        """As `Wire` says."""
        self._failure = self._failure or refusal
        self.session.stop()
        self._arrived.set()

    # --- frames -------------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        try:
            await self._handle_all()
        except Wrong as wrong:
            self.write(self.session.error(wrong.refusal, wrong.frame))
        except BadFrame as error:
            self.write(self.session.error(Refused(Code.USAGE, str(error)), receipt=error.receipt))
        except Refused as refusal:
            self.write(self.session.error(refusal))
        except asyncio.CancelledError:
            self._transport.abort()
            raise
        except BusError as error:
            log.error("a client's frame could not be carried out, and it is not told what became of it: %s", error)
        except Exception as error:  # the house is kept alive: one connection's bug is not the others'
            log.exception("a connection failed")
            self.write(self.session.error(Refused(Code.FAILED, f"a bug: {type(error).__name__}; see the log")))
        finally:
            self._ended = True
            await self.session.close()
            self._close()

    async def _handle_all(self) -> None:
        session = self.session
        while not session.ended:
            frames = self._take()
            if frames:
                self._wrote = False
                await session.handle(frames)
                self._parser.version = session.version
                if self._wrote:
                    await self.ready()
            elif self._failure is not None:
                raise self._failure
            elif self._ended:
                return
            else:
                self._arrived.clear()
                await self._arrived.wait()

    def _take(self) -> list[Frame]:
        """Frames that are handled in one go; none where none is whole."""
        if isinstance(self._failure, Refused):
            return []
        found = [self._next] if self._next else []
        self._next = None
        try:
            while self._failure is None and len(found) < limits.BATCH_EVENTS and (frame := self._parser.take()):
                if found and not Session.together(found[0], frame):
                    self._next = frame
                    break
                found.append(frame)
                if not self.session.version:
                    break  # it may change how what follows is read
        except BadFrame as error:
            self._failure = error
        self._count()
        has_begun = not found and self._failure is None and self._parser.has_begun
        self._begun = (self._begun or self._clock()) if has_begun else 0.0
        if not self._reading and self._held <= limits.STOMP_AHEAD_BYTES and self._open:
            self._reading = True
            self._heard = self._clock()
            self._transport.resume_reading()
        return found

    def _count(self) -> int:
        """What all of them hold."""
        self._connections.held += self._parser.held - self._held
        self._held = self._parser.held
        return self._connections.held

    # --- deadlines ----------------------------------------------------------------------------------------------------

    def look(self, now: float) -> bool:
        """Send a heart-beat where one is due; whether a deadline has passed, and so it is ended."""
        if self._stuck and now - self._stuck > limits.STOMP_STUCK_SECONDS:
            self._transport.abort()
            return True
        if self._failure is not None or self._ended:
            return False
        beats = self.session.beats
        if beats.ours and self.is_ready and now - self._said > beats.ours - 2 * SWEEP_SECONDS:
            self._said = now
            self._transport.write(b"\n")
        if not self.session.is_welcome:
            self.fail(Refused(Code.UNAUTHORIZED, "this token has been taken out of its file, or has other scopes now"))
        elif why := self._late(now):
            self.fail(Refused(Code.TIMEOUT, why))
            return True
        return False

    def _late(self, now: float) -> str:
        session = self.session
        if not session.version:
            is_late = now - self._made > limits.STOMP_CONNECT_SECONDS
            return f"no CONNECT came within {limits.STOMP_CONNECT_SECONDS:g} s" if is_late else ""
        patience = limits.STOMP_FRAME_SECONDS + self._held / limits.HTTP_BODY_BYTES_PER_SECOND
        if self._begun and now - self._begun > patience:
            return f"a frame was begun {now - self._begun:.0f} s ago and is not whole; it ends with a NUL byte"
        silent = now - self._heard
        if not self._reading:
            return ""
        if session.beats.theirs and silent > 2 * session.beats.theirs + SWEEP_SECONDS:
            return f"nothing came for {silent:.0f} s, not even the heart-beat that CONNECT has promised"
        is_idle = not session.subscriptions and silent > limits.STOMP_IDLE_SECONDS
        return f"nothing came for {silent:.0f} s, and nothing is subscribed to" if is_idle else ""

    def idleness(self) -> Idleness | None:
        """How well others can do without it; None where it is at work."""
        if self._ended or self._failure is not None:
            return None
        if not self.session.version:
            return Idleness(0, self._made)
        if self._stuck:
            return Idleness(1, self._stuck)
        if self._begun or not (self.session.subscriptions or self._held):
            return Idleness(2, self._heard)
        return None

    # --- the end ------------------------------------------------------------------------------------------------------

    def put_out(self) -> None:
        """Another needs its place."""
        self._connections.remove(self)
        self._lingers = False
        self.fail(Refused(Code.TOO_MANY, "too many open connections, and this one did nothing", retry_after=5))
        if self._stuck:
            self._transport.abort()

    def leave(self) -> asyncio.Task[None] | None:
        """The house is being left: the task that may still finish what it has in hand."""
        self._lingers = False
        self.fail(_CLOSING)
        if self._stuck:
            self._transport.abort()
        return self.task

    def abort(self) -> None:
        """At once; one that has been closed already sends the rest first, if the kernel takes it."""
        if not self._transport.is_closing() or self._stuck:
            self._transport.abort()

    def _leave(self, refusal: Refused) -> None:
        self._ended = True
        self._lingers = False
        self.write(self.session.error(refusal))
        self._close()

    def _close(self) -> None:
        """What was written is still sent; who has more to say may read why before the connection is gone."""
        self._connections.held -= self._held
        self._held = 0
        self._parser = Parser()
        if not self._open:
            return
        if not self._reading:
            self._transport.resume_reading()
        if self._lingers and self._transport.can_write_eof():
            with contextlib.suppress(OSError):
                self._transport.write_eof()
        else:
            self._transport.close()
        asyncio.get_running_loop().call_later(limits.STOMP_GOODBYE_SECONDS, self._transport.abort)
