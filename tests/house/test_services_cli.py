"""Services from a shell: who may, what is asked first, where a password comes from, and what it never does."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.house.test_cli_roles import as_nobody
from tests.house.test_row_r18 import READER, login
from tests.support.conversation import log_in
from tests.support.daemon import Daemon, finished, program
from tests.support.room_owner import RoomOwner
from tests.support.server import Server
from tests.support.tmux import Tmux
from tests.support.waiting import until
from xmppbus.cli.client import WITH_ACCOUNT, logs_in

ASKING = (
    ["disco", "localhost"],
    ["node", "list"],
    ["node", "items", "n"],
    ["node", "delete", "n", "--yes"],
    ["roster"],
    ["message", "romeo@example.org", "hello"],
    ["pep", "nick", "Romeo"],
)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_only_administrators_ask_in_the_buss_name() -> None:
    """It owns its nodes: whoever asks as it may do everything with them."""
    with TemporaryDirectory(prefix="xmppbus-roles-") as name:
        await _refuses_nobody(_entered_by_all(Path(name)))


def _entered_by_all(directory: Path) -> Daemon:
    directory.chmod(0o755)
    return Daemon(directory)


async def _refuses_nobody(away: Daemon) -> None:
    async with away as daemon:
        for arguments in ASKING:
            refused = await as_nobody(daemon, *arguments)
            assert refused.code == 77, refused
            assert "only administrators may" in refused.err


async def test_without_a_server_or_a_daemon_it_says_what_else_to_do(tmp_path: Path) -> None:
    """An account of one's own."""
    away = Daemon(tmp_path / "away")
    for arguments in ASKING[::3]:
        done = await away.run(*arguments)
        assert done.code == 69
        assert "--as romeo@example.org" in done.err
    async with Daemon(tmp_path / "local") as daemon:
        done = await daemon.run("node", "list")
        assert (done.code, "--as romeo@example.org" in done.err) == (69, True)
        done = await daemon.run("node", "list", "--port", "5222")
        assert (done.code, "belong to --as JID" in done.err) == (64, True)


async def test_a_password_comes_from_a_file_or_the_environment_only(prosody: Server, tmp_path: Path) -> None:
    """There is no option that takes it; a file that can't be read says so."""
    away = Daemon(tmp_path)
    options = login(away, prosody)
    where = [*options[:2], *options[4:]]
    assert (await away.run("node", "list", *options)).code == 0
    away.environment["XMPPBUS_PASSWORD"] = prosody.accounts[READER]
    assert (await away.run("node", "list", *where)).code == 0
    away.environment["XMPPBUS_PASSWORD"] = "wrong canary"
    refused = await away.run("node", "list", *where)
    assert (refused.code, "does not take the password" in refused.err) == (77, True)
    assert "canary" not in refused.err
    del away.environment["XMPPBUS_PASSWORD"]
    assert "no terminal to ask for the password" in (await away.run("node", "list", *where)).err
    assert (await away.run("node", "list", *where, "--password-file", "nowhere")).code == 64
    (tmp_path / "empty").touch()
    assert "is empty" in (await away.run("node", "list", *where, "--password-file", "empty")).err
    assert (await away.run("node", "list", "--as", READER, "--password", "x")).code == 64
    unknown = await away.run("node", "list", *options[:4], "--host", prosody.host, "--port", str(prosody.c2s_port))
    assert (unknown.code, "can't be trusted" in unknown.err) == (77, True)
    assert "CERT:" not in unknown.err, "nobody else's log"
    assert (await away.run("node", "list", *options[:-1], "nowhere")).code == 64


