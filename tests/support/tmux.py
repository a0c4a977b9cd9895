"""A terminal with one program in it: typed into, and read as a person would. What it shows is tmux's own reading."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import Self

from tests.support.missing import need
from tests.support.waiting import until

SHOWN_SECONDS = 20.0
STOP_SECONDS = 5.0
POLL_SECONDS = 0.01
SETTINGS = """\
set -g exit-empty off
set -g status off
set -s escape-time 0
set -g default-terminal screen-256color
"""


class Tmux:
    """`async with Tmux(argv, environment, columns=80, rows=24) as terminal`: the program runs in it until the end."""

    def __init__(
        self, argv: Sequence[str], environment: Mapping[str, str], *, columns: int = 80, rows: int = 24
    ) -> None:
        need("tmux")
        self._argv = argv
        # How large a terminal is, it says itself; pytest's workers say it in the environment, and mean theirs.
        given = {name: value for name, value in environment.items() if name not in ("COLUMNS", "LINES")}
        self._environment = {**given, "LC_ALL": "C.UTF-8", "TERM": "screen-256color", "TZ": "UTC"}
        self._size = ("-x", str(columns), "-y", str(rows))
        self._home = Path()
        self._server: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None

    async def __aenter__(self) -> Self:
        """Start a tmux server in the foreground, which is our child, and the program in its one window."""
        self._start()
        try:
            await self._open()
        except BaseException:
            self._stop()
            raise
        return self

    async def _open(self) -> None:
        await until(self._listens, SHOWN_SECONDS, "tmux to open its socket")
        # COMPAT(tmux<3.4): it may miss that its child has ended; so a shell says how.
        command = f"{shlex.join(self._argv)}; echo $? >{self._home}/code; exec cat"
        new = ("new-session", "-d", "-s", "main", *self._size, "-P", "-F", "#{pane_pid}", command)
        self._pid = int(self._tmux(*new))

    def _listens(self) -> bool:
        """Its socket is there for a moment before anybody answers on it."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as one:
            one.connect(str(self._home / "tmux"))
            return True
        return False

    async def __aexit__(self, *error: object) -> None:
        """End the program and its terminal."""
        self._stop()

    def _start(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="tmux-"))  # a short path, since a socket lies in it
        (self._home / "tmux.conf").write_text(SETTINGS)
        self._server = subprocess.Popen(
            [*self._tmux_argv, "-D"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self._environment,
            start_new_session=True,
        )

    def _stop(self) -> None:
        server = self._server
        assert server is not None
        with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
            self._tmux("kill-session", "-t", "main")
        deadline = monotonic() + STOP_SECONDS
        while self._pid is not None and Path(f"/proc/{self._pid}").exists() and monotonic() < deadline:
            sleep(POLL_SECONDS)
        if self._pid is not None and Path(f"/proc/{self._pid}").exists():
            os.kill(self._pid, signal.SIGKILL)
        server.terminate()
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        for path in self._home.iterdir():
            path.unlink()
        self._home.rmdir()

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names: `Enter`, `Down`, `a`, `C-c`."""
        self._tmux("send-keys", "-t", "main", *keys)

    def screen(self) -> str:
        """What the terminal shows now, a line a row, without trailing blanks."""
        return "\n".join(row.rstrip() for row in self._tmux("capture-pane", "-p", "-t", "main").splitlines())

    def screen_with_colours(self) -> str:
        """The same with SGR sequences."""
        return self._tmux("capture-pane", "-e", "-p", "-t", "main")

    def said(self) -> str:
        """All that a program has printed which does not draw."""
        return self._tmux("capture-pane", "-p", "-J", "-S", "-", "-t", "main")

    async def until_said(self, text: str) -> None:
        """Wait until the program has printed this: tmux reads the last of it after the program has ended."""
        try:
            await until(lambda: text in self.said(), SHOWN_SECONDS, repr(text), poll=0.05)
        except AssertionError as error:
            raise AssertionError(f"{error}; it said:\n{self.said()}") from None

    async def until_shown(self, *texts: str) -> str:
        """Wait until the terminal shows all of these, and return what it shows."""
        return await self.until_screen(lambda screen: all(each in screen for each in texts), f"{texts}")

    async def until_screen(self, right: Callable[[str], bool], what: str) -> str:
        """Wait until `right(screen)`; AssertionError shows the last one."""
        last = ""

        def looks_right() -> bool:
            nonlocal last
            last = self.screen()
            return right(last)

        try:
            await until(looks_right, SHOWN_SECONDS, what, poll=0.05)
        except AssertionError as error:
            raise AssertionError(f"{error}; it shows:\n{last}") from None
        return last

    async def exit_code(self) -> int:
        """Wait until the program has ended."""
        code = self._home / "code"
        await until(lambda: code.exists() and code.read_text().endswith("\n"), SHOWN_SECONDS, "the program to end")
        return int(code.read_text())

    @property
    def _tmux_argv(self) -> list[str]:
        return ["tmux", "-u", "-S", str(self._home / "tmux"), "-f", str(self._home / "tmux.conf")]

    def _tmux(self, *arguments: str) -> str:
        ran = subprocess.run(
            [*self._tmux_argv, "-N", *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=self._environment,
            timeout=SHOWN_SECONDS,
        )
        assert ran.returncode == 0, f"tmux {arguments[0]}: {ran.stderr.strip()}"
        return ran.stdout
