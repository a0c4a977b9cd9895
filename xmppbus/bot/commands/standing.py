"""`status`, `incidents`, `nodes`: how things stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from xmppbus import limits
from xmppbus.bot.access import Action
from xmppbus.bot.command import Answer, Asker, Table, Values
from xmppbus.bot.commands.rooms import troubles
from xmppbus.bot.desk import Desk
from xmppbus.bot.finding import OPEN
from xmppbus.errors import condition
from xmppbus.people.catalogue import _, mark, several
from xmppbus.people.durations import ago, lasting
from xmppbus.people.incidents import is_work
from xmppbus.people.model import Incident, Status
from xmppbus.people.texts import incident_line
from xmppbus.plugins import Registry
from xmppbus.render import plain
from xmppbus.xmpp import requests
from xmppbus.xmpp.replies import ErrorAnswer, NoAnswer

_STATES = {
    "up": mark("● up: everything works"),
    "behind": mark("● behind: it works, and is working off what waits"),
    "down": mark("● down: not everything can be delivered now; it is kept"),
    "refusing": mark("● refusing: no event is accepted at the moment"),
}
_STOPPED_SHOWN = 10


async def status(desk: Desk, asker: Asker, values: Values) -> Answer:  # noqa: ARG001  # everybody is told the same
    """What is up, down or behind, and what is open."""
    found = await desk.house.status()
    now = desk.now()
    lines = [_(_STATES[found["state"]]), _open(await desk.people.incidents(OPEN, limits.INCIDENTS_LISTED))]
    if found["xmpp"]:
        lines.append(_stream(found["xmpp"], now))
    lines += _outputs(found["outputs"])
    lines += troubles(desk)
    lines += _stopped(found["stopped"])
    lines.append(_journal(found["journal"]))
    return Answer("\n".join(lines))


def _open(incidents: list[Incident]) -> str:
    incidents = [each for each in incidents if not is_work(each)]
    firing = sum(1 for each in incidents if each.status is Status.FIRING)
    if not incidents:
        return _("no incident is open")
    more = "+" if len(incidents) == limits.INCIDENTS_LISTED else ""
    return _("incidents: {firing}{more} firing, {acknowledged} acknowledged").format(
        firing=firing, more=more, acknowledged=len(incidents) - firing
    )


def _stream(stream: Mapping[str, Any], now: datetime) -> str:
    since = ago(datetime.fromisoformat(stream["since"]), now)
    line = f"xmpp: {stream['state']} · {since} · {stream['jid']}"
    return f"{line}\n  {stream['reason']}" if stream.get("reason") else line


def _outputs(outputs: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Those that wait, or do not work."""
    for name, output in outputs.items():
        words = []
        if output["state"] != "up":
            words.append(f"{output['state']}: {output['reason']}" if output.get("reason") else str(output["state"]))
        if output.get("waiting"):
            oldest = output.get("oldest_seconds")
            waiting = several("{count} waits", "{count} wait", output["waiting"]).format(count=f"{output['waiting']:,}")
            words.append(waiting + (_(", the oldest for {lasting}").format(lasting=lasting(oldest)) if oldest else ""))
        if words:
            yield " · ".join([name, *words])


def _stopped(stopped: list[Mapping[str, Any]]) -> Iterator[str]:
    for each in stopped[:_STOPPED_SHOWN]:
        why = plain(each["text"]) or condition(each["condition"]).advice
        yield _("stopped: {place} · {count} wait · {why}").format(
            place=f"{each['output']}:{each['place']}", count=each["waiting"], why=f"{each['condition']}: {why}"
        )
    left = len(stopped) - _STOPPED_SHOWN
    if left > 0:
        yield several("and {count} place more", "and {count} places more", left).format(count=left)


def _journal(journal: Mapping[str, Any]) -> str:
    percent = 100 * journal["bytes"] / (journal["most_bytes"] or 1)
    line = _("journal: {entries} events, {waiting} wait, {dead} dead, {percent} % full").format(
        entries=f"{journal['entries']:,}",
        waiting=f"{journal['waiting']:,}",
        dead=f"{journal['dead']:,}",
        percent=f"{percent:.0f}",
    )
    return line if journal["accepting"] else f"{line}\n  {journal['reason']}"


async def incidents(desk: Desk, asker: Asker, values: Values) -> Answer:  # noqa: ARG001  # everybody is told the same
    """What is firing, and what somebody has taken on."""
    found = await desk.people.incidents(OPEN, limits.ANSWER_ROWS)
    if not found:
        return Answer(_("No incident is open."))
    now = desk.now()
    rows = [
        (incident_line(each), plain(each.key), _("since {lasting}").format(lasting=ago(each.opened, now)), _by(each))
        for each in found
    ]
    return Answer(table=Table((_("incident"), _("key"), _("since"), _("acknowledged by")), rows))


def _by(incident: Incident) -> str:
    return _("acknowledged by {by}").format(by=plain(incident.by)) if incident.status is Status.ACKNOWLEDGED else ""


async def nodes(desk: Desk, asker: Asker, values: Values) -> Answer:  # noqa: ARG001  # it has no arguments
    """The nodes of the pubsub service, and which of them take nothing."""
    stream = desk.house.xmpp
    if stream is None:
        return Answer(_("There is no server, so there are no nodes."), failed=True)
    try:
        names = sorted(requests.read_nodes(await stream.ask("get", stream.service, requests.nodes())))
    except (ErrorAnswer, NoAnswer) as error:
        return Answer(_("{service} does not say: {error}.").format(service=stream.service, error=error), failed=True)
    places = {each.place: each for each in await desk.house.journal.places() if each.output == "pubsub"}
    rows = []
    for name in names[: limits.ANSWER_ROWS]:
        place = places.get(name)
        waiting = several("{count} waits", "{count} wait", place.waiting).format(count=place.waiting) if place else ""
        rows.append((name, waiting, place.stop.condition if place and place.stop else ""))
    text = several("{count} node at {service}", "{count} nodes at {service}", len(names))
    return Answer(
        text.format(count=f"{len(names):,}", service=stream.service),
        Table((_("node"), _("waiting"), _("stopped")), rows),
    )


def register(registry: Registry) -> None:
    """Offer them."""
    registry.command("status", mark("Whether everything works, and what is open"), status)
    registry.command("incidents", mark("What is firing, and what somebody has taken on"), incidents, aliases=("open",))
    registry.command("nodes", mark("The nodes of the pubsub service"), nodes, action=Action.ADMINISTER)
