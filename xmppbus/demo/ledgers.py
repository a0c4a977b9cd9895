"""What the parts of the topology write down, each for itself: a yes of the bus, and what came to the display. Compared,
they say whether anything was lost.

A line is written in one piece, so that one that is killed leaves whole lines behind.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

ACCEPTED, RECEIVED = ".accepted", ".received"


def note(path: Path, line: dict[str, Any]) -> None:
    """Add a line."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(handle, json.dumps(line).encode() + b"\n")
    finally:
        os.close(handle)


def lines(path: Path) -> list[dict[str, Any]]:
    """Everything that was written."""
    return list(Tail(path).more())


class Tail:
    """The lines of a ledger, each once, as they come."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def more(self) -> Iterator[dict[str, Any]]:
        """What has been added since the last call."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                new = file.read()
        except FileNotFoundError:
            return
        whole = new[: new.rfind(b"\n") + 1]
        self._offset += len(whole)
        yield from (json.loads(line) for line in whole.splitlines())


class Count(NamedTuple):
    """How it stands. What is on the way is neither received nor lost."""

    accepted: int
    received: int
    lost: int
    repeated: int

    @property
    def on_the_way(self) -> int:
        """Accepted, and not at the display yet."""
        return self.accepted - self.received - self.lost


@dataclass
class Comparison:
    """Accepted against received, by node. Order is kept on a node, so that whatever is older than something that came
    long ago, and has not come itself, is lost."""

    settle_seconds: float
    repeated: int = 0
    _waiting: dict[str, dict[str, int]] = field(default_factory=dict)  # node -> item id -> its place in the order
    _early: set[str] = field(default_factory=set)  # received before the publisher had written down the yes
    _received: set[str] = field(default_factory=set)
    _reached: dict[str, list[tuple[float, int]]] = field(default_factory=dict)  # node -> when which place was received
    _placed: dict[str, tuple[str, int]] = field(default_factory=dict)
    accepted: int = 0

    def accept(self, node: str, item_id: str) -> None:
        """A publisher has got a yes; the same once more is the same."""
        if item_id in self._placed:
            return
        place = self.accepted = self.accepted + 1
        self._placed[item_id] = (node, place)
        if item_id in self._early:
            self._early.discard(item_id)
        else:
            self._waiting.setdefault(node, {})[item_id] = place

    def receive(self, item_id: str, now: float) -> None:
        """The display has it."""
        if item_id in self._received:
            return
        self._received.add(item_id)
        if item_id not in self._placed:
            self._early.add(item_id)
            return
        node, place = self._placed[item_id]
        self._waiting.get(node, {}).pop(item_id, None)
        reached = self._reached.setdefault(node, [])
        if not reached or place > reached[-1][1]:
            reached.append((now, place))

    def count(self, now: float) -> Count:
        """How it stands at that time."""
        lost = 0
        for node, waiting in self._waiting.items():
            reached = self._reached.get(node, [])
            while len(reached) > 1 and now - reached[1][0] >= self.settle_seconds:
                reached.pop(0)
            sure = reached[0][1] if reached and now - reached[0][0] >= self.settle_seconds else 0
            lost += sum(place < sure for place in waiting.values())
        return Count(self.accepted, len(self._received) - len(self._early), lost, self.repeated)
