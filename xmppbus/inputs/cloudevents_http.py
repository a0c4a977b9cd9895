"""HTTP requests as event fields: CloudEvents 1.0's HTTP binding, and what `curl -d` sends. Pure; no I/O.

Modes: structured and batch carry events as JSON; binary carries the fields in `ce-` headers and data in the body.
"""

from __future__ import annotations

import base64
import enum
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.event import bytes_as_data
from xmppbus.fields import decode_fields
from xmppbus.web import check_json, query_fields

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
LINES = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/json-lines")
FORM = "application/x-www-form-urlencoded"
UTF_8 = ("", "utf-8", "us-ascii")  # ASCII is a part of it
"""Charsets of text that is read as text."""

_PREFIX = "ce-"
_BY_BODY = ("data", "data_base64", "datacontenttype")
_decode_list = msgspec.json.Decoder(list[Any]).decode
_decode_any = msgspec.json.Decoder().decode


class Mode(enum.Enum):
    """How a request carries its events."""

    OBJECT = "one event as a JSON object"
    ARRAY = "a JSON array of events"
    PLAIN = "one or the other, whichever it is"
    LINES = "one event a line"
    BINARY = "fields in headers, data in the body"


def mode_of(content_type: str, headers: Mapping[str, str]) -> Mode:
    """By the media type, as §3 of the binding says. Raises `Refused` (unsupported-media-type)."""
    if content_type == STRUCTURED:
        return Mode.OBJECT
    media, charset = media_type(content_type)
    if media.startswith("application/cloudevents"):
        if media not in (STRUCTURED, BATCH):
            raise Refused(Code.MEDIA_TYPE, f"{media!r} is not spoken here; of CloudEvents' formats only JSON is")
    elif "ce-specversion" in headers or "ce-type" in headers:
        return Mode.BINARY
    if charset not in UTF_8:
        raise Refused(Code.MEDIA_TYPE, f"the charset {charset[:32]!r} is not taken; JSON is UTF-8")
    modes = {STRUCTURED: Mode.OBJECT, BATCH: Mode.ARRAY, **dict.fromkeys(("application/json", ""), Mode.PLAIN)}
    mode = modes.get(media) or (Mode.LINES if media in LINES else None)
    if mode is None:
        raise Refused(
            Code.MEDIA_TYPE,
            f"{media[:64]!r} says nothing of an event: send application/json, {STRUCTURED}, {BATCH} or {LINES[0]}, or "
            "any body to /v1/events/TYPE",
        )
    return mode


def media_type(content_type: str) -> tuple[str, str]:
    """Media type and charset of a Content-Type (RFC 9110 §8.3), in lower case; empty where there is none."""
    media, *parameters = content_type.split(";")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return media.strip().lower(), value.strip().strip('"').lower()
    return media.strip().lower(), ""


def events_of(mode: Mode, body: bytes) -> list[dict[str, Any] | Refused]:
    """The fields of each event; a `Refused` stands where one can't be read. Raises `Refused` when none can."""
    if mode is Mode.LINES:
        check_json(body)
        lines = [line for line in body.split(b"\n") if line.strip()]
        _check_count(len(lines))
        return [_object_or_refused(line) for line in lines]
    found = _list(body)
    _check_count(len(found))
    return [each if isinstance(each, dict) else _not_an_object() for each in found]


def is_object(mode: Mode, body: bytes) -> bool:
    """Whether a body is one event, which gets one answer and not a list of them."""
    return mode is Mode.OBJECT or (mode is Mode.PLAIN and body.lstrip()[:1] != b"[")


def _check_count(count: int) -> None:
    if count > limits.BATCH_EVENTS:
        raise Refused(Code.TOO_BIG, f"{count} events in one request of at most {limits.BATCH_EVENTS}; send several")


def _list(body: bytes) -> list[Any]:
    try:
        return _decode_list(check_json(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Code.INVALID, f"not a JSON array of events: {error}") from error


def _object_or_refused(line: bytes) -> dict[str, Any] | Refused:
    try:
        return decode_fields(line)
    except Refused as refusal:
        return refusal


def _not_an_object() -> Refused:
    return Refused(Code.INVALID, "not a JSON object")


# --- binary mode ------------------------------------------------------------------------------------------------------


def binary_event(headers: Iterable[tuple[str, str]], query: str, content_type: str, body: bytes) -> dict[str, Any]:
    """An event from `ce-` headers, the query's fields, and a body that is its data. Raises `Refused`."""
    fields: dict[str, Any] = {}
    for name, value in headers:
        if name[:3].lower() == _PREFIX:
            _put(fields, name[3:].lower(), _header_text(name, value))
    for field, value in query_fields(query):
        _put(fields, field, value)
    # int() itself refuses thousands of digits; what is left as text is refused with the field's name.
    if "hops" in fields and fields["hops"].isdecimal() and len(fields["hops"]) <= len(str(limits.HOPS)):
        fields["hops"] = int(fields["hops"])
    return fields | data_of(content_type, body)


def _put(fields: dict[str, Any], field: str, value: str) -> None:
    if field in _BY_BODY:
        raise Refused(Code.INVALID, "is the body, and its type is Content-Type", field=field)
    if fields.setdefault(field, value) != value:
        raise Refused(Code.INVALID, "given twice, and not the same", field=field[:64])


def _header_text(name: str, value: str) -> str:
    """The text of a `ce-` header: §3.1.3.2 of the binding: quotes go first, then percent-encoding, then UTF-8."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = _unquote(value[1:-1])
    if "%" not in value and value.isascii():
        return value
    try:
        # aiohttp gives bytes that are not UTF-8 as lone surrogates; they must not get through.
        return unquote_to_bytes(value.encode(errors="surrogateescape")).decode()
    except UnicodeError:
        raise Refused(Code.INVALID, "is not percent-encoded UTF-8", field=name[3:67].lower()) from None


def _unquote(text: str) -> str:
    """The content of a quoted-string (RFC 9110 §5.6.4): a backslash stands before the character that is meant."""
    parts = iter(text)
    return "".join(next(parts, "\\") if each == "\\" else each for each in parts)


def data_of(content_type: str, body: bytes) -> dict[str, Any]:
    """A body as data: JSON as itself, text as text, anything else as `data_base64`. Not a byte is lost.

    What `curl -d` says of its body by default (a form) is not what people mean, so it counts as nothing said.
    """
    if not body:
        return {}
    media, charset = media_type(content_type)
    if media in ("", FORM):
        return dict(bytes_as_data(body))
    if media == "application/json" or media.endswith("+json"):
        return {"data": _json(body), "datacontenttype": content_type}
    if charset in UTF_8:
        return bytes_as_data(body) | {"datacontenttype": content_type}
    # Other charsets are bytes: their text may look like UTF-8 and would be read wrongly.
    return {"data_base64": base64.b64encode(body).decode(), "datacontenttype": content_type}


def _json(body: bytes) -> Any:
    try:
        return _decode_any(check_json(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Code.INVALID, f"is not JSON, though Content-Type says so: {error}", field="data") from error
