"""What a job's output was: its last lines, how many there were, and how far it says it is. In bounded memory."""

from __future__ import annotations

import re
import threading
from collections import deque

from xmppbus import limits
from xmppbus.render import plain

PERCENT = r"(?<![\d.,])(\d{1,3})(?:[.,]\d+)?[ \u00a0]?%"
"""`42 %`, `42.7%`: what most programs print that say how far they are."""


class Heard:
    """Fed by the threads that pass output on; it holds the end of it only."""

    def __init__(self) -> None:
        self.lines = 0
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._is_whole = True
        self._lock = threading.Lock()

    def feed(self, chunk: bytes) -> None:
        """Some bytes, from any of the streams."""
        with self._lock:
            self.lines += chunk.count(b"\n")
            self._is_whole = self._is_whole and len(chunk) <= limits.JOB_TAIL_BYTES
            kept = chunk[-limits.JOB_TAIL_BYTES :]
            self._chunks.append(kept)
            self._size += len(kept)
            while self._size - len(self._chunks[0]) >= limits.JOB_TAIL_BYTES:
                self._size -= len(self._chunks.popleft())
                self._is_whole = False
            if len(self._chunks) > limits.JOB_TAIL_CHUNKS:
                joined = b"".join(self._chunks)
                self._is_whole = self._is_whole and len(joined) <= limits.JOB_TAIL_BYTES
                self._chunks = deque((joined[-limits.JOB_TAIL_BYTES :],))
                self._size = len(self._chunks[0])

    def tail(self, lines: int) -> str:
        """The last lines as a terminal would have left them: no escape sequences, of a line that was drawn over and
        over its last state."""
        if not lines:
            return ""
        shown = [_as_left(line) for line in self._text().split("\n")]
        if not self._is_whole:
            shown = shown[1:] or shown  # the first began somewhere before
        while shown and not shown[-1].strip():
            shown.pop()
        return "\n".join(shown[-lines:])[-limits.JOB_TAIL_CHARACTERS :]

    def percent(self, pattern: re.Pattern[str]) -> float | None:
        """The newest number that the pattern finds, if it can be a percentage."""
        found = None
        for each in pattern.finditer(plain(self._text().replace("\r", "\n"))):
            number = _number(each.group(1) if pattern.groups else each.group())
            if number is not None:
                found = number
        return found

    def _text(self) -> str:
        with self._lock:
            content = b"".join(self._chunks)
        return content.decode("utf-8", "replace")


def _as_left(line: str) -> str:
    return plain(line.rstrip("\r").rpartition("\r")[2]).rstrip()


def _number(text: str | None) -> float | None:
    try:
        number = float((text or "").strip().rstrip("%").strip().replace(",", "."))
    except ValueError:
        return None
    return number if 0 <= number <= 100 else None
