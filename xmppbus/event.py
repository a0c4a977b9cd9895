"""One thing that happened, immutable: CloudEvents 1.0 fields, checked at the door, carried as JSON.

An event's name is `(source, id)`. Its *item id* is the UUIDv5 of that pair and names it everywhere else.
"""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import blake2b, sha1
from typing import Any, NamedTuple

import msgspec

from xmppbus import limits
from xmppbus.errors import Code, Refused

SEVERITIES = ("debug", "info", "notice", "warning", "error", "critical")
STATUSES = ("firing", "acknowledged", "resolved")
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:xmppbus:item")

_NAMESPACE_BYTES = NAMESPACE.bytes
_TYPE = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_EXTENSION = re.compile(r"[a-z0-9]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffe\uffff]")
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(?:\s*;.*)?", re.ASCII)
_LINK = re.compile(r"[a-z][a-z0-9+.-]*:[^\s<>\"]+", re.IGNORECASE)
_INTEGERS = range(-(2**63), 2**64)

_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Event:
    """A checked event: a read-only view of its CloudEvents JSON object (`fields`).

    Make one with `parse` (from a sender) or `Event.decode` (from the journal or an item).
    """

    __slots__ = ("_encoded", "fields")

    def __init__(self, fields: dict[str, Any], encoded: bytes = b"") -> None:
        self.fields = fields
        self._encoded = encoded

    @classmethod
    def decode(cls, encoded: bytes) -> Event:
        """The event in JSON that `encoded` made; raises `Refused` for anything that is not a JSON object."""
        return cls(decode_fields(encoded), encoded)

    @property
    def encoded(self) -> bytes:
        """CloudEvents JSON in UTF-8 in which every character is legal in XML 1.0."""
        if not self._encoded:
            self._encoded = encode_fields(self.fields)
        return self._encoded

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Event) and self.fields == other.fields

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"Event({self.type} {self.source} {self.id})"

    @property
    def id(self) -> str:
        """The sender's name for it, unique within the source."""
        return self.fields["id"]  # type: ignore[no-any-return]  # checked at the door

    @property
    def source(self) -> str:
        """Where it happened; with the id, its name."""
        return self.fields["source"]  # type: ignore[no-any-return]  # checked at the door

    @property
    def type(self) -> str:
        """Dotted words; also the name of its node."""
        return self.fields["type"]  # type: ignore[no-any-return]  # checked at the door

    @property
    def time(self) -> str:
        """When it happened (RFC 3339)."""
        return self.fields["time"]  # type: ignore[no-any-return]  # checked at the door

    @property
    def name(self) -> tuple[str, str]:
        """`(source, id)`."""
        return self.fields["source"], self.fields["id"]

    @property
    def item_id(self) -> str:
        """The UUIDv5 of the name, in its usual form."""
        text = item_id_bytes(self.fields["source"], self.fields["id"]).hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def get(self, field: str, default: Any = None) -> Any:
        """A field or extension that may be missing."""
        return self.fields.get(field, default)

    @property
    def severity(self) -> str:
        """One of SEVERITIES; `info` when the sender gave none."""
        found: str = self.fields.get("severity", "info")
        return found

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags; in JSON they are one string with commas, as CloudEvents has no lists."""
        found: str = self.fields.get("tags", "")
        return tuple(found.split(",")) if found else ()

    @property
    def text(self) -> str | None:
        """What the sender wrote for people: data that is text, or `text` within data that is an object."""
        data = self.fields.get("data")
        if isinstance(data, dict):
            data = data.get("text")
        return data if isinstance(data, str) else None

    @property
    def summary(self) -> str:
        """One line for people: the sender's, else the first line of the text, else the type."""
        found: str | None = self.fields.get("summary")
        if found:
            return found
        lines = (self.text or "").strip().splitlines()
        return lines[0][: limits.SUMMARY_CHARACTERS] if lines else self.fields["type"]

    def evolve(self, **changes: Any) -> Event:
        """A copy with other fields; `None` takes a field away. The caller (or the bus) gives it a name of its own."""
        fields = {**self.fields, **changes}
        return Event(check({key: value for key, value in fields.items() if value is not None}))


class Named(NamedTuple):
    """An event and the hash of its content as it was sent, which tells a repeat from a conflict."""

    event: Event
    content: bytes


def item_id_bytes(source: str, id: str) -> bytes:  # noqa: A002  # CloudEvents' own word
    """The UUIDv5 (RFC 9562 §5.5) of source, newline, id within NAMESPACE: 16 bytes."""
    digest = bytearray(sha1(_NAMESPACE_BYTES + f"{source}\n{id}".encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    return bytes(digest)


def parse(fields: Mapping[str, Any], defaults: Mapping[str, Any]) -> Named:
    """Check what a sender gave, then fill in `defaults` (id, source, time). Raises `Refused` naming field and reason.

    The content's hash is made before the defaults, so that the same event sent again is known.
    """
    checked = check(fields)
    try:
        as_sent = _encode_sorted({key: checked[key] for key in checked if key not in ("id", "source")})
    except UnicodeEncodeError as error:
        raise _surrogate(checked) from error
    except RecursionError as error:
        raise _too_deep() from error
    event = Event({**defaults, **checked})
    if len(event.encoded) > limits.EVENT_BYTES:
        raise Refused(Code.TOO_BIG, f"the event has {len(event.encoded)} bytes of {limits.EVENT_BYTES}; send a link")
    return Named(event, blake2b(as_sent, digest_size=16).digest())


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


def bytes_as_data(content: bytes) -> dict[str, str]:
    """Any bytes as event fields: text when they are UTF-8, else `data_base64`."""
    try:
        return {"data": content.decode(), "datacontenttype": "text/plain"}
    except UnicodeDecodeError:
        return {"data_base64": base64.b64encode(content).decode(), "datacontenttype": "application/octet-stream"}


def now(clock: Callable[[], datetime]) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return clock().isoformat(timespec="milliseconds").replace("+00:00", "Z")


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
        raise Refused(
            Code.INVALID, f"{text!r} is not dotted words of A-Z a-z 0-9 _ -, such as user.signup", field=field
        )
    return text


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
        raise Refused(
            Code.INVALID, "an extension is text, a whole number or true/false; put others in data", field=field
        )
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
    for field, value in fields.items():
        try:
            _encode([field, value])
        except UnicodeEncodeError:
            return Refused(
                Code.INVALID, "has a lone surrogate, which is not text; send UTF-8", field=ascii(field)[1:-1]
            )
    return Refused(Code.INVALID, "has a lone surrogate, which is not text; send UTF-8")


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
}
FIELDS = tuple(_CHECKS)
