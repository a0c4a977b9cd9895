"""From `publish`'s options, arguments and input to an event's fields, before the door checks them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from xmppbus.errors import Code, Refused
from xmppbus.event import bytes_as_data
from xmppbus.fields import decode_fields
from xmppbus.people.durations import duration

_decode = msgspec.json.Decoder().decode


class Wish(NamedTuple):
    """What was typed, beside the text: `options` are event fields as given, `data` the K=V pairs."""

    type: str
    options: dict[str, Any]
    data: Sequence[str]


def pairs(given: Sequence[str]) -> dict[str, Any]:
    """`disk=/ used=91 host='"db1"'`: a value that is JSON is that, any other is text."""
    found: dict[str, Any] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise Refused(Code.USAGE, f"--data {each!r} is not NAME=VALUE")
        try:
            found[name] = _decode(value)
        except (msgspec.DecodeError, UnicodeEncodeError):
            found[name] = value
    return found


def fields_of(wish: Wish, text: bytes | None, now: Callable[[], datetime]) -> dict[str, Any]:
    """One event's fields. Text and data together: data is the object, and the text is its `text`."""
    fields: dict[str, Any] = {"type": wish.type} if wish.type else {}
    fields |= wish.options
    after = duration(fields.get("expires", ""))
    if after is not None:
        fields["expires"] = _moment(now, after)
    if wish.data:
        data = pairs(wish.data)
        if text:
            said = bytes_as_data(text)
            if "data" not in said:
                raise Refused(Code.INVALID, "the text is not UTF-8; send it without --data", field="data")
            if "text" in data:
                raise Refused(Code.USAGE, "the text goes into data.text, and --data text=... says another; give one")
            data["text"] = said["data"]
        fields["data"] = data
    elif text:
        fields |= bytes_as_data(text)
    return fields


def fields_of_json(wish: Wish, content: bytes, now: Callable[[], datetime]) -> dict[str, Any]:
    """An event that came as JSON; what was typed beside it wins."""
    fields = decode_fields(content)
    typed = fields_of(wish, None, now)
    if "data" in typed:
        if isinstance(fields.get("data"), dict):
            typed["data"] = fields["data"] | typed["data"]
        fields.pop("data_base64", None)
    return fields | typed


def _moment(now: Callable[[], datetime], after: timedelta) -> str:
    try:
        return (now() + after).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except OverflowError:
        raise Refused(Code.INVALID, "is beyond the calendar", field="expires") from None
