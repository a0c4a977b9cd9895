"""`xmppbus init`, the installed program: from a server as Debian installs it to the first event, with nothing else."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import yaml

from tests.support.daemon import Daemon, Done, program
from tests.support.raw import account
from tests.support.raw_pubsub import items
from tests.support.stock_server import StockEjabberd, StockProsody, stock_ejabberd, stock_prosody
from xmppbus.cli.advice import RELOAD, Facts
from xmppbus.cli.server_lines import lacking
from xmppbus.setup.machine import read_server

SOON = 30.0
FIRST_STEPS = Path(__file__).parents[2] / "docs/howto/first-steps.md"
OWNER = "romeo@example.org"
KINDS: dict[str, Callable[[Path], StockProsody | StockEjabberd]] = {"Prosody": StockProsody, "ejabberd": StockEjabberd}


@pytest.fixture
def bus(tmp_path: Path) -> Daemon:
    """A machine on which nothing of the bus is there but the program."""
    found = Daemon(tmp_path / "bus")
    found.config_file.unlink()
    return found


@pytest.fixture(params=sorted(KINDS))
async def stock(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StockProsody | StockEjabberd]:
    """A running server with Debian's config and the host example.org."""
    (tmp_path / "machine").mkdir()
    async with KINDS[request.param](tmp_path / "machine") as server:
        yield server


def init(bus: Daemon, root: Path, *more: str) -> list[str]:
    """The command line, in a directory that stands for the machine."""
    return ["init", "--root", str(root), "--directory", str(bus.directory), *more]


def printed_lines(text: str) -> list[tuple[str, str]]:
    """What was printed to paste: where, and what."""
    return re.findall(r"^(?:Put|and) into ([^\n]+):\n\n(.*?)\n\n(?=Then|and into)", text, re.MULTILINE | re.DOTALL)


async def test_five_minutes_from_a_stock_server_to_the_first_event(
    bus: Daemon, stock: StockProsody | StockEjabberd
) -> None:
    """The commands of the page, one after the other, with its lines pasted as they are printed; then the owner reads
    the item on the node, and everything once more changes nothing."""
    here = ["--root", str(stock.root), "--directory", str(bus.directory), "--http", f"127.0.0.1:{bus.http_port}"]
    here += ["--port", str(stock.component_port)] if stock.kind == "ejabberd" else []  # 5347 may be taken here
    pastes: list[tuple[str, str]] = []
    files: dict[Path, bytes] = {}
    try:
        for line in commands_of(FIRST_STEPS):
            if line == "systemctl restart prosody":
                assert (await bus.run("check")).code == 69
                for where, lines in pastes:
                    stock.paste(where, lines)
                await stock.reload()
                files = {
                    bus.directory / name: (bus.directory / name).read_bytes() for name in ("secret", "xmppbus.yaml")
                }
            elif line == "xmppbus serve &":
                await bus.start()
            elif line == "xmppbus init --yes --owner romeo@example.org":
                done = await bus.command(*line.split()[1:], *here)
                pastes = printed_lines(done.out)
                assert "the server will not pass before it has the lines" in done.out
            elif not line.startswith("xmppbus init"):  # asked on a terminal, and written for Prosody: tests below
                await bus.shell(line)
        async with await account("127.0.0.1", stock.c2s_port, OWNER, "pw") as romeo:
            (item,) = await items(romeo, "pubsub.example.org", "user.signup")
        assert "alice joined" in str(item)
        again = await bus.command("init", "--yes", "--owner", OWNER, *here)
        assert "is there already: it is left as it is" in again.out
        assert f"{stock.kind} has the lines for bus.example.org already" in again.out
        assert "holds the stream, which is up" in again.out
        assert files == {path: path.read_bytes() for path in files}
    finally:
        await bus.stop()


