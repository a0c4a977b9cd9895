"""The fields of an event: one check a field, and CloudEvents 1.0 JSON in and out.

What a door refuses is refused here, with the field's name and how to mend it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from xmppbus import limits
from xmppbus.errors import Code, Refused

SEVERITIES = ("debug", "info", "notice", "warning", "error", "critical")
STATUSES = ("firing", "acknowledged", "resolved")

_TYPE = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_EXTENSION = re.compile(r"[a-z0-9]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffe\uffff]")
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(?:\s*;.*)?", re.ASCII)
_LINK = re.compile(r"[a-z][a-z0-9+.-]*:[^\s<>\"]+", re.IGNORECASE)
_QUEUE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._/-]*")
_INTEGERS = range(-(2**63), 2**64)

_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def check(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields in their one form. Raises `Refused` with the field's name and how to mend it."""
    if "type" not in fields:
        raise Refused(Code.INVALID, "missing; give dotted words such as user.signup", field="type")
    checked: dict[str, Any] = {}
    for field, value in fields.items():
        if value is None and field != "data":
            continue  # CloudEvents JSON: null is the same as absent
        known = _CHECKS.get(field)
        checked[field] = known(field, value) if known else _extension(field, value)
    checked.pop("specversion", None)
    if "data" in checked and "data_base64" in checked:
        raise Refused(Code.INVALID, "given together with data; send one of them", field="data_base64")
    if "status" in checked and "key" not in checked:
        raise Refused(Code.INVALID, "an incident is named by its key; give one", field="key")
    if len(checked) > len(_CHECKS) + limits.EXTENSIONS:
        raise Refused(Code.INVALID, f"more than {limits.EXTENSIONS} extensions; put the rest into data")
    return checked


def check_time(time: Any) -> str:
    """When events came, as somebody from outside tells it. Raises `Refused`, as for an event's own time."""
    return _timestamp("time", time)


def encode_fields(fields: Mapping[str, Any]) -> bytes:
    """CloudEvents JSON, legal in XML 1.0 §2.2: JSON escapes the control characters, this U+FFFE and U+FFFF."""
    try:
        encoded = _encode({"specversion": "1.0", **fields})
    except UnicodeEncodeError as error:
        raise _surrogate(fields) from error
    except RecursionError as error:
        raise _too_deep() from error
    if b"\xef\xbf" in encoded:
        encoded = encoded.replace(b"\xef\xbf\xbe", b"\\ufffe").replace(b"\xef\xbf\xbf", b"\\uffff")
    return encoded


def canonical(fields: Mapping[str, Any]) -> bytes:
    """JSON that is the same whatever the order of its keys: what tells a repeat from a conflict."""
    try:
        return _encode_sorted(fields)
    except UnicodeEncodeError as error:
        raise _surrogate(fields) from error
    except RecursionError as error:
        raise _too_deep() from error


def decode_fields(encoded: bytes) -> dict[str, Any]:
    """A JSON object; `Refused` with the JSON reader's own words for anything else."""
    try:
        fields = _decode(encoded)
    except RecursionError as error:
        raise _too_deep() from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(Code.INVALID, f"not a JSON object: {error}") from error
    fields.pop("specversion", None) if fields.get("specversion") == "1.0" else None
    return fields


# --- one check a field ------------------------------------------------------------------------------------------------


def _text(field: str, value: Any, most: int) -> str:
    if not isinstance(value, str):
        raise Refused(Code.INVALID, f"must be text, not {type(value).__name__}", field=field)
    if len(value) > most:
        raise Refused(Code.INVALID, f"has {len(value)} characters of at most {most}", field=field)
    return value


def _name(field: str, value: Any) -> str:
    text = _text(field, value, limits.NAME_CHARACTERS)
    if not text:
        raise Refused(Code.INVALID, "is empty; leave it out or give it a value", field=field)
    if _CONTROL.search(text):
        raise Refused(Code.INVALID, "has a control character; names are one line of visible text", field=field)
    return text


def _event_type(field: str, value: Any) -> str:
    text = _text(field, value, limits.TYPE_CHARACTERS)
    if not _TYPE.fullmatch(text):
        said = f"{text!r} is not dotted words of A-Z a-z 0-9 _ -, such as user.signup"
        raise Refused(Code.INVALID, said, field=field)
    if len(text) > limits.TYPE_FILE_BYTES // 3 and _file_bytes(text) > limits.TYPE_FILE_BYTES:
        said = f"is too long for its many . _ and -: a file named after it needs {_file_bytes(text)} bytes of "
        said += f"{limits.TYPE_FILE_BYTES}, as each counts three"
        raise Refused(Code.INVALID, said, field=field)
    return text


def _file_bytes(text: str) -> int:
    """As Prosody's storage in files names a node."""
    return len(text) + 2 * sum(map(text.count, "._-"))


def _one_of(choices: tuple[str, ...]) -> Callable[[str, Any], str]:
    def check_choice(field: str, value: Any) -> str:
        if value not in choices:
            raise Refused(Code.INVALID, f"{value!r} is not one of {', '.join(choices)}", field=field)
        return str(value)

    return check_choice


