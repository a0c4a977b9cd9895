"""What is published to Gotify: a script changes the server's address to `.../v1/webhooks/gotify`, and the token.

The type is `gotify.NAME`, where NAME is the token's, as an application is in Gotify; without tokens `gotify.message`.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from xmppbus import limits
from xmppbus.inputs.webhook import Fields, Preset, Reply, Sent, WebhookOptions
from xmppbus.inputs.webhook_fields import (
    at,
    cut,
    first_line,
    flat,
    form_of,
    is_form,
    json_of,
    link,
    number,
    one_line,
    text,
    typed,
    without_nothing,
)
from xmppbus.interfaces import Accepted
from xmppbus.plugins import Registry


def events(sent: Sent) -> list[Fields]:
    """The message, from JSON or a form."""
    if sent.rest != "message":
        raise ValueError("publish to .../v1/webhooks/gotify/message: the address of the server ends before /message")
    body: Fields = {**form_of(sent)} if is_form(sent) else json_of(sent)
    message, title = text(body, "message"), text(body, "title")
    if not message:
        raise ValueError("the body has no `message`")
    priority = int(number(body, "priority") or 0)
    extras = at(body, "extras")
    click = text(extras, "client::notification", "click", "url")
    fields = {
        "type": typed("gotify", sent.sender or "message"),
        "source": sent.sender or None,
        "summary": one_line(first_line(title, 300) or first_line(message, 300)),
        "severity": _severity(priority, given=at(body, "priority") is not None),
        "link": link(click),
        "data": {
            "text": cut(message, limits.EVENT_BYTES // 8),
            **without_nothing({"title": cut(title), "extras": flat(extras)}),
            "priority": priority,
        },
    }
    return [without_nothing(fields)]


def _severity(priority: int, *, given: bool) -> str:
    if not given or 1 <= priority <= 3:
        return "info"
    return "critical" if priority >= 8 else "warning" if priority >= 4 else "debug"


def reply(sent: Sent, fields: Fields, accepted: Accepted, now: datetime) -> Reply:
    """The message as Gotify shows it; `id` is the sequence."""
    data = fields["data"]
    found = {
        "id": accepted.sequence,
        "appid": 1,
        "message": data["text"],
        "title": data.get("title") or sent.sender or "xmppbus",
        "priority": data["priority"],
        "date": now.isoformat(),
    }
    return Reply(msgspec.json.encode(found))


def register(registry: Registry) -> None:
    registry.input("gotify", Preset(events, reply=reply, is_topic=True), options=WebhookOptions)
