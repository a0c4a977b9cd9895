"""Incidents, and who was told of an event, as programs see them: the same JSON at every door."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from xmppbus.event import Event
from xmppbus.journal import Entry, Journal
from xmppbus.people.acting import Acted
from xmppbus.people.durations import ago
from xmppbus.people.incidents import is_of_incident
from xmppbus.people.model import Incident, Message, Subscription
from xmppbus.people.store import People
from xmppbus.render import plain


class Known(NamedTuple):
    """What the chat plane knows of an event: the messages about it, and its incident, if it is one's."""

    messages: Sequence[Message] = ()
    incident: Incident | None = None


async def known_of(journal: Journal, people: People, entry: Entry) -> Known:
    """The incident is given only in the episode of the event."""
    messages = await people.messages_of(entry.sequence)
    return Known(messages, await _incident_of(journal, people, entry))


async def _incident_of(journal: Journal, people: People, entry: Entry) -> Incident | None:
    incident = await people.incident(key_of(entry.event)) if is_of_incident(entry.event) else None
    if incident is None or incident.sequence < entry.sequence:
        return None
    opening = await journal.find(incident.episode)
    return incident if opening is None or opening.sequence <= entry.sequence else None


def key_of(event: Event) -> str:
    """The key of an event that is an incident's."""
    return str(event.get("key"))


def known_json(known: Known) -> dict[str, Any]:
    """`messages` in the order in which they were sent, and `incident`, which may be null."""
    return {
        "messages": [message_json(each) for each in known.messages],
        "incident": incident_json(known.incident) if known.incident else None,
    }


def message_json(message: Message) -> dict[str, Any]:
    """One message about an event, and what came back."""
    return {
        "id": message.id,
        "jid": message.jid,
        "sent": _moment(message.sent),
        "received": _moment(message.received),
        "displayed": _moment(message.displayed),
        "bounced": message.bounced,
        "text": message.text,
    }


def incident_json(incident: Incident) -> dict[str, Any]:
    """How an incident stands."""
    return {
        "key": incident.key,
        "status": str(incident.status),
        "severity": incident.severity,
        "worst": incident.worst,
        "type": incident.type,
        "source": incident.source,
        "summary": incident.summary,
        "link": incident.link,
        "count": incident.count,
        "flapping": incident.flapping,
        "opened": _moment(incident.opened),
        "by": incident.by,
        "acknowledged": _moment(incident.acknowledged),
        "resolved": _moment(incident.resolved),
        "episode": incident.episode,
        "sequence": incident.sequence,
    }


def standing_json(incident: Incident) -> dict[str, Any]:
    """As little of it as somebody needs who has acted on it, and may not see what it is about."""
    shown = incident_json(incident)
    return {name: shown[name] for name in ("key", "status", "by", "acknowledged", "resolved")}


def too_late(acted: Acted, now: datetime) -> str:
    """What whoever was not the first is told."""
    when = f"{ago(acted.moment, now)} ago"
    return f"{plain(acted.by)} was first, {when}" if acted.by else f"it was over already, {when}"


def subscription_json(subscription: Subscription) -> dict[str, Any]:
    """Who wants to hear of what, and how."""
    quiet = subscription.quiet
    return {
        "id": subscription.id,
        "jid": subscription.owner,
        "pattern": subscription.pattern,
        "severity": subscription.severity,
        "digest_seconds": subscription.digest_seconds,
        "digest_events": subscription.digest_events,
        "quiet": None
        if quiet is None
        else {
            "start": clock_time(quiet.start),
            "end": clock_time(quiet.end),
            "zone": quiet.zone,
            "breaks_through": quiet.breaks_through,
        },
        "created": _moment(subscription.created),
    }


def clock_time(minutes: int) -> str:
    """Minutes since midnight, as on a clock: `22:00`."""
    return f"{minutes // 60 % 24:02}:{minutes % 60:02}"


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
