"""`xmppbus watch`: the board in a terminal, as it stands in a corner."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from textual.binding import Binding

from tests.support.daemon import Daemon, bot_without_a_server, program
from tests.support.tmux import Tmux
from tests.support.without_extra import program_without
from xmppbus.cli.board.app import Board
from xmppbus.cli.board.screens import HELP

PAGE = Path(__file__).parents[2] / "docs/howto/watch.md"
HOSTILE = {
    "markup": "[red]is[/red] [@click=app.exit]text[/] [/] [[b]",
    "ansi": "\x1b[2J\x1b[31mred\x1b[0m \x1b]0;title\x07\x08\x08\r\nnext",
    "bidi": "\u202eevil\u2066 \u200f\u200b",
    "emoji": "👩‍👩‍👧 ❤️ 🏳️‍🌈 日本語 ｆｕｌｌ",
    "long": "x" * 900,
}


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    """With incidents, which need a bot."""
    async with Daemon(tmp_path, config=bot_without_a_server(tmp_path)) as started:
        yield started


def board(daemon: Daemon, *arguments: str, columns: int = 80, rows: int = 24, **environment: str) -> Tmux:
    """The installed program in a terminal."""
    return Tmux([program(), "watch", *arguments], {**daemon.environment, **environment}, columns=columns, rows=rows)


async def publish(daemon: Daemon, event_type: str, summary: str, **fields: str) -> str:
    options = [f"--{name}={value}" for name, value in fields.items()]
    return (await daemon.command("publish", event_type, summary, *options)).out.strip()


async def test_what_happens_is_on_the_board_with_its_mark_and_how_the_house_stands(daemon: Daemon) -> None:
    """What came before it was started, and what comes."""
    await publish(daemon, "disk.full", "/var is at 91 %", severity="warning", key="db1:/var", status="firing")
    async with board(daemon) as terminal:
        await terminal.until_shown("▲ disk.full  /var is at 91 %", "▲ firing", "db1:/var", "● ")
        await publish(daemon, "core.down", "all is lost", severity="critical")
        screen = await terminal.until_shown("‼ core.down  all is lost", "2 events kept", "2/min", "█")
        assert "xmpp backoff" in screen, "what is not well has its reason on the board"
        assert len(screen.splitlines()) == 24
        terminal.press("q")
        assert await terminal.exit_code() == 0


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (170, 45)])
async def test_texts_from_events_are_only_ever_text(daemon: Daemon, columns: int, rows: int) -> None:
    """Neither Textual's markup nor the terminal's own sequences: the board stays as it is laid out."""
    for name, text in HOSTILE.items():
        event = {"type": f"evil.{name}", "summary": text, "key": f"[b]{name}", "status": "firing"}
        status, body = await daemon.request(
            "POST", "/v1/events", json.dumps(event), {"Content-Type": "application/json"}
        )
        assert status == 202, body
    async with board(daemon, columns=columns, rows=rows) as terminal:
        screen = await terminal.until_shown(*(f"evil.{name}" for name in HOSTILE), "firing", "? Help")
        assert "[red]is[/red] [@click=app.exit]text[/] [/] [[b]" in screen
        assert "evil.ansi  red next" in screen
        lines = screen.splitlines()
        assert len(lines) == rows
        assert lines[0].startswith("xmppbus"), "nothing cleared the screen or moved the cursor"
        assert "? Help" in lines[-1]
        assert all(len(line) <= columns for line in lines)
        terminal.press("Tab")
        terminal.press("Down", "Enter")
        await terminal.until_shown("Esc closes", "item id")


async def test_it_says_when_the_daemon_is_away_and_misses_nothing(daemon: Daemon) -> None:
    """By sequence; with what was published while neither was there."""
    await publish(daemon, "step.one", "before")
    async with board(daemon, "step.#") as terminal:
        await terminal.until_shown("step.one", "● ")
        daemon.kill()
        await terminal.until_shown("AWAY for", "no daemon answers; start one with `xmppbus serve`")
        await daemon.run("publish", "step.two", "into the spool")
        await daemon.run("publish", "other.type", "not wanted")
        await daemon.start()
        await publish(daemon, "step.three", "after")
        screen = await terminal.until_shown("step.one", "step.two", "step.three", "is back after", "● ")
        assert [re.findall(r"step\.\w+", line) for line in screen.splitlines() if "• step" in line] == [
            ["step.one"],
            ["step.two"],
            ["step.three"],
        ], "each once, in order"
        assert "other.type" not in screen


async def test_another_journal_is_noticed(daemon: Daemon) -> None:
    """A sequence of the old one says nothing in it."""
    for number in range(5):
        await publish(daemon, "old.event", f"number {number}")
    async with board(daemon) as terminal:
        await terminal.until_shown("number 4", "● ")
        await daemon.stop()
        for file in daemon.directory.glob("journal.db*"):
            file.unlink()
        await daemon.start()
        await publish(daemon, "new.event", "the first")
        screen = await terminal.until_shown("new.event  the first", "begins anew")
        assert "old.event" not in screen


async def test_a_board_that_is_started_before_the_daemon_waits_for_it(tmp_path: Path) -> None:
    """After the power came back, say."""
    daemon = Daemon(tmp_path)
    async with board(daemon) as terminal:
        await terminal.until_shown("AWAY for")
        async with daemon:
            await publish(daemon, "user.signup", "alice joined")
            await terminal.until_shown("user.signup  alice joined", "● up")


async def test_an_incident_is_acknowledged_and_resolved_with_a_key(daemon: Daemon) -> None:
    """Which incident is chosen first, where there are several; resolving asks."""
    for key in ("db1:/var", "db2:/var"):
        await publish(daemon, "disk.full", f"{key} is full", key=key, status="firing", severity="error")
    async with board(daemon) as terminal:
        await terminal.until_shown("firing", "db1:/var", "db2:/var")
        terminal.press("a")
        await terminal.until_shown("choose an incident first")
        terminal.press("Tab", "Down", "Down")
        terminal.press("a")
        await terminal.until_shown("acknowledged db", "✖ acknowledged")
        (taken,) = [each for each in await standing(daemon) if each["status"] == "acknowledged"]
        assert taken["by"]
        assert taken["by"] in terminal.screen()
        terminal.press("u")
        await terminal.until_screen(lambda screen: "✖ acknowledged" not in screen and "taken back" in screen, "unack")
        terminal.press("r")
        await terminal.until_shown(f"Resolve {taken['key']}?")
        terminal.press("n")
        await terminal.until_screen(lambda screen: "Resolve db" not in screen, "the question to be gone")
        assert len(await standing(daemon)) == 2
        terminal.press("r")
        await terminal.until_shown(f"Resolve {taken['key']}?")
        terminal.press("y")
        await terminal.until_shown(f"resolved {taken['key']}")
        (left,) = await standing(daemon)
        assert {left["key"], taken["key"]} == {"db1:/var", "db2:/var"}


async def standing(daemon: Daemon) -> list[dict[str, str]]:
    """The incidents that are open."""
    listed = await daemon.run("incidents", "--json")
    return [json.loads(line) for line in listed.out.splitlines()]


async def test_severity_hides_what_is_less_severe_and_a_key_brings_it_back(daemon: Daemon) -> None:
    """A storm of the harmless does not push out what matters."""
    await publish(daemon, "core.down", "all is lost", severity="critical")
    storm = "\n".join(f"harmless {number}" for number in range(3000))
    await daemon.command("publish", "app.line", "--lines", input=storm.encode())
    async with board(daemon, "--severity", "error", "--since", "all") as terminal:
        screen = await terminal.until_shown("core.down", "≥error", "3,001 events kept")
        assert "harmless" not in screen
        terminal.press("S", "S", "S", "S")
        await terminal.until_shown("harmless 2999")
        terminal.press("s", "s", "s")
        await terminal.until_screen(lambda now: "core.down" in now and "harmless" not in now, "only what is severe")


async def test_no_colour_is_shown_to_who_wants_none(daemon: Daemon) -> None:
    """Marks and words say it all (no-color.org); with colour, it is the terminal's own."""
    await publish(daemon, "core.down", "all is lost", severity="critical")
    colour = re.compile(r"\x1b\[(?:[0-9]+;)*(?:[349][0-7]|10[0-7]|[34]8)[;m]")
    async with board(daemon, NO_COLOR="1") as terminal:
        await terminal.until_shown("‼ core.down")
        assert not colour.search(terminal.screen_with_colours())
    async with board(daemon) as terminal:
        await terminal.until_shown("‼ core.down")
        assert colour.search(terminal.screen_with_colours())


