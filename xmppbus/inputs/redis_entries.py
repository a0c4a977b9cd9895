"""Entries of Redis streams, and what is published on its channels, as event fields. Pure; no I/O."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from xmppbus.errors import Code, Refused
from xmppbus.fields import FIELDS, decode_fields
from xmppbus.inputs.amqp_messages import type_of
from xmppbus.inputs.cloudevents_http import data_of

EVENT = "event"
"""The field of an entry that holds a whole event, as CloudEvents JSON."""

_JSON = "application/json"
_FIRST_MILLISECONDS, _LAST_MILLISECONDS = 10**11, 10**14
"""An entry's id is its time unless somebody chose it: between 1973 and 5138."""


class Rule(NamedTuple):
    """What the config says of what does not say it itself."""

    type: str = ""
    source: str = ""


def event_of(stream: str, entry_id: str, entry: Mapping[bytes, bytes], rule: Rule) -> dict[str, Any]:
    """The fields of an entry, named by its id unless it names itself. Raises `Refused` where it can be no event."""
    given = {_text(b"a field's name", name): value for name, value in entry.items()}
    fields = decode_fields(given[EVENT]) if EVENT in given else _fields(given)
    defaults = _defaults(stream, rule) | {"id": entry_id, "time": _time(entry_id)}
    return fields | {field: value for field, value in defaults.items() if value and fields.get(field) is None}


def published(channel: bytes, payload: bytes, rule: Rule) -> dict[str, Any]:
    """The fields of a message on a channel: CloudEvents JSON, or else data: JSON as itself, text as text."""
    name = channel.decode("utf-8", "replace")
    fields = _data_that_may_be_json(payload)
    found = fields.get("data")
    if isinstance(found, dict) and "specversion" in found:
        fields = decode_fields(payload)
    return fields | {
        field: value for field, value in _defaults(name, rule).items() if value and fields.get(field) is None
    }


def _defaults(name: str, rule: Rule) -> dict[str, str]:
    return {"type": rule.type or type_of(name, "redis.message"), "source": rule.source or f"redis:{name}"}


def _fields(given: Mapping[str, bytes]) -> dict[str, Any]:
    """Fields that events have are taken as they are; all others are data, or, beside `data`, extensions."""
    fields: dict[str, Any] = {}
    others: dict[str, str] = {}
    for name, value in given.items():
        if name == "data":
            continue
        if name in FIELDS:
            text = _text(name.encode(), value)
            fields[name] = int(text) if name == "hops" and text.isdecimal() and len(text) < 9 else text
        else:
            others |= _other(name, value)
    if "data" in given:
        content_type = fields.pop("datacontenttype", "")
        return others | fields | data_of(content_type, given["data"])
    if "data_base64" in given:
        return others | fields
    return fields | ({"data": others, "datacontenttype": _JSON} if others else {})


def _other(name: str, value: bytes) -> dict[str, str]:
    """Text, or base64 under a name that says so."""
    try:
        return {name: value.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(value).decode()}


def _data_that_may_be_json(payload: bytes) -> dict[str, Any]:
    if payload.lstrip()[:1] in (b"{", b"["):
        try:
            return data_of(_JSON, payload)
        except Refused:
            pass  # text that only begins like JSON
    return data_of("", payload)


def _text(field: bytes, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Refused(Code.INVALID, "is not UTF-8", field=field.decode()[:64]) from None


def _time(entry_id: str) -> str:
    milliseconds = entry_id.partition("-")[0]
    number = int(milliseconds) if milliseconds.isdecimal() and len(milliseconds) < 20 else 0
    if not _FIRST_MILLISECONDS <= number < _LAST_MILLISECONDS:
        return ""
    return datetime.fromtimestamp(number / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
