"""`xmppbus completion`: what a shell needs to complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import ShellComplete, get_completion_class

from xmppbus.cli.desk import Action, Desk
from xmppbus.errors import Exit

VARIABLE = "_XMPPBUS_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> Action:
    """Print what makes a shell complete commands and options.

    \b
    Example:
      xmppbus completion bash > ~/.local/share/bash-completion/completions/xmppbus
    """

    async def action(desk: Desk) -> int:
        chosen = get_completion_class(shell)
        assert chosen is not None  # noqa: S101  # for the type checker: click has all three
        # Not bash's own `source`, which asks the bash on PATH for its version: this only prints.
        await desk.out(ShellComplete.source(chosen(click.Command("xmppbus"), {}, "xmppbus", VARIABLE)))
        return Exit.OK

    return action