async def test_a_terminal_is_asked_for_the_password_and_before_what_cant_be_undone(
    prosody: Server, tmp_path: Path, node: str
) -> None:
    """The password is not shown; anything but yes is no."""
    async with Daemon(tmp_path / "bus", prosody) as daemon:
        await daemon.command("node", "create", node)
        options = login(daemon, prosody)
        where = [*options[:2], *options[4:]]
        async with Tmux([program(), "pep", "nick", "Romeo", *where], daemon.environment) as terminal:
            await terminal.until_said(f"Password of {READER}:")
            terminal.press(*"reader", "Space", *"pw", "Enter")
            await terminal.until_said("told  nick")
            assert prosody.accounts[READER] not in terminal.said()
            assert await terminal.exit_code() == 0
        for word, code in (("n", 1), ("y", 0)):
            async with Tmux([program(), "node", "delete", node], daemon.environment) as terminal:
                await terminal.until_said("[y/N]")
                assert "The next event of type" in terminal.said()
                assert all(len(each) <= 80 for each in terminal.said().splitlines())
                terminal.press(word, "Enter")
                assert await terminal.exit_code() == code
        assert (await daemon.run("node", "info", node)).code == 1


async def test_a_daemon_never_logs_in_for_somebody(prosody: Server, tmp_path: Path) -> None:
    """Not even when a client that knows no better hands it the command: files and passwords are of who types."""
    code = (
        "import sys; from xmppbus.cli import client; client.WITH_ACCOUNT = (); sys.argv[0] = 'xmppbus'; client.main()"
    )
    async with Daemon(tmp_path / "bus", prosody) as daemon:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", code, "node", "list", *login(daemon, prosody)),
            env=daemon.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        done = await finished(process, None, 20)
        assert (done.code, "--as logs in where it is typed" in done.err) == (64, True), done


def test_where_a_command_runs_is_known_by_its_options() -> None:
    """`--as` behind `--` is a word like others."""
    assert logs_in(["node", "list", "--as", "a@b"])
    assert logs_in(["node", "list", "--as=a@b"])
    assert not logs_in(["message", "a@b", "--", "--as"])
    assert not logs_in(["node", "list"])
    assert set(WITH_ACCOUNT) == {each[0] for each in ASKING}


async def test_nothing_that_is_typed_ends_the_daemons_stream(prosody: Server, tmp_path: Path, node: str) -> None:
    """What XML forbids, and what no server takes (`limits.REQUEST_BYTES`), is refused: the stream is everybody's."""
    async with Daemon(tmp_path / "bus", prosody) as daemon:
        await daemon.command("node", "create", node)
        for arguments in (
            ["disco", "localhost", "a\x07b"],
            ["node", "info", "a\x1bb"],
            ["node", "create", "n", "x\x01=1"],
            ["node", "create", "n", "title=\udcff"],
            ["node", "config", "set", node, "--force", "moon=\x02"],
            ["node", "retract", node, "\ufffe"],
            ["node", "items", node, "--id", "\x0b"],
            ["node", "affiliations", "set", node, "a\x07@b=owner"],
            ["roster", "add", "a\x07@b"],
            ["node", "config", "set", node, f"title={'x' * 60_000}", *[f"moon={'y' * 60_000}"] * 3, "--force"],
        ):
            done = await daemon.run(*arguments)
            assert done.code in (64, 65), (arguments, done)
        assert (await daemon.run("node", "info", 'it\'s <a>\t& "b"')).code == 1
        assert (await daemon.status())["xmpp"]["sessions"] == 1


