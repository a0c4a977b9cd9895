"""A private Redis of Debian's package: every write is on disk before it is answered, and it can be killed."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.missing import need
from tests.support.ports import free_port

START_TIMEOUT = 20.0
_SAFE = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")


class RedisServer:
    """In a directory of its own, on a port of loopback and a Unix socket."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        need("redis-server")
        self.port = free_port()
        self.socket = directory / "redis.sock"
        self._directory = directory
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """For a client."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Return when it answers."""
        where = ("--port", str(self.port), "--unixsocket", str(self.socket), "--dir", str(self._directory))
        command = ["redis-server", *where, "--bind", "127.0.0.1", *_SAFE, *self._arguments]
        with (self._directory / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self._directory / "redis.log").read_text()[-2000:])
            time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL, and gone when this returns."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def _answers(self) -> bool:
        """Anything but that it is loading its data."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as connection:
            connection.settimeout(2)
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        return False


@contextlib.contextmanager
def redis_server(directory: Path, *arguments: str) -> Iterator[RedisServer]:
    """Running; killed at the end, for nothing in it is needed any more."""
    server = RedisServer(directory, *arguments)
    try:
        server.start()
        yield server
    finally:
        server.kill()
