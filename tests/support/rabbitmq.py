"""A private RabbitMQ of Debian's package, as a yardstick: own node, own files, loopback only, nothing left behind.

The benchmarks measure "accepted and on disk" against its persistent messages with publisher confirms; the tests of row
R11 kill it while messages are on their way.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support.ports import free_port, is_open

# Not the wrapper in /usr/sbin, which changes to the system's own directories and user.
SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
START_TIMEOUT = 60.0
STOP_TIMEOUT = 20.0


class RabbitMQ:
    """A broker in a directory of its own, which can be killed, and started again on what it has left there."""

    def __init__(self, directory: Path, settings: str = "") -> None:
        self.directory = directory
        self.port = free_port()
        self._log = directory / "server.log"
        self._epmd = free_port()
        self.environment = broker_environment(directory, self.port, free_port(), self._epmd)
        with (directory / "rabbitmq.conf").open("a") as file:
            file.write(settings)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process_id(self) -> int:
        """Of the Erlang machine, which is the broker."""
        assert self._process
        return self._process.pid

    @property
    def url(self) -> str:
        """For an AMQP 0-9-1 client; RabbitMQ's guest may log in over loopback."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def mapper(self) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        """Erlang's port mapper, started by us in the foreground, or the broker would start one that outlives it."""
        command = [epmd_program(), "-address", "127.0.0.1", "-port", str(self._epmd)]
        return running(command, self.environment, self.directory / "epmd.log")

    def start(self) -> None:
        """Return when it answers."""
        until_open(self._epmd)
        self._process = spawn([str(SERVER)], self.environment, self._log)
        until_amqp(self.port, self._process, self._log)

    def kill(self) -> None:
        """SIGKILL, with what it has started itself; gone when this returns."""
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def stop(self) -> None:
        """As its operator does."""
        if self._process:
            end(self._process)

    def on_path(self) -> Path:
        """A directory with a `rabbitmqctl` that speaks to this broker."""
        directory = self.directory / "bin"
        directory.mkdir(exist_ok=True)
        given = " ".join(f"{name}={shlex.quote(value)}" for name, value in self.environment.items())
        script = directory / "rabbitmqctl"
        script.write_text(f'#!/bin/sh\nexec env -i {given} {SERVER.with_name("rabbitmqctl")} "$@"\n')
        script.chmod(0o755)
        return directory


def available() -> bool:
    """Whether Debian's rabbitmq-server is installed."""
    return SERVER.exists() and shutil.which("erl") is not None


def version() -> str:
    """The package's version, without starting anything."""
    found = sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*"))
    return found[-1].name.partition("-")[2] if found else "absent"


@contextlib.contextmanager
def rabbitmq(settings: Callable[[Path], str] = lambda _: "") -> Iterator[RabbitMQ]:
    """Start a broker in a temporary directory, with more settings for it; stop it, and its epmd, on the way out."""
    directory = Path(tempfile.mkdtemp(prefix="xmppbus-rabbitmq-"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        broker = RabbitMQ(directory, settings(directory))
        stack.enter_context(broker.mapper())
        stack.callback(broker.stop)
        broker.start()
        yield broker


def epmd_program() -> str:
    """Erlang's port mapper."""
    return shutil.which("epmd") or "/usr/lib/erlang/bin/epmd"


def broker_environment(directory: Path, amqp: int, distribution: int, epmd: int) -> dict[str, str]:
    """Every path and port the broker uses, so that it shares nothing with an installed one."""
    (directory / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{amqp}\n")
    (directory / "enabled_plugins").write_text("[].\n")
    (directory / "env.conf").write_text("")
    return {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "HOME": str(directory),
        "RUNNING_UNDER_SYSTEMD": "true",  # makes the script become the Erlang machine instead of its parent
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(epmd),
        "RABBITMQ_NODENAME": f"xmppbus{amqp}@localhost",
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq.conf"),
        "RABBITMQ_CONF_ENV_FILE": str(directory / "env.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
        "RABBITMQ_LOG_BASE": str(directory / "log"),
        "RABBITMQ_PID_FILE": str(directory / "server.pid"),
    }


@contextlib.contextmanager
def running(command: list[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A child in its own process group, terminated (then killed) at the end."""
    process = spawn(command, environment, log)
    try:
        yield process
    finally:
        end(process)


def spawn(command: list[str], environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    """A child in its own process group."""
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            env=environment,
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def end(process: subprocess.Popen[bytes]) -> None:
    """Terminated, then killed, with what it started itself: erl_child_setup, inet_gethost."""
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def until_open(port: int) -> None:
    """Wait until a port of loopback takes connections."""
    deadline = time.monotonic() + START_TIMEOUT
    while not is_open(port):
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing listens on port {port}")
        time.sleep(0.02)


def until_amqp(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the broker answers an AMQP header, not merely a connection."""
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.settimeout(2)
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            if connection.recv(1) == b"\x01":
                return
        time.sleep(0.1)
    raise RuntimeError(f"RabbitMQ did not start:\n{log.read_text(errors='replace')[-2000:]}")
