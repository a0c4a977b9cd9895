"""`--since SEQUENCE|TIME|all`: where in the journal to begin."""

from __future__ import annotations

from datetime import datetime, tzinfo

import click

from xmppbus.cli.desk import Desk
from xmppbus.people.durations import beginning

HELP = "Begin after a sequence, at a time (2026-01-31, 2026-01-31T12:00, or 10m, 2h, 3d ago), or with `all`."


def parse(text: str, now: datetime, zone: tzinfo | None) -> int | datetime:
    """A sequence, after which to begin, or a moment. Raises `click.UsageError`."""
    try:
        return beginning(text, now, zone)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


async def sequence_of(desk: Desk, since: str) -> int:
    """The sequence after which to begin."""
    found = parse(since, desk.now(), desk.zone)
    if isinstance(found, int):
        return found
    return await desk.house.journal.sequence_at(found)


def check_since(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:  # noqa: ARG001  # click's
    """A callback of the option: what is wrong is said before anything is done."""
    if value is not None:
        try:
            parse(value, datetime.now().astimezone(), None)
        except click.UsageError as error:
            raise click.BadParameter(error.message) from None
    return value
