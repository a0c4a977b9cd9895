"""The installed program as its users have it: `xmppbus serve` in a process of its own, and its other commands.

It is the console script beside the interpreter that runs the tests, with a state directory, a socket and an HTTP port
of its own. Nothing of the product is imported: what is tested here is what a user could do.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import yaml

from tests.support.ports import free_port
from tests.support.server import Server
from tests.support.waiting import until

START_TIMEOUT = 30.0
STOP_TIMEOUT = 20.0
COMMAND_TIMEOUT = 30.0
REQUEST_TIMEOUT = 10.0
POLL_S = 0.005


def program() -> str:
    """The console script of this interpreter's environment."""
    return str(Path(sys.executable).with_name("xmppbus"))


def bot_without_a_server(directory: Path) -> dict[str, Any]:
    """The config of a bot whose server is not there: incidents and all that is done about them need none."""
    secret_file = directory / "secret"
    secret_file.touch(mode=0o600)
    secret_file.write_text("secret")
    reach = {"component": "bus.localhost", "host": "127.0.0.1", "port": free_port(), "secret_file": str(secret_file)}
    return {"xmpp": {**reach, "pubsub_service": "pubsub.localhost"}, "bot": {}}


@dataclass(frozen=True, slots=True)
class Done:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)

    def __str__(self) -> str:
        return f"exit {self.code}, out {self.out[:2000]!r}, err {self.err[:2000]!r}"


