"""How a job ended the last time, in a small file of the user who runs it: so that only changes can be told."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from xmppbus import limits, paths

DONE, FAILED = "done", "failed"


class Outcomes:
    """By key. A file that is not there, or can't be read, is no outcome."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._directory = paths.state_directory(environ) / "jobs"

    def last(self, key: str) -> str:
        """`done`, `failed`, or nothing."""
        try:
            found = self._path(key).read_bytes()[:64].decode("ascii", "replace").strip()
        except OSError:
            return ""
        return found if found in (DONE, FAILED) else ""

    def remember(self, key: str, outcome: str) -> None:
        """Raises `OSError` where nothing can be kept."""
        path = self._path(key)
        if not path.exists():
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._make_room()
        new = path.with_name(f"{path.name}.{os.getpid()}.new")
        new.write_text(f"{outcome}\n")
        new.rename(path)

    def _path(self, key: str) -> Path:
        return self._directory / hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:32]

    def _make_room(self) -> None:
        """Keys that are made anew for each run must not fill the disk."""
        with os.scandir(self._directory) as found:
            entries = list(found)
        if len(entries) < limits.JOB_OUTCOMES:
            return
        ages = []
        for each in entries:
            with contextlib.suppress(OSError):
                ages.append((each.stat().st_mtime, each.path))
        for _, path in sorted(ages)[: limits.JOB_OUTCOMES // 10]:
            with contextlib.suppress(OSError):
                os.unlink(path)
