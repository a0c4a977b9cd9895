"""`xmppbus watch`: a board for a terminal in a corner."""

from __future__ import annotations

import click

from xmppbus.cli.desk import Action, Desk
from xmppbus.cli.patterns import Pattern
from xmppbus.cli.since import HELP, check_since
from xmppbus.errors import Exit
from xmppbus.fields import SEVERITIES

INSTEAD = "`xmppbus listen` prints the same as lines"


@click.command()
@click.argument("patterns", nargs=-1, type=Pattern(), metavar="[PATTERN]...")
@click.option(
    "--since",
    metavar="SEQUENCE|TIME|all",
    callback=check_since,
    help=HELP + " Else: with the last 200.",
)
@click.option(
    "--severity",
    type=click.Choice(SEVERITIES),
    default=SEVERITIES[0],
    show_default=True,
    help="Only what is at least so severe; s and S change it.",
)
def watch(patterns: tuple[str, ...], since: str | None, severity: str) -> Action:
    """Show a board in this terminal: what happens, what fires, and how the house stands.

    Events whose type matches a PATTERN (* is one word, # any number of them), or all. It goes on for weeks: when the
    daemon is away it says so, and shows what it missed when the daemon is back. ? lists the keys.

    \b
    Example:
      xmppbus watch
      xmppbus watch 'disk.#' 'build.*' --severity notice --since 12h
    """

    async def action(desk: Desk) -> int:
        if not (desk.facts.terminals[0] and desk.facts.terminals[1]):
            await desk.err(f"watch needs a terminal to draw on; {INSTEAD}")
            return Exit.USAGE
        if desk.facts.environment.get("TERM", "dumb") in ("dumb", ""):
            await desk.err(f"watch needs a terminal that it can draw on, and TERM says there is none; {INSTEAD}")
            return Exit.USAGE
        try:
            from xmppbus.cli.board.app import Board, Wanted
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in ("textual", "rich"):
                raise
            await desk.err(f"watch needs Textual: pip install 'xmppbus[watch]'; {INSTEAD}")
            return Exit.UNAVAILABLE
        board = Board(Wanted(patterns, severity, since, desk.zone))
        result = board.run(mouse=False)
        return board.return_code or 0 if result is None else result

    return action
