"""R6, the feed of sign-ups: those of a web site (docs/howto/web-sign-ups.md), and those on the XMPP server itself
(docs/howto/sign-ups.md, whose lines `tests.support.sign_ups` gives the servers)."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from time import monotonic

from tests.house.subscribers import Readers, readers
from tests.support.daemon import Daemon
from tests.support.missing import need
from tests.support.pages import block
from tests.support.server import Server, ServerFactory
from tests.support.sign_ups import leave, register, telling_server
from tests.support.waiting import until

WITHIN_SECONDS = 2.0  # the row's own words
NODE = "user.signup"
CANARY = "canary-9b1e-password"


async def with_tokens(directory: Path) -> tuple[Daemon, Path, str]:
    """A daemon without a server yet, its tokens file, and a token for sign-ups."""
    tokens = directory / "tokens"
    daemon = Daemon(directory / "bus")
    token = (await daemon.command("token", "add", "website", "publish:user.#", "--file", str(tokens))).out.strip()
    return daemon, tokens, token


def connect(daemon: Daemon, server: Server, tokens: Path) -> None:
    """Its config."""
    listen = f"127.0.0.1:{daemon.http_port}"
    daemon.configure(server, config={"http": {"listen": listen, "tokens_file": str(tokens)}})


async def test_r6_a_sign_up_on_the_web_site_is_with_the_subscribers_within_two_seconds(
    server: Server, tmp_path: Path
) -> None:
    """The site's server posts with its token, as docs/howto/web-sign-ups.md says."""
    daemon, tokens, token = await with_tokens(tmp_path)
    connect(daemon, server, tokens)
    sign_up = {
        "type": NODE,
        "source": "https://shop.example",
        "id": f"signup-{monotonic()}",
        "summary": "alice joined",
        "data": {"plan": "free"},
    }
    async with daemon:
        await daemon.command("publish", NODE, "the first one makes the node", "--confirm")
        async with readers(server, NODE) as both:
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
            begun = monotonic()
            status, body = await daemon.request("POST", "/v1/events", json.dumps(sign_up), headers)
            assert status == 202, body
            event = await both.until_seen(json.loads(body)["id"], timeout=WITHIN_SECONDS - (monotonic() - begun))
            assert event["summary"] == "alice joined"
            assert event["data"] == {"plan": "free"}
        refused, _ = await daemon.request("POST", "/v1/events", json.dumps({**sign_up, "type": "disk.full"}), headers)
        assert refused == 403


async def test_the_php_of_a_web_site_publishes_its_sign_ups(tmp_path: Path) -> None:
    """As it stands in docs/howto/web-sign-ups.md; a second time it is known, and a refusal is an exception."""
    need("php")
    user = "$user = (object)['id' => 7, 'name' => 'alice', 'plan' => 'free'];"
    script = block("docs/howto/web-sign-ups.md", "php").replace("publish([", f"{user}\npublish([", 1)
    daemon, tokens, token = await with_tokens(tmp_path)
    listen = f"127.0.0.1:{daemon.http_port}"
    daemon.configure(None, config={"http": {"listen": listen, "tokens_file": str(tokens)}})
    async with daemon:
        for presented, wanted in ((token, ""), (token, ""), ("wrong", "xmppbus answered 401")):
            environment = {**daemon.environment, "XMPPBUS_URL": daemon.url, "XMPPBUS_TOKEN": presented}
            command = ["php", "-d", "display_errors=stderr"]
            done = await asyncio.to_thread(
                subprocess.run, command, input=script, env=environment, capture_output=True, text=True, check=False
            )
            assert (done.returncode == 0) == (not wanted), done
            assert wanted in done.stderr
        listed = (await daemon.command("listen", "--since", "all", "-n", "1", "--json")).json
    assert listed["event"]["id"] == "signup-7"
    assert listed["event"]["summary"] == "alice joined"


async def test_r6_a_user_who_registers_on_the_server_is_with_the_subscribers_within_two_seconds(
    server_name: str, own_server: ServerFactory, tmp_path: Path
) -> None:
    """In-band (XEP-0077), through the module that `server-module` installs; logins and the end of the account as well,
    and the password is nowhere."""
    daemon, tokens, token = await with_tokens(tmp_path)
    (tmp_path / "token").write_text(f"{token}\n")
    server = await telling_server(server_name, own_server, daemon, tmp_path / "token")
    connect(daemon, server, tokens)
    daemon.arguments = (*daemon.arguments, "--verbose")
    async with daemon:
        await daemon.command("publish", NODE, "the first one makes the node", "--confirm")
        async with readers(server, NODE) as both:
            begun = monotonic()
            await register(server, "alice", CANARY)
            item_id = await first_of(both, "alice@localhost", WITHIN_SECONDS - (monotonic() - begun))
            event = await both.until_seen(item_id, timeout=WITHIN_SECONDS - (monotonic() - begun))
        assert event["summary"] == "alice@localhost signed up"
        assert event["source"] == "xmpp:localhost"
        assert event["data"].items() >= {"username": "alice", "host": "localhost", "jid": "alice@localhost"}.items()
        await leave(server, "alice", CANARY)

        deleted = (await daemon.command("listen", "user.deleted", "--since", "all", "-n", "1", "--json")).json
        count = str(deleted["sequence"])  # everything up to here is about users
        listed = (await daemon.command("listen", "user.#", "--since", "all", "-n", count, "--json")).out
        events = [json.loads(line)["event"] for line in listed.splitlines()]
        about = [each["type"] for each in events if each.get("subject") == "alice@localhost"]
        assert about == ["user.signup", "user.login", "user.deleted"]
        everything = await asyncio.to_thread(daemon.journal.read_bytes) + (daemon.log() + server.log()).encode()
        everything += daemon.journal.with_name("journal.db-wal").read_bytes()
        assert b"alice@localhost" in everything
        assert CANARY.encode() not in everything
        assert token.encode() not in everything


async def first_of(both: Readers, jid: str, timeout: float) -> str:
    """The item id of the first event about a JID."""

    def found() -> list[str]:
        return [item_id for item_id, event in both.expat if event.get("subject") == jid]

    await until(found, timeout, f"an event about {jid}")
    return found()[0]
