"""Encryption as whoever runs the bus meets it: a missing extra, `check`, `status`, and keys that are spoilt."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.servers.talking import BOT, bare, messages, person, texts
from tests.support.daemon import Daemon, bot_without_a_server
from tests.support.omemo_person import omemo_person
from tests.support.server import Server
from tests.support.waiting import until
from tests.support.without_extra import OMEMO, program_without

SOON = 10.0
NAMESPACE = "eu.siacs.conversations.axolotl"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """xmppbus, as `pip install xmppbus` alone installs it."""
    return program_without(tmp_path_factory.mktemp("bare") / "venv", OMEMO)


def ran(bus: Daemon, *command: str) -> subprocess.CompletedProcess[str]:
    """A program that ends by itself, where the bus has its files."""
    return subprocess.run(
        command, env=bus.environment, cwd=bus.directory, capture_output=True, text=True, timeout=30, check=False
    )


def keys_of(bus: Daemon) -> Path:
    """Beside the journal."""
    return bus.journal.with_name("omemo.keys")


class TestWithoutTheExtra:
    """Where slixmpp-omemo and what comes with it are not installed."""

    @pytest.mark.parametrize("command", ["check", "serve"])
    def test_omemo_is_a_mistake_of_the_config_that_says_how_to_install_it(
        self, tmp_path: Path, program: tuple[str, ...], command: str
    ) -> None:
        """With the line that wants it, the licence, and exit code 78."""
        wanted = bot_without_a_server(tmp_path)
        bus = Daemon(tmp_path / "bus", config={**wanted, "bot": {"omemo": True}})
        done = ran(bus, *program, command, "--config", str(bus.config_file))
        assert done.returncode == 78, done
        (line,) = done.stderr.splitlines()
        assert f"{bus.config_file}:2:3: encryption needs the extra `omemo`" in line
        assert "pip install 'xmppbus[omemo]'" in line
        assert "AGPL-3.0" in line
        assert not keys_of(bus).exists()

    def test_a_broken_extra_is_a_mistake_that_says_what_is_broken(self, tmp_path: Path) -> None:
        """As after half an installation: its names are there, and what is below them is not."""
        wanted = bot_without_a_server(tmp_path)
        bus = Daemon(tmp_path / "bus", config={**wanted, "bot": {"omemo": True}})
        program = program_without(tmp_path / "venv", ("XEdDSA",))
        for command in ("check", "serve"):
            done = ran(bus, *program, command, "--config", str(bus.config_file))
            assert done.returncode == 78, done
            assert "can't be loaded: No module named 'xeddsa'. Install it anew" in done.stderr
            assert "Traceback" not in done.stderr

    async def test_a_bot_that_does_not_encrypt_needs_none_of_it(self, tmp_path: Path, program: tuple[str, ...]) -> None:
        """The house is whole."""
        bus = Daemon(tmp_path / "bus", config=bot_without_a_server(tmp_path))
        bus.program = program
        async with bus:
            await bus.command("publish", "disk.full", "91 %", "--key", "db1", "--status", "firing")
            assert "db1" in (await bus.command("incidents")).out
            assert (await bus.status())["encryption"] is None


def finding(report: dict[str, Any]) -> dict[str, Any]:
    """What `check --json` says of encryption."""
    (found,) = [each for each in report["findings"] if each["about"] == "encryption"]
    return dict(found)


async def test_check_says_where_an_accounts_keys_are(tmp_path: Path, server: Server) -> None:
    """In its PEP."""
    bus = Daemon(tmp_path / "bus", server)
    (bus.directory / "secret").write_text(server.accounts["listener@localhost"])
    bus.config_file.write_text(
        f"xmpp: {{account: listener@localhost, host: {server.host}, port: {server.c2s_port}, secret_file: secret, "
        f"pubsub_service: {server.pubsub_service}, ca_file: {server.certificate}}}\nbot: {{omemo: true}}\n"
    )
    found = finding((await bus.run("check", "--json")).json)
    assert found["level"] == "good"
    assert "listener@localhost has PEP, where its keys are" in found["text"]


async def fingerprint(bus: Daemon) -> str:
    """Of the bot, once its keys are published."""
    found = (await bus.status())["encryption"]
    return str(found["fingerprint"]) if found["state"] == "up" else ""


async def test_check_status_and_the_bot_say_how_it_is_with_encryption(tmp_path: Path, server: Server) -> None:
    """Before the daemon runs, and of the one that does; the fingerprint is the same everywhere."""
    bus = Daemon(tmp_path / "bus", server, config={"bot": {"omemo": True}})
    before = finding((await bus.run("check", "--json")).json)
    assert before["level"] == "good"
    assert f"{BOT} answers itself whoever asks for its keys" in before["text"]
    async with bus, await person(server) as romeo:
        await until(lambda: fingerprint(bus), SOON, "the bot's keys to be published")
        shown = await fingerprint(bus)
        assert [len(each) for each in shown.split()] == [8] * 8
        assert f"fingerprint {shown}" in (await bus.command("status")).out
        assert shown in finding((await bus.run("check", "--json")).json)["text"]
        romeo.write(f"<message to='{BOT}' type='chat'><body>version</body></message>")
        await romeo.until(lambda: any(shown in each for each in texts(messages(romeo), "body")))
        nothing = f"<encrypted xmlns='{NAMESPACE}'><header sid='5'/></encrypted>"
        romeo.write(f"<message to='{BOT}' type='chat'>{nothing}</message>")
        await romeo.until(lambda: any("Send it again" in each for each in texts(messages(romeo), "body")))
    assert f"has a new device for OMEMO; people may compare its fingerprint: {shown}" in bus.log()
    assert bare(romeo) not in keys_of(bus).read_text(), "who has no devices leaves nothing there"


def test_keys_that_cannot_be_read_are_an_error_with_their_line_and_are_left_alone(tmp_path: Path) -> None:
    """The daemon does not start: without them it would not know to whom nothing may be said in plain words."""
    wanted = bot_without_a_server(tmp_path)
    bus = Daemon(tmp_path / "bus", config={**wanted, "bot": {"omemo": True}})
    keys_of(bus).write_text("[1,2\n")
    for command in ("serve", "check"):
        done = asyncio.run(bus.run(command, "--config", str(bus.config_file)))
        assert done.code == 78, done
        assert f"the keys of `bot.omemo` can't be used: {keys_of(bus)}, line 1: this is no file of keys" in done.err
        assert "move the file away" in done.err
    assert keys_of(bus).read_text() == "[1,2\n"


# slixmpp-omemo reaches slixmpp's plugins in a way that slixmpp will not offer for ever.
@pytest.mark.filterwarnings("ignore:Accessing plugins through the XMPP object:DeprecationWarning")
async def test_an_operators_day_is_encrypted_from_subscribing_to_acknowledging(tmp_path: Path, prosody: Server) -> None:
    """The installed bus: a command, an event, its correction; none of the words are on the wire, and a notice waits for
    who has to have encryption and has none."""
    async with omemo_person(prosody) as romeo, await person(prosody) as juliet:
        affiliations = {romeo.jid: "owner", bare(juliet): "member"}
        bot = {"affiliations": affiliations, "omemo": {romeo.jid: "possible", bare(juliet): "required"}}
        routes = [{"name": "juliet", "match": "disk.#", "to": [f"chat:{bare(juliet)}"]}]
        async with Daemon(tmp_path / "bus", prosody, config={"bot": bot, "routes": routes}) as bus:
            await until(lambda: fingerprint(bus), SOON, "the bot's keys to be published")
            await romeo.says(BOT, "subscribe disk.#")
            await romeo.reads("You get `disk.#` from now on. `unsubscribe disk.#` ends it.")
            named = ("--key", "db1:/var", "--status", "firing", "--severity", "warning")
            await bus.command("publish", "disk.full", "/var is at 91 %", *named)
            await until(lambda: any("*firing* /var is at 91 %" in each for each in romeo.read), SOON, f"{romeo.read}")
            await romeo.says(BOT, "ack db1:/var")
            await until(lambda: any("*acknowledged* /var" in each for each in romeo.read), SOON, f"{romeo.read}")
            await juliet.until(lambda: len(texts(messages(juliet), "body")) >= 2)
        assert all(each.startswith("An encrypted message waits for you") for each in texts(messages(juliet), "body"))
        assert not [each for each in romeo.stanzas if "91 %" in str(each)]
        assert not romeo.unread
