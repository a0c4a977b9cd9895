"""A bot that knows one answer: the least that answering a message can cost. It parses nothing but a name.

Run as a program it is a component that prints `ready`, and writes the answer of its standard input, as somebody else's
client got it, to whoever writes to it; the asker's name and the conversation's thread are put in.
"""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from types import TracebackType
from typing import Self

from tests.support.raw_limit import RawPublisher

ASKER = re.compile(rb"<message [^>]*?from=['\"](p[0-9]+x[0-9]+)@")
MESSAGE = b"<message "
SAMPLE = b"p0x0"
"""Whom the answer was given to that is given to everybody."""


class EchoBot:
    """The process; ended on leaving."""

    def __init__(self, host: str, port: int, jid: str, secret: str, answer: bytes) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.echo_bot", host, str(port), jid, secret],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(base64.b64encode(answer) + b"\n")
        self._process.stdin.flush()
        if self._process.stdout.readline().strip() != b"ready":
            raise RuntimeError("the echo bot could not log in")

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


def askers(data: bytes) -> tuple[list[bytes], bytes]:
    """The names of those who write, and what has to be looked at again with the bytes that follow."""
    names, end = [], 0
    for asked in ASKER.finditer(data):
        names.append(asked[1])
        end = asked.end()
    begun = data.rfind(MESSAGE, end)
    return names, data[begun:] if begun >= 0 else data[end:][-len(MESSAGE) + 1 :]


def answer_all(stream: RawPublisher, answer: bytes) -> None:
    """The program: until the server ends the stream."""
    rest = b""
    while data := stream.read():
        names, rest = askers(rest + data)
        if names:
            stream.socket.sendall(b"".join(answer.replace(SAMPLE, name) for name in names))


if __name__ == "__main__":
    given = base64.b64decode(sys.stdin.readline())
    with RawPublisher(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]) as opened:
        print("ready", flush=True)
        answer_all(opened, given)