def _timestamp(field: str, value: Any) -> str:
    text = _text(field, value, limits.TAG_CHARACTERS)
    try:
        if "T" not in text.upper() or datetime.fromisoformat(text.upper()).tzinfo is None:
            raise ValueError
    except ValueError:
        raise Refused(Code.INVALID, f"{text!r} is not RFC 3339, such as 2026-01-31T12:00:00Z", field=field) from None
    return text


def _summary(field: str, value: Any) -> str:
    return _text(field, value, limits.SUMMARY_CHARACTERS)


def _uri(field: str, value: Any) -> str:
    text = _text(field, value, limits.LINK_CHARACTERS)
    if not _LINK.fullmatch(text) or _CONTROL.search(text):
        raise Refused(Code.INVALID, f"{text!r} is not a URI with a scheme, such as https://example.org/", field=field)
    return text


def _tags(field: str, value: Any) -> str:
    tags = value.split(",") if isinstance(value, str) else value
    if not isinstance(tags, (list, tuple)) or not tags:
        raise Refused(Code.INVALID, "must be a list of words, or words joined by commas", field=field)
    if len(tags) > limits.TAGS:
        raise Refused(Code.INVALID, f"has {len(tags)} of at most {limits.TAGS}", field=field)
    for tag in tags:
        text = _text(field, tag, limits.TAG_CHARACTERS)
        if not text.strip() or "," in text or _CONTROL.search(text):
            raise Refused(Code.INVALID, f"{text!r} must be visible text without a comma", field=field)
    return ",".join(tags)


def _media_type(field: str, value: Any) -> str:
    text = _text(field, value, limits.NAME_CHARACTERS)
    if not _MEDIA_TYPE.fullmatch(text) or _CONTROL.search(text):
        raise Refused(Code.INVALID, f"{text!r} is not a media type such as text/plain", field=field)
    return text


def _base64(field: str, value: Any) -> str:
    text = _text(field, value, limits.EVENT_BYTES)
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(Code.INVALID, "is not base64 (RFC 4648 §4)", field=field) from None
    return text


def _hops(field: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= limits.HOPS:
        raise Refused(Code.INVALID, f"must be a whole number from 0 to {limits.HOPS}", field=field)
    return value


def check_queue(field: str, value: Any) -> str:
    """The name of a queue. Raises `Refused`."""
    text = _text(field, value, limits.QUEUE_NAME_CHARACTERS)
    if not _QUEUE.fullmatch(text):
        raise Refused(Code.INVALID, f"{text!r} is no name of A-Z a-z 0-9 _ - and then . / as well", field=field)
    return text


def _version(field: str, value: Any) -> str:
    if value != "1.0":
        raise Refused(Code.INVALID, f"{value!r} is not 1.0, the only one spoken here", field=field)
    return "1.0"


def _extension(field: str, value: Any) -> str | int | bool:
    if not _EXTENSION.fullmatch(field) or len(field) > limits.EXTENSION_NAME_CHARACTERS:
        most = limits.EXTENSION_NAME_CHARACTERS
        raise Refused(Code.INVALID, f"an extension's name is a-z and 0-9, at most {most} characters", field=field[:64])
    if isinstance(value, bool) or (isinstance(value, int) and value in _INTEGERS):
        return value
    if not isinstance(value, str):
        raise Refused(Code.INVALID, "an extension is text, a whole number or true/false; use data", field=field)
    return _text(field, value, limits.LINK_CHARACTERS)


def _data(field: str, value: Any) -> Any:
    _check_depth(field, value, limits.DATA_DEPTH)
    return value


def _check_depth(field: str, value: Any, left: int) -> None:
    if isinstance(value, dict):
        children: Any = value.values()
    elif isinstance(value, list):
        children = value
    else:
        return
    if left == 0:
        raise _too_deep()
    for child in children:
        if isinstance(child, (dict, list)):
            _check_depth(field, child, left - 1)


def _too_deep() -> Refused:
    return Refused(Code.INVALID, f"nested deeper than {limits.DATA_DEPTH}", field="data")


def _surrogate(fields: Mapping[str, Any]) -> Refused:
    said = "has a lone surrogate, which is not text; send UTF-8"
    for field, value in fields.items():
        try:
            _encode([field, value])
        except UnicodeEncodeError:
            return Refused(Code.INVALID, said, field=ascii(field)[1:-1])
    return Refused(Code.INVALID, said)


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "specversion": _version,
    "id": _name,
    "source": _name,
    "type": _event_type,
    "subject": _name,
    "time": _timestamp,
    "datacontenttype": _media_type,
    "dataschema": _uri,
    "data": _data,
    "data_base64": _base64,
    "severity": _one_of(SEVERITIES),
    "summary": _summary,
    "link": _uri,
    "tags": _tags,
    "key": _name,
    "status": _one_of(STATUSES),
    "expires": _timestamp,
    "replyto": _uri,
    "causedby": _name,
    "hops": _hops,
    "queue": check_queue,
}
FIELDS = tuple(_CHECKS)
