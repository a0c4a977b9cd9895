"""Prometheus' Alertmanager: each alert of a group is an event, and its fingerprint the key of its incident.

`Watchdog`, the alert that always fires, is no incident but a heartbeat: its silence is what has to be noticed.
"""

from __future__ import annotations

from typing import Any

from xmppbus.inputs.webhook import Fields, Preset, Sent, WebhookOptions
from xmppbus.inputs.webhook_fields import (
    cut,
    fingerprint,
    first_line,
    flat,
    json_of,
    link,
    named,
    objects,
    one_line,
    text,
    typed,
    when,
    without_nothing,
)
from xmppbus.plugins import Registry

HEARTBEATS = ("Watchdog", "DeadMansSwitch")
SEVERITIES = {
    **dict.fromkeys(("critical", "page", "emergency", "alert", "fatal", "disaster", "p1"), "critical"),
    **dict.fromkeys(("error", "major", "high", "p2"), "error"),
    **dict.fromkeys(("warning", "warn", "minor", "average", "medium", "p3"), "warning"),
    **dict.fromkeys(("notice", "low", "p4"), "notice"),
    **dict.fromkeys(("info", "information", "informational", "p5"), "info"),
    **dict.fromkeys(("none", "debug"), "debug"),
}
ABOUT = ("instance", "pod", "node", "host", "hostname", "device", "service", "job")
"""Labels that say what an alert is about, the first that it has."""
SAID = ("summary", "message", "description", "title")
"""Annotations that say what is wrong, likewise."""


def events(sent: Sent) -> list[Fields]:
    """One for each alert."""
    body = json_of(sent)
    if not isinstance(body.get("alerts"), list):
        raise ValueError("the body has no list `alerts`")
    return [alert(each, body, ("generatorURL",), "alertmanager") for each in objects(body, "alerts")]


def alert(found: dict[str, Any], body: dict[str, Any], links: tuple[str, ...], name: str) -> Fields:
    """An alert as an event; Grafana's are the same, with more links."""
    labels, annotations = (flat(found.get(each)) for each in ("labels", "annotations"))
    called = text(labels, "alertname") or "unnamed"
    about = next((text(labels, each) for each in ABOUT if text(labels, each)), "")
    key = text(found, "fingerprint") or fingerprint(labels)
    is_over = text(found, "status") == "resolved"
    said = next((text(annotations, each) for each in SAID if text(annotations, each)), "")
    word, beats = "RESOLVED" if is_over else "FIRING", called in HEARTBEATS
    head = called if beats else f"[{word}] {called}"
    fields = {
        "type": typed("alert", called),
        "source": named(text(body, "externalURL")) or name,
        "subject": named(about),
        "summary": one_line(one_line(head, about if about not in said else ""), first_line(said), between=" – "),
        "severity": SEVERITIES.get(text(labels, "severity").lower(), "warning"),
        "link": link(
            *(text(found, each) for each in links), text(annotations, "runbook_url"), text(body, "externalURL")
        ),
        "time": when(found, "endsAt" if is_over else "startsAt"),
        "data": without_nothing(
            {
                "alertname": called,
                **labels,
                **{each: said for each, said in annotations.items() if each not in labels},
                "text": cut(text(annotations, "description") or said),
                "receiver": text(body, "receiver"),
                "starts": text(found, "startsAt"),
                "ends": text(found, "endsAt") if is_over else "",
                **flat({"value": found.get("values")}),
            }
        ),
    }
    if beats:
        beat = {"severity": "debug", "time": None}  # it says that all is well now, and not since when
        ended = {
            "severity": "warning",
            "type": typed("alert", called, "ended"),
            "summary": f"{called} has stopped: alerting is out of order",
        }
        return without_nothing({**fields, **(ended if is_over else beat)})
    named_by = f"{key}/{'resolved' if is_over else 'firing'}/{fingerprint(fields)}"
    return without_nothing({**fields, "key": named(key), "status": word.lower(), "id": named(named_by)})


def register(registry: Registry) -> None:
    registry.input("alertmanager", Preset(events), options=WebhookOptions)