LINES = re.findall(r"^(?:exec |NO_COLOR=1 )?xmppbus watch.*$", PAGE.read_text(), re.MULTILINE)


async def test_the_lines_of_its_page_open_a_board(daemon: Daemon) -> None:
    """As they stand there, in a shell."""
    assert len(LINES) == 3
    await publish(daemon, "disk.full", "/var is at 91 %", severity="warning")
    for line in LINES:
        path = f"{Path(program()).parent}:{os.environ['PATH']}"
        async with Tmux(["/bin/sh", "-c", line], {**daemon.environment, "PATH": path}) as terminal:
            await terminal.until_shown("▲ disk.full  /var is at 91 %", "? Help")
            assert ("≥notice" in terminal.screen()) == ("notice" in line)


def test_the_page_and_the_help_name_the_same_keys() -> None:
    """And both name those that there are."""
    table = {
        key for row in re.findall(r"^\| (`.*?) \|", PAGE.read_text(), re.MULTILINE) for key in row.split("`")[1::2]
    }
    helped = HELP.partition("\n\n")[0]
    named = {"↑", "↓", "PgUp", "PgDn", "Home", "Tab", "Enter", "a", "u", "r", "s", "S", "?", "q", "Ctrl-C"}
    assert table == named
    assert all(re.search(rf"(?<!\w){re.escape(key)}(?!\w)", helped) for key in named)
    assert {binding.key for binding in Board.BINDINGS if isinstance(binding, Binding)} == {
        *("a", "u", "r", "s", "S", "tab", "question_mark,f1", "q", "ctrl+c,ctrl+q"),
    }


