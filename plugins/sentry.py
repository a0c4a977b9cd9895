"""Sentry's internal integrations: issues (an incident until it is resolved or archived), alerts, comments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xmppbus.inputs.webhook import Fields, Preset, Sent, WebhookOptions
from xmppbus.inputs.webhook_fields import (
    at,
    cut,
    first_line,
    flat,
    json_of,
    link,
    named,
    number,
    one_line,
    text,
    typed,
    when,
    without_nothing,
)
from xmppbus.inputs.webhook_signatures import hexadecimal
from xmppbus.plugins import Registry

SEVERITIES = {"fatal": "critical", "critical": "critical", "error": "error", "warning": "warning", "info": "info"}
FIRING = ("created", "unresolved")
OVER = ("resolved", "archived", "ignored")


def events(sent: Sent) -> list[Fields]:
    """One for each request."""
    body = json_of(sent)
    kind = sent.headers.get("sentry-hook-resource", "")
    if not kind:
        raise ValueError("the header Sentry-Hook-Resource is missing; use an internal integration's webhook")
    more = SPOKEN.get(kind, _other)(kind, body)
    data = {"kind": kind, "action": text(body, "action"), "actor": text(body, "actor", "name")}
    fields = {"type": typed("sentry", kind), **more, "data": without_nothing({**data, **more.get("data", {})})}
    return [without_nothing(fields)]


def _issue(kind: str, body: dict[str, Any]) -> Fields:
    del kind
    issue, action = at(body, "data", "issue"), text(body, "action")
    project = text(issue, "project", "slug") or text(issue, "project", "name")
    title = first_line(text(issue, "title"))
    status = "firing" if action in FIRING else "resolved" if action in OVER else None
    data: Fields = {"title": cut(text(issue, "title")), "culprit": text(issue, "culprit"), "project": project}
    data |= {"issue": text(issue, "shortId"), "level": text(issue, "level"), "platform": text(issue, "platform")}
    data |= {"count": number(issue, "count"), "users": number(issue, "userCount")}
    # The actor is Sentry itself or somebody: with the latter people know whom to ask.
    who = text(body, "actor", "name") if text(body, "actor", "type") == "user" else ""
    said = f"{action}{f' by {who}' if who else ''}" if action != "created" else ""
    return {
        "source": named(f"sentry:{project}"),
        "subject": named(text(issue, "shortId")),
        "summary": one_line(f"{project}:", title, said and f"– {said}"),
        "severity": SEVERITIES.get(text(issue, "level"), "info"),
        "key": named(f"sentry:{text(issue, 'id')}"),
        "status": status,
        "link": link(text(issue, "web_url"), text(issue, "permalink"), text(issue, "url")),
        "time": when(issue, "lastSeen"),
        "data": data,
    }


def _alert(kind: str, body: dict[str, Any]) -> Fields:
    """An issue alert, or a new error: an event of Sentry."""
    found = at(body, "data", "event") or at(body, "data", "error")
    project, title = text(found, "project_name") or text(found, "project"), first_line(text(found, "title"))
    rule = text(body, "data", "triggered_rule")
    data = {"title": cut(text(found, "title")), "culprit": text(found, "culprit"), "rule": rule, "project": project}
    data |= {"level": text(found, "level"), "platform": text(found, "platform"), "event": text(found, "event_id")}
    return {
        "source": named(f"sentry:{project}"),
        "subject": named(rule or kind),
        "summary": one_line(f"{rule}:" if rule else "", title or kind),
        "severity": SEVERITIES.get(text(found, "level"), "error"),
        "link": link(text(found, "web_url"), text(found, "url")),
        "time": when(found, "datetime"),
        "data": data,
    }


def _metric(kind: str, body: dict[str, Any]) -> Fields:
    del kind
    found = at(body, "data", "metric_alert")
    action, rule = text(body, "action"), text(found, "alert_rule", "name")
    project = text(found, "organization_id")
    said = text(body, "data", "description_title") or f"{action}: {rule}"
    return {
        "subject": named(rule),
        "summary": one_line(said, text(body, "data", "description_text"), between=" – "),
        "severity": {"critical": "critical", "warning": "warning"}.get(action, "warning"),
        "key": named(f"sentry:{project}:{rule}:{text(found, 'id')}"),
        "status": "resolved" if action == "resolved" else "firing",
        "link": link(text(body, "data", "web_url")),
        "time": when(found, "date_created"),
        "data": {"rule": rule, "text": cut(text(body, "data", "description_text"))},
    }


def _other(kind: str, body: dict[str, Any]) -> Fields:
    who = text(body, "actor", "name")
    said = one_line("Sentry:", kind.replace("_", " "), text(body, "action"), f"by {who}" if who else "")
    return {"summary": said, "data": flat(at(body, "data"))}


SPOKEN: dict[str, Callable[[str, dict[str, Any]], Fields]] = {
    "issue": _issue,
    "event_alert": _alert,
    "error": _alert,
    "metric_alert": _metric,
}


def register(registry: Registry) -> None:
    preset = Preset(events, hexadecimal("sentry-hook-signature"), delivery="request-id")
    registry.input("sentry", preset, options=WebhookOptions)