def commands_of(page: Path) -> list[str]:
    """The lines of its shell blocks."""
    blocks = re.findall(r"^```shell\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    return "".join(blocks).splitlines()


def test_the_page_shows_the_lines_that_are_printed(tmp_path: Path) -> None:
    """For the server of its example."""
    config = stock_prosody(tmp_path)
    (config.parent / "conf.d/example.org.cfg.lua").write_text('VirtualHost "example.org"')
    facts = Facts("bus.example.org", "pubsub.example.org", 5347, True, secret="hAsOE594WCBMYdTRRQqrf1A8lhhkHSg1")
    (paste,) = lacking("Prosody", read_server("Prosody", config, tmp_path), facts)
    assert f"a new file:\n\n{paste.lines}\n\nThen: {RELOAD['Prosody']}\n" in FIRST_STEPS.read_text()


async def test_with_a_yes_to_it_prosodys_file_is_written_and_looked_at(bus: Daemon, tmp_path: Path) -> None:
    """By its own program; a second run changes nothing."""
    (tmp_path / "machine").mkdir()
    async with StockProsody(tmp_path / "machine") as stock:
        founding = init(bus, stock.root, "--yes", "--write-server-config", "--http", f"127.0.0.1:{bus.http_port}")
        done = await bus.command(*founding)
        written = stock.config.parent / "conf.d/xmppbus.cfg.lua"
        assert f"Wrote {written}" in done.out
        assert not printed_lines(done.out)
        assert stat.S_IMODE(written.stat().st_mode) & 0o007 == 0, "it holds the secret"
        await stock.reload()
        await bus.command("check")
        content = written.read_bytes()
        assert "has the lines for bus.example.org already" in (await bus.command(*founding)).out
        assert written.read_bytes() == content


async def test_a_server_config_that_its_program_refuses_is_as_it_was_before(bus: Daemon, tmp_path: Path) -> None:
    """The lines are printed instead; what was in the file before is there again."""
    root = tmp_path / "machine"
    config = stock_prosody(root)
    config.write_text(config.read_text() + "\nthis is = not Lua {\n")
    (written := root / "etc/prosody/conf.d/xmppbus.cfg.lua").write_text("-- mine\n")
    done = await bus.command(*init(bus, root, "--yes", "--write-server-config"))
    assert "is not content, so nothing was changed" in done.err
    assert printed_lines(done.out)
    assert written.read_text() == "-- mine\n"
    assert [path.name for path in written.parent.glob("xmppbus*")] == ["xmppbus.cfg.lua"]


async def test_the_files_are_for_their_owner_only_and_the_secret_is_on_no_command_line(
    bus: Daemon, tmp_path: Path
) -> None:
    """0600 both, beside each other; the config is valid and says nothing secret."""
    stock_prosody(tmp_path / "machine")
    await bus.command(*init(bus, tmp_path / "machine", "--yes"))
    secret = (bus.directory / "secret").read_text().strip()
    assert len(secret) >= 32
    assert secret not in bus.config_file.read_text()
    for name in ("secret", "xmppbus.yaml"):
        assert stat.S_IMODE((bus.directory / name).stat().st_mode) == 0o600
    assert (await bus.run("check", "--json")).json["errors"] == []


async def test_another_wish_than_the_config_there_exits_with_73_and_says_what_to_do(
    bus: Daemon, tmp_path: Path
) -> None:
    """And changes nothing."""
    stock_prosody(tmp_path / "machine")
    await bus.command(*init(bus, tmp_path / "machine", "--yes"))
    before = bus.config_file.read_bytes()
    done = await bus.run(*init(bus, tmp_path / "machine", "--domain", "example.com", "--owner", OWNER, "--no-http"))
    assert done.code == 73
    assert "its component is bus.localhost, not bus.example.com" in done.err
    assert f"{OWNER} is no owner in it" in done.err
    assert "its http is 127.0.0.1:8222, not null" in done.err
    assert "move it away" in done.err
    assert bus.config_file.read_bytes() == before


async def test_a_dry_run_shows_everything_and_writes_nothing(bus: Daemon, tmp_path: Path) -> None:
    """The config that it shows is the one that it would write."""
    stock_ejabberd(tmp_path / "machine", "example.org")
    done = await bus.command(*init(bus, tmp_path / "machine", "--yes", "--dry-run", "--json"))
    assert not bus.config_file.exists()
    assert not (bus.directory / "secret").exists()
    shown = yaml.safe_load(done.json["would_write"])
    assert shown["xmpp"]["component"] == "bus.example.org"
    assert [paste["where"].partition(", ")[2] for paste in done.json["lines"]] == [
        "a line below line 159 (`pubsub_createnode:`)",
        "",
    ]
    people = await bus.command(*init(bus, tmp_path / "machine", "--yes", "--dry-run"))
    assert "Would write" in people.out
    assert "what secret_file says" in people.out


async def test_programs_get_one_json_object(bus: Daemon, tmp_path: Path) -> None:
    """With what was written, the lines, how the server takes them up, and what check says."""
    stock_prosody(tmp_path / "machine")
    done = await bus.command(*init(bus, tmp_path / "machine", "--json"))
    found = done.json
    assert found["written"] == [str(bus.directory / "secret"), str(bus.config_file)]
    assert found["server"]["kind"] == "Prosody"
    assert found["reload"] == "systemctl restart prosody"
    assert found["check"]["exit"] == 69
    assert found["exit"] == 0
    assert any("run `xmppbus check` again" in step or "xmppbus check --config" in step for step in found["next"])


async def test_without_a_server_and_a_terminal_it_says_which_flags(bus: Daemon, tmp_path: Path) -> None:
    """And never hangs: standard input is a pipe that nobody writes to."""
    done = await bus.run(*init(bus, tmp_path))
    assert done.code == 64
    assert "no Prosody, ejabberd or Openfire was found" in done.err
    assert "--domain example.org" in done.err
    remote = await bus.command(
        *init(
            bus, tmp_path, "--domain", "example.org", "--host", "xmpp.example.org", "--server", "openfire", "--dry-run"
        )
    )
    assert 'host: "xmpp.example.org"' in remote.out
    assert "port: 5275" in remote.out
    assert "xmpp.component.defaultSecret" in remote.out


async def test_where_nothing_can_be_written_it_says_so(bus: Daemon, tmp_path: Path) -> None:
    """Exit 73, as sysexits has it."""
    stock_prosody(tmp_path / "machine")
    (tmp_path / "file").write_text("")
    done = await bus.run("init", "--root", str(tmp_path / "machine"), "--directory", str(tmp_path / "file"), "--yes")
    assert done.code == 73
    assert "--directory" in done.err


async def test_what_would_be_no_config_is_not_written(bus: Daemon, tmp_path: Path) -> None:
    """A page for everybody needs tokens."""
    done = await bus.run(*init(bus, tmp_path, "--domain", "example.org", "--http", "0.0.0.0:8222"))
    assert done.code == 64
    assert "that would be no config" in done.err
    assert "tokens_file" in done.err
    assert list(bus.directory.iterdir()) == []


@pytest.mark.parametrize("wrong", [("--owner", "romeo"), ("--component", "bus"), ("--pubsub-service", "a b.org")])
async def test_what_is_no_address_is_said_before_anything_is_written(
    bus: Daemon, tmp_path: Path, wrong: tuple[str, str]
) -> None:
    """With an example of one that is."""
    done = await bus.run(*init(bus, tmp_path, "--domain", "example.org", *wrong))
    assert done.code == 64
    assert "example.org" in done.err
    assert not bus.config_file.exists()


async def test_a_secret_of_ones_own_is_taken_from_its_file(bus: Daemon, tmp_path: Path) -> None:
    """Which stays where it is."""
    stock_prosody(tmp_path / "machine")
    (mine := tmp_path / "mine").write_text("a secret of my own\nmore\n")
    done = await bus.command(*init(bus, tmp_path / "machine", "--yes", "--secret-file", str(mine)))
    assert 'component_secret = "a secret of my own"' in done.out
    assert yaml.safe_load(bus.config_file.read_text())["xmpp"]["secret_file"] == str(mine)
    assert not (bus.directory / "secret").exists()


async def test_on_a_terminal_it_asks_for_what_no_option_says(bus: Daemon, tmp_path: Path) -> None:
    """Which server, its domain, the bus's name, the secret (not shown), owners, the page."""
    stock_prosody(tmp_path / "machine")
    stock_ejabberd(tmp_path / "machine")
    said = {
        "Which (Prosody, ejabberd)": "ejabberd",
        "behind the @ [localhost]": "example.net",
        "The name of the bus on that server [bus.example.net]": "",
        "Enter makes one": "typed secretly",
        "Who owns its bot": f"{OWNER}, juliet@example.org",
        "way in for curl": "n",
    }
    done = await asked(bus, init(bus, tmp_path / "machine"), said)
    assert done.code == 0, done
    assert done.out.count("typed secretly") == 1, "among the lines to paste; not while it is typed"
    config = yaml.safe_load(bus.config_file.read_text())
    assert config["xmpp"]["component"] == "bus.example.net"
    assert config["bot"]["affiliations"] == {OWNER: "owner", "juliet@example.org": "owner"}
    assert config["http"] is None
    assert (bus.directory / "secret").read_text() == "typed secretly\n"


async def test_on_a_terminal_without_a_server_here_it_asks_which_and_where(bus: Daemon, tmp_path: Path) -> None:
    """Enter takes what stands in brackets."""
    said = {
        "Which is yours": "ejabberd",
        "Where is it [127.0.0.1]": "xmpp.example.org",
        "behind the @": "example.org",
        "The name of the bus": "",
        "Enter makes one": "",
        "Who owns its bot": "",
        "way in for curl": "",
    }
    done = await asked(bus, init(bus, tmp_path, "--dry-run"), said)
    assert done.code == 0, done
    assert 'host: "xmpp.example.org"' in done.out
    assert "module: ejabberd_service" in done.out
    assert "127.0.0.1:8222" in done.out


async def asked(bus: Daemon, arguments: list[str], answers: dict[str, str]) -> Done:
    """The command at a terminal where somebody answers each question, in order."""
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        program(), *arguments, env={**bus.environment, "TERM": "dumb"}, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    text, questions, seen = "", list(answers.items()), 0
    while True:
        try:
            text += (await asyncio.wait_for(asyncio.to_thread(os.read, ours, 65536), SOON)).decode()
        except OSError:  # EIO: the other end is closed
            break
        if questions and questions[0][0] in text[seen:] and text.endswith(": "):
            seen = len(text)
            os.write(ours, f"{questions.pop(0)[1]}\n".encode())
    os.close(ours)
    assert not questions, f"it never asked {questions}: {text}"
    return Done(await process.wait(), text, "")
