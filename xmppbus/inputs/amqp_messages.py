"""AMQP messages as event fields: CloudEvents, structured or binary, and whatever else people publish. Pure; no I/O."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, NamedTuple

from xmppbus.amqp.message import UNREADABLE, Message
from xmppbus.errors import Code, Refused
from xmppbus.fields import decode_fields
from xmppbus.inputs.cloudevents_http import STRUCTURED, data_of, media_type

PREFIXES = ("cloudEvents:", "cloudEvents_")
"""Of headers that carry fields (CloudEvents' AMQP binding §3.1.3.1)."""

_BY_BODY = ("data", "data_base64", "datacontenttype")
_UNCODED = ("", "identity", "utf-8", "utf8", "us-ascii", "ascii")
_NOT_A_WORD = re.compile(r"[^A-Za-z0-9_-]+")
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(?:\s*;[\x20-\x7e]*)?")


class Rule(NamedTuple):
    """What the config says of messages that don't say it themselves."""

    type: str = ""
    source: str = ""
    by_content: bool = False  # a message without an id is named by what is in it


def event_of(message: Message, queue: str, rule: Rule) -> dict[str, Any]:
    """The fields of a message. Raises `Refused` where it can be none."""
    if UNREADABLE in message.headers:
        raise Refused(Code.INVALID, f"its headers can't be read: {message.headers[UNREADABLE]}")
    media, _ = media_type(message.content_type)
    if media == STRUCTURED:
        fields = decode_fields(message.body)
    elif media.startswith("application/cloudevents"):
        raise Refused(
            Code.MEDIA_TYPE, f"{media!r} is not spoken here; of CloudEvents' formats only JSON, one a message"
        )
    else:
        fields = _attributes(message) | _data(message)
    defaults = {
        "type": rule.type or type_of(message.routing_key, "amqp.message"),
        "source": rule.source or message.app_id or f"amqp:{message.exchange or queue}",
        "id": message.message_id or (_name(message) if rule.by_content else None),
        "time": _time(message.timestamp) if message.timestamp else None,
    }
    for field, value in defaults.items():
        if fields.get(field) is None and value is not None:
            fields[field] = value
    return fields


def type_of(name: str, otherwise: str) -> str:
    """A routing key, a stream, a channel as an event's type: what can't be in one becomes `-`."""
    words = (_NOT_A_WORD.sub("-", word) for word in name.split("."))
    return ".".join(filter(None, words)) or otherwise


def _attributes(message: Message) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in message.headers.items():
        if not name.startswith(PREFIXES):
            continue
        field = name[len(PREFIXES[0]) :]
        if field in _BY_BODY:
            raise Refused(Code.INVALID, "is the body, and its type is content-type", field=field)
        fields[field] = _time(value) if isinstance(value, datetime) else value
    return fields


def _data(message: Message) -> dict[str, Any]:
    content_type = message.content_type if _MEDIA_TYPE.fullmatch(message.content_type) else ""
    if message.content_encoding.lower() in _UNCODED:
        return data_of(content_type, message.body)
    # Compressed, or in another alphabet: kept as it is, for whoever can read it.
    return {
        "data_base64": base64.b64encode(message.body).decode(),
        "datacontenttype": content_type or "application/octet-stream",
        "contentencoding": message.content_encoding,
    }


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _name(message: Message) -> str:
    """Headers are left out: a broker adds some of its own when it delivers a message again."""
    digest = blake2b(digest_size=16)
    given = (message.exchange, message.routing_key, message.content_type, message.content_encoding, message.app_id)
    for text in (*given, str(message.timestamp or "")):
        part = text.encode("utf-8", "surrogateescape")
        digest.update(len(part).to_bytes(4, "big") + part)
    digest.update(message.body)
    return digest.hexdigest()
