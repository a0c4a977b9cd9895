"""The programs and lines of docs/howto/stomp.md, run as they stand there."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml

from tests.house.test_row_r09 import need_stock_clients, stomping, subscribed
from tests.support.daemon import Daemon, Done, finished
from tests.support.pages import ROOT, blocks
from tests.support.waiting import until

PAGE = ROOT / "docs/howto/stomp.md"
FOUND = blocks(PAGE)


def named(language: str) -> list[str]:
    """The blocks in a language."""
    return [text for kind, text in FOUND if kind == language]


@asynccontextmanager
async def running(
    program: str, name: str, text: str, port: int, token: str = ""
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A script of the page, against the test's port."""
    await asyncio.to_thread(Path(name).write_text, text.replace("61613", str(port)))
    process = await asyncio.create_subprocess_exec(
        *(program, name),
        env={**os.environ, "XMPPBUS_TOKEN": token},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def ran(program: str, name: str, text: str, port: int, token: str = "") -> Done:
    """One that ends by itself."""
    async with running(program, name, text, port, token) as process:
        return await finished(process, None, 30)


async def heard(daemon: Daemon, type_: str) -> str:
    """The text of the event of that type."""
    return (await daemon.shell(f"xmppbus listen --since all -n 1 --json {type_} | jq -r .event.data")).rstrip("\n")


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """Where they are."""
    (tmp_path / "scripts").mkdir()
    return tmp_path / "scripts"


async def test_the_scripts_publish_share_work_and_look_on(tmp_path: Path, scripts: Path) -> None:
    """PHP's two, Perl's, Python's, and the shell's; with the page's tokens."""
    need_stock_clients()
    publisher, worker = named("php")
    (perl,), (python, _), (bash,) = named("perl"), named("python"), named("bash")
    daemon, port = stomping(tmp_path / "bus")
    async with daemon:
        async with running(sys.executable, f"{scripts}/look.py", python, port) as looking:
            await until(lambda: subscribed(daemon, 1), 20, "Python's subscription", poll=0.1)
            assert (await ran("php", f"{scripts}/publish.php", publisher, port)).code == 0
            assert await heard(daemon, "user.signup") == "alice joined"
            await daemon.command("publish", "disk.full", "/ is full", "--severity", "error")
            assert looking.stdout
            assert await asyncio.wait_for(looking.stdout.readline(), 20) == b"error /topic/disk.full / is full\n"
        async with running("php", f"{scripts}/work.php", worker, port) as working:
            assert working.stdout
            assert await asyncio.wait_for(working.stdout.readline(), 20) == b"writing to alice@example.org\n"
            await daemon.until_nothing_waits(20)
        done = await ran("/usr/bin/perl", f"{scripts}/backup.pl", perl, port)
        assert done.code == 0, done
        assert await heard(daemon, "backup.done") == "42 GiB in 17 minutes"
        done = await ran("bash", f"{scripts}/by-hand.sh", bash, port)
        assert re.findall(r"^[A-Z]+$", done.out, re.MULTILINE) == ["CONNECTED", "RECEIPT", "RECEIPT"], done
        assert await heard(daemon, "deploy.done") == "version 42 is live"


async def test_the_lines_make_tokens_that_the_scripts_can_use(tmp_path: Path, scripts: Path) -> None:
    """Without one nobody comes in, where the listener of HTTP has tokens, too."""
    need_stock_clients()
    dead, tokens = named("sh")
    daemon, port = stomping(tmp_path / "bus")
    (daemon.directory / "tokens").touch(mode=0o600)
    given = yaml.safe_load(daemon.config_file.read_text())
    given["http"]["tokens_file"] = str(daemon.directory / "tokens")
    daemon.config_file.write_text(yaml.safe_dump(given))
    made = [await daemon.shell(line) for line in tokens.splitlines()]
    website, mailer = (re.findall(r"xmppbus\.\w+\.[\w-]+", each)[0] for each in made)
    publisher, worker = named("php")
    async with daemon:
        await daemon.shell(dead)
        refused = await ran("php", f"{scripts}/publish.php", publisher, port)
        assert "token" in refused.out + refused.err, refused
        assert (await ran("php", f"{scripts}/publish.php", publisher, port, website)).code == 0
        assert (await daemon.status())["journal"]["entries"] == 2
        async with running("php", f"{scripts}/work.php", worker, port, mailer) as working:
            assert working.stdout
            assert await asyncio.wait_for(working.stdout.readline(), 20) == b"writing to alice@example.org\n"


async def test_the_config_for_other_machines_speaks_tls_to_the_script_with_one_line_more(
    tmp_path: Path, scripts: Path
) -> None:
    """With a token."""
    daemon, port = stomping(tmp_path / "bus")
    config = named("yaml")[1].replace("/etc/xmppbus", str(daemon.directory)).replace("61613", str(port))
    (daemon.directory / "tls").mkdir()
    (daemon.directory / "tokens").touch(mode=0o600)
    make = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out fullchain.pem -days 1 -subj /CN=localhost"
    await daemon.shell(f"cd tls && {make} -addext subjectAltName=IP:127.0.0.1")
    daemon.config_file.write_text(
        yaml.safe_dump(yaml.safe_load(daemon.config_file.read_text()) | yaml.safe_load(config))
    )
    line = f"xmppbus token add printer read:# --file {daemon.directory}/tokens"
    (token,) = re.findall(r"xmppbus\.\w+\.[\w-]+", await daemon.shell(line))
    python, more = named("python")
    script = python.replace("connection.connect(", more + "connection.connect(")
    script = script.replace("/etc/xmppbus", str(daemon.directory))
    async with daemon, running(sys.executable, f"{scripts}/look.py", script, port, token) as looking:
        await until(lambda: subscribed(daemon, 1), 20, "its subscription", poll=0.1)
        await daemon.command("publish", "disk.full", "/ is full", "--severity", "error")
        assert looking.stdout
        assert await asyncio.wait_for(looking.stdout.readline(), 20) == b"error /topic/disk.full / is full\n"
