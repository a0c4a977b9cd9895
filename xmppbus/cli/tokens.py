"""`xmppbus token`: who may come in through HTTP."""

from __future__ import annotations

import os
from pathlib import Path

import click

from xmppbus.cli.desk import Action, Desk
from xmppbus.cli.showing import json_line
from xmppbus.errors import Code, ConfigInvalid, Exit, Refused

_NO_FILE = "the config names no tokens file; write `tokens_file: /etc/xmppbus/tokens` under `http:`"
_FILE = click.option("--file", metavar="FILE", help="The tokens file; else `http: tokens_file:` of the config.")
_CONFIG = click.option("--config", metavar="FILE", help="The config; else the one that `xmppbus serve` would take.")


@click.group()
def token() -> None:
    """Add, list and remove tokens, for HTTP, STOMP and mail. The file keeps only hashes.

    \b
    Example:
      xmppbus token add website 'publish:user.#'
    """


@token.command()
@click.argument("name")
@click.argument("scopes", nargs=-1, required=True, metavar="SCOPE...")
@_FILE
@_CONFIG
def add(name: str, scopes: tuple[str, ...], file: str | None, config: str | None) -> Action:
    """Make a token named NAME, and print it: it is shown this once.

    A SCOPE is publish:PATTERN, read:PATTERN, or metrics for GET /metrics.

    \b
    Example:
      xmppbus token add grafana 'publish:disk.#' 'read:#'
    """

    async def action(desk: Desk) -> int:
        from xmppbus.web.tokens import add_token

        path, beside = _place(file, config)
        try:
            made = add_token(path, name, scopes, beside)
        except (ValueError, ConfigInvalid) as error:
            raise Refused(Code.USAGE, str(error)) from error
        except OSError as error:
            raise Refused(Code.FORBIDDEN, f"can't write {path}: {error.strerror}") from error
        await desk.out(made)
        await desk.err(f"its hash is in {path}; the token itself is nowhere: keep it")
        return Exit.OK

    return action


@token.command("list")
@_FILE
@_CONFIG
@click.option("--json", is_flag=True, help="One JSON object a line.")
def list_(file: str | None, config: str | None, json: bool) -> Action:
    """List names and scopes.

    \b
    Example:
      xmppbus token list
    """

    async def action(desk: Desk) -> int:
        from xmppbus.web.tokens import parse

        path, _ = _place(file, config)
        try:
            found = parse(path.read_text(encoding="utf-8"), str(path)) if path.exists() else []
        except (OSError, ConfigInvalid) as error:
            raise Refused(Code.USAGE, str(error)) from error
        for each in found:
            if json:
                await desk.terminal.write(json_line({"name": each.name, "scopes": each.words}))
            else:
                await desk.out(f"{each.name:<20} {' '.join(each.words)}")
        return Exit.OK

    return action


@token.command()
@click.argument("name")
@_FILE
@_CONFIG
def remove(name: str, file: str | None, config: str | None) -> Action:
    """Take a token away; it is refused from the next second on.

    \b
    Example:
      xmppbus token remove website
    """

    async def action(desk: Desk) -> int:
        from xmppbus.web.tokens import remove_token

        path, _ = _place(file, config)
        try:
            removed = remove_token(path, name)
        except OSError as error:
            raise Refused(Code.FORBIDDEN, f"can't change {path}: {error.strerror}") from error
        if not removed:
            raise Refused(Code.NOT_FOUND, f"{path} has no token named {name}; `xmppbus token list` shows them")
        await desk.out(f"{name} is removed")
        return Exit.OK

    return action


def _place(file: str | None, config: str | None) -> tuple[Path, Path | None]:
    """The tokens file, and the config that names it."""
    if file:
        return Path(file), None
    from xmppbus.config import load

    try:
        found = load(Path(config) if config else None, os.environ)
    except ConfigInvalid as error:
        raise Refused(Code.USAGE, str(error)) from error
    http = found.options.http
    if not http or not http.tokens_file:
        raise Refused(Code.USAGE, f"{_NO_FILE}, or give --file")
    return Path(http.tokens_file), found.path
