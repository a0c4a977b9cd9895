"""STOMP frames as event fields, and events as the headers and body of a MESSAGE. Pure; no I/O.

`docs/reference/stomp.md` has the table. What goes in comes out again: a MESSAGE that is sent on as it is makes the same
event.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.event import Event
from xmppbus.fields import FIELDS, decode_fields
from xmppbus.inputs.cloudevents_http import STRUCTURED, data_of, media_type
from xmppbus.inputs.stomp_frames import Frame

USER_HEADERS = "stompheaders"
"""The extension that holds headers whose names no field can have, as a JSON object."""

_DESTINATION = re.compile(r"/(topic|queue)/(.+)", re.DOTALL)
_FRAME = (
    "destination",
    "content-length",
    "content-type",
    "receipt",
    "transaction",
    "message-id",
    "subscription",
    "ack",
)
_DELIVERY = ("redelivered", "attempt", "item-id", "sequence")
_SECRET = ("login", "passcode", "authorization")
_OF_STOMP = frozenset((*_FRAME, *_DELIVERY, *_SECRET))
"""Headers that are no part of an event."""
_BY_BODY = frozenset(("data", "data_base64", "datacontenttype"))
_HIDDEN = _OF_STOMP | _BY_BODY | {"queue", USER_HEADERS}
_NAMED = frozenset(FIELDS) - _BY_BODY
_EXTENSION = re.compile(rf"[a-z0-9]{{1,{limits.EXTENSION_NAME_CHARACTERS}}}")
_PREFIX = "ce-"
_encode = msgspec.json.Encoder().encode
_decode_headers = msgspec.json.Decoder(dict[str, str]).decode


class Destination(NamedTuple):
    """`/topic/TYPE` or `/queue/NAME`."""

    kind: Literal["topic", "queue"]
    name: str

    def __str__(self) -> str:
        return f"/{self.kind}/{self.name}"

    @property
    def topic(self) -> str:
        """What a token's pattern is compared with: the type, or the queue's name as if it were one."""
        return self.name.replace("/", ".")


def destination_of(frame: Frame) -> Destination:
    """Where a frame's events go, or come from. Raises `Refused` (usage)."""
    given = frame.get("destination")
    found = _DESTINATION.fullmatch(given)
    if not found:
        said = f"not {given[:64]!r}" if given else "and there is none"
        raise Refused(Code.USAGE, f"is /topic/TYPE or /queue/NAME, {said}", field="destination")
    return Destination("topic" if found[1] == "topic" else "queue", found[2])


def event_of(frame: Frame) -> dict[str, Any]:
    """The fields of the event that a SEND is. Raises `Refused`."""
    destination = destination_of(frame)
    content_type = frame.get("content-type")
    fields = _headers(frame)
    if media_type(content_type)[0] == STRUCTURED:
        fields = {**decode_fields(frame.body), **fields}
    else:
        fields |= data_of(content_type, frame.body)
    if destination.kind == "queue":
        fields.setdefault("type", destination.topic)
    elif fields.setdefault("type", destination.name) != destination.name:
        raise Refused(Code.INVALID, "differs from the destination, which says it", field="type")
    if fields.get("queue") not in (None, destination.name if destination.kind == "queue" else None):
        raise Refused(Code.INVALID, "is not a header: send to /queue/NAME", field="queue")
    return {"queue": destination.name, **fields} if destination.kind == "queue" else fields


def _headers(frame: Frame) -> dict[str, Any]:
    """Fields, extensions, and what users say in headers of their own."""
    fields: dict[str, Any] = {}
    own: dict[str, str] = {}
    for name, value in frame.headers.items():
        if name.lower() in _OF_STOMP:
            continue
        field = name[len(_PREFIX) :].lower() if name[: len(_PREFIX)].lower() == _PREFIX else name
        if field in _BY_BODY or field == USER_HEADERS:
            raise Refused(Code.INVALID, "is the body, and its type is content-type", field=field)
        if field in _NAMED or field == "queue" or _EXTENSION.fullmatch(field):
            if fields.setdefault(field, value) != value:
                raise Refused(Code.INVALID, "given twice, and not the same", field=field)
        else:
            own[name] = value
    if "id" not in fields and "message-id" in frame.headers:
        fields["id"] = frame.headers["message-id"]
    if own:
        fields[USER_HEADERS] = _encode(own).decode()
        if len(fields[USER_HEADERS]) > limits.LINK_CHARACTERS:
            message = f"headers of your own have more than {limits.LINK_CHARACTERS} characters; put them into the body"
            raise Refused(Code.TOO_BIG, message)
    if fields.get("hops", "").isdecimal() and len(fields["hops"]) <= len(str(limits.HOPS)):
        fields["hops"] = int(fields["hops"])
    return fields


# --- out --------------------------------------------------------------------------------------------------------------


def message_headers(event: Event, content_type: str) -> dict[str, str]:
    """Those of a MESSAGE that tell of the event; none of them can take the place of one of STOMP's own."""
    found = {"content-type": content_type}
    for name, value in event.fields.items():
        if name not in _HIDDEN:
            # A client may send all headers back with its ACK, and there `id` is what it is about.
            found["ce-id" if name == "id" else name] = value if isinstance(value, str) else _encode(value).decode()
    for name, value in _user_headers(event.get(USER_HEADERS)).items():
        if name.lower() not in _HIDDEN and name != "id":
            found.setdefault(name, value)
    return found


def _user_headers(kept: Any) -> Mapping[str, str]:
    try:
        return _decode_headers(kept) if isinstance(kept, str) else {}
    except msgspec.DecodeError:
        return {}  # somebody else's extension of that name


def body_of(event: Event, *, whole: bool) -> tuple[str, bytes]:
    """Media type and body of a MESSAGE: the event's data, or the `whole` event as CloudEvents JSON."""
    if whole:
        return STRUCTURED, event.encoded
    media = event.get("datacontenttype", "")
    if "data_base64" in event.fields:
        return media or "application/octet-stream", base64.b64decode(event.fields["data_base64"])
    if "data" not in event.fields:
        return media or "text/plain", b""
    data = event.fields["data"]
    kind = media_type(media)[0]
    is_json = kind == "application/json" or kind.endswith("+json")
    if isinstance(data, str) and not is_json:
        return media or "text/plain", data.encode()
    return media if is_json else "application/json", _encode(data)
