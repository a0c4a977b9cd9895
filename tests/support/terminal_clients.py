"""Real clients of a terminal, Profanity and Poezio, each in a tmux of its own: typed into, and read as a person would.

A client gets a home directory of its own and an account's password, trusts the test server's certificate, and is logged
in when its `async with` begins. Nothing of it outlives the test: the tmux server is our child (it ends with the thread
that started it, too), and a client ends with its terminal.

COMPAT(poezio): it refuses to run as root, so where the tests are root both clients run as `nobody`, in a directory that
is theirs.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import ClassVar, Self

from tests.support.server import MissingServerError, Server
from tests.support.waiting import until

COLUMNS, ROWS = 140, 45
START_SECONDS = 20.0
SHOWN_SECONDS = 10.0
STOP_SECONDS = 5.0
POLL_SECONDS = 0.01
NOBODY = 65534
TMUX_SETTINGS = """\
set -g exit-empty off
set -g remain-on-exit on
set -g status off
set -s escape-time 0
set -g default-terminal screen-256color
"""
SCREEN_NAME = "main"
STATUS_BAR = re.compile(r" \[\d\d:\d\d\] ")
ECHO_CHARACTERS = 40  # of the end of a line: a longer one scrolls in its input


class TerminalClient(ABC):
    """A client logged in to `jid` on `server`, in a terminal of 140 columns and 45 rows.

    Raises MissingServerError, with the line that installs it, when the client or tmux is missing.
    """

    program: ClassVar[str]
    resource: ClassVar[str]  # that it logs in with

    def __init__(self, server: Server, jid: str, *, settings: Mapping[str, str] | None = None) -> None:
        missing = [name for name in ("tmux", self.program) if shutil.which(name) is None]
        if missing:
            raise MissingServerError(f"apt-get install {' '.join(missing)}")
        self.server = server
        self.jid = jid
        self.password = server.accounts[jid]
        self.settings = dict(settings or {})  # over ours; the client's own names
        self.home = Path()
        self._terminal: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None  # the client's

    async def __aenter__(self) -> Self:
        """Start it; return when it is logged in."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self.close()

    async def start(self) -> None:
        """Start it in its terminal and wait until it is logged in; AssertionError, with the screen, if it is not."""
        # Not in pytest's directory: that one is closed to every user but ours. A short path, since a socket lies in it.
        self.home = Path(tempfile.mkdtemp(prefix=f"{self.program}-"))
        try:
            shutil.copy(self.server.certificate, self.home / "certificate.pem")
            (self.home / "tmux.conf").write_text(TMUX_SETTINGS)
            self.write_settings()
            self._give_away()
            await self._start_terminal()
            await self.until_logged_in()
        except BaseException:
            self.close()
            raise

    @abstractmethod
    def write_settings(self) -> None:
        """Write the client's files into `home`."""

    @abstractmethod
    def command(self) -> list[str]:
        """The command line that runs the client."""

    @abstractmethod
    async def until_logged_in(self) -> None:
        """Wait until the client says that it is."""

    @abstractmethod
    async def add(self, jid: str) -> None:
        """Make that bare JID a contact: see its presence, and let it see ours."""

    @abstractmethod
    async def talk_to(self, jid: str) -> None:
        """Open the conversation with that bare JID and bring it to the front."""

    @abstractmethod
    def conversation(self) -> list[str]:
        """The conversation at the front, a line each as it is shown: time, who, text; without what stands around it."""

    async def type(self, text: str) -> None:
        """Type a line, wait for its echo in the input at the bottom, and press Enter.

        What comes together counts as pasted, in which a slash or Enter is a character like others; so the first
        character and Enter come alone.
        """
        await self._paste(text[:1], text[:1])
        if len(text) > 1:
            await self._paste(text[1:], text.rstrip()[-ECHO_CHARACTERS:])
        self.press("Enter")

    async def _paste(self, text: str, echo: str) -> None:
        self._tmux("send-keys", "-t", SCREEN_NAME, "-l", "--", text)
        await self.until_screen(lambda screen: screen.endswith(echo), f"the typed {echo!r}")

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names: `Enter`, `PageUp`, `M-2`, `C-n`."""
        self._tmux("send-keys", "-t", SCREEN_NAME, *keys)

    def screen(self) -> str:
        """What the terminal shows now, a line a row, without trailing blanks."""
        rows = self._tmux("capture-pane", "-p", "-t", SCREEN_NAME).splitlines()
        return "\n".join(row.rstrip() for row in rows).rstrip("\n")

    async def step(self, key: str) -> None:
        """Press a key and wait until it has changed something, if only which row stands out."""
        before = self._tmux("capture-pane", "-e", "-p", "-t", SCREEN_NAME)
        self.press(key)
        await until(
            lambda: self._tmux("capture-pane", "-e", "-p", "-t", SCREEN_NAME) != before, SHOWN_SECONDS, f"{key} to act"
        )

    async def until_shown(self, text: str, timeout: float = SHOWN_SECONDS) -> str:
        """Wait until the terminal shows `text`; return the screen."""
        return await self.until_screen(lambda screen: text in screen, repr(text), timeout)

    async def until_screen(self, right: Callable[[str], bool], what: str, timeout: float = SHOWN_SECONDS) -> str:
        """Wait until `right(screen)`; return that screen. AssertionError shows the last one."""
        last = ""

        def looks_right() -> bool:
            nonlocal last
            last = self.screen()
            return right(last)

        try:
            await until(looks_right, timeout, f"{what} in {self.program}")
        except AssertionError as error:
            raise AssertionError(f"{error}; it shows:\n{last}") from None
        return last

    def close(self) -> None:
        """End the terminal, and the client with it, and remove its files; harmless the second time."""
        if self._terminal is not None:
            self._end_client()
            self._terminal.terminate()
            try:
                self._terminal.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._terminal.kill()
                self._terminal.wait()
            self._terminal = None
        if self.home != Path():
            self._remove_home()

    def _end_client(self) -> None:
        """Hang up on it (SIGHUP) and wait until tmux, its parent, has reaped it; kill it if it stays."""
        if self._pid is None:
            return
        process = Path(f"/proc/{self._pid}")
        with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
            self._tmux("kill-session", "-t", SCREEN_NAME)
        deadline = monotonic() + STOP_SECONDS
        while process.exists() and monotonic() < deadline:
            sleep(POLL_SECONDS)
        if process.exists():
            os.kill(self._pid, signal.SIGKILL)
        self._pid = None

    def _remove_home(self) -> None:
        """The client may have left a process of its own that still writes, so once may not be enough."""
        deadline = monotonic() + STOP_SECONDS
        while self.home.exists() and monotonic() < deadline:
            shutil.rmtree(self.home, ignore_errors=True)

    def _give_away(self) -> None:
        if os.geteuid() == 0:
            for path in (self.home, *self.home.rglob("*")):
                os.chown(path, NOBODY, NOBODY)

    def _unprivileged(self, argv: list[str]) -> list[str]:
        """As root: run as `nobody`. Everywhere: end with the thread that starts it."""
        if shutil.which("setpriv") is None:
            return argv
        user = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
        return ["setpriv", *user, "--pdeathsig", "TERM", "--", *argv]

    def _environment(self) -> dict[str, str]:
        """Nothing of ours, so that neither a virtual environment nor a desktop is seen."""
        return {
            "HOME": str(self.home),
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
            "SHELL": "/bin/sh",  # `nobody` has none
            "TERM": "screen-256color",
            "TZ": "UTC",
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_DATA_HOME": str(self.home / "data"),
            "XDG_CACHE_HOME": str(self.home / "cache"),
        }

    @property
    def _tmux_argv(self) -> list[str]:
        return ["tmux", "-u", "-S", str(self.home / "tmux"), "-f", str(self.home / "tmux.conf")]

    async def _start_terminal(self) -> None:
        """A tmux server in the foreground (`-D`), which is our child, and the client in its one window."""
        self._spawn_server()
        await until(self._listens, START_SECONDS, "tmux to open its socket")
        size = ("-x", str(COLUMNS), "-y", str(ROWS))
        shown = ("-P", "-F", "#{pane_pid}")
        command = f"exec {shlex.join(self.command())}"  # so that the pane's process is the client, not a shell
        self._pid = int(self._tmux("new-session", "-d", "-s", SCREEN_NAME, *size, *shown, command))

    def _spawn_server(self) -> None:
        self._terminal = subprocess.Popen(
            self._unprivileged([*self._tmux_argv, "-D"]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self._environment(),
            cwd=self.home,
            start_new_session=True,
        )

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.home / "tmux")) == 0

    def _tmux(self, *arguments: str) -> str:
        """Run one tmux command against our server (`-N`: never start another). AssertionError says what tmux said."""
        ran = subprocess.run(
            self._unprivileged([*self._tmux_argv, "-N", *arguments]),
            capture_output=True,
            text=True,
            check=False,
            env=self._environment(),
            cwd=self.home,
            timeout=START_SECONDS,
        )
        assert ran.returncode == 0, f"tmux {arguments[0]}: {ran.stderr.strip()}"
        return ran.stdout


class Profanity(TerminalClient):
    """Profanity. `settings` are `[section] name` of its profrc, written `section/name`."""

    program = "profanity"
    resource = "profanity"

    def write_settings(self) -> None:
        """See TerminalClient. The policy `trust` encrypts and takes the server's certificate as it is."""
        profrc = {
            "ui/splash": "false",
            "ui/notifications": "false",
            "connection/reconnect": "0",
            "notifications/message": "false",
            "notifications/invite": "false",
            "notifications/sub": "false",
            **self.settings,
        }
        account = {
            "enabled": "true",
            "jid": self.jid,
            "server": self.server.host,
            "port": str(self.server.c2s_port),
            "resource": self.resource,
            "password": self.password,
            "tls.policy": "trust",
        }
        write_key_file(self.home / "config/profanity/profrc", profrc)
        write_key_file(
            self.home / "data/profanity/accounts", {f"{self.jid}/{name}": value for name, value in account.items()}
        )

    def command(self) -> list[str]:
        """See TerminalClient."""
        return ["profanity", "-a", self.jid]

    async def until_logged_in(self) -> None:
        """See TerminalClient."""
        await self.until_shown("logged in successfully", START_SECONDS)

    async def add(self, jid: str) -> None:
        """See TerminalClient. It asks before it lets anybody see us."""
        await self.type(f"/sub request {jid}")
        await self.until_shown(f"Received authorization request from {jid}")
        await self.type(f"/sub allow {jid}")
        await self.until_shown(f"Accepted subscription for {jid}")

    async def talk_to(self, jid: str) -> None:
        """See TerminalClient."""
        await self.type(f"/msg {jid}")
        await self.until_screen(lambda screen: jid in screen.partition("\n")[0], f"the window of {jid}")

    def conversation(self) -> list[str]:
        """See TerminalClient. Between the bar at the top and the one above the input; no line of unread ones."""
        rows = [row for row in self.screen().splitlines()[1:] if row and not row.startswith("---")]
        bar = next((index for index, row in enumerate(rows) if STATUS_BAR.match(row)), len(rows))
        return rows[:bar]


