"""One log file through its rotations: what of it is read, and which of its older files is to be read to its end first.

It is renamed and made anew, or copied and emptied; `x.log` is then `x.log.1`, `x.log-20260131` or `x-20260131.log`.
Nothing here waits but for the disk: it is run in a thread.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from xmppbus import limits
from xmppbus.inputs.trail import Bite, Cursor, Trail, begin, mark_of

COMPRESSED = (".gz", ".xz", ".bz2", ".zst", ".lz4", ".Z")
_TURN = r"[.-]\d[\d.T_-]*"
_TURNED = re.compile(_TURN)


def rotated_names(name: str) -> re.Pattern[str]:
    """What the older files of `name` are called."""
    stem, suffix = os.path.splitext(name)
    return re.compile(f"{re.escape(name)}{_TURN}|{re.escape(stem)}{_TURN}{re.escape(suffix)}")


def current_names(name: str) -> set[str]:
    """What the file may be called now of which `name` is an older one: the other way round. In time that grows with the
    name, not with the number of files that there are."""
    stem, suffix = os.path.splitext(name)
    found = set()
    for whole, end in ((name, ""), (stem, suffix)):
        turns = [at for at, each in enumerate(whole) if each in ".-" and _TURNED.fullmatch(whole, at)]
        found |= {whole[:at] + end for at in turns if not end or os.path.splitext(whole[:at] + end)[1] == end}
    return found


class _Sibling(NamedTuple):
    """An older file."""

    path: Path
    written: int
    device: int
    inode: int


class Rotating:
    """The trails of one file, the oldest first; the last is of the file that has the name now, if there is one."""

    def __init__(self, path: Path, *, at_end: bool = False) -> None:
        self.path = path
        self.trails: list[Trail] = []
        self.done: list[Cursor] = []
        self.lost: list[str] = []  # what could not be read any more, in words, until somebody takes them
        self.changed = False  # the trails are others than those that are kept, until somebody keeps them
        self._at_end = at_end  # of the file that is there when it is looked at for the first time
        self._names = rotated_names(path.name)
        self._written = 0

    @property
    def cursors(self) -> list[Cursor]:
        """To be kept, with those of `done`."""
        return [each.cursor for each in self.trails]

    def close(self) -> None:
        """Read no more."""
        for trail in self.trails:
            trail.close()
        self.trails = []

    def restore(self, cursors: list[Cursor], done: list[Cursor]) -> None:
        """Find what was read before, under whatever name it has by now."""
        self.done, self._at_end, self._written = done, False, 1
        for cursor in cursors:
            self._written = max(self._written, cursor.written)
            if trail := self._find(cursor):
                self.trails.append(trail)
            else:
                self.lost.append(f"{self.path} was rotated, and what was not read of it is gone or compressed")

    def look(self, now: float) -> None:
        """Notice what has the name now. Where `changed` is set, the trails are to be kept before they are read.

        Raises `OSError` for a file that can't be read.
        """
        self._drop_quiet(now)
        try:
            number = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            self._rename()
            if not self.trails and not self._written:
                self._leave_out_older()
                self._at_end, self._written = False, 1  # what comes now is new, from its first line on
                self.changed = True
            return
        found = os.fstat(number)
        newest = self._newest()
        if not stat.S_ISREG(found.st_mode):
            os.close(number)
            raise OSError(f"{self.path} is not a plain file")
        if newest and (newest.cursor.device, newest.cursor.inode) == (found.st_dev, found.st_ino):
            os.close(number)
            return
        self._rename()
        if self.trails or self._written:
            self._read_between(newest.cursor.written if newest else self._written)
        else:
            self._leave_out_older()
        self.trails.append(begin(number, at_end=self._at_end))
        self._at_end, self.changed = False, True

    def bites(self, now: float) -> Iterator[Bite]:
        """What is new, of one trail at most: an older one is read to its end first. A file that was emptied is another
        one: nothing, and `look` has more to say."""
        for trail in list(self.trails):
            if trail is self._newest() and self._was_emptied_at_once(trail):
                return
            bite = trail.read()
            if bite is None:
                self._emptied(trail)
                return
            if bite.split.offset > trail.cursor.offset:
                trail.quiet_since = None
                yield bite
                return
            trail.quiet_since = trail.quiet_since if trail.quiet_since is not None else now
            ended = trail.rotated and now - trail.quiet_since >= limits.FOLLOW_LINGER_SECONDS
            if ended and (bite := trail.read(last=True)) and bite.split.offset > trail.cursor.offset:
                yield bite
                return

    def _newest(self) -> Trail | None:
        return self.trails[-1] if self.trails and not self.trails[-1].rotated else None

    def _rename(self) -> None:
        """What was read has another name now, or none. Whoever writes may still write into it, for a while."""
        if newest := self._newest():
            newest.rotated = True

    def _drop_quiet(self, now: float) -> None:
        """Leave files that were rotated and in which nothing has been written for a while."""
        ended = [
            each
            for each in self.trails
            if each.rotated and each.quiet_since is not None and now - each.quiet_since >= limits.FOLLOW_LINGER_SECONDS
        ]
        for trail in ended:
            if (bite := trail.read(last=True)) and bite.split.offset > trail.cursor.offset:
                continue  # its last line has no end; it is taken as it is, by `bites`
            self._leave(trail)

    def _leave(self, trail: Trail) -> None:
        self.changed = True
        self._written = max(self._written, trail.cursor.written)
        self.trails.remove(trail)
        trail.close()
        self.done = [*self.done, trail.cursor][-limits.FOLLOW_OLD_FILES :]

    def _emptied(self, trail: Trail) -> None:
        """It was copied and emptied: what is not read of it is in the copy, and the file begins anew."""
        self.changed = True
        self._written = written = max(self._written, trail.cursor.written)
        self.trails.remove(trail)
        trail.close()
        if copy := self._copy_of(trail.cursor):
            self.trails.append(copy)
        else:
            self.lost.append(f"{self.path} was emptied, and there is no copy of what was not read of it")
        self._read_between(written)

    def _find(self, cursor: Cursor) -> Trail | None:
        """A file that is the one of a cursor: by its inode, else as a copy."""
        for path in (self.path, *(each.path for each in self._siblings())):
            number = _open(path)
            if number is None:
                continue
            if _is_of(number, cursor):
                trail = Trail(number, cursor)
                trail.rotated = path != self.path
                return trail
            os.close(number)
        return self._copy_of(cursor)

    def _copy_of(self, cursor: Cursor) -> Trail | None:
        """A copy that goes on where the cursor stands. Its lines have the names that they would have had."""
        for sibling in self._siblings() if cursor.offset else ():
            number = _open(sibling.path)
            if number is None:
                continue
            if _goes_on(number, cursor):
                cursor.device, cursor.inode = sibling.device, sibling.inode
                trail = Trail(number, cursor)
                trail.rotated = True
                return trail
            os.close(number)
        return None

    def _was_emptied_at_once(self, trail: Trail) -> bool:
        """Nothing of it is read yet, and it was written: perhaps it was filled, copied and emptied since the last look,
        and there are copies that nobody has read."""
        cursor, written = trail.cursor, trail.written
        if cursor.offset or written == cursor.written:
            return False
        before = len(self.trails)
        self.trails.remove(trail)
        self._read_between(cursor.written)
        self.trails.append(trail)
        cursor.written = written
        return len(self.trails) > before

    def _read_between(self, written: int) -> None:
        """Several rotations since the last look: files that were begun and rotated meanwhile, in their order."""
        current = _open(self.path)
        for sibling in self._siblings():
            number = _open(sibling.path) if sibling.written >= written else None
            if number is None:
                continue
            if any(_is_of(number, each) for each in (*self.cursors, *self.done)) or _is_copy(number, current):
                os.close(number)
                continue
            trail = begin(number)
            trail.rotated = self.changed = True
            self.trails.append(trail)
        if current is not None:
            os.close(current)

    def _leave_out_older(self) -> None:
        """Files that were rotated before this one was looked at for the first time."""
        for sibling in self._siblings():
            if (number := _open(sibling.path)) is not None:
                trail = begin(number, at_end=True)
                self.done.append(trail.cursor)
                trail.close()

    def _siblings(self) -> list[_Sibling]:
        """Older files of this one, as they were written; those that are compressed can't be read on."""
        found = []
        try:
            with os.scandir(self.path.parent) as entries:
                for entry in entries:
                    if self._names.fullmatch(entry.name) and entry.is_file():
                        facts = entry.stat()
                        path = self.path.parent / entry.name
                        found.append(_Sibling(path, facts.st_mtime_ns, facts.st_dev, facts.st_ino))
        except OSError:
            return []
        return sorted(found, key=lambda each: each.written)[-limits.FOLLOW_OLD_FILES :]


def _is_of(number: int, cursor: Cursor) -> bool:
    """Whether an open file is the one of a cursor."""
    found = os.fstat(number)
    return (found.st_dev, found.st_ino) == (cursor.device, cursor.inode) and _goes_on(number, cursor)


def _goes_on(number: int, cursor: Cursor) -> bool:
    """Whether what stands before the cursor is what was read."""
    return os.fstat(number).st_size >= cursor.offset and mark_of(number, cursor.offset) == cursor.mark


def _is_copy(number: int, current: int | None) -> bool:
    """Whether an open file is just being copied from the current one, which is read itself."""
    size = os.fstat(number).st_size
    return not size or (
        current is not None and os.fstat(current).st_size >= size and mark_of(number, size) == mark_of(current, size)
    )


def _open(path: Path) -> int | None:
    """None for what is not a plain file, or can't be read."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(number).st_mode):
        return number
    os.close(number)
    return None
