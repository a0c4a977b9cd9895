"""What is sent to an incoming webhook of Slack (or Mattermost): a script changes its URL, and is answered `ok`."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from xmppbus.inputs.webhook import Fields, Preset, Reply, Sent, WebhookOptions
from xmppbus.inputs.webhook_fields import (
    cut,
    first_line,
    json_of,
    link,
    named,
    objects,
    one_line,
    text,
    typed,
    without_nothing,
)
from xmppbus.inputs.webhook_signatures import SLACK
from xmppbus.interfaces import Accepted
from xmppbus.plugins import Registry

COLOURS = {"danger": "error", "warning": "warning", "good": "info"}
_LINK = re.compile(r"<((?:https?|mailto):[^|<>\s]{1,2000})(?:\|([^<>]{1,500}))?>")
_MENTION = re.compile(r"<[!#@]([^|<>]{1,100})(?:\|([^<>]{1,100}))?>")


def events(sent: Sent) -> list[Fields]:
    """One for each message: `slack.CHANNEL`, or `slack.message` where it names none; `?type=` says something else."""
    body = json_of(sent)
    attachments = objects(body, "attachments")
    parts = [text(body, "text"), *(said for each in objects(body, "blocks") for said in _block(each))]
    for each in attachments:
        parts += [text(each, "pretext"), text(each, "title"), text(each, "text")]
        parts += [f"{text(field, 'title')}: {text(field, 'value')}" for field in objects(each, "fields")]
        parts += [said for block in objects(each, "blocks") for said in _block(block)]
        if not any(parts):
            parts.append(text(each, "fallback"))
    said = "\n".join(_plain(part) for part in parts if part)
    if not said.strip():
        raise ValueError("the message has no `text`, no `blocks` and no `attachments` with text")
    channel = text(body, "channel").lstrip("#@")
    severity = next((COLOURS[text(each, "color")] for each in attachments if text(each, "color") in COLOURS), "info")
    addresses = [text(each, "title_link") for each in attachments] + [
        match[1] for match in _LINK.finditer("\n".join(parts))
    ]
    fields = {
        "type": sent.query.get("type") or typed("slack", channel or "message"),
        "source": named(text(body, "username")),
        "subject": named(channel),
        "summary": one_line(first_line(said, 300)),
        "severity": severity,
        "link": link(*addresses),
        "data": {"text": cut(said), **without_nothing({"channel": channel, "username": text(body, "username")})},
    }
    return [without_nothing(fields)]


def _block(block: dict[str, Any]) -> list[str]:
    """The texts of one of Slack's blocks."""
    found = [text(block, "text", "text"), *(text(each, "text") for each in objects(block, "fields"))]
    if text(block, "type") == "context":
        found += [text(each, "text") for each in objects(block, "elements")]
    if text(block, "type") == "rich_text":
        for section in objects(block, "elements"):
            found.append("".join(text(each, "text") or text(each, "url") for each in objects(section, "elements")))
    return found


def _plain(said: str) -> str:
    """Slack's own markup as text: `<https://example.org|here>` is `here (https://example.org)`."""
    said = _LINK.sub(lambda match: f"{match[2]} ({match[1]})" if match[2] else match[1], said)
    said = _MENTION.sub(lambda match: f"@{match[2] or match[1]}", said)
    return said.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def reply(sent: Sent, fields: Fields, accepted: Accepted, now: datetime) -> Reply:
    """As Slack answers."""
    del sent, fields, accepted, now
    return Reply(b"ok", "text/plain; charset=utf-8")


def register(registry: Registry) -> None:
    registry.input("slack", Preset(events, SLACK, reply=reply), options=WebhookOptions)
