"""TAB in real shells: commands, options, and what the daemon knows; with a dead one nobody waits. And the man pages."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import pytest

from tests.reference import man_page
from tests.reference.commands_page import commands
from tests.support.daemon import Daemon, program
from tests.support.missing import need
from tests.support.pages import ROOT, blocks
from tests.support.terminal import OnTerminal
from xmppbus import limits
from xmppbus.cli.main import HOUSE_COMMANDS, LOCAL_COMMANDS

PAGE = ROOT / "docs/howto/completion.md"
INSTALLED = ROOT / "xmppbus/data/completion"


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    async with Daemon(tmp_path / "bus") as started:
        await started.command("publish", "job.nightly", "x", "--key", "disk7", "--status", "firing")
        yield started


def environment(daemon: Daemon, home: Path) -> dict[str, str]:
    """A new user's, whose shells find the program."""
    home.mkdir(exist_ok=True)
    kept = {name: value for name, value in daemon.environment.items() if not name.startswith("XDG_")}
    path = f"{Path(program()).parent}:{os.environ['PATH']}"
    return {**kept, "HOME": str(home), "PATH": path, "TERM": "xterm", "PS1": "$ ", "ZDOTDIR": str(home)}


def by_bash(environ: Mapping[str, str], home: Path, line: str) -> list[str]:
    """What its own machinery makes of a line."""
    need("bash")
    file = home / ".local/share/bash-completion/completions/xmppbus"
    words = line.split(" ")
    typed = " ".join(words) if words[-1] else " ".join([*words[:-1], "''"])
    script = (
        f"source {file}; COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _xmppbus_completion xmppbus;"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    ran = subprocess.run(["bash", "-c", script], env=environ, capture_output=True, text=True, check=True)
    return ran.stdout.split()


def by_fish(environ: Mapping[str, str], home: Path, line: str) -> list[str]:
    """As `complete -C` says it."""
    need("fish")
    assert home.exists()
    asked = ["fish", "-c", f"complete -C '{line}'"]
    out = subprocess.run(asked, env=environ, capture_output=True, text=True, check=True).stdout
    return [each.split("\t")[0] for each in out.splitlines()]


def by_zsh(environ: Mapping[str, str], home: Path, line: str) -> list[str]:
    """Typed, with a TAB."""
    need("zsh")
    settings = "fpath=(~/.zfunc $fpath)\nautoload -Uz compinit && compinit -u\nPS1='$ '\nLISTMAX=1000\n"
    (home / ".zshrc").write_text(settings)
    with OnTerminal(["zsh", "-i"], environ, columns=200, rows=60) as terminal:
        terminal.until_shown("$ ")
        begun = len(terminal.shown)
        terminal.press(f"{line}\t\x15print fini''shed\n")
        shown = terminal.until_shown("finished")[begun:]
        return re.findall(r"[\w.:-]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", " ", shown))


SHELLS = {"bash": by_bash, "fish": by_fish, "zsh": by_zsh}


async def test_the_shells_complete_what_the_page_says(daemon: Daemon, tmp_path: Path) -> None:
    """With the lines of docs/howto/completion.md; then with a daemon that hangs, where nobody waits."""
    home = tmp_path / "home"
    environ = environment(daemon, home)
    for language, lines in blocks(PAGE):
        assert language == "sh"
        await asyncio.to_thread(subprocess.run, ["sh", "-e", "-c", lines], env=environ, check=True)
    for shell, found in SHELLS.items():
        assert "publish" in found(environ, home, "xmppbus publ"), shell
        assert "--severity" in found(environ, home, "xmppbus publish --sev"), shell
        assert "job.nightly" in found(environ, home, "xmppbus listen job.n"), shell
    assert daemon.pid is not None
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        for shell, found in SHELLS.items():
            assert "job.nightly" not in found(environ, home, "xmppbus get job."), shell
    finally:
        os.kill(daemon.pid, signal.SIGCONT)


