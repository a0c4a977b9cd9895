"""`xmppbus version`."""

from __future__ import annotations

from importlib import metadata

import click

from xmppbus.cli.desk import Action, Desk
from xmppbus.errors import Exit


def number() -> str:
    """The installed version; `unknown` when it runs from a source tree that nobody installed."""
    try:
        return metadata.version("xmppbus")
    except metadata.PackageNotFoundError:
        return "unknown"


def text() -> str:
    """`xmppbus 0.1.0`."""
    return f"xmppbus {number()}"


@click.command("version")
def version() -> Action:
    """Show the version.

    \b
    Example:
      xmppbus version
    """

    async def action(desk: Desk) -> int:
        await desk.out(text())
        return Exit.OK

    return action
