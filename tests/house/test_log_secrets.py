"""T17: a canary in every place for secrets, and none of them in a log, whatever its form, nor in anything else that
people look at."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from pathlib import Path

import pytest

from tests.support.administrator import ROOMS
from tests.support.daemon import Daemon
from tests.support.server import Server
from tests.support.waiting import until

CANARY = "canary-5f3a9c-"
SOON = 15.0


@pytest.mark.parametrize("form", ["text", "json", "journal"])
async def test_no_secret_is_in_any_log(prosody: Server, tmp_path: Path, form: str) -> None:
    """With --verbose, which has slixmpp's own lines; also of a secret and a token that are refused."""
    daemon = Daemon(tmp_path / "bus", prosody, secret=f"{CANARY}secret", config={"bot": bot(tmp_path)})
    daemon.arguments = (*daemon.arguments, "--verbose", "--log-format", form)
    journal = Journal(tmp_path / "journal")
    daemon.environment["XMPPBUS_JOURNAL_SOCKET"] = str(tmp_path / "journal")

    def log() -> str:
        return daemon.log() + journal.text()

    plain = daemon.config_file.read_text()
    http = f"http: {{listen: '127.0.0.1:{daemon.http_port}', tokens_file: tokens}}\n"
    daemon.config_file.write_text(plain.replace("http:\n  listen: " + f"127.0.0.1:{daemon.http_port}\n", http))
    token = (await daemon.run("token", "add", "website", "publish:#", "--config", str(daemon.config_file))).out.strip()
    async with daemon:
        await until(lambda: "does not take our secret" in log(), SOON, "the secret to be refused")
        (daemon.directory / "secret").write_text(prosody.secret)
        await daemon.command("reload")
        await until(lambda: f"{prosody.component_jid} is up" in log(), SOON, "a session")
        for presented in (token, f"{token}x", f"xmppbus.website.{CANARY}token", f"{CANARY}\r\ntoken"):
            headers = {"Authorization": f"Bearer {presented}"} if presented.isprintable() else {}
            body = json.dumps({"type": "a.b", "data": presented})
            status, _ = await daemon.request("POST", "/v1/events", body, headers)
            assert status == (202 if presented == token else 401)
        daemon.config_file.write_text(f"xmpp: {{component: a.b, secret: {CANARY}here}}\n")
        refused = await daemon.run("reload")
        assert refused.code == 78
        looked = [
            *(log(), refused.err, (await daemon.command("status", "--json")).out),
            *((await daemon.run("config", "show")).out, (await daemon.run("check")).err),
            await asyncio.to_thread(Path(f"/proc/{daemon.pid}/cmdline").read_text),
        ]
    looked.append(log())
    assert prosody.secret
    for text in looked:
        assert CANARY not in text
        assert prosody.secret not in text
        assert token.rpartition(".")[2] not in text
    lines = log().splitlines()
    journal.close()
    assert len(lines) > 10
    assert ("PRIORITY=7" in lines) is (form == "journal")
    if form == "json":
        assert all(json.loads(line)["message"] for line in lines if line.startswith("{"))
        assert sum(line.startswith("{") for line in lines) == len(lines)


class Journal:
    """What systemd's journal listens on, and has heard."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(str(path))
        self._heard = bytearray()
        asyncio.get_running_loop().add_reader(self._socket, self._hear)

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._heard += self._socket.recv(1 << 20)

    def text(self) -> str:
        """All of it so far."""
        self._hear()
        return self._heard.decode()

    def close(self) -> None:
        """The end."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()


def bot(tmp_path: Path) -> dict[str, object]:
    """With a room and its password."""
    (tmp_path / "password").touch(mode=0o600)
    (tmp_path / "password").write_text(f"{CANARY}password\n")
    return {"rooms": [{"jid": f"ops-{tmp_path.name.lower()}@{ROOMS}", "password_file": str(tmp_path / "password")}]}


async def test_a_secret_in_the_environment_is_not_said_either(prosody: Server, tmp_path: Path) -> None:
    """$XMPPBUS_XMPP_SECRET, right and wrong."""
    daemon = Daemon(tmp_path / "bus", prosody)
    daemon.environment |= {"XMPPBUS_XMPP_SECRET": f"{CANARY}environment", "XMPPBUS_LOG": "json"}
    daemon.arguments = (*daemon.arguments, "--verbose")
    async with daemon:
        await until(lambda: "does not take our secret" in daemon.log(), SOON, "the secret to be refused")
        status = (await daemon.command("status", "--json")).out
    for text in (daemon.log(), status):
        assert CANARY not in text
