"""`xmppbus incidents`: what fires, what somebody has, what is over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import click

from xmppbus import limits
from xmppbus.cli.desk import SEVERITY_STYLES, Action, Desk
from xmppbus.cli.showing import json_line
from xmppbus.errors import Exit
from xmppbus.people.acting import OPEN
from xmppbus.people.durations import ago
from xmppbus.people.model import Incident, Status
from xmppbus.people.shown import incident_json
from xmppbus.render import MARKS, plain


@click.command()
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice([str(each) for each in Status]),
    help="Only those that stand so, once or more often; else all that are not resolved.",
)
@click.option(
    "-n", "count", type=click.IntRange(1, limits.INCIDENTS_LISTED), default=100, show_default=True, metavar="N"
)
@click.option("--json", is_flag=True, help="One JSON object a line.")
def incidents(statuses: tuple[str, ...], count: int, json: bool) -> Action:
    """List incidents, those that changed last first: how each stands, since when, its key, what it is about, who has
    it.

    \b
    Example:
      xmppbus incidents
      xmppbus incidents --status resolved -n 20
    """

    async def action(desk: Desk) -> int:
        from xmppbus.house import people_by_now

        desk.need_listen()
        found = await (await people_by_now(desk.house)).incidents([Status(each) for each in statuses] or OPEN, count)
        if json:
            for each in found:
                await desk.terminal.write(json_line(incident_json(each)))
        elif found:
            await desk.out("\n".join(_lines(desk, found)))
        else:
            await desk.err("no incident stands so" if statuses else "nothing fires, and nothing is acknowledged")
        return Exit.OK

    return action


def _lines(desk: Desk, found: Sequence[Incident]) -> list[str]:
    now = desk.now()
    widest = min(40, max(len(plain(each.key)) for each in found))
    return [
        "  ".join(
            [
                desk.style(MARKS[each.severity], SEVERITY_STYLES[each.severity]) + f" {each.status:<12}",
                f"{ago(since(each), now):>7}",
                f"{plain(each.key):<{widest}}",
                *incident_words(each),
            ]
        )
        for each in found
    ]


def since(incident: Incident) -> datetime:
    """When it came to stand as it does."""
    moments = {Status.FIRING: incident.opened, Status.ACKNOWLEDGED: incident.acknowledged}
    return moments.get(incident.status, incident.resolved) or incident.opened


def incident_words(incident: Incident) -> list[str]:
    """What it is about, how often it fired, and who has it."""
    words = [plain(incident.summary) or incident.type]
    words += [f"×{incident.count}"] if incident.count > 1 else []
    words += ["flapping"] if incident.flapping else []
    words += [f"by {plain(incident.by)}"] if incident.by else []
    return words
