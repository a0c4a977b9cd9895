"""A private RabbitMQ of Debian's package, as a yardstick: own node, own files, loopback only, nothing left behind.

The benchmarks measure "accepted and on disk" against its persistent messages with publisher confirms.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.ports import free_port, is_open

# Not the wrapper in /usr/sbin, which changes to the system's own directories and user.
SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
START_TIMEOUT = 60.0
STOP_TIMEOUT = 20.0


@dataclass(frozen=True, slots=True)
class RabbitMQ:
    """A running broker: where to connect, and the process that is it."""

    port: int
    directory: Path
    process_id: int

    @property
    def url(self) -> str:
        """For an AMQP 0-9-1 client; RabbitMQ's guest may log in over loopback."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"


def available() -> bool:
    """Whether Debian's rabbitmq-server is installed."""
    return SERVER.exists() and shutil.which("erl") is not None


def version() -> str:
    """The package's version, without starting anything."""
    found = sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*"))
    return found[-1].name.partition("-")[2] if found else "absent"


@contextlib.contextmanager
def rabbitmq() -> Iterator[RabbitMQ]:
    """Start a broker in a temporary directory; stop it, and its epmd, on the way out."""
    directory = Path(tempfile.mkdtemp(prefix="xmppbus-rabbitmq-"))
    amqp, distribution, epmd = free_port(), free_port(), free_port()
    environment = broker_environment(directory, amqp, distribution, epmd)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        # Started by us in the foreground, or the broker would start one that outlives it.
        mapper = [epmd_program(), "-address", "127.0.0.1", "-port", str(epmd)]
        stack.enter_context(running(mapper, environment, directory / "epmd.log"))
        until_open(epmd)
        broker = stack.enter_context(running([str(SERVER)], environment, directory / "server.log"))
        until_amqp(amqp, broker, directory / "server.log")
        yield RabbitMQ(amqp, directory, broker.pid)


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
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with contextlib.suppress(ProcessLookupError):  # what it started itself: erl_child_setup, inet_gethost
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
