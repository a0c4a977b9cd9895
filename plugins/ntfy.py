"""What is published to ntfy: a script changes the server's address to `.../v1/webhooks/ntfy`, and nothing else.

A topic `backups` is the type `ntfy.backups`; the answer is what ntfy answers.
"""

from __future__ import annotations

import email.errors
import email.header
import re
from datetime import datetime
from typing import Any

import msgspec

from xmppbus import limits
from xmppbus.event import bytes_as_data
from xmppbus.inputs.webhook import Fields, Preset, Reply, Sent, WebhookOptions
from xmppbus.inputs.webhook_fields import (
    at,
    cut,
    first_line,
    json_of,
    link,
    named,
    one_line,
    tags,
    text,
    typed,
    without_nothing,
)
from xmppbus.interfaces import Accepted
from xmppbus.plugins import Registry

_TOPIC = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*(?<!.{65})")
PRIORITIES = {
    "1": 1,
    "min": 1,
    "2": 2,
    "low": 2,
    "3": 3,
    "default": 3,
    "4": 4,
    "high": 4,
    "5": 5,
    "max": 5,
    "urgent": 5,
}
SEVERITIES = {1: "debug", 2: "info", 3: "info", 4: "warning", 5: "critical"}
NAMES = {
    "title": ("x-title", "title", "ti", "t"),
    "message": ("x-message", "message", "m"),
    "priority": ("x-priority", "priority", "prio", "p"),
    "tags": ("x-tags", "tags", "tag", "ta"),
    "click": ("x-click", "click"),
    "delay": ("x-delay", "delay", "x-at", "at", "x-in", "in"),
    "filename": ("x-filename", "filename", "file", "f"),
}
"""Headers, and fields of the query, as ntfy reads them."""


def events(sent: Sent) -> list[Fields]:
    """The message. Raises `ValueError` for what can't be done here."""
    found = _as_json(json_of(sent)) if not sent.rest else _as_text(sent)
    topic = found["topic"]
    if not topic:
        raise ValueError("there is no topic: publish to .../v1/webhooks/ntfy/TOPIC, or give `topic` in the JSON")
    if not _TOPIC.fullmatch(topic):
        raise ValueError(f"the topic {topic[:64]!r} is not 1 to 64 letters, digits, _ and -")
    if found.get("delay"):
        raise ValueError("a message can't be delayed here; send it when it is due")
    priority = PRIORITIES.get(found["priority"].lower() or "3")
    if priority is None:
        raise ValueError(f"the priority {found['priority'][:20]!r} is not 1 to 5, min, low, default, high or max")
    said = text(found, "data", "data")
    # As with ntfy: an empty message is said to be one.
    message = said if said or "data_base64" in found["data"] else "triggered"
    data = found["data"] if "data_base64" in found["data"] else {}
    title = found["title"] or (f"file {found['filename'] or 'without a name'}" if data else "")
    fields = {
        "type": typed("ntfy", *topic.split(".")),
        "subject": named(topic),
        "summary": one_line(first_line(title, 300) or first_line(message, 300)) or "triggered",
        "severity": SEVERITIES[priority],
        "tags": tags([each for each in found["tags"] if each]),
        "link": link(found["click"]),
        "data": {
            "text": cut(message, limits.EVENT_BYTES // 8),
            **without_nothing({"title": cut(title), "priority": priority}),
        },
    }
    if data:
        fields = {**fields, **data}
        fields.pop("data")
    return [without_nothing(fields)]


def _as_json(body: dict[str, Any]) -> dict[str, Any]:
    """Publishing as JSON: everything is in the body."""
    listed = at(body, "tags")
    return {
        "topic": text(body, "topic").strip(),
        "title": text(body, "title"),
        "priority": text(body, "priority"),
        "tags": [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else [],
        "click": text(body, "click"),
        "delay": text(body, "delay"),
        "filename": text(body, "filename"),
        "data": {"data": text(body, "message")},
    }


def _as_text(sent: Sent) -> dict[str, Any]:
    """The message is the body, the rest are headers or the query."""
    said = {name: _header(sent, names) for name, names in NAMES.items()}
    content = bytes_as_data(sent.body)
    if said["message"] and "data" in content:
        content = {"data": said["message"].replace("\\n", "\n")}
    return {**said, "topic": sent.rest.strip(), "tags": said["tags"].split(","), "data": content}


def _header(sent: Sent, names: tuple[str, ...]) -> str:
    found = next((each[name] for each in (sent.headers, sent.query) for name in names if each.get(name)), "")
    if "=?" in found and len(found) < limits.SUMMARY_CHARACTERS:
        try:
            found = str(email.header.make_header(email.header.decode_header(found)))
        except (email.errors.HeaderParseError, LookupError, ValueError):
            return text(found)
    return text(found).strip()


def reply(sent: Sent, fields: Fields, accepted: Accepted, now: datetime) -> Reply:
    """The message as ntfy shows it; `id` is the item id, by which `xmppbus show` finds it."""
    del sent
    data = fields.get("data", {})
    seconds = int(now.timestamp())
    found = {
        "id": accepted.item_id,
        "time": seconds,
        "event": "message",
        "topic": fields.get("subject", ""),
        "title": data.get("title"),
        "message": data.get("text") or fields["summary"],
        "priority": data.get("priority") if data.get("priority") != 3 else None,
        "tags": fields.get("tags"),
        "click": fields.get("link"),
    }
    return Reply(msgspec.json.encode(without_nothing(found)) + b"\n")


def register(registry: Registry) -> None:
    registry.input("ntfy", Preset(events, reply=reply, is_topic=True), options=WebhookOptions)
