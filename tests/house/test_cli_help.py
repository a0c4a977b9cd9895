"""Help, usage, version and completion: what one meets first."""

import asyncio
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.reference.commands_page import commands
from tests.support.daemon import Daemon, program
from tests.support.missing import need
from xmppbus.cli.main import BRIEF, HOUSE_COMMANDS, LOCAL_COMMANDS, brief

COMMANDS = [name for name, _, _ in commands()]


@pytest.fixture
def away(tmp_path: Path) -> Daemon:
    """One that does not run."""
    return Daemon(tmp_path)


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    async with Daemon(tmp_path) as started:
        yield started


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Show the version.", "Show the version"),
        ("Expect it no more. If it is missed at the moment, that is over.", "Expect it no more"),
        ("Publish an event of TYPE (words, such as disk.full), which is also the name.", "Publish an event of TYPE"),
        ("Send a chat message to JID, from the bot, or from an account of yours.", "Send a chat message to JID"),
        (f"Show {'a long way ' * 6}", f"Show {'a long way ' * 6}".strip()),
    ],
)
def test_a_list_of_commands_says_each_in_a_few_words_that_end_where_they_can(text: str, said: str) -> None:
    """And not with dots, where the line ends."""
    assert brief(text) == said


async def test_the_list_of_commands_fits_into_80_columns(away: Daemon) -> None:
    """Nearly all on one line each; none ends with dots."""
    (_, shown) = (await away.command("--help")).out.split("Commands:\n")
    lines = shown.partition("\n\n")[0].splitlines()
    assert max(map(len, lines)) <= 80
    assert not [line for line in lines if line.endswith("...")]
    assert len(lines) < len([*HOUSE_COMMANDS, *LOCAL_COMMANDS]) + 5
    assert BRIEF + 19 < 80


@pytest.mark.parametrize("name", COMMANDS)
async def test_every_help_ends_with_an_example_that_names_the_command(away: Daemon, name: str) -> None:
    """One can copy it."""
    done = await away.command(*name.split(), "--help")
    assert done.out.startswith(f"Usage: xmppbus {name}")
    example = done.out.rpartition("\n  Example:\n")[2]
    assert f"xmppbus {name}" in example, done.out
    assert all(line.startswith("    ") for line in example.splitlines()), "nothing comes behind it"
    assert all(len(line) <= 80 for line in done.out.splitlines())


async def test_the_daemon_s_help_is_the_client_s(daemon: Daemon, tmp_path: Path) -> None:
    """One definition, wherever it is parsed."""
    away = Daemon(tmp_path / "away")
    for name in HOUSE_COMMANDS:
        assert (await daemon.command(name, "--help")).out == (await away.command(name, "--help")).out
    for wrong in (["publish", "--nope"], ["listen", "-n", "x"], ["dead", "retry"]):
        assert await daemon.run(*wrong) == await away.run(*wrong)


async def test_help_lists_every_command(away: Daemon) -> None:
    """With a sentence."""
    for arguments in (["--help"], ["-h"]):
        text = (await away.command(*arguments)).out
        for name in [*HOUSE_COMMANDS, *LOCAL_COMMANDS]:
            assert re.search(rf"^  {name} +[A-Z]\w+", text, re.MULTILINE)


async def test_no_command_at_all_shows_help(away: Daemon) -> None:
    """And is a usage error."""
    done = await away.run()
    assert done.code == 64
    assert "Usage: xmppbus" in done.err + done.out


async def test_the_version_is_said_twice_the_same(away: Daemon) -> None:
    """As a command and as an option."""
    assert (await away.command("version")).out == (await away.command("--version")).out
    assert (await away.command("version")).out.startswith("xmppbus ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_each_shell_gets_its_completion(away: Daemon, shell: str) -> None:
    """That calls the program back."""
    text = (await away.command("completion", shell)).out
    assert f"_XMPPBUS_COMPLETE={shell}_complete" in text


async def test_bash_completes_commands_and_options(away: Daemon) -> None:
    """In a real bash, with the script that it was given."""
    need("bash")
    script = (
        'eval "$(xmppbus completion bash)"; '
        'COMP_WORDS=(xmppbus publish --sev) COMP_CWORD=2; _xmppbus_completion xmppbus; echo "${COMPREPLY[@]}"; '
        'COMPREPLY=() COMP_WORDS=(xmppbus de) COMP_CWORD=1; _xmppbus_completion xmppbus; echo "${COMPREPLY[@]}"'
    )
    path = f"{Path(program()).parent}:{os.environ['PATH']}"
    done = await asyncio.to_thread(
        subprocess.run, ["bash", "-c", script], env={**away.environment, "PATH": path}, capture_output=True, text=True
    )
    assert done.stdout.split() == ["--severity", "dead", "demo"], done.stderr


async def test_the_width_of_the_terminal_is_the_width_of_the_text(daemon: Daemon) -> None:
    """The client's terminal, although the daemon lays it out; and colour goes only there."""
    narrow, wide = [await on_terminal(daemon, columns, "publish", "--help") for columns in (60, 100)]
    first_lines = [text.splitlines()[2] for text in (narrow, wide)]
    assert 45 < len(first_lines[0]) <= 60
    assert 80 < len(first_lines[1]) <= 100


async def test_colour_is_for_terminals_and_for_those_who_want_it(daemon: Daemon) -> None:
    """NO_COLOR is obeyed."""
    await daemon.command("publish", "disk.full", "x", "--severity", "critical")
    arguments = ("listen", "--since", "all", "-n", "1")
    assert "\x1b[1;31m‼" in await on_terminal(daemon, 80, *arguments)
    assert "\x1b" not in (await daemon.command(*arguments)).out
    daemon.environment["NO_COLOR"] = "1"
    assert "\x1b" not in await on_terminal(daemon, 80, *arguments)


async def test_times_are_shown_in_the_reader_s_zone(daemon: Daemon) -> None:
    """$TZ of the client, not the daemon's."""
    await daemon.command("publish", "t", "x")
    shown = []
    for zone in ("UTC", "Asia/Kolkata"):
        daemon.environment["TZ"] = zone
        shown.append((await daemon.command("listen", "--since", "all", "-n", "1")).out[14:16])
    assert (int(shown[1]) - int(shown[0])) % 60 == 30


async def on_terminal(daemon: Daemon, columns: int, *arguments: str) -> str:
    """What the command writes to a terminal that is so wide."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = await asyncio.create_subprocess_exec(
        program(), *arguments, env={**daemon.environment, "TERM": "xterm"}, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    text = b""
    while True:
        try:
            text += await asyncio.to_thread(os.read, ours, 65536)
        except OSError:  # EIO: the other end is closed
            break
    os.close(ours)
    assert await process.wait() == 0, text
    return text.decode().replace("\r\n", "\n")
