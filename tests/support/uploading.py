"""Servers that take files (XEP-0363), with the lines that the how-tos give, and what is fetched from them."""

from __future__ import annotations

import asyncio
import re
import ssl
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from tests.support.ports import free_port
from tests.support.server import Server, ServerFactory

HOWTO = Path(__file__).parents[2] / "docs" / "howto"
NAMES = {"upload.example.org": "upload.localhost", "bus.example.org": "bus.localhost", "example.org": "localhost"}


def page_lines(page: str, language: str, word: str) -> str:
    """The block of a page that has this word in it, for the server of the tests."""
    blocks = re.findall(rf"```{language}\n(.*?)```", (HOWTO / page).read_text(), re.DOTALL)
    (found,) = [each for each in blocks if word in each]
    for name, ours in NAMES.items():
        found = found.replace(name, ours)
    return str(found)


async def uploading(own_server: ServerFactory, name: str, directory: Path, **given: Any) -> Server:
    """A server with the lines of its page, on loopback and ports of its own."""
    port = free_port()
    if name == "prosody":
        lines = page_lines("prosody.md", "lua", "http_file_share")
        ports = [
            *(each for each in given.pop("lines", ["http_ports = { }"]) if not each.startswith("https_ports")),
            f"https_ports = {{ {port} }}",
            'https_interfaces = { "127.0.0.1" }',
        ]
        external = f'    http_host = "localhost"\n    http_external_url = "https://localhost:{port}/"'
        return await own_server(name, lines=[*ports, lines, external], **given)
    lines = page_lines("ejabberd.md", "yaml", "mod_http_upload")
    found = yaml.safe_load(lines.replace("localhost:5443", f"localhost:{port}"))
    (listener,) = found["listen"]
    module = {**found["modules"]["mod_http_upload"], "docroot": str(directory / "uploads")}
    rules = directory / "page.yml"
    rules.write_text(yaml.safe_dump({name: found[name] for name in ("acl", "access_rules")}))
    modules = {"mod_http_upload": module, **given.pop("modules", {})}
    options = {"include_config_file": str(rules), **given.pop("options", {})}
    listeners = [listener | {"port": port, "ip": "127.0.0.1"}]
    return await own_server(name, listeners=listeners, modules=modules, options=options, **given)


async def fetched(url: str, server: Server) -> tuple[str, bytes]:
    """The media type, and what is there, over https and with the server's certificate checked."""
    context = ssl.create_default_context(cafile=str(server.certificate))

    def fetch() -> tuple[str, bytes]:
        with urllib.request.urlopen(url, context=context, timeout=10) as answer:  # noqa: S310  # a test's own server
            return answer.headers.get_content_type(), answer.read()

    return await asyncio.to_thread(fetch)
