"""What an XMPP server's module does when the bus is away, when the server starts again, and with a bad token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.daemon import Daemon
from tests.support.pages import ROOT, blocks
from tests.support.server import ServerFactory
from tests.support.sign_ups import PAGE, register, telling_server
from tests.support.waiting import until

SOON = 20.0
CANARY = "canary-77aa-token"


async def test_a_sign_up_while_the_bus_is_away_comes_once_when_it_is_back(
    server_name: str, own_server: ServerFactory, tmp_path: Path
) -> None:
    """Also when the server was killed and started in between; and until its token is right, the log says what is
    wrong in plain words, and never the token. A name that is longer than an event's can be is told, too."""
    long = "carol" * (120 if server_name == "ejabberd" else 40)  # Prosody's files can't have names of 600 bytes
    tokens, token = tmp_path / "tokens", tmp_path / "token"
    daemon = Daemon(tmp_path / "bus")
    daemon.configure(None, config={"http": {"listen": f"127.0.0.1:{daemon.http_port}", "tokens_file": str(tokens)}})
    good = (await daemon.command("token", "add", "server", "publish:user.#", "--file", str(tokens))).out
    narrow = (await daemon.command("token", "add", "other", "publish:disk.#", "--file", str(tokens))).out
    server = await telling_server(server_name, own_server, daemon, token)

    def says(text: str) -> bool:
        return text in server.log()

    await register(server, "alice", "alice pw")
    await until(lambda: says("token_file can't be used"), SOON, "a word on the missing file")
    token.write_text(f"xmppbus.other.{CANARY}\n")
    await until(lambda: says("can't be reached"), SOON, "a word on the bus that is not there")
    server.kill()
    await server.start()
    await register(server, "bob", "bob pw")
    async with daemon:
        await until(lambda: says("(401: "), SOON, "a word on the unknown token")
        assert says("xmppbus token add")
        token.write_text(narrow)
        await until(lambda: says("(403: "), SOON, "a word on the scope")
        assert says("publish:user.#")
        token.write_text(good)
        await daemon.command("listen", "user.#", "--since", "all", "-n", "2")
        await until(lambda: says("takes events again"), SOON, "the end of it")
        await server.restart()
        await register(server, long, "carol pw")
        listed = (await daemon.command("listen", "user.#", "--since", "all", "-n", "3", "--json")).out
    events: list[dict[str, Any]] = [json.loads(line)["event"] for line in listed.splitlines()]
    jids = [f"{user}@localhost" for user in ("alice", "bob", long)]
    assert [each["data"]["jid"] for each in events] == jids
    assert [each["subject"] for each in events] == [jid if len(jid) <= 512 else f"{jid[:511]}…" for jid in jids]
    log = server.log()
    assert not any(secret.strip() in log for secret in (good, narrow, CANARY))


async def test_the_commands_of_the_page_write_the_modules_and_the_tokens(tmp_path: Path) -> None:
    """docs/howto/sign-ups.md line by line; those for the servers are the ones that `server-module` names, and
    `telling_server` does what they do."""
    tokens = tmp_path / "tokens"
    daemon = Daemon(tmp_path / "bus")
    daemon.configure(None, config={"http": {"listen": f"127.0.0.1:{daemon.http_port}", "tokens_file": str(tokens)}})
    named = [
        step.partition("   #")[0]
        for name in ("prosody", "ejabberd")
        for step in (await daemon.command("server-module", name, "--to", str(tmp_path), "--json", "--dry-run")).json[
            "next"
        ]
    ]
    lines = [line for kind, text in blocks(ROOT / PAGE) if kind == "sh" for line in text.splitlines()]
    for line in lines:
        if line.startswith("sudo xmppbus server-module"):
            said = await daemon.shell(f"{line.removeprefix('sudo ')} --to {tmp_path / 'modules'}")
            assert "xmppbus.token" in said
        elif line.startswith("xmppbus listen"):
            assert "Usage" in await daemon.shell(f"{line} --help")
        else:
            assert line in named
        if "token add" in line:
            (tmp_path / "etc").mkdir(exist_ok=True)
            here = line.replace("sudo install -m 640 -g prosody", "install -m 640").replace(
                "sudo install -m 640 -g ejabberd", "install -m 640"
            )
            target = Path(line.split()[-1]).name
            await daemon.shell(here.replace(line.split()[-1], str(tmp_path / "etc" / target)))
            made = tmp_path / "etc" / target
            assert made.stat().st_mode & 0o777 == 0o640
            assert made.read_text().startswith("xmppbus.")
    written = {path.name for path in (tmp_path / "modules").rglob("*") if path.is_file()}
    assert written == {"mod_xmppbus.lua", "mod_xmppbus.erl", "mod_xmppbus.spec"}
