"""R19, XMPPPHP: a bot in ten lines. Here the half in Python, as a program and as a plugin."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import Daemon
from tests.support.server import Server
from tests.support.talk_person import Person
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "docs/howto/examples/hello.py"


@asynccontextmanager
async def living(directory: Path, way: str, server: Server | None, **config: Any) -> AsyncIterator[Daemon]:
    """The daemon that is the script, or the daemon that has it as a plugin."""
    plugins = {"plugins": [str(SCRIPT)]} if way == "plugin" else {}
    daemon = Daemon(directory, server, config={**plugins, **config})
    if way == "program":
        daemon.program, daemon.arguments = (sys.executable, str(SCRIPT)), ()
    async with daemon:
        yield daemon


@pytest.mark.parametrize("way", ["program", "plugin"])
async def test_r19_ten_lines_of_python_publish_subscribe_and_answer(way: str, server: Server, tmp_path: Path) -> None:
    """A person says a word and has the answer; an event comes, and another is made of it."""
    jid = f"romeo.{way}@{server.domain}"
    await server.create_account(jid, "password")
    bot = {"affiliations": {jid: "owner"}}
    async with living(tmp_path / "bus", way, server, bot=bot) as daemon:
        await until(lambda: f"{server.component_jid} is up" in daemon.log(), timeout=15, what="a session")
        romeo = Person(server, jid, "password", f"bot@{server.component_jid}")
        await romeo.log_in()
        try:
            romeo.say("hello world")
            assert (await romeo.hear()).body == "hello world"
            romeo.say("help hello")
            assert "say hello to NAME" in (await romeo.hear()).body
            romeo.say("subscribe disk.noticed")
            await romeo.hear()
            await daemon.command("publish", "disk.full", "/ is full", "--severity", "warning")
            assert "noticed: / is full" in (await romeo.hear()).body
        finally:
            await romeo.leave()


async def test_r19_the_script_needs_no_server_to_listen_and_publish(tmp_path: Path) -> None:
    """On a local bus; what is less severe than it wants it does not hear."""
    async with living(tmp_path / "bus", "program", None) as daemon:
        await daemon.command("publish", "disk.full", "a little", "--severity", "info")
        await daemon.command("publish", "disk.full", "very", "--severity", "error")

        listed = await daemon.shell("xmppbus listen disk.noticed --since 1h --json | head -n 1")
        assert json.loads(listed)["event"]["summary"] == "noticed: very"
        assert (await daemon.status())["outputs"]["on_disk"]["handled"] == 1


def test_r19_the_page_shows_the_script_that_is_run() -> None:
    """And it has ten lines of its own, bar the empty ones and the end of every script."""
    page = (ROOT / "docs/howto/a-bot-in-python.md").read_text()
    (shown,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert shown == SCRIPT.read_text()
    said = [line for line in shown.partition("if __name__")[0].splitlines() if line.strip()]
    assert len(said) <= 10
