"""`xmppbus server-module`: the module with which an XMPP server tells of sign-ups."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from xmppbus.cli.desk import Action, Desk
from xmppbus.cli.showing import json_line
from xmppbus.errors import ConfigInvalid, Exit

_OPENFIRE = """Openfire needs no file: its REST API plugin is asked every minute who there is, and who is new is
published. The lines for that are in docs/howto/sign-ups.md (Openfire). Nobody has run them yet."""


@click.command()
@click.argument("server", type=click.Choice(["prosody", "ejabberd", "openfire"]))
@click.option("--to", type=click.Path(path_type=Path), metavar="DIR", help="Where to; else where the server looks.")
@click.option("--host", metavar="DOMAIN", help="Whose accounts; else the server's first.")
@click.option("--url", metavar="URL", help="Where it posts; else as this machine's config of the bus has it.")
@click.option("--logins", is_flag=True, help="Tell of each login, too, as user.login.")
@click.option("--force", is_flag=True, help="Also over a file that somebody has changed.")
@click.option("--dry-run", is_flag=True, help="Write nothing; say what would be done.")
@click.option("--json", is_flag=True, help="Files, lines and steps as one JSON object.")
def server_module(server: str, **options: Any) -> Action:
    """Install the module with which an XMPP server publishes user.signup and user.deleted when they happen.

    It writes the module where SERVER looks for modules, and prints the lines for the server's config and the commands
    to give next; it changes no config and restarts nothing. A file that somebody has changed is left alone (exit 73).

    \b
    Example:
      sudo xmppbus server-module prosody
      xmppbus server-module ejabberd --logins --dry-run
    """

    async def action(desk: Desk) -> int:
        if server == "openfire":
            text = {"files": {}, "lines": "", "next": ["see docs/howto/sign-ups.md"]}
            await (desk.terminal.write(json_line(text)) if options["json"] else desk.out(_OPENFIRE))
            return Exit.OK
        return await _install(desk, server, options)

    return action


async def _install(desk: Desk, server: str, options: dict[str, Any]) -> int:
    from xmppbus.setup.found import KINDS
    from xmppbus.setup.machine import find_servers
    from xmppbus.setup.server_modules import (
        Wish,
        config_lines,
        directory_of,
        module_files,
        next_steps,
        write_module,
    )

    kind = next(each for each in KINDS if each.lower() == server)
    found = [each for each in find_servers() if each.kind == kind]
    directory = options["to"].absolute() if options["to"] else directory_of(kind, found, os.environ)
    url, needs_token = _bus(options["url"])
    wish = Wish(url, needs_token, options["logins"])
    host = options["host"] or next((host for each in found for host in each.domains), "example.org")
    paths = {directory / name: text for name, text in module_files(kind).items()}
    had_module = any(path.exists() for path in paths)
    done = {
        path: write_module(path, text, force=options["force"], dry_run=options["dry_run"])
        for path, text in paths.items()
    }
    lines = config_lines(kind, wish, host, directory, found)
    steps = next_steps(kind, wish, had_module=had_module)
    failed = any(word not in ("written", "unchanged") for word in done.values())
    if options["json"]:
        files = {str(path): word for path, word in done.items()}
        await desk.terminal.write(json_line({"files": files, "lines": lines, "next": [] if failed else steps}))
        return Exit.CANT_CREATE if failed else Exit.OK
    for path, word in done.items():
        would = "would be " if options["dry_run"] and word == "written" else ""
        await desk.out(f"{path}: {would}{word}")
    if failed:
        return Exit.CANT_CREATE
    place = next((str(each.config) for each in found if each.config), f"{kind}'s config")
    await desk.out(f"\n{desk.style(f'Into {place}', 'bold')}:\n\n{lines}\n\n{desk.style('Next', 'bold')}:")
    for step in steps:
        await desk.out(f"  {step}")
    return Exit.OK


def _bus(given: str | None) -> tuple[str, bool]:
    """Where the bus takes events, and whether it wants a token. Where its config can't be read, we suppose so."""
    from xmppbus.config import load
    from xmppbus.listening import listen_address
    from xmppbus.setup.server_modules import STOCK_URL

    try:
        config = load(None, os.environ)
    except ConfigInvalid:
        return given or STOCK_URL, True
    http = config.options.http
    if http is None or config.path is None:
        return given or STOCK_URL, True
    host, port = listen_address(http.listen)
    reach = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104  # read, not bound
    scheme = "https" if http.certificate_file else "http"
    return given or f"{scheme}://{reach}:{port}/v1/events", http.tokens_file is not None
