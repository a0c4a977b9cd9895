"""`xmppbus config`: the schema of the config, for editors; and what a config comes to."""

from __future__ import annotations

import os
from pathlib import Path

import click

from xmppbus.cli.desk import Action, Desk, encode
from xmppbus.errors import ConfigInvalid, Exit


@click.group()
def config() -> None:
    """The schema of the config, for editors, and what a config comes to.

    \b
    Example:
      xmppbus config schema > xmppbus.schema.json
    """


@config.command()
def schema() -> Action:
    """Print the JSON Schema of the config: editors complete names and values by it, and underline mistakes.

    The first line of a config may name it: `# yaml-language-server: $schema=xmppbus.schema.json`.

    \b
    Example:
      xmppbus config schema > xmppbus.schema.json
    """

    async def action(desk: Desk) -> int:
        import json

        from xmppbus.app import built_in
        from xmppbus.config.schema import schema as found

        await desk.out(json.dumps(found(built_in().options), indent=2, ensure_ascii=False))
        return Exit.OK

    return action


@config.command()
@click.option("--config", "path", metavar="FILE", help="The config; else the one that `xmppbus serve` would take.")
@click.option("--json", is_flag=True, help="As one JSON object.")
def show(path: str | None, json: bool) -> Action:
    """Print the whole config with every default, as YAML. There is no secret in it: it names files, and reads none.

    \b
    Example:
      xmppbus config show
      xmppbus config show --json | jq .journal
    """

    async def action(desk: Desk) -> int:
        import msgspec
        import yaml

        from xmppbus.cli.showing import json_line
        from xmppbus.config import load

        try:
            found = load(Path(path) if path else None, os.environ)
        except ConfigInvalid as error:
            await desk.terminal.complain(encode(f"{error}\n"))
            return Exit.CONFIG
        options = msgspec.to_builtins(found.options)
        if json:
            await desk.terminal.write(json_line(options))
        else:
            await desk.err(
                f"{found.path or 'no config: a local bus'}; journal {found.journal_path}, socket {found.socket_path}"
            )
            await desk.terminal.write(encode(yaml.safe_dump(options, sort_keys=False, allow_unicode=True, width=120)))
        return Exit.OK

    return action
