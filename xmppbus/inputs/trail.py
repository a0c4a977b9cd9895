"""Where somebody stands in a file that grows, and the lines behind that place. Bytes in, lines out; `split` is pure.

A line's name is the trail's `token` and where the line begins: the same line read again has the same name, whatever
the file is called by then.
"""

from __future__ import annotations

import os
import secrets
from hashlib import blake2b
from typing import NamedTuple

from msgspec import Struct

from xmppbus import limits

_MARK_BYTES = 256


class Line(NamedTuple):
    """A line without its end. `cut` when there was more of it than may be."""

    offset: int
    content: bytes
    cut: bool = False


class Split(NamedTuple):
    """Lines of a piece, the offset behind them, and whether that is within a line whose rest is not wanted."""

    lines: list[Line]
    offset: int
    skipping: bool


def split(piece: bytes, offset: int, *, skipping: bool, last: bool, most: int = limits.FOLLOW_LINE_BYTES) -> Split:
    """What is complete in a piece of a file that begins at `offset`; `last` takes a line without its end as well.

    Empty lines are left out. However a file is cut into pieces, its lines are the same.
    """
    lines: list[Line] = []
    at = 0
    while at < len(piece):
        end = piece.find(b"\n", at)
        if end < 0:
            rest = len(piece) - at
            if skipping or rest > most or last:
                if not skipping:
                    _add(lines, offset + at, piece[at:], most)
                skipping = not last and (skipping or rest > most)
                at = len(piece)
            break
        if not skipping:
            _add(lines, offset + at, piece[at:end], most)
        skipping = False
        at = end + 1
    return Split(lines, offset + at, skipping)


def _add(lines: list[Line], offset: int, content: bytes, most: int) -> None:
    cut = len(content) > most
    content = content[:most] if cut else content.removesuffix(b"\r")
    if content:
        lines.append(Line(offset, content, cut))


class Cursor(Struct):
    """Where a reader stands, as it is kept on disk.

    The file is told by `device` and `inode`, and by `mark`, a hash of how it begins and of what is right before
    `offset`: an inode is given to another file once its own is gone, and a file can be emptied and filled again.
    """

    token: str
    device: int
    inode: int
    offset: int = 0
    mark: str = ""
    skipping: bool = False
    written: int = 0  # nanoseconds since 1970: when the file was written last, as far as it is read


class Trail:
    """An open file, and how far it is read. `close` it."""

    def __init__(self, number: int, cursor: Cursor) -> None:
        self._number = number
        self.cursor = cursor
        self.rotated = False  # it has another name by now, or none
        self.quiet_since: float | None = None  # since when there was nothing more in it

    def close(self) -> None:
        """Read no more."""
        os.close(self._number)

    @property
    def written(self) -> int:
        """When the file was written last, in nanoseconds since 1970."""
        return os.fstat(self._number).st_mtime_ns

    def read(self, *, last: bool = False) -> Bite | None:
        """What is behind the cursor, which stays where it is; None when the file is not the one it was any more."""
        cursor = self.cursor
        piece = os.pread(self._number, limits.FOLLOW_READ_BYTES, cursor.offset)
        found = split(piece, cursor.offset, skipping=cursor.skipping, last=last)
        mark = self._mark_behind(piece, found.offset)
        now = os.fstat(self._number)
        # Looked at when all is read: a file that was emptied meanwhile, and perhaps filled again, is another one.
        if now.st_size < cursor.offset or mark_of(self._number, cursor.offset) != cursor.mark:
            return None
        return Bite(self, found, mark, now.st_mtime_ns)

    def _mark_behind(self, piece: bytes, offset: int) -> str:
        """As `mark_of` would say once the cursor is there, but of the very bytes that were read."""
        known = self.cursor.offset
        head = (os.pread(self._number, min(_MARK_BYTES, known), 0) + piece)[: min(_MARK_BYTES, offset)]
        begin_near = max(0, offset - _MARK_BYTES)
        near = os.pread(self._number, known - begin_near, begin_near) if begin_near < known else b""
        near += piece[max(0, begin_near - known) : offset - known]
        return _hash(head, near)


class Bite(NamedTuple):
    """Some of what is behind a cursor. `take` it once its lines are accepted."""

    trail: Trail
    split: Split
    mark: str
    written: int

    def take(self) -> bool:
        """Move the cursor; whether that was any further."""
        cursor = self.trail.cursor
        moved = self.split.offset > cursor.offset
        cursor.offset, cursor.skipping, cursor.mark = self.split.offset, self.split.skipping, self.mark
        cursor.written = max(cursor.written, self.written)
        return moved


def mark_of(number: int, offset: int) -> str:
    """Of what stands at the beginning of an open file and right before `offset`."""
    head = os.pread(number, min(_MARK_BYTES, offset), 0)
    return _hash(head, os.pread(number, min(_MARK_BYTES, offset), max(0, offset - _MARK_BYTES)))


def _hash(head: bytes, near: bytes) -> str:
    return blake2b(head + near, digest_size=16).hexdigest()


def begin(number: int, *, at_end: bool = False) -> Trail:
    """A trail through an open file that nobody has read before. At its end is behind the last line that is complete."""
    found = os.fstat(number)
    offset = _last_line(number, found.st_size) if at_end else 0
    mark, written = mark_of(number, offset), found.st_mtime_ns
    token = secrets.token_hex(8)
    return Trail(number, Cursor(token, found.st_dev, found.st_ino, offset, mark, written=written))


def _last_line(number: int, size: int) -> int:
    """Where the last line begins that may still grow; in the middle of one that is too long."""
    near = os.pread(number, limits.FOLLOW_LINE_BYTES, max(0, size - limits.FOLLOW_LINE_BYTES))
    return size - len(near) + near.rfind(b"\n") + 1 if b"\n" in near else size - len(near)
