"""Gitea and Forgejo, which speak as GitHub does, with headers of their own: `gitea.EVENT`, `forgejo.EVENT`."""

from __future__ import annotations

from functools import partial

from xmppbus.inputs.webhook import Fields, Preset, Sent, WebhookOptions
from xmppbus.inputs.webhook_fields import json_of
from xmppbus.inputs.webhook_signatures import hexadecimal
from xmppbus.plugins import Registry
from xmppbus_plugins.github import event

HEADERS = ("x-forgejo-event", "x-gitea-event", "x-gogs-event")


def events(service: str, sent: Sent) -> list[Fields]:
    """One for each delivery."""
    name = next((sent.headers[each] for each in HEADERS if sent.headers.get(each)), "")
    if not name:
        raise ValueError("the header X-Gitea-Event is missing")
    body = json_of(sent)
    body.pop("secret", None)  # old versions sent the secret itself
    return [event(service, name, body)]


def register(registry: Registry) -> None:
    for service in ("gitea", "forgejo"):
        signing = hexadecimal(f"x-{service}-signature")
        preset = Preset(partial(events, service), signing, delivery=f"x-{service}-delivery")
        registry.input(service, preset, options=WebhookOptions)
