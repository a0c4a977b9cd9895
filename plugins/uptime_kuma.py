"""Uptime Kuma, notification type Webhook: a monitor that is down is an incident; its ping is a number to plot."""

from __future__ import annotations

from xmppbus.inputs.webhook import Fields, Preset, Sent, WebhookOptions
from xmppbus.inputs.webhook_fields import (
    at,
    cut,
    fingerprint,
    first_line,
    json_of,
    link,
    named,
    number,
    one_line,
    text,
    when,
    without_nothing,
)
from xmppbus.plugins import Registry

STATES = {0: "DOWN", 1: "up again", 2: "pending", 3: "under maintenance"}


def events(sent: Sent) -> list[Fields]:
    """One for each notification; the test notification, which is about no monitor, is one as well."""
    body = json_of(sent)
    monitor, beat = at(body, "monitor"), at(body, "heartbeat")
    if not isinstance(monitor, dict) or not isinstance(beat, dict):
        if not text(body, "msg"):
            raise ValueError(
                "the body has neither `monitor` and `heartbeat` nor `msg`; choose the preset body, as JSON"
            )
        return [
            {
                "type": "uptime-kuma.message",
                "summary": one_line(text(body, "msg")),
                "data": {"text": cut(text(body, "msg"))},
            }
        ]
    name, state = text(monitor, "name") or "monitor", number(beat, "status")
    status = {0: "firing", 1: "resolved"}.get(int(state)) if state is not None else None
    word = STATES.get(int(state), "changed") if state is not None else "changed"
    data = {
        "monitor": name,
        "kind": text(monitor, "type"),
        "url": text(monitor, "url"),
        "host": text(monitor, "hostname"),
        "ping": number(beat, "ping"),
        "seconds": number(beat, "duration"),
        "state": word.lower(),
        "text": cut(text(beat, "msg")),
    }
    fields = {
        "type": "uptime-kuma.monitor",
        "subject": named(text(monitor, "pathName") or name),
        "summary": one_line(f"{name} is {word}") + (f" – {first_line(text(beat, 'msg'))}" if text(beat, "msg") else ""),
        "severity": "error" if status else "info",
        "key": named(f"uptime-kuma:{text(monitor, 'id') or name}"),
        "status": status,
        "link": link(text(monitor, "url")),
        "time": when(beat, "time"),
        "data": without_nothing(data),
    }
    return [{**without_nothing(fields), **({"id": fingerprint(fields)} if fields["time"] else {})}]


def register(registry: Registry) -> None:
    registry.input("uptime-kuma", Preset(events), options=WebhookOptions)
