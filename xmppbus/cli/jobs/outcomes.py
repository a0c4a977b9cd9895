"""How a job ended the last time, in a small file of the user who runs it, so that only changes can be told."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping

from xmppbus import limits, paths

DONE, FAILED = "done", "failed"


class Outcomes:
    """By key. A file that is not there, or can't be read, is no outcome.

    Root may run jobs in the state directory of a daemon that is another user. So each user has a folder of their own
    there, and nothing is followed, read or written that somebody else has put in its place.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._state = paths.state_directory(environ)
        self._folder = self._state / f"jobs-{os.geteuid()}"

    def last(self, key: str) -> str:
        """`done`, `failed`, or nothing."""
        try:
            with self._opened() as folder:
                number = os.open(_name(key), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
                with open(number, "rb") as file:
                    found = file.read(64).decode("ascii", "replace").strip()
        except OSError:
            return ""
        return found if found in (DONE, FAILED) else ""

    def remember(self, key: str, outcome: str) -> None:
        """Raises `OSError` where nothing can be kept."""
        with contextlib.suppress(FileExistsError):
            self._state.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder.mkdir(mode=0o700)
        with self._opened() as folder:
            _make_room(folder)
            new = f"{_name(key)}.{os.getpid()}.new"
            with contextlib.suppress(FileNotFoundError):
                os.unlink(new, dir_fd=folder)
            number = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
            with open(number, "wb") as file:
                file.write(f"{outcome}\n".encode())
            os.rename(new, _name(key), src_dir_fd=folder, dst_dir_fd=folder)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            found = os.fstat(folder)
            if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise PermissionError(errno.EPERM, "it belongs to somebody else", str(self._folder))
            yield folder
        finally:
            os.close(folder)


def _name(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _make_room(folder: int) -> None:
    """Keys that are made anew for each run must not fill the disk."""
    names = os.listdir(folder)
    if len(names) < limits.JOB_OUTCOMES:
        return
    ages = []
    for each in names:
        with contextlib.suppress(OSError):
            ages.append((os.stat(each, dir_fd=folder, follow_symlinks=False).st_mtime_ns, each))
    for _, name in sorted(ages)[: limits.JOB_OUTCOMES // 10]:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=folder)
