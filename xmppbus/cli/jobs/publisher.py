"""Publishes for a program that must not wait: in a thread, over the daemon's socket, else into the spool."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import msgspec

from xmppbus import limits
from xmppbus.cli import client
from xmppbus.errors import Code, Refused
from xmppbus.event import now
from xmppbus.inputs import frames

_LATER = {Code.CLOSING, Code.FULL, Code.FAILED, Code.TOO_MANY, Code.NODES, Code.TIMEOUT}
"""What a daemon says that would take the event at another time: so it goes into the spool."""


class Publisher:
    """Events in the order in which they were given. Never raises; `trouble` is the first thing that went wrong."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.trouble = ""
        self._environ = environ
        self._waiting: deque[tuple[dict[str, Any], bool]] = deque()
        self._changed = threading.Condition()
        self._spools = False
        self._ending = False
        self._thread = threading.Thread(target=self._work, daemon=True, name="publisher")

    def publish(self, fields: dict[str, Any], *, later: bool = True) -> None:
        """Put it in line; at once. Its time is now. What is worth nothing `later` does not go into the spool."""
        with self._changed:
            if not self._thread.is_alive():
                self._thread.start()
            self._waiting.append(({**fields, "time": now(lambda: datetime.now(UTC))}, later))
            self._changed.notify_all()

    def finish(self, seconds: float = limits.JOB_PUBLISH_SECONDS) -> str:
        """Wait until everything is said, for so long; what is not goes into the spool, where the daemon knows by the
        id what it has already. What went wrong, in a line."""
        deadline = monotonic() + seconds
        with self._changed:
            self._ending = True
            self._changed.notify_all()
            while self._waiting and self._thread.is_alive():
                left = deadline - monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            left_over, self._waiting = [*self._waiting], deque()
        for fields, later in left_over:
            self._spool(fields, later)
        return self.trouble

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    if self._ending:
                        return
                    self._changed.wait()
                first = self._waiting[0]
            self._one(*first)
            with self._changed:
                if self._waiting and self._waiting[0] is first:
                    self._waiting.popleft()
                self._changed.notify_all()

    def _one(self, fields: Mapping[str, Any], later: bool) -> None:
        if self._spools:  # what comes later must not overtake it
            self._spool(fields, later)
            return
        try:
            answer = asked(fields)
        except PermissionError:
            self._complain("not published: the daemon's config lets only administrators publish (socket: publish:)")
            return
        except OSError:
            answer = None
        if answer is None:
            self._spools = True
            self._spool(fields, later)
        elif "error" in answer:
            self._refused(fields, later, answer["error"])

    def _refused(self, fields: Mapping[str, Any], later: bool, error: Mapping[str, Any]) -> None:
        if error.get("code") in _LATER:
            self._spools = True
            self._spool(fields, later)
        else:
            self._complain(f"not published: {error.get('message')}")

    def _spool(self, fields: Mapping[str, Any], later: bool) -> None:
        if not later:
            return
        from xmppbus.cli.spooling import spool

        try:
            (answer,) = spool([fields], self._environ).answers
        except (Refused, OSError) as error:
            answer = error if isinstance(error, Refused) else Refused(Code.NO_DAEMON, str(error))
        if isinstance(answer, Refused):
            self._complain(f"not published: {answer}")

    def _complain(self, sentence: str) -> None:
        self.trouble = self.trouble or sentence


def asked(fields: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the daemon says of an event; None when there is none. Raises `OSError` when it goes away or takes too long,
    `PermissionError` where its socket lets us not in."""
    connection = client.connect()
    if connection is None:
        return None
    try:
        connection.settimeout(limits.JOB_ANSWER_SECONDS)
        connection.sendall(frames.pack(frames.PUBLISH, msgspec.json.encode(fields)))
        buffer = b""
        splitter = frames.Splitter(limits.FRAME_BYTES)
        while True:
            buffer = connection.recv(65_536)
            if not buffer:
                raise ConnectionResetError(0, "the daemon closed the connection")
            for kind, payload in splitter.feed(buffer):
                if kind == frames.RESULT:
                    answer: dict[str, Any] = msgspec.json.decode(payload)
                    return answer
                raise ConnectionAbortedError(0, os.fsdecode(payload))
    except (frames.Broken, msgspec.DecodeError) as error:
        raise OSError(0, str(error)) from error
    finally:
        connection.close()
