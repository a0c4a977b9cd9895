"""What systemd and the daemon say to each other: readiness, reloads, the watchdog; and sockets that it opens for us.

sd_notify(3), sd_listen_fds(3). Without systemd all of it does nothing.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping

log = logging.getLogger("xmppbus.systemd")

_FIRST_DESCRIPTOR = 3  # SD_LISTEN_FDS_START


class Notifier:
    """Says to the service manager how we are. `environ` is of the process; `$NOTIFY_SOCKET` in it says where."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        name = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + name[1:] if name.startswith("@") else name
        self._watchdog_seconds = _watchdog_seconds(environ)

    @property
    def watchdog_seconds(self) -> float:
        """How often it has to hear from us; 0 when it does not ask."""
        return self._watchdog_seconds if self._address else 0.0

    def say(self, *lines: str) -> None:
        """One datagram of `NAME=value`. What can't be said is not worth more than a line in the log."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
                connection.setblocking(False)
                connection.connect(self._address)
                connection.send("\n".join(lines).encode())
        except OSError as error:
            log.warning("systemd could not be told %s: %s", lines[0], error)

    def ready(self, status: str) -> None:
        """Every door is open, or the reload is over."""
        self.say("READY=1", f"STATUS={one_line(status)}")

    def reloading(self) -> None:
        """Until `ready`. The time is for Type=notify-reload, which tells our answer from an older one by it."""
        self.say("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """The doors are being closed."""
        self.say("STOPPING=1", "STATUS=finishing what is in flight")

    async def feed(self, lives: Callable[[], Awaitable[object]], status: Callable[[], Awaitable[str]]) -> None:
        """Feed the watchdog until cancelled, twice as often as it must be: only while this loop runs, and `lives`
        returns in time. So a loop that hangs, or a disk that never answers, ends in a restart.
        """
        if not self.watchdog_seconds:
            return
        pause = self.watchdog_seconds / 2
        while True:
            try:
                async with asyncio.timeout(pause):
                    await lives()
                    said = await status()
            except TimeoutError:
                log.error("the journal's writer has not answered for %.0f s; the watchdog is not fed", pause)
            else:
                self.say("WATCHDOG=1", f"STATUS={one_line(said)}")
            await asyncio.sleep(pause)


def one_line(text: str) -> str:
    """A line break would begin another assignment."""
    return "".join(each if each.isprintable() else "?" for each in text)


def _watchdog_seconds(environ: Mapping[str, str]) -> float:
    """$WATCHDOG_USEC, where it is meant for this process (sd_watchdog_enabled(3))."""
    given, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not given.isdigit() or (pid and pid != str(os.getpid())):
        return 0.0
    return int(given) / 1_000_000


def listening_sockets(environ: Mapping[str, str]) -> dict[str, socket.socket]:
    """What systemd listens on for us, by `FileDescriptorName=`: `http` and `unix`. Empty without socket activation.

    A socket that has another name (or none, which is the name of its unit) is known by its family.
    """
    count = environ.get("LISTEN_FDS", "")
    if not count.isdigit() or environ.get("LISTEN_PID", str(os.getpid())) != str(os.getpid()):
        return {}
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    found: dict[str, socket.socket] = {}
    for index in range(int(count)):
        os.set_inheritable(_FIRST_DESCRIPTOR + index, False)
        given = socket.socket(fileno=_FIRST_DESCRIPTOR + index)
        given.setblocking(False)
        name = names[index] if index < len(names) else ""
        if name not in ("http", "unix"):
            name = "unix" if given.family == socket.AF_UNIX else "http"
        if name in found:
            log.warning("systemd gives two sockets for %s; the first is listened on", name)
            given.close()
        else:
            found[name] = given
    return found
