"""xmppbus as its users have it: the installed console script in processes of its own, through its public doors only."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import yaml

from tests.support.ports import free_port

START_SECONDS = 30.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.005


def program() -> str:
    """The console script of this interpreter's environment."""
    return str(Path(sys.executable).with_name("xmppbus"))


class NotSettled(Exception):
    """A delivery is not delivered (yet)."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Where the daemon finds its XMPP server. A port that nobody listens on makes it a daemon whose server is down."""

    component: str
    host: str
    port: int
    secret: str
    pubsub_service: str


class Product:
    """One state directory and the daemon on it, which may be started and ended many times."""

    def __init__(
        self, directory: Path, *, node: Mapping[str, Any] | None = None, more: Mapping[str, Any] | None = None
    ) -> None:
        """`node` are options of all nodes; `more` are sections of the config."""
        self.directory = directory
        self.directory.mkdir(parents=True, exist_ok=True)
        self.config = directory / "xmppbus.yaml"
        self.socket = directory / "socket"
        self.http_port = free_port()
        self.log = directory / "daemon.log"
        self.node = dict(node or {})
        self.more = dict(more or {})
        self.process: subprocess.Popen[bytes] | None = None
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("XMPPBUS_")},
            "XMPPBUS_STATE": str(directory),
            "XMPPBUS_SOCKET": str(self.socket),
            "XMPPBUS_CONFIG": str(self.config),
        }

    def configure(self, stream: Stream | None) -> None:
        """Write the config; it is read when the daemon starts."""
        config: dict[str, Any] = {
            "http": {"listen": f"127.0.0.1:{self.http_port}"},
            "journal": {"path": str(self.directory / "journal.db")},
            "socket": {"path": str(self.socket)},
        }
        if stream is not None:
            secret = self.directory / "secret"
            secret.touch(mode=0o600)
            secret.write_text(stream.secret)
            config["xmpp"] = {
                "component": stream.component,
                "host": stream.host,
                "port": stream.port,
                "secret_file": str(secret),
                "pubsub_service": stream.pubsub_service,
            }
            config["nodes"] = [{"match": "#", **self.node}]
            config |= self.more
        self.config.write_text(yaml.safe_dump(config))

    @contextlib.contextmanager
    def daemon(self, stream: Stream | None) -> Iterator[Self]:
        """A running daemon; ended in order at the end."""
        try:
            self.start(stream)
            yield self
        finally:
            self.stop()

    def start(self, stream: Stream | None) -> float:
        """Start it and return how many seconds it took until its socket was open."""
        self.configure(stream)
        with self.log.open("ab") as log:
            begun = time.perf_counter()
            self.process = subprocess.Popen(
                [program(), "serve", "--config", str(self.config)],
                env=self.environment,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        while time.perf_counter() - begun < START_SECONDS and self.process.poll() is None:
            with contextlib.suppress(OSError), self.connect():
                return time.perf_counter() - begun
            time.sleep(POLL_SECONDS)
        raise RuntimeError(f"xmppbus serve did not start:\n{self.log.read_text(errors='replace')[-3000:]}")

    def stop(self) -> None:
        """SIGTERM, and SIGKILL for one that does not obey."""
        process, self.process = self.process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def kill(self) -> None:
        """SIGKILL."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait()

    @property
    def pid(self) -> int:
        """Of the running daemon."""
        assert self.process is not None
        return self.process.pid

    def largest_resident_bytes(self) -> int:
        """The largest resident set it has had since it started, as the kernel kept it."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        (peak,) = (line for line in lines if line.startswith("VmHWM:"))
        return int(peak.split()[1]) * 1024

    def connect(self) -> socket.socket:
        """A connection to its Unix socket."""
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(START_SECONDS)
            connection.connect(str(self.socket))
        except OSError:
            connection.close()
            raise
        return connection

    def command(self, *arguments: str) -> str:
        """What a subcommand prints."""
        done = subprocess.run(
            [program(), *arguments], env=self.environment, capture_output=True, text=True, check=False, timeout=60
        )
        if done.returncode != 0:
            raise RuntimeError(f"xmppbus {' '.join(arguments)} exits {done.returncode}: {done.stderr or done.stdout}")
        return done.stdout

    def status(self) -> dict[str, Any]:
        """`xmppbus status --json`."""
        found: dict[str, Any] = json.loads(self.command("status", "--json"))
        return found

    def until_waiting(self, most: int, timeout: float, poll: float = 0.25) -> None:
        """Wait until at most so many deliveries wait. The question is asked seldom: it costs the daemon something."""
        deadline = time.monotonic() + timeout
        while (waiting := self.status()["journal"]["waiting"]) > most:
            if time.monotonic() + poll > deadline:
                raise TimeoutError(f"{waiting} deliveries still wait after {timeout} s: {self.status()}")
            time.sleep(poll)

    def settled(self, item_id: str) -> float:
        """When the (one) delivery of an event was settled, as the journal wrote it down: seconds of the clock."""
        return settled_time(json.loads(self.command("show", "--json", item_id)))

    def until_healthy(self) -> None:
        """Wait until HTTP says that the house can accept."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/health", timeout=5) as answer,
            ):
                if answer.status == 200:
                    return
            if time.monotonic() > deadline:
                raise TimeoutError("GET /health was never 200")
            time.sleep(POLL_SECONDS)


def settled_time(shown: Mapping[str, Any]) -> float:
    """The settle time in what `xmppbus show --json` says of an event with one delivery."""
    (delivery,) = shown["deliveries"]
    if delivery["state"] != "delivered":
        raise NotSettled(f"not delivered: {delivery}")
    return datetime.fromisoformat(delivery["settled"]).timestamp()


@contextlib.contextmanager
def state_directory() -> Iterator[Path]:
    """A directory on a disk (not a tmpfs, where fsync costs nothing)."""
    with tempfile.TemporaryDirectory(prefix="xmppbus-bench-", ignore_cleanup_errors=True) as name:
        yield Path(name)
