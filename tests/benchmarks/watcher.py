"""A subscriber in a process of its own that counts notifications and parses nothing, so that it costs little.

Run as a program it subscribes a component's JID to a node, prints `ready`, and answers each line `expect N` on its
standard input, once N more items have come, with one JSON object. Times are CLOCK_MONOTONIC's, in all processes alike.
Without a node it counts the messages to all JIDs of the component.
"""

from __future__ import annotations

import json
import re
import select
import subprocess
import sys
import time
from types import TracebackType
from typing import Self
from xml.sax.saxutils import quoteattr

from tests.support.raw_limit import RawPublisher

ITEM = b"<item "
MESSAGE = b"<message "


class Watcher:
    """The other end of the pipe: starts the process, asks it, ends it."""

    def __init__(self, host: str, port: int, jid: str, secret: str, service: str, node: str = "") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.watcher", host, str(port), jid, secret, service, node],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        if self._line() != "ready":
            raise RuntimeError("the watcher could not subscribe")

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().decode().strip()

    def expect(self, count: int) -> None:
        """Begin to count anew. Ask for the answer with `seen`."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"expect {count}\n".encode())
        self._process.stdin.flush()

    def seen(self) -> tuple[float, float]:
        """Wait until all have come: the times of the first and the last."""
        answer = self._line()
        if not answer:
            raise RuntimeError("the watcher has ended")
        found = json.loads(answer)
        return found["first"], found["last"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(10)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def watch(host: str, port: int, jid: str, secret: str, service: str, node: str) -> None:
    """The program."""
    with RawPublisher(host, port, jid, secret) as stream:
        if not node:
            print("ready", flush=True)
            count_forever(stream, MESSAGE)
            return
        subscribe = (
            f"<iq type='set' id='s1' from={quoteattr(jid)} to={quoteattr(service)}>"
            "<pubsub xmlns='http://jabber.org/protocol/pubsub'>"
            f"<subscribe node={quoteattr(node)} jid={quoteattr(jid)}/></pubsub></iq>"
        )
        stream.socket.sendall(subscribe.encode())
        answer = stream.read_until(re.compile(rb"<iq [^>]*>"))
        if b"error" in answer.group():
            raise ConnectionError(answer.group().decode())
        print("ready", flush=True)
        count_forever(stream, ITEM)


def count_forever(stream: RawPublisher, what: bytes) -> None:
    """Count what comes; answer what is asked."""
    expected, count, first, tail = 0, 0, 0.0, b""
    while True:
        ready, _, _ = select.select([stream.socket, sys.stdin.buffer], [], [])
        if sys.stdin.buffer in ready:
            # Before the socket: what was published after this line was written must be counted after it was read.
            line = sys.stdin.buffer.readline()
            if not line:
                return
            expected, count, first = int(line.split()[1]), 0, 0.0
            continue
        data = stream.read()
        if not data:
            return
        first = first or time.monotonic()
        count += (tail + data).count(what)
        tail = data[-(len(what) - 1) :]
        if 0 < expected <= count:
            print(json.dumps({"count": count, "first": first, "last": time.monotonic()}), flush=True)
            expected = 0


if __name__ == "__main__":
    watch(sys.argv[1], int(sys.argv[2]), *sys.argv[3:7])
