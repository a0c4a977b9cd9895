"""HTTP of the installed program, as its users meet it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import ssl
import subprocess
from pathlib import Path
from time import monotonic

import pytest

from tests.support.daemon import Daemon
from tests.support.http_client import HttpConnection, ask, ask_json
from tests.support.missing import is_missing, need
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
HASH = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


async def test_an_event_that_curl_publishes_is_seen_by_the_command_line(tmp_path: Path) -> None:
    """The same id, everywhere."""
    need("curl")
    async with Daemon(tmp_path) as daemon:
        command = ["curl", "-fsS", "-d", "backup done", f"{daemon.url}/v1/events/backup.done"]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True)
        item_id = re.search(r'"id":"([0-9a-f-]{36})"', done.stdout)
        assert item_id
        shown = await daemon.show(item_id[1])
        assert shown["event"]["data"] == "backup done"


async def test_what_was_accepted_is_there_after_kill_9(tmp_path: Path) -> None:
    """202 means on disk."""
    async with Daemon(tmp_path) as daemon:
        answers = [await ask(daemon.url, "POST", "/v1/events/user.signup", b"%d" % each) for each in range(20)]
        assert [each.status for each in answers] == [202] * 20
        daemon.kill()
        await daemon.start()
        for number, answer in enumerate(answers):
            shown = await ask(daemon.url, "GET", answer.headers["location"])
            assert shown.json["event"]["data"] == str(number)


async def test_the_same_event_again_is_known_after_a_restart(tmp_path: Path) -> None:
    """A site may try again whenever it got no answer."""
    event = {"type": "user.signup", "source": "shop", "id": "order-17", "data": "alice joined"}
    async with Daemon(tmp_path) as daemon:
        first = await ask_json(daemon.url, "/v1/events", event)
        await daemon.stop()
        await daemon.start()
        again = await ask_json(daemon.url, "/v1/events", event)
        assert (first.status, again.status) == (202, 200)
        assert first.json["sequence"] == again.json["sequence"]


async def test_a_listener_beyond_loopback_without_tokens_does_not_start(tmp_path: Path) -> None:
    """It says what to do; exit 78 is a config that can't be used."""
    daemon = Daemon(tmp_path, config={"http": {"listen": "0.0.0.0:0"}})
    done = await daemon.run("serve")
    assert done.code == 78
    assert "token" in done.err


async def test_a_taken_port_says_what_to_do(tmp_path: Path) -> None:
    """And the daemon that has it is not disturbed."""
    async with Daemon(tmp_path / "first") as first:
        second = Daemon(tmp_path / "second", config={"http": {"listen": f"127.0.0.1:{first.http_port}"}})
        done = await second.run("serve")
        assert done.code == 78
        assert "taken" in done.err
        assert first.is_healthy()


async def test_tokens_guard_the_installed_program_and_show_nowhere(tmp_path: Path) -> None:
    """Not in the log, not in the status; a line that is taken out is a token that is refused."""
    tokens = tmp_path / "tokens"
    tokens.touch(mode=0o600)
    tokens.write_text(f"old {HASH} publish:#\n")
    http: dict[str, str] = {"listen": "127.0.0.1:0", "tokens_file": str(tokens)}
    daemon = Daemon(tmp_path)
    daemon.configure(None, config={"http": {**http, "listen": f"127.0.0.1:{daemon.http_port}"}})
    async with daemon:
        made = await daemon.command("token", "add", "website", "publish:user.#")
        token = made.out.split()[-1]
        headers = {"Authorization": f"Bearer {token}"}

        async def known() -> bool:
            return (await ask(daemon.url, "POST", "/v1/events/user.a", b"x", headers)).status == 202

        await until(known, 10, "the new token to be known")
        assert (await ask(daemon.url, "POST", "/v1/events/disk.full", b"x", headers)).status == 403
        assert (await ask(daemon.url, "POST", "/v1/events/user.a", b"x")).status == 401
        status = await daemon.status()
        await daemon.command("token", "remove", "website")

        async def unknown() -> bool:
            return (await ask(daemon.url, "POST", "/v1/events/user.a", b"x", headers)).status == 401

        await until(unknown, 10, "the token to be refused")
    secret = token.rpartition(".")[2]
    assert secret not in daemon.log() + str(status) + tokens.read_text()


async def test_tls_comes_from_files(tmp_path: Path) -> None:
    """With the certificate that the config names."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    await asyncio.to_thread(subprocess.run, [*command, *names, *files], check=True, capture_output=True)
    daemon = Daemon(tmp_path)
    listen = f"127.0.0.1:{daemon.http_port}"
    http = {"listen": listen, "certificate_file": str(certificate), "key_file": str(key)}
    daemon.configure(None, config={"http": http})
    daemon.spawn()
    try:
        await until(daemon.answers, 30, "the daemon's socket")
        context = ssl.create_default_context(cafile=str(certificate))

        async def healthy() -> bool:
            with contextlib.suppress(ConnectionError):
                options = {"ssl": context, "server_hostname": "localhost"}
                async with await HttpConnection.open(f"https://{listen}", **options) as connection:
                    return (await connection.ask("GET", "/health")).status == 200
            return False

        await until(healthy, 10, "health over TLS")
    finally:
        await daemon.stop()


async def test_a_thousand_slow_clients_are_ended_and_hold_nobody_up(tmp_path: Path) -> None:
    """Within 15 s, while good requests go on. They come from several addresses, for one may have only so many."""
    async with Daemon(tmp_path) as daemon:
        slow = []
        for number in range(1000):
            local = f"127.0.{1 + number // 200}.{1 + number % 7}"
            slow.append(await HttpConnection.open(daemon.url, local_addr=(local, 0)))
            slow[-1].writer.write(b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        begun = monotonic()
        ends = asyncio.gather(*(each.ended(30) for each in slow))
        slowest = 0.0
        while not ends.done():
            before = monotonic()
            assert (await ask(daemon.url, "POST", "/v1/events/user.good", b"x")).status == 202
            slowest = max(slowest, monotonic() - before)
            for each in slow:
                with contextlib.suppress(ConnectionError):
                    each.writer.write(b"x")
            await asyncio.wait([ends], timeout=0.5)
        assert monotonic() - begun < 15
        assert slowest < 2, "a good request waited for the slow ones"
        assert (await daemon.status())["inputs"]["events"]["connections"] <= 1
        await ends
        for each in slow:
            each.writer.close()


@pytest.mark.parametrize("language", ["javascript", "sh"])
async def test_the_examples_of_the_how_to_work(tmp_path: Path, language: str) -> None:
    """As they stand there."""
    program = {"javascript": "node", "sh": "curl"}[language]
    if not shutil.which(program):
        is_missing(program, {"node": "apt-get install nodejs", "curl": "apt-get install curl"}[program])
    blocks = re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs/howto/web-sign-ups.md").read_text(), re.DOTALL)
    if language == "javascript":
        script = "const user = {id: 7, name: 'alice', plan: 'free'};\n" + "\n".join(blocks)
        command = ["node", "--input-type=module", "-e", script]
    else:
        (script,) = [block for block in blocks if "curl" in block]
        command = ["sh", "-c", script]
    async with Daemon(tmp_path) as daemon:
        environment = {**daemon.environment, "XMPPBUS_URL": daemon.url, "XMPPBUS_TOKEN": "none"}
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        event_id = "signup-7" if language == "javascript" else "signup-4711"
        fetched = await daemon.fetched("https://shop.example", event_id)
    assert fetched
    assert fetched["event"]["summary"] == "alice joined"
    assert fetched["event"]["data"] == {"plan": "free"}
