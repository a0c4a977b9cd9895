"""One thing that happened, immutable: CloudEvents 1.0 fields, checked at the door, carried as JSON.

An event's name is `(source, id)`. Its *item id* is the UUIDv5 of that pair and names it everywhere else.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import blake2b, sha1
from typing import Any, NamedTuple

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.fields import canonical, check, decode_fields, encode_fields

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:xmppbus:item")

_NAMESPACE_BYTES = NAMESPACE.bytes

OURS = "xmppbus"
OUR_TYPES = ("incident.acknowledged", "incident.unacknowledged", "incident.resolved", "event.retracted")
"""What the house itself tells, by source and type, and obeys: so nobody else may send it."""


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

    Defaults are the house's own, and checked where they came in: they are not looked at here, for each event again.
    The content's hash is made before the defaults, so that the same event sent again is known.
    """
    checked = check(fields)
    as_sent = canonical({key: checked[key] for key in checked if key not in ("id", "source")})
    event = Event({**defaults, **checked})
    if len(event.encoded) > limits.EVENT_BYTES:
        raise Refused(Code.TOO_BIG, f"the event has {len(event.encoded)} bytes of {limits.EVENT_BYTES}; send a link")
    return Named(event, blake2b(as_sent, digest_size=16).digest())


def bytes_as_data(content: bytes) -> dict[str, str]:
    """Any bytes as event fields: text when they are UTF-8, else `data_base64`."""
    try:
        return {"data": content.decode(), "datacontenttype": "text/plain"}
    except UnicodeDecodeError:
        return {"data_base64": base64.b64encode(content).decode(), "datacontenttype": "application/octet-stream"}


def now(clock: Callable[[], datetime]) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return clock().isoformat(timespec="milliseconds").replace("+00:00", "Z")