class Daemon:
    """One state directory and the daemon on it, which may be started, stopped and killed many times.

    Without a `server` it is a local bus. `port` is where it connects instead of the server's component port (a
    proxy's); `secret` another one than the server's. `node` is the profile of all nodes, `config` is merged into the
    file. `prefix` stands before the command line (strace).
    """

    def __init__(
        self,
        directory: Path,
        server: Server | None = None,
        *,
        port: int | None = None,
        secret: str | None = None,
        node: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        self.directory = directory
        self.directory.mkdir(parents=True, exist_ok=True)
        self.socket = directory / "socket"
        self.journal = directory / "journal.db"
        self.http_port = free_port()
        self.prefix = tuple(prefix)
        self.process: subprocess.Popen[bytes] | None = None
        self.log_file = directory / "daemon.log"
        self.config_file = directory / "xmppbus.yaml"
        self.program: Sequence[str] = (program(),)  # or a script that is the daemon itself
        self.arguments: Sequence[str] = ("serve", "--config", str(self.config_file))
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("XMPPBUS_")},
            "XMPPBUS_STATE": str(directory),
            "XMPPBUS_SOCKET": str(self.socket),
            "XMPPBUS_CONFIG": str(self.config_file),
        }
        self.configure(server, port=port, secret=secret, node=node, config=config)

    @property
    def url(self) -> str:
        """Of the HTTP listener."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def pid(self) -> int | None:
        """Of the running daemon (of what stands before it, if something does)."""
        return self.process.pid if self.process is not None and self.process.poll() is None else None

    def configure(
        self,
        server: Server | None,
        *,
        port: int | None = None,
        secret: str | None = None,
        node: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the config; it is read at the next start."""
        found: dict[str, Any] = {
            "http": {"listen": f"127.0.0.1:{self.http_port}"},
            "journal": {"path": str(self.journal)},
            "socket": {"path": str(self.socket)},
        }
        if server is not None:
            secret_file = self.directory / "secret"
            secret_file.touch(mode=0o600)
            secret_file.write_text(secret if secret is not None else server.secret)
            found["xmpp"] = {
                "component": server.component_jid,
                "host": server.host,
                "port": port if port is not None else server.component_port,
                "secret_file": str(secret_file),
                "pubsub_service": server.pubsub_service,
            }
            found["nodes"] = [{"match": "#", "readers": [*server.accounts], **(node or {})}]
        self.config_file.write_text(yaml.safe_dump({**found, **(config or {})}))

    # --- its life -----------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            print(f"the daemon's log ends with:\n{self.log()[-6000:]}")
        await self.stop()

    def spawn(self) -> None:
        """Start it and do not wait."""
        assert self.pid is None, "it runs already"
        # It ends with the tests, however they end; and a terminal's Ctrl-C is for the tests.
        guard = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") and not self.prefix else []
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [*guard, *self.prefix, *self.program, *self.arguments],
                env=self.environment,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    async def start(self) -> float:
        """Start it, wait until it accepts events, and return how many seconds that took."""
        begun = monotonic()
        self.spawn()
        await self.until_ready()
        return monotonic() - begun

    async def until_ready(self) -> None:
        """Until its socket is open and `GET /health` says yes."""

        async def ready() -> bool:
            if self.pid is None:
                raise AssertionError(f"xmppbus serve has ended:\n{self.log()[-6000:]}")
            return self.answers() and await asyncio.to_thread(self.is_healthy)

        await until(ready, START_TIMEOUT, "xmppbus serve to be ready")

    def answers(self) -> bool:
        """Does anybody listen on its socket?"""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            with contextlib.suppress(OSError):
                connection.connect(str(self.socket))
                return True
        return False

    def is_healthy(self) -> bool:
        """Is `GET /health` 200?"""
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.request_now("GET", "/health")[0] == 200
        return False

    async def stop(self) -> int | None:
        """SIGTERM, wait, and the exit code; one that does not obey is killed, and that is a failure."""
        process, self.process = self.process, None
        if process is None:
            return None
        self._terminate(process)
        try:
            return await asyncio.to_thread(process.wait, STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"SIGTERM did not end it in {STOP_TIMEOUT} s:\n{self.log()[-6000:]}") from None

    def _terminate(self, process: subprocess.Popen[bytes]) -> None:
        if self.prefix and process.poll() is None:  # strace does not pass signals on
            for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
                os.kill(int(child), signal.SIGTERM)
        else:
            process.terminate()

    def kill(self) -> None:
        """SIGKILL, and gone when this returns."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait()

    def log(self) -> str:
        """What it has printed so far."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    # --- its HTTP ----------------------------------------------------------------------------------------------------

    def request_now(
        self, method: str, path: str, body: bytes | str | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """One request on a connection of its own: status and body of the answer. Raises OSError and HTTPException."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=REQUEST_TIMEOUT)
        with contextlib.closing(connection):
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read()

    async def request(
        self, method: str, path: str, body: bytes | str | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """The same without holding up the test's loop."""
        return await asyncio.to_thread(self.request_now, method, path, body, headers)

    # --- its commands -------------------------------------------------------------------------------------------------

    async def run(self, *arguments: str, input: bytes = b"", timeout: float = COMMAND_TIMEOUT) -> Done:  # noqa: A002  # subprocess's word
        """`xmppbus ARGUMENTS` with that on standard input, whatever its exit code."""
        process = await asyncio.create_subprocess_exec(
            program(),
            *arguments,
            env=self.environment,
            cwd=self.directory,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        return await finished(process, input, timeout)

    async def shell(self, line: str, *, timeout: float = COMMAND_TIMEOUT) -> str:
        """What a line prints in a shell that finds `xmppbus` on its path; it must exit with 0."""
        path = f"{Path(program()).parent}:{os.environ['PATH']}"
        process = await asyncio.create_subprocess_exec(
            *("/bin/sh", "-c", line),
            env={**self.environment, "PATH": path},
            cwd=self.directory,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        done = await finished(process, None, timeout)
        assert done.code == 0, f"{line}: {done}\n{self.log()[-3000:]}"
        return done.out

    async def command(self, *arguments: str, input: bytes = b"") -> Done:  # noqa: A002  # subprocess's word
        """The same, and it must exit with 0."""
        done = await self.run(*arguments, input=input)
        assert done.code == 0, f"xmppbus {' '.join(arguments)}: {done}\n{self.log()[-3000:]}"
        return done

    async def status(self) -> dict[str, Any]:
        """`xmppbus status --json`."""
        found: dict[str, Any] = (await self.command("status", "--json")).json
        return found

    async def show(self, item_id: str) -> dict[str, Any]:
        """`xmppbus show --json ITEM-ID`."""
        found: dict[str, Any] = (await self.command("show", "--json", item_id)).json
        return found

    async def fetched(self, source: str, event_id: str) -> dict[str, Any] | None:
        """The event of that name over HTTP, with its sequence and its deliveries; None when there is none."""

        status, body = await self.request("GET", f"/v1/events?{urlencode({'source': source, 'id': event_id})}")
        assert status in (200, 404), body
        return json.loads(body) if status == 200 else None

    async def until_nothing_waits(self, timeout: float) -> None:
        """Until every delivery is settled."""
        last: dict[str, Any] = {}
        deadline = monotonic() + timeout
        while (last := await self.status())["journal"]["waiting"]:
            if monotonic() > deadline:
                raise AssertionError(f"after {timeout:g} s there still waits: {json.dumps(last, indent=1)}")
            await asyncio.sleep(POLL_S)


async def finished(process: asyncio.subprocess.Process, input: bytes | None, timeout: float) -> Done:  # noqa: A002  # subprocess's word
    """Wait for a process; one that is not waited for to its end is killed."""
    try:
        out, err = await asyncio.wait_for(process.communicate(input), timeout)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), err.decode())
