"""`xmppbus exec` on a terminal: nobody sees that it stands between."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.support.daemon import Daemon
from tests.support.jobs import EXEC, spooled
from tests.support.terminal import OnTerminal
from tests.support.tmux import Tmux
from tests.support.waiting import until


@pytest.fixture
def away(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody whose daemon does not run."""
    return Daemon(tmp_path / "bus").environment


def test_the_command_has_a_terminal_with_colours_and_width(away: dict[str, str]) -> None:
    """All three streams; and it is told when the window changes."""
    script = (
        "test -t 0 && test -t 1 && test -t 2 && stty size; ls --color=auto -d /; tput setaf 1;"
        "trap 'stty size; exit 7' WINCH; echo ready; while :; do sleep 0.02; done"
    )
    with OnTerminal([*EXEC, "bash", "-c", script], {**away, "TERM": "xterm"}) as terminal:
        terminal.until_shown("ready\r\n")
        assert "30 90\r\n" in terminal.shown
        assert "\x1b[0m\x1b[01;34m/" in terminal.shown
        assert "\x1b[31m" in terminal.shown
        terminal.resize(40, 120)
        terminal.until_shown("40 120")
        assert terminal.code() == 7


def test_passwords_are_asked_for_and_not_shown(away: dict[str, str]) -> None:
    """From /dev/tty, without an echo; and what was typed is in no event."""
    ask = "import getpass; print('it was', len(getpass.getpass('Secret: ')))"
    with OnTerminal([*EXEC, sys.executable, "-c", ask], away) as terminal:
        terminal.until_shown("Secret: ")
        terminal.press("hunter2\n")
        terminal.until_shown("it was 7")
        assert terminal.code() == 0
    assert "hunter2" not in terminal.shown
    assert "hunter2" not in json.dumps(spooled(away))


def test_the_keyboard_interrupts_the_command(away: dict[str, str], tmp_path: Path) -> None:
    """Ctrl-C is for it; and the terminal is left as it was."""
    script = tmp_path / "script"
    script.write_text("trap 'echo caught; exit 6' INT; echo ready; while :; do sleep 0.02; done\n")
    with OnTerminal(["bash", "--norc", "-i"], {**away, "PS1": "$ ", "TERM": "xterm"}) as terminal:
        terminal.until_shown("$ ")
        before = terminal.settings()
        terminal.press(f"{' '.join(EXEC)} sh {script}; echo code $?\n")
        terminal.until_shown("ready\r\n")
        terminal.press("\x03")
        terminal.until_shown("code 6\r\n")
        assert terminal.shown.count("caught") == 1
        terminal.until(lambda: terminal.settings() == before, "the terminal to be as it was")


def test_a_command_can_be_stopped_and_go_on(away: dict[str, str]) -> None:
    """Ctrl-Z gives the shell its terminal back; `fg` gives it to the command again."""
    with OnTerminal(["bash", "--norc", "-i"], {**away, "PS1": "$ ", "TERM": "xterm"}) as terminal:
        terminal.until_shown("$ ")
        terminal.press(" ".join(EXEC) + " sh -c 'echo rea\"dy\"; read x; echo got $x; exit 3'; echo first $?\n")
        terminal.until_shown("ready\r\n")
        terminal.press("\x1a")
        terminal.until_shown("Stopped")
        terminal.press("echo she''ll\n")
        terminal.until_shown("shell\r\n")
        terminal.press("fg; echo second $?\n")
        terminal.press("word\n")
        terminal.until_shown("got word")
        terminal.until_shown("second 3")


def test_errors_stay_apart_and_coloured_when_only_output_is_redirected(away: dict[str, str], tmp_path: Path) -> None:
    """`xmppbus exec -- make >log` on a terminal."""
    log = tmp_path / "log"
    line = f"{' '.join(EXEC)} sh -c 'test -t 2 && echo terminal >&2; test -t 1 || echo file' >{log}"
    with OnTerminal(["sh", "-c", line], away) as terminal:
        terminal.until_shown("terminal\r\n")
        assert terminal.code() == 0
    assert log.read_text() == "file\n"


def test_a_pager_reads_a_pipe_and_the_keyboard(away: dict[str, str]) -> None:
    """`seq 999 | xmppbus exec -- less`."""
    line = f"seq 999 | {' '.join(EXEC)} sh -c 'read first; read key </dev/tty; echo $first and $key'"
    with OnTerminal(["sh", "-c", line], away) as terminal:
        terminal.press("pressed\n")
        terminal.until_shown("1 and pressed")
        assert terminal.code() == 0


def test_a_signal_to_us_ends_the_command_and_leaves_the_terminal_as_it_was(
    away: dict[str, str], tmp_path: Path
) -> None:
    """It was raw meanwhile."""
    script = tmp_path / "script"
    script.write_text("echo $PPID >pid; echo ready; sleep 60\n")
    line = f"cd {tmp_path}; {' '.join(EXEC)} sh {script} & echo $! >ours; fg; echo code $?"
    with OnTerminal(["bash", "--norc", "-i"], {**away, "PS1": "$ ", "TERM": "xterm"}) as terminal:
        terminal.until_shown("$ ")
        before = terminal.settings()
        terminal.press(f"{line}\n")
        terminal.until_shown("ready\r\n")
        terminal.until(lambda: terminal.settings() != before, "the terminal to be raw")
        os.kill(int((tmp_path / "ours").read_text()), signal.SIGTERM)
        terminal.until_shown("code 143\r\n")
        terminal.until(lambda: terminal.settings() == before, "the terminal to be as it was")


async def test_a_terminal_that_is_closed_ends_the_command(away: dict[str, str], tmp_path: Path) -> None:
    """As it would without us."""
    with OnTerminal([*EXEC, "sh", "-c", f"echo $$ >{tmp_path}/pid; echo ready; sleep 60"], away) as terminal:
        terminal.until_shown("ready\r\n")
        pid = int((tmp_path / "pid").read_text())
        terminal.close()

        def has_ended() -> bool:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 0)
                return False
            return True

        await until(has_ended, 20, "the command to end")


async def test_a_program_that_draws_draws_and_follows_the_window(away: dict[str, str]) -> None:
    """In tmux: the whole screen, the arrow keys, and back to what was there before."""
    draw = (
        "import curses\n"
        "def main(screen):\n"
        "    said = 'nothing'\n"
        "    while said != 'q':\n"
        "        rows, columns = screen.getmaxyx()\n"
        "        screen.erase(); screen.addstr(rows - 1, 0, f'{columns}x{rows} {said}'); screen.refresh()\n"
        "        said = curses.keyname(screen.getch()).decode()\n"
        "curses.wrapper(main)\n"
    )
    async with Tmux([*EXEC, sys.executable, "-c", draw], away, columns=70, rows=20) as terminal:
        screen = await terminal.until_shown("70x20 nothing")
        assert screen.splitlines()[19].startswith("70x20")
        terminal.press("Up")
        await terminal.until_shown("70x20 KEY_UP")
        terminal.press("q")
        assert await terminal.exit_code() == 0
        await terminal.until_screen(lambda shown: "70x20" not in shown, "the screen from before")
    assert [each["data"]["state"] for each in spooled(away)] == ["started", "done"]
