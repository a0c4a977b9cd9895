"""A server run as a child process: started, waited for, ended; and never anybody else's."""

import asyncio
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic

from xmppbus.demo.ports import is_open

_POLL_S = 0.02  # a server takes 70 to 700 ms to open its ports; a probe costs 50 µs


class ServerStartError(Exception):
    """A server could not be started; the text says why and quotes the end of its output."""


def ending_with_us(argv: Sequence[str]) -> list[str]:
    """The command line of a child that is ended (SIGTERM) when the thread that starts it ends, killed or not."""
    return [*(["setpriv", "--pdeathsig", "TERM", "--"] if shutil.which("setpriv") else []), *argv]


class ServerProcess:
    """One child process and the ports that it opens when it is ready."""

    def __init__(self, argv: Sequence[str], ports: Sequence[int], output: Path, environment: Mapping[str, str]) -> None:
        self.argv = list(argv)
        self.ports = tuple(ports)
        self.output = output
        self.environment = dict(environment)
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The child's process id, or None while it does not run."""
        return self._child.pid if self._child is not None and self._child.poll() is None else None

    async def start(self, timeout: float) -> None:
        """Start the child and return when all its ports accept connections.

        Raises ServerStartError when it ends before, or has not opened them after `timeout` seconds.
        """
        if self.pid is not None:
            raise ServerStartError(f"{self.argv[0]} runs already, as process {self.pid}")
        taken = [port for port in self.ports if is_open(port)]
        if taken:
            raise ServerStartError(f"somebody listens on port {taken[0]} already")
        self._spawn()
        deadline = monotonic() + timeout
        while not all(is_open(port) for port in self.ports):
            if self.pid is None or monotonic() > deadline:
                self.kill()
                raise ServerStartError(f"{self.argv[0]} opened no port in {timeout:g} s:\n{self.tail()}")
            await asyncio.sleep(_POLL_S)

    def _spawn(self) -> None:
        if shutil.which(self.argv[0]) is None:
            raise ServerStartError(f"{self.argv[0]} is not installed")
        # A session of its own keeps a terminal's Ctrl-C away from it, so that it is we who end it, after everything
        # that needs it.
        with self.output.open("ab") as output:
            self._child = subprocess.Popen(
                ending_with_us(self.argv),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
            )

    async def stop(self, timeout: float) -> None:
        """Ask the child to end (SIGTERM) and wait; after `timeout` seconds kill it."""
        if self._child is None:
            return
        self._child.terminate()
        deadline = monotonic() + timeout
        while self._child.poll() is None and monotonic() < deadline:  # noqa: ASYNC110  # a process sets no event
            await asyncio.sleep(_POLL_S)
        self.kill()

    def kill(self) -> None:
        """End the child at once (SIGKILL)."""
        if self._child is not None:
            self._child.send_signal(signal.SIGKILL)  # does nothing when the child has been waited for
            self._child.wait()
            self._child = None

    def tail(self, lines: int = 20) -> str:
        """The end of what the child has printed."""
        if not self.output.exists():
            return ""
        return "\n".join(self.output.read_text(errors="replace").splitlines()[-lines:])
