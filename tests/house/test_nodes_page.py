"""docs/howto/nodes-from-the-shell.md, as it stands there: the commands and the program, on a real server."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.support.daemon import Daemon, finished
from tests.support.pages import ROOT, block, blocks
from tests.support.server import Server

PAGE = "docs/howto/nodes-from-the-shell.md"
NAMES = {
    "pubsub.example.org": "pubsub.localhost",
    "romeo@example.org": "reader@localhost",
    "juliet@example.org": "stranger@localhost",
    "example.org": "localhost",
}


def here(text: str) -> str:
    """With the names of this server."""
    for name, ours in NAMES.items():
        text = text.replace(name, ours)
    return text


async def test_every_line_of_the_page_does_what_it_says(prosody: Server, tmp_path: Path) -> None:
    """In one shell, in order; a server on loopback has to be named."""
    lines = "".join(text for language, text in blocks(ROOT / PAGE) if language == "sh")
    where = f"--host {prosody.host} --port {prosody.c2s_port} --ca-file {prosody.certificate}"
    script = here(lines).replace("--as reader@localhost", f"--as reader@localhost {where}")
    async with Daemon(tmp_path / "bus", prosody, config={"bot": {}}) as daemon:
        (daemon.directory / "password").write_text(prosody.accounts["reader@localhost"])
        out = await daemon.shell(f"set -ex\n{script}", timeout=60)
    for words in (
        "pubsub.localhost    pubsub/service",
        "max_items  7",
        "lunch.menu  Soup",
        "reader@localhost  publisher",
        "deleted  lunch",
        "subscribed  lunch.menu",
        "stranger@localhost  neither sees the other",
        "mood  happy, It works.",
        "sent  stranger@localhost",
    ):
        assert words in out, out


async def test_the_program_in_python_runs(prosody: Server, tmp_path: Path) -> None:
    """With an account that owns the node."""
    code = here(block(PAGE, "python")).replace(
        "Account(",
        f"Account(host={prosody.host!r}, port={prosody.c2s_port}, ca_file={str(prosody.certificate)!r}, jid=",
    )
    code = code.replace(', os.environ["XMPPBUS_PASSWORD"]', ', password=os.environ["XMPPBUS_PASSWORD"]')
    async with Daemon(tmp_path / "bus", prosody) as daemon:
        await daemon.command("publish", "lunch.menu", "Soup", "--confirm")
        await daemon.command("node", "affiliations", "set", "lunch.menu", "reader@localhost=owner")
        environment = {**daemon.environment, "XMPPBUS_PASSWORD": prosody.accounts["reader@localhost"]}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", code),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        done = await finished(process, None, 30)
    assert done.code == 0, done
    assert "lunch.menu" in done.out
    assert "{'pubsub#max_items': ('9',)} []" in done.out