class Poezio(TerminalClient):
    """Poezio. `settings` are names of its section `[Poezio]`."""

    program = "poezio"
    resource = "poezio"

    def write_settings(self) -> None:
        """See TerminalClient. It verifies the certificate against our file and then pins its key."""
        own = {
            "jid": f"{self.jid}/{self.resource}",
            "password": self.password,
            "custom_host": self.server.host,
            "custom_port": str(self.server.c2s_port),
            "ca_cert_path": str(self.home / "certificate.pem"),
            "auto_reconnect": "false",
            **self.settings,
        }
        write_key_file(self.home / "config/poezio/poezio.cfg", {f"Poezio/{name}": value for name, value in own.items()})

    def command(self) -> list[str]:
        """See TerminalClient."""
        return ["poezio"]

    async def until_logged_in(self) -> None:
        """See TerminalClient."""
        await self.until_shown("Your JID is", START_SECONDS)

    async def add(self, jid: str) -> None:
        """See TerminalClient."""
        await self.type(f"/add {jid}")
        await self.until_shown(f"{jid} accepted your contact")

    async def talk_to(self, jid: str) -> None:
        """See TerminalClient."""
        await self.type(f"/message {jid}")
        await self.until_screen(lambda screen: f"│[{jid}]" in screen, f"the tab of {jid}")

    def conversation(self) -> list[str]:
        """See TerminalClient. Right of the list of tabs, above the bar with the JID; no line of unread ones."""
        rows = [row.partition("│")[2] for row in self.screen().splitlines()]
        bar = next((index for index, row in enumerate(rows) if row.startswith("[")), len(rows))
        return [row for row in rows[:bar] if row and not row.startswith("- - ")]


def write_key_file(path: Path, values: Mapping[str, str]) -> None:
    """Write `section/name` = value as an INI file for its owner only; a section may hold an `@` but no `/`."""
    sections: dict[str, list[str]] = {}
    for key, value in values.items():
        section, _, name = key.partition("/")
        sections.setdefault(section, []).append(f"{name}={value}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text("".join(f"[{section}]\n" + "\n".join(lines) + "\n\n" for section, lines in sections.items()))


CLIENTS: dict[str, type[TerminalClient]] = {"profanity": Profanity, "poezio": Poezio}
