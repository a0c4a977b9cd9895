"""What was said in rooms and has not come back yet. A room sends everybody's messages to everybody, to their sender
too (XEP-0045 §7.4): that is its yes. Its no is an error with the message's id. And what rooms call it then."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
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


class Names:
    """What rooms call our messages (XEP-0359 §3): so they are named there in replies, reactions and retractions. In
    memory, and bounded: of those that are forgotten only our own name is known."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._given: OrderedDict[str, tuple[str, str]] = OrderedDict()  # our name -> room, its name
        self._ours: dict[tuple[str, str], str] = {}

    def __len__(self) -> int:
        return len(self._given)

    def learn(self, room: str, made: str, given: str) -> None:
        """A message of ours has come back with a name of the room's."""
        self._forget(made)
        self._given[made] = (room, given)
        self._ours[room, given] = made
        if len(self._given) > self._most:
            self._forget(next(iter(self._given)))

    def given(self, made: str) -> str:
        """The room's name of our message, or ours if it gave none."""
        return self._given.get(made, ("", made))[1]

    def ours(self, room: str, name: str) -> str:
        """Our name of what is called that in the room; the name itself if it is none that the room gave."""
        return self._ours.get((room, name), name)

    def _forget(self, made: str) -> None:
        room, given = self._given.pop(made, ("", ""))
        self._ours.pop((room, given), None)
