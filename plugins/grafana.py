"""Grafana's alerting, contact point Webhook: what Alertmanager sends, with links to the panel and the values."""

from __future__ import annotations

from xmppbus.inputs.webhook import Fields, Preset, Sent, WebhookOptions
from xmppbus.inputs.webhook_fields import json_of, objects
from xmppbus.inputs.webhook_signatures import hexadecimal
from xmppbus.plugins import Registry
from xmppbus_plugins.alertmanager import alert

LINKS = ("panelURL", "dashboardURL", "generatorURL")


def events(sent: Sent) -> list[Fields]:
    """One for each alert."""
    body = json_of(sent)
    if not isinstance(body.get("alerts"), list):
        raise ValueError("the body has no list `alerts`; Grafana's alerting before version 9 is not understood")
    return [alert(each, body, LINKS, "grafana") for each in objects(body, "alerts")]


def register(registry: Registry) -> None:
    registry.input("grafana", Preset(events, hexadecimal("x-grafana-alerting-signature")), options=WebhookOptions)
