"""A program that publishes over the Unix socket: frames of kind `P`, pipelined; the daemon answers `R` in order.

A frame is one byte of kind, four of length (big-endian), and newline-delimited JSON.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

HEADER = struct.Struct(">cI")
READ_BYTES = 262_144


def publish_frame(payload: bytes) -> bytes:
    """One `P` frame."""
    return HEADER.pack(b"P", len(payload)) + payload


class Frames:
    """Splits what a socket gives into frames."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """(kind, payload) of each frame that became complete."""
        buffer = self._buffer + data if self._buffer else data
        position = 0
        while len(buffer) - position >= HEADER.size:
            kind, length = HEADER.unpack_from(buffer, position)
            if len(buffer) - position - HEADER.size < length:
                break
            position += HEADER.size
            yield kind, buffer[position : position + length]
            position += length
        self._buffer = buffer[position:]


@dataclass(slots=True)
class Answers:
    """The result lines of every frame in order, undecoded, and the time at which each frame's were read."""

    seconds: float = 0.0
    lines: list[bytes] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def results(self) -> list[dict[str, Any]]:
        """Decoded; the first refusal raises."""
        decoded: list[dict[str, Any]] = [json.loads(line) for lines in self.lines for line in lines.splitlines()]
        refused = next((one for one in decoded if "error" in one), None)
        if refused is not None:
            raise RuntimeError(f"refused: {refused}")
        return decoded


def publish(connection: socket.socket, payloads: Sequence[bytes], window: int) -> Answers:
    """Send one frame a payload, at most `window` unanswered, and return when the last is answered."""
    outgoing = [publish_frame(payload) for payload in payloads]
    answers = Answers()
    frames = Frames()
    begun = time.perf_counter()
    sent = min(window, len(outgoing))
    connection.sendall(b"".join(outgoing[:sent]))
    while len(answers.lines) < len(outgoing):
        data = connection.recv(READ_BYTES)
        if not data:
            raise ConnectionError("the daemon closed the socket")
        now = time.perf_counter()
        for kind, payload in frames.feed(data):
            if kind != b"R":
                raise RuntimeError(f"not a result frame: {kind!r} {payload[:300]!r}")
            answers.lines.append(payload)
            answers.times.append(now)
        due = min(len(outgoing), len(answers.lines) + window)
        if due > sent:
            connection.sendall(b"".join(outgoing[sent:due]))
            sent = due
    answers.seconds = time.perf_counter() - begun
    return answers