async def test_a_daemon_with_an_account_speaks_for_it(prosody: Server, tmp_path: Path) -> None:
    """Its own moods, its own roster and its own words, without `--as`."""
    jid = "listener@localhost"
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    secret.write_text(prosody.accounts[jid])
    xmpp = {"account": jid, "secret_file": str(secret), "host": prosody.host, "port": prosody.c2s_port}
    xmpp |= {"ca_file": str(prosody.certificate), "pubsub_service": prosody.pubsub_service}
    async with Daemon(tmp_path / "bus", config={"xmpp": xmpp, "bot": {}}) as daemon:
        await daemon.command("pep", "activity", "working/coding", "A release")
        assert (await daemon.command("pep", "get")).out == "activity  working/coding, A release\n"
        await daemon.command("pep", "activity", "--clear")
        assert (await daemon.run("pep", "get", jid, "activity")).code == 1
        await daemon.command("roster", "add", "juliet@localhost", "--name", "Juliet")
        assert "Juliet" in (await daemon.command("roster", "list")).out
        await daemon.command("roster", "remove", "juliet@localhost", "--yes")
        assert (await daemon.run("message", "nobody.there@localhost", "hello")).code == 1
        wrong = await daemon.run("pep", "activity", "working/hiking")
        assert (wrong.code, "it is one of coding, in_a_meeting" in wrong.err) == (64, True)
        assert (await daemon.run("pep", "mood", "hapy")).code == 64
        assert (await daemon.run("pep", "location", "--lat", "91")).code == 64
        assert (await daemon.run("pep", "tune")).code == 64


async def test_the_bot_says_something_in_a_room_that_it_is_in(prosody: Server, tmp_path: Path) -> None:
    """And refuses for one in which it is not."""
    async with await log_in(prosody, "listener@localhost") as client:
        owner = RoomOwner(client)
        room = await owner.make()
        async with Daemon(tmp_path / "bus", prosody, config={"bot": {"rooms": [{"jid": room}]}}) as daemon:

            async def said() -> bool:
                return (await daemon.run("message", room, "Soup today", "--room", "--json")).code == 0

            await until(said, 60, "the bot to be in the room")

            def heard() -> list[str]:
                found = [each.element for each in client.stanzas if each.get("type") == "groupchat"]
                return [each.findtext("{*}body") or "" for each in found]

            await until(lambda: "Soup today" in heard(), 5, "the message in the room")
            assert (await daemon.run("message", "ops@rooms.localhost", "hey", "--room")).code == 1


async def test_the_bot_tells_people_and_has_contacts(prosody: Server, tmp_path: Path, node: str) -> None:
    """`message` says it once, from the bot's own JID; `roster` is whom it knows."""
    jid = f"{node}@localhost"
    await prosody.create_account(jid, "pw")
    config = {"bot": {"affiliations": {jid: "member"}}}
    async with Daemon(tmp_path / "bus", prosody, config=config) as daemon, await log_in(prosody, jid) as client:

        def bodies() -> list[tuple[str, str]]:
            found = [each.element for each in client.stanzas if each.name == "message" and each.get("type") == "chat"]
            return [(each.get("from", "").partition("/")[0], each.findtext("{*}body") or "") for each in found]

        await daemon.command("message", jid, "The", "backup is done.")
        await daemon.command("message", jid, "-", input=b"one\ntwo \x1b[31mred\x1b[0m\n")
        bot = "bot@bus.localhost"
        expected = [(bot, "The backup is done."), (bot, "one\ntwo red")]
        await until(lambda: len(bodies()) == 2, 5, "both messages")
        assert bodies() == expected
        back = await daemon.run("message", "nobody.there@localhost", "hello")
        assert (back.code, "did not get it" in back.err) == (1, True)
        assert (await daemon.run("message", jid, "-", input=b"\x07\n")).code == 65
        assert (await daemon.run("message", jid, "x" * 10_001)).code == 65
        assert "a component has no PEP" in (await daemon.run("pep", "mood", "happy")).err

        await daemon.command("roster", "add", jid)
        await client.until(lambda: any(each.get("type") == "subscribe" for each in client.stanzas))
        client.write(f"<presence to='{bot}' type='subscribed'/><presence to='{bot}' type='subscribe'/>")

        async def listed() -> list[str]:
            lines = (await daemon.command("roster", "--json")).out.splitlines()
            return [each["subscription"] for each in map(json.loads, lines) if each["jid"] == jid]

        async def both() -> bool:
            return await listed() == ["both"]

        await until(both, 5, "each to see the other")
        await daemon.command("roster", "remove", jid, "--yes")
        assert await listed() == []
        assert (await daemon.run("roster", "remove", jid, "--yes")).code == 1
