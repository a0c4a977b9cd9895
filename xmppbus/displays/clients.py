"""Who reads a stream: one client, and all clients that get the same bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from xmppbus import limits
from xmppbus.displays.frames import Form, Hole, Part, Piece, Unseen
from xmppbus.route import severity_matches, topic_matches
from xmppbus.web.tokens import Token


class Wanted(NamedTuple):
    """What a client asked for, and whose token it has: it gets what both let it have."""

    types: tuple[str, ...] = ("#",)
    severity: str = ""
    token: Token | None = None

    def admits(self, type_: str, severity: str) -> bool:
        """Whether an event of that type and severity is for it."""
        return (
            any(topic_matches(pattern, type_) for pattern in self.types)
            and (not self.severity or severity_matches(self.severity, severity))
            and (self.token is None or self.token.may("read", type_))
        )


class Client:
    """One stream on one connection. `position` is the last sequence that was written, or did not concern it.

    While it is current (its group says so) the hub writes to it what comes, and `position` is not kept. One that does
    not read is not written to: what it has missed stays in the journal, and costs nothing here.
    """

    __slots__ = ("_resumed", "ended", "group", "lost_touch", "owed", "paused", "position", "transport")

    def __init__(
        self, transport: asyncio.Transport, group: Group, position: int, resumed: Callable[[Client], None]
    ) -> None:
        self.transport = transport
        self.group = group
        self.position = position
        self.paused = False  # it does not read: enough bytes wait for it
        self.lost_touch = False  # it was current and read too slowly: if its queue overflows meanwhile, it is told
        self.owed: bytes = b""  # a message that is not an event, to be written once it reads again
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._resumed = resumed
        transport.set_write_buffer_limits(high=limits.STREAM_UNREAD_BYTES)

    @property
    def is_open(self) -> bool:
        """Whether anything can still be written to it."""
        return not self.ended.done()

    def write(self, data: bytes) -> None:
        """Whole messages. Look at `paused` first."""
        self.transport.write(data)

    def say(self, message: bytes) -> None:
        """A message out of turn: now, or once it reads again; of several, the last one."""
        if self.paused:
            self.owed = message
        else:
            self.transport.write(message)

    def end(self, goodbye: bytes) -> None:
        """We end it: what was written is still sent to one that reads."""
        if not self.is_open:
            return
        if self.paused:
            self.transport.abort()
        else:
            self.transport.write(goodbye)
            self.transport.close()
            asyncio.get_running_loop().call_later(limits.STREAM_GOODBYE_SECONDS, self.transport.abort)
        self.lost()

    # --- what the connection tells ------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Too much waits to be sent."""
        self.paused = True

    def resume(self) -> None:
        """It reads again."""
        self.paused = False
        if self.owed:
            owed, self.owed = self.owed, b""
            self.transport.write(owed)
        self._resumed(self)

    def lost(self) -> None:
        """The connection is gone."""
        if self.is_open:
            self.ended.set_result(None)


class Group:
    """Clients that asked for the same, with the same token, in the same form: each event is matched once for them."""

    def __init__(self, wanted: Wanted, form: Form) -> None:
        self.wanted = wanted
        self.form = form
        self.members: set[Client] = set()
        self.current: dict[Client, None] = {}  # those that have everything that there is, in order
        self._answers: dict[tuple[str, str], bool] = {}

    def wants(self, found: Part) -> bool:
        """Whether it is for them."""
        if isinstance(found, Hole | Unseen):
            return isinstance(found, Hole)
        about = found.type, found.severity
        answer = self._answers.get(about)
        if answer is None:
            if len(self._answers) >= limits.STREAM_ANSWERS:
                self._answers.clear()
            answer = self._answers[about] = self.wanted.admits(*about)
        return answer

    def piece(self, found: Sequence[Part], begin: int = 0) -> tuple[Piece, int]:
        """As much of it, from an index on, as is written in one go, and the index to go on from.

        `data` is empty where nothing of it is wanted; `last` covers what was looked at all the same.
        """
        parts: list[bytes] = []
        size, index = 0, begin
        while index < len(found):
            if self.wants(found[index]):
                part = found[index].bytes_in(self.form)
                size += len(part)
                if parts and size > limits.STREAM_WRITE_BYTES:
                    break
                parts.append(part)
            index += 1
        return Piece(b"".join(parts), found[index - 1].sequence), index

    def pieces(self, found: Sequence[Part]) -> list[Piece]:
        """All of it, without pieces that say nothing."""
        pieces, index = [], 0
        while index < len(found):
            piece, index = self.piece(found, index)
            if piece.data:
                pieces.append(piece)
        return pieces
