"""Healthchecks: a job that did not report is an incident until it does.

The body is what the integration is told to send: `{"now": "$NOW", "check": $JSON}`.
"""

from __future__ import annotations

from xmppbus.inputs.webhook import Fields, Preset, Sent, WebhookOptions
from xmppbus.inputs.webhook_fields import (
    at,
    cut,
    fingerprint,
    flat,
    json_of,
    link,
    named,
    number,
    one_line,
    tags,
    text,
    when,
    without_nothing,
)
from xmppbus.plugins import Registry

SECRET = ("ping_url", "update_url", "pause_url", "resume_url", "channels", "badge_url")
"""Who knows these may act for the check: they stay out of the event."""


def events(sent: Sent) -> list[Fields]:
    """One for each change of a check."""
    body = json_of(sent)
    check = at(body, "check") if isinstance(at(body, "check"), dict) else body
    name = text(check, "name") or text(check, "slug") or text(check, "unique_key")
    status = (text(body, "status") or text(check, "status")).lower()
    if not name or status not in ("up", "down"):
        raise ValueError(
            'the body has no check with a name that is up or down; let it be {"now": "$NOW", "check": $JSON}'
        )
    said = {"down": "is DOWN: it did not report in time", "up": "is up again"}[status]
    key = text(check, "uuid") or text(check, "unique_key") or name
    data = {**flat(check, leave=SECRET), "check": name, "status": status, "text": cut(text(check, "desc"))}
    data["exit"] = number(body, "exit")
    fields = {
        "type": "healthchecks.check",
        "subject": named(name),
        "summary": one_line(name, said),
        "severity": "error",
        "key": named(f"healthchecks:{key}"),
        "status": "firing" if status == "down" else "resolved",
        "tags": tags(text(check, "tags").split()),
        "link": link(text(body, "link")),
        "time": when(body, "now"),
        "data": without_nothing(data),
    }
    fields = without_nothing(fields)
    if "time" in fields:
        fields["id"] = fingerprint(fields)
    return [fields]


def register(registry: Registry) -> None:
    registry.input("healthchecks", Preset(events), options=WebhookOptions)
