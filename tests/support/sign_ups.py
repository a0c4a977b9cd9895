"""Servers on which people may register from their clients (XEP-0077), with our module, installed as operators do it."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

import yaml

from tests.support.daemon import Daemon
from tests.support.ejabberd import Ejabberd
from tests.support.pages import block
from tests.support.raw import TLS, RawError, RawStream, account, start_client_stream, unverified_tls
from tests.support.server import DOMAIN, Server, ServerFactory

REGISTER = "jabber:iq:register"
PAGE = "docs/howto/sign-ups.md"


async def telling_server(name: str, own_server: ServerFactory, daemon: Daemon, token: Path) -> Server:
    """A started server with the lines of docs/howto/sign-ups.md, whose module posts to the daemon, with the token in
    that file."""
    modules = daemon.directory / f"{name}-modules"
    url = f"{daemon.url}/v1/events"
    await daemon.command("server-module", name, "--to", str(modules), "--url", url)
    if name == "prosody":
        lines = block(PAGE, "lua").replace("/usr/local/lib/prosody/modules", str(modules))
        lines = lines.replace("example.org", DOMAIN).replace("/etc/prosody/xmppbus.token", str(token))
        return await own_server(name, registration=True, lines=[*lines.splitlines(), f'    xmppbus_url = "{url}"'])
    open_to_all = {"mod_register": {"ip_access": "all"}}
    server = await own_server(name, modules=open_to_all, options={"registration_timeout": "infinity"})
    assert isinstance(server, Ejabberd)
    sources = server.directory / ".ejabberd-modules" / "sources"
    sources.parent.mkdir()
    modules.rename(sources)
    assert await server.administer("module_install", module="mod_xmppbus") == 0, server.log()
    wanted = yaml.safe_load(block(PAGE, "yml").replace("/etc/ejabberd/xmppbus.token", str(token)))["modules"]
    wanted["mod_xmppbus"]["url"] = url
    await server.load_modules(wanted)
    return server


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
