"""What was said in rooms and has not come back yet. A room sends everybody's messages to everybody, to their sender
too (XEP-0045 §7.4): that is its yes. Its no is an error with the message's id."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import NamedTuple


class Said(NamedTuple):
    """What became of a message: nothing else is given when everybody in the room has it."""

    condition: str = ""  # of the error; `not-connected` when nobody knows
    text: str = ""


YES = Said()
LOST = Said("not-connected")


class Reflections:
    """By room and message id; at most `most` in all, the oldest is given up then."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: dict[tuple[str, str], asyncio.Future[Said]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def expect(self, room: str, message_id: str) -> asyncio.Future[Said]:
        """Wait for it, from before it is written. It may be given up by cancelling the future."""
        key = (room, message_id)
        self._end(key, LOST)
        future: asyncio.Future[Said] = asyncio.get_running_loop().create_future()
        self._waiting[key] = future
        if len(self._waiting) > self._most:
            self._end(next(iter(self._waiting)), LOST)
        return future

    def reflected(self, room: str, names: Iterable[str]) -> bool:
        """One of ours has come back; whether it was waited for."""
        return sum(self._end((room, name), YES) for name in names) > 0

    def refused(self, room: str, message_id: str, said: Said) -> bool:
        """It came back with an error; the same."""
        return self._end((room, message_id), said)

    def lose(self, room: str = "", said: Said = LOST) -> None:
        """Nothing of what is on its way to a room (to any, without one) will come back."""
        for key in [key for key in self._waiting if key[0] == room or not room]:
            self._end(key, said)

    def _end(self, key: tuple[str, str], said: Said) -> bool:
        future = self._waiting.pop(key, None)
        if future is None:
            return False
        if not future.done():
            future.set_result(said)
        return True
