"""Netdata: alerts, from Netdata Cloud's webhook or an agent's `custom_sender`; until it is clear one is an incident."""

from __future__ import annotations

from xmppbus.inputs.webhook import Fields, Preset, Sent, WebhookOptions
from xmppbus.inputs.webhook_fields import (
    cut,
    fingerprint,
    first_line,
    flat,
    json_of,
    link,
    named,
    one_line,
    text,
    typed,
    when,
    without_nothing,
)
from xmppbus.plugins import Registry

SEVERITIES = {"critical": "critical", "warning": "warning", "unreachable": "error"}
OVER = ("clear", "reachable", "removed")


def events(sent: Sent) -> list[Fields]:
    """One for each notification."""
    body = json_of(sent)
    state = (text(body, "severity") or text(body, "status")).lower()
    name = (
        text(body, "alert") or text(body, "alarm") or ("reachability" if state in ("reachable", "unreachable") else "")
    )
    if not name or (state not in SEVERITIES and state not in OVER):
        raise ValueError("the body has no `alert` with a `severity` (warning, critical, clear)")
    about = text(body, "chart") or text(body, "context")
    host = text(body, "node") or text(body, "host") or text(body, "hostname") or text(body, "space")
    said = first_line(text(body, "info") or text(body, "message"))
    fields = {
        "type": typed("netdata", name),
        "source": named(host),
        "subject": named(about),
        "summary": one_line(f"[{state.upper()}] {name}", host if host not in said else "", text(body, "value"))
        + (f" – {said}" if said else ""),
        "severity": SEVERITIES.get(state, "warning"),
        "key": named(":".join(filter(None, ("netdata", host, about, name)))),
        "status": "resolved" if state in OVER else "firing",
        "link": link(text(body, "alert_url"), text(body, "alarm_url"), text(body, "url")),
        "time": when(body, "date") or when(body, "when"),
        "data": without_nothing({**flat(body), "text": cut(text(body, "message") or text(body, "info"))}),
    }
    return [{**without_nothing(fields), **({"id": fingerprint(fields)} if fields["time"] else {})}]


def register(registry: Registry) -> None:
    registry.input("netdata", Preset(events), options=WebhookOptions)