async def test_without_a_terminal_it_names_the_command_that_needs_none(daemon: Daemon) -> None:
    """Before anything is drawn."""
    refused = await daemon.run("watch")
    assert (refused.code, refused.out) == (64, "")
    assert "`xmppbus listen` prints the same as lines" in refused.err
    async with Tmux(["env", "TERM=dumb", program(), "watch"], daemon.environment) as terminal:
        assert await terminal.exit_code() == 64
        await terminal.until_said("and TERM says there is none; `xmppbus listen` prints the same")


async def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    """And what there is without it."""
    command = program_without(tmp_path / "without", ("textual",))
    async with Tmux([*command, "watch"], Daemon(tmp_path).environment, columns=120) as terminal:
        assert await terminal.exit_code() == 69
        await terminal.until_said("pip install 'xmppbus[watch]'; `xmppbus listen` prints the same as lines")


@pytest.fixture
def public_directory() -> Iterator[Path]:
    """One that others may enter; pytest's own is private."""
    with TemporaryDirectory(prefix="xmppbus-watch-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


AS_NOBODY = """
import os, sys
from xmppbus.cli import client, main, watch
import zoneinfo, textual.drivers.linux_driver, xmppbus.cli.board.app
sys.argv = ["xmppbus", "watch"]
os.setgroups([]); os.setgid(65534); os.setuid(65534)
client.main()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_who_may_not_see_events_sees_none(public_directory: Path) -> None:
    """The daemon decides, as for every command; the board ends, and says why."""
    async with Daemon(public_directory) as daemon:
        await publish(daemon, "secret.thing", "nobody may see this")
        async with Tmux([sys.executable, "-c", AS_NOBODY], daemon.environment, columns=120) as terminal:
            assert await terminal.exit_code() == 77
            await terminal.until_said("listen: everyone")
            assert "secret.thing" not in terminal.said()
