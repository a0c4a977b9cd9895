"""Recorded webhooks, and how services sign them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from xmppbus.inputs.webhook import Preset, Sent
from xmppbus.plugins import Registry

RECORDINGS = Path(__file__).parents[1] / "recordings"
MODULES = (
    *("alertmanager", "buildbot", "cloudevents", "gitea", "github", "gitlab", "gotify", "grafana", "healthchecks"),
    *("netdata", "ntfy", "sentry", "slack", "uptime_kuma"),
)
"""The files of `plugins/` that offer presets."""


def presets() -> dict[str, Preset]:
    """Every preset that is shipped, by the name in its address."""
    registry = Registry()
    for module in MODULES:
        importlib.import_module(f"xmppbus_plugins.{module}").register(registry)
    return cast("dict[str, Preset]", registry.inputs)


def recorded(name: str, **more: str) -> Sent:
    """One of the recordings, such as `github/push`."""
    found = json.loads((RECORDINGS / f"{name}.json").read_text())
    headers = {each.lower(): value for each, value in found["headers"].items()} | more
    return Sent(json.dumps(found["body"]).encode(), headers)


def preset_of(name: str) -> str:
    """The preset that a recording is for."""
    return name.partition("/")[0].replace("_", "-")


def events(name: str, **more: Any) -> list[dict[str, Any]]:
    """What becomes of a recording."""
    return [dict(each) for each in presets()[preset_of(name)].events(recorded(name)._replace(**more))]


def hexadecimal(secret: str, body: bytes) -> str:
    """HMAC-SHA256 as most services write it."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def standard_headers(secret: str, name: str, seconds: int, body: bytes) -> Mapping[str, str]:
    """The headers of Standard Webhooks."""
    key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    signed = hmac.new(key, f"{name}.{seconds}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(signed).decode()}"
    return {"webhook-id": name, "webhook-timestamp": str(seconds), "webhook-signature": signature}
