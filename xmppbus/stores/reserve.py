"""Space kept beside the journal and given back when the disk is full, so that settling and draining go on."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from xmppbus import limits


class Reserve:
    """A preallocated file of `limits.RESERVE_BYTES`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def make(self) -> bool:
        """Set the space aside; False when the disk has not that much and some more to spare."""
        try:
            if self._path.exists() and self._path.stat().st_size == limits.RESERVE_BYTES:
                return True
            self.give_back()
            space = os.statvfs(self._path.parent)
            if space.f_bavail * space.f_frsize < limits.RESERVE_BYTES + limits.RESERVE_MARGIN_BYTES:
                return False
            descriptor = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, limits.RESERVE_BYTES)
            finally:
                os.close(descriptor)
        except OSError:
            self.give_back()
            return False
        return True

    def disk_is_full(self) -> bool:
        """Whether the disk, or our quota of it, has not even a little left."""
        try:
            with tempfile.TemporaryFile(dir=self._path.parent) as probe:
                os.posix_fallocate(probe.fileno(), 0, limits.FULL_PROBE_BYTES)
        except OSError as error:
            return error.errno in (errno.ENOSPC, errno.EDQUOT)
        return False

    def give_back(self) -> bool:
        """Let the journal have the space; False when there was none."""
        there = self._path.exists()
        self._path.unlink(missing_ok=True)
        return there
