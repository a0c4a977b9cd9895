"""A thousand clients of a stream of events, in a process of their own: `python -m tests.benchmarks.stream_clients`.

It says `ready` once every client has its first bytes. What comes between the line `go` and the line `stop` on standard
input is counted, and how late it came: every event carries the time at which it was sent. Some clients never read.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import select
import socket
import sys
import time
from array import array

from tests.benchmarks.figures import spread

OF_ONE_ADDRESS = 200
READ_BYTES = 262_144
SENT = re.compile(rb'"sent":([0-9]{19})')
REQUEST = b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"


def connected(port: int, number: int) -> socket.socket:
    """One client that has asked; from one address come only so many."""
    client = socket.socket()
    client.bind((f"127.0.2.{1 + number // OF_ONE_ADDRESS}", 0))
    client.settimeout(30)
    client.connect(("127.0.0.1", port))
    client.sendall(REQUEST)
    return client


def first_bytes(client: socket.socket) -> None:
    """A yes."""
    if not client.recv(READ_BYTES).startswith(b"HTTP/1.1 200"):
        raise ConnectionError("the stream was refused")


class Readers:
    """Those that read."""

    def __init__(self, clients: list[socket.socket]) -> None:
        self._clients = {client.fileno(): client for client in clients}
        self._poll = select.epoll()
        for number, client in self._clients.items():
            client.setblocking(False)
            self._poll.register(number, select.EPOLLIN)
        self._poll.register(0, select.EPOLLIN)
        self.late = array("d")

    def until(self, word: str) -> None:
        """Read until that line comes on standard input; what came is in `late`."""
        self.late = array("d")
        while True:
            for number, _ in self._poll.poll():
                if number == 0:
                    if sys.stdin.readline().strip() != word:
                        raise RuntimeError(f"expected {word}")
                    return
                data = self._clients[number].recv(READ_BYTES)
                if not data:
                    raise ConnectionError("a stream has ended")
                now = time.time_ns()
                self.late.extend([(now - int(sent)) / 1e9 for sent in SENT.findall(data)])


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("readers", type=int)
    parser.add_argument("silent", type=int)
    arguments = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    every = [connected(arguments.port, number) for number in range(arguments.readers + arguments.silent)]
    for client in every:
        first_bytes(client)
    # Those that never read are spread among the others.
    step = len(every) // max(1, arguments.silent)
    silent = set(range(0, step * arguments.silent, step))
    readers = Readers([client for number, client in enumerate(every) if number not in silent])
    print("ready", flush=True)
    readers.until("go")
    readers.until("stop")
    found = {"delivered": len(readers.late), "late_ms": spread(readers.late) if readers.late else None}
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
