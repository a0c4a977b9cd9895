"""`xmppbus init`: from nothing to a config, the lines for the server, and a check, in one go."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from xmppbus.cli.desk import Action, Desk
from xmppbus.cli.interview import Given, interview, nobody, prompt, servers
from xmppbus.errors import ConfigInvalid, Exit
from xmppbus.paths import SYSTEM_CONFIG, config_candidates
from xmppbus.setup.found import KINDS

_FILE = click.Path(path_type=Path)


@click.command()
@click.option(
    "--server", type=click.Choice(KINDS, case_sensitive=False), help="Which server; else the one that is found."
)
@click.option(
    "--server-config", type=_FILE, metavar="FILE", help="The server's config, where it is not in its usual place."
)
@click.option(
    "--root", type=_FILE, default=Path("/"), metavar="DIR", help="Look for servers below DIR: a container's files."
)
@click.option("--domain", metavar="DOMAIN", help="The server's domain: what people have behind the @.")
@click.option("--component", metavar="NAME", help="The name of the bus on that server; bus.DOMAIN unless it is given.")
@click.option("--pubsub-service", metavar="NAME", help="Where nodes are made; what the server has, or pubsub.DOMAIN.")
@click.option("--host", metavar="ADDRESS", help="Where the server is; this machine unless it is given.")
@click.option("--port", type=click.IntRange(1, 65_535), help="The server's port for components.")
@click.option("--owner", "owners", multiple=True, metavar="JID", help="Who owns the bot. May be given several times.")
@click.option("--http", metavar="ADDRESS", help="Where the page is; 127.0.0.1:8222 unless it is given.")
@click.option("--no-http", is_flag=True, help="No page, no HTTP.")
@click.option(
    "--secret-file", type=_FILE, metavar="FILE", help="A file whose first line is the secret; else one is made."
)
@click.option(
    "--directory", type=_FILE, metavar="DIR", help="Where to write; /etc/xmppbus for root, else ~/.config/xmppbus."
)
@click.option("--write-server-config", is_flag=True, help="Write the lines into a file that Prosody includes.")
@click.option("--yes", is_flag=True, help="Ask nothing: what no option says is what was found, or the default.")
@click.option("--dry-run", is_flag=True, help="Write nothing; show what would be written.")
@click.option("--json", is_flag=True, help="One JSON object; asks nothing.")
def init(**options: Any) -> Action:
    """Set it up: find the server, write a config, say what the server needs, and check.

    On a terminal it asks for what no option says. It reads the configs of Prosody, ejabberd or Openfire on this
    machine, and changes none of them without --write-server-config. What is there already is never written over: a
    second run changes nothing.

    Exit codes: 0 the config is there (`xmppbus check` says whether the server plays along), 64 usage, 73 it can't be
    written, or is there and says something else, 78 the config that is there can't be used.

    \b
    Example:
      xmppbus init
      xmppbus init --yes --domain example.org --owner romeo@example.org
    """
    directory, writes_server = options.pop("directory"), options.pop("write_server_config")
    yes, dry_run, json = options.pop("yes"), options.pop("dry_run"), options.pop("json")
    given = Given(service=options.pop("pubsub_service"), **options)

    async def action(desk: Desk) -> int:
        from xmppbus.cli.founding import CannotCreate, Founding

        asks = not (yes or json) and desk.facts.terminals[0] and desk.facts.terminals[2]
        founding = Founding(desk, given, directory or default_directory(os.environ), dry_run=dry_run, json=json)
        try:
            if founding.config.exists():
                return await founding.again(servers(given), writes_server=writes_server)
            found = servers(given)
            await founding.tell_found(found)
            answers = interview(given, found, prompt if asks else nobody)
            return await founding.found(answers, writes_server=writes_server)
        except ConfigInvalid as error:
            await desk.err(f"{error}")
            return Exit.CONFIG
        except CannotCreate:
            return Exit.CANT_CREATE

    return action


def default_directory(environ: Mapping[str, str]) -> Path:
    """Where `xmppbus serve` finds a config of whoever runs this."""
    return SYSTEM_CONFIG.parent if os.geteuid() == 0 else config_candidates(environ)[1].parent


def command_to(verb: str, config: Path, environ: Mapping[str, str]) -> str:
    """`xmppbus VERB`, with the config named where it would not be found by itself."""
    if config in [each.absolute() for each in config_candidates(environ)]:
        return f"xmppbus {verb}"
    return f"xmppbus {verb} --config {shlex.quote(str(config))}"