async def test_the_daemon_says_what_it_knows(daemon: Daemon, tmp_path: Path) -> None:
    """Keys, item ids, queues, expectations, files."""
    home = tmp_path / "home"
    environ = environment(daemon, home)
    await daemon.command("expect", "job.nightly", "--every", "25h", "--name", "nights")
    await daemon.command("queue", "declare", "mails")
    item = (await daemon.command("publish", "x.y", "z")).out.strip()

    def asked(line: str) -> list[str]:
        words = line.split(" ")
        question = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), "_XMPPBUS_COMPLETE": "bash_complete"}
        ran = subprocess.run([program()], env={**environ, **question}, capture_output=True, text=True, check=True)
        return ran.stdout.split()

    assert asked("xmppbus ack disk") == ["plain,disk7"]
    assert asked(f"xmppbus show {item[:6]}") == [f"plain,{item}"]
    assert asked("xmppbus queue info m") == ["plain,mails"]
    assert asked("xmppbus expect remove n") == ["plain,nights"]
    assert asked("xmppbus expect job.n") == ["plain,job.nightly"]
    assert asked("xmppbus exec /etc/h") == ["file,/etc/h"]
    daemon.kill()
    assert asked("xmppbus ack disk") == []


async def test_no_more_is_said_than_a_screen_can_show(daemon: Daemon) -> None:
    """Of the last events only."""
    many = b"".join(b'{"type": "many.t%d"}\n' % number for number in range(limits.COMPLETION_EVENTS + 10))
    await daemon.command("publish", "--json", "-", "--lines", "--output", "none", input=many)
    found = (await daemon.command("complete", "types", "many.")).out.split()
    assert len(found) == limits.COMPLETIONS
    assert found[0] == f"many.t{limits.COMPLETION_EVENTS + 9}"
    assert "many.t9" not in (await daemon.command("complete", "types", "many.t9")).out.split(), "too long ago"


@pytest.mark.parametrize(("shell", "file"), [("bash", "xmppbus.bash"), ("zsh", "_xmppbus"), ("fish", "xmppbus.fish")])
def test_what_is_installed_loads_what_the_program_prints(shell: str, file: str) -> None:
    """So that it is of one version with the program."""
    need(shell)
    text = (INSTALLED / file).read_text()
    assert f"xmppbus completion {shell}" in text
    subprocess.run([shell, "-n", str(INSTALLED / file)], check=True)


# --- man pages --------------------------------------------------------------------------------------------------------


def man_pages() -> Iterator[Path]:
    return (path for path in sorted(man_page.MAN.rglob("*")) if path.is_file())


def test_every_command_has_a_man_page_and_none_is_left_over() -> None:
    """With all of its parts and options."""
    assert set(man_pages()) == set(man_page.pages())
    names = {path.name for path in man_pages()}
    assert {f"xmppbus-{name}.1" for name in (*HOUSE_COMMANDS, *LOCAL_COMMANDS)} | {
        "xmppbus.1",
        "xmppbus.yaml.5",
    } == names
    for name, command, _ in commands():
        text = (man_page.MAN / "man1" / f"xmppbus-{name.split()[0]}.1").read_text()
        for each in command.params:
            for option in each.opts if each.opts[0].startswith("-") else ():
                assert option.replace("-", "\\-") in text, (name, option)


def test_man_shows_every_page_without_a_warning() -> None:
    """As groff sees it."""
    need("man")
    environ = {**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "90", "MANROFFSEQ": ""}
    for path in man_pages():
        ran = subprocess.run(
            ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", str(path)],
            env=environ,
            capture_output=True,
            check=True,
        )
        assert ran.stderr == b"", path.name
        shown = re.sub(rb"\x1b\[[0-9;]*m|.\x08", b"", ran.stdout)
        assert b"NAME" in shown


def test_the_pages_are_the_same_bytes_each_time() -> None:
    """No date of today, no order of a set."""
    line = "from tests.reference import man_page; print(*(make() for _, make in sorted(man_page.pages().items())))"
    environ = {**os.environ, "PYTHONHASHSEED": "1", "COLUMNS": "200", "TZ": "Asia/Kolkata"}
    ran = subprocess.run(
        [sys.executable, "-c", line], cwd=ROOT, env=environ, capture_output=True, text=True, check=True
    )
    assert ran.stdout == " ".join(path.read_text() for path in man_pages()) + "\n"
