"""`ack`, `unack`, `resolve`: what somebody takes on, gives back, or ends. Everybody's copy is corrected."""

from __future__ import annotations

from xmppbus.bot.access import Action
from xmppbus.bot.command import Answer, Argument, Asker, Kind, Values
from xmppbus.bot.desk import Desk
from xmppbus.bot.finding import incident_of
from xmppbus.people.acting import Acted
from xmppbus.people.catalogue import _, mark
from xmppbus.people.model import Incident, Status
from xmppbus.plugins import Registry
from xmppbus.render import plain


async def ack(desk: Desk, asker: Asker, values: Values) -> Answer:
    """Take it on; the first wins."""
    incident = await incident_of(desk, asker, values["key"])
    if incident.status is Status.RESOLVED:
        return Answer(_("It is over already: {what}").format(what=_named(incident)), failed=True)
    acted = await desk.acting.acknowledge(incident.key, by=asker.jid, via=asker.place.value)
    if acted.first:
        return Answer(_("Acknowledged: {what}").format(what=_named(acted.incident)))
    return _too_late(desk, acted)


async def unack(desk: Desk, asker: Asker, values: Values) -> Answer:
    """Give it back: it fires again, and is escalated as if nobody had seen it."""
    incident = await incident_of(desk, asker, values["key"])
    if incident.status is not Status.ACKNOWLEDGED:
        return Answer(_("Nobody has acknowledged it: {what}").format(what=_named(incident)), failed=True)
    acted = await desk.acting.unacknowledge(incident.key, by=asker.jid, via=asker.place.value)
    return Answer(_("No longer acknowledged: {what}").format(what=_named(acted.incident)))


async def resolve(desk: Desk, asker: Asker, values: Values) -> Answer:
    """End it by hand."""
    incident = await incident_of(desk, asker, values["key"])
    if incident.status is Status.RESOLVED:
        return Answer(_("It is over already: {what}").format(what=_named(incident)), failed=True)
    acted = await desk.acting.resolve(incident.key, by=asker.jid, via=asker.place.value)
    if acted.first:
        return Answer(_("Resolved: {what}").format(what=_named(acted.incident)))
    return _too_late(desk, acted)


def _too_late(desk: Desk, acted: Acted) -> Answer:
    """Who was first."""
    text = _("{by} was first, {time}: {what}")
    said = text.format(by=plain(acted.by), time=desk.clock_time(acted.moment), what=_named(acted.incident))
    return Answer(said, failed=True)


def _named(incident: Incident) -> str:
    """`disk 91 % full · db1/disk`."""
    said = " ".join(plain(incident.summary).split())
    key = plain(incident.key)
    return f"{said} · {key}" if said != key else key


def register(registry: Registry) -> None:
    """Offer them."""
    key = Argument("key", Kind.KEY, mark("its key, or an event's id; else the last you were told of"), required=False)
    registry.command(
        "ack",
        mark("Say that you take care of it; everybody sees who does"),
        ack,
        action=Action.ACKNOWLEDGE,
        arguments=(key,),
        example="ack db1/disk",
        aliases=("acknowledge",),
    )
    registry.command(
        "unack",
        mark("Give it back"),
        unack,
        action=Action.ACKNOWLEDGE,
        arguments=(key,),
        example="unack db1/disk",
    )
    registry.command(
        "resolve",
        mark("Say that it is over"),
        resolve,
        action=Action.ACKNOWLEDGE,
        arguments=(key,),
        example="resolve db1/disk",
    )
