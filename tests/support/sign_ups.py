"""Servers on which people may register from their clients (XEP-0077), with our module, installed as operators do it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from tests.support.daemon import Daemon
from tests.support.ejabberd import Ejabberd
from tests.support.raw import TLS, RawError, RawStream, account, start_client_stream, unverified_tls
from tests.support.server import DOMAIN, Server, ServerFactory

REGISTER = "jabber:iq:register"
EVENTS = ("signup", "deleted", "login")


async def telling_server(name: str, own_server: ServerFactory, daemon: Daemon, token: Path) -> Server:
    """A started server whose module posts to the daemon, with the token in that file."""
    modules = daemon.directory / f"{name}-modules"
    url = f"{daemon.url}/v1/events"
    await daemon.command("server-module", name, "--to", str(modules), "--url", url)
    if name == "prosody":
        lines = [
            f'plugin_paths = {{ "{modules}" }}',
            f'xmppbus_url = "{url}"',
            f'xmppbus_token_file = "{token}"',
            'xmppbus_events = { "signup", "deleted", "login" }',
        ]
        return await own_server(name, modules=("xmppbus",), registration=True, lines=lines)
    open_to_all = {"mod_register": {"ip_access": "all"}}
    server = await own_server(name, modules=open_to_all, options={"registration_timeout": "infinity"})
    assert isinstance(server, Ejabberd)
    sources = server.directory / ".ejabberd-modules" / "sources"
    sources.parent.mkdir()
    modules.rename(sources)
    assert await server.administer("module_install", module="mod_xmppbus") == 0, server.log()
    await server.load_modules({"mod_xmppbus": options_of_ejabberd(url, token)})
    return server


def options_of_ejabberd(url: str, token: Path) -> dict[str, Any]:
    """Of mod_xmppbus."""
    return {"url": url, "token_file": str(token), "events": list(EVENTS)}


async def register(server: Server, user: str, password: str) -> None:
    """In-band (XEP-0077 §3.1), over TLS, before any log-in."""
    stream = RawStream("")
    await stream.open(server.host, server.c2s_port)
    try:
        await start_client_stream(stream, DOMAIN)
        stream.write(f"<starttls xmlns='{TLS}'/>")
        if (answer := await stream.next_stanza()).name != "proceed":
            raise RawError("tls", answer.name)
        await stream.start_tls(unverified_tls(), DOMAIN)
        await start_client_stream(stream, DOMAIN)
        stream.run()
        wish = f"<username>{escape(user)}</username><password>{escape(password)}</password>"
        await stream.iq("set", DOMAIN, f"<query xmlns='{REGISTER}'>{wish}</query>")
    finally:
        await stream.close()


async def leave(server: Server, user: str, password: str) -> None:
    """Log in, and have the account removed (XEP-0077 §3.2)."""
    async with await account(server.host, server.c2s_port, f"{user}@{DOMAIN}", password) as stream:
        await stream.iq("set", "", f"<query xmlns='{REGISTER}'><remove/></query>")
