"""Events and messages as bytes on a stream. An event's are made once for each form, and shared by all clients of it."""

from __future__ import annotations

import struct
from typing import Any, Protocol

import msgspec

from xmppbus.journal import Entry
from xmppbus.route import QUEUE

_encode = msgspec.json.Encoder().encode
GOING_AWAY, UNSUPPORTED, POLICY, TRY_LATER = 1001, 1003, 1008, 1013
"""Why a WebSocket is closed (RFC 6455 §7.4.1)."""


class Form(Protocol):
    """How a stream is written."""

    name: str

    def event(self, sequence: int, head: bytes, encoded: bytes) -> bytes:
        """An event: `head` is the JSON members before the event's own JSON, with the brace that opens them."""

    def message(self, name: str, members: dict[str, Any], id: int | None = None) -> bytes:  # noqa: A002  # the field's name
        """Another message; `id` is where a client that got it goes on."""

    def keep_alive(self, sequence: int | None) -> bytes:
        """Nothing, so that nobody on the way takes the stream for dead; everything up to `sequence` was sent."""

    def goodbye(self, code: int) -> bytes:
        """The last bytes of a stream that we end."""


class _ServerSentEvents:
    """HTML §9.2: `event`, `id` and `data` lines, and an empty line behind them."""

    name = "text/event-stream"

    def event(self, sequence: int, head: bytes, encoded: bytes) -> bytes:
        return b"event: event\nid: %d\ndata: %b%b}\n\n" % (sequence, head, encoded)

    def message(self, name: str, members: dict[str, Any], id: int | None = None) -> bytes:  # noqa: A002  # the field's name
        line = b"" if id is None else b"id: %d\n" % id
        return b"event: %b\n%bdata: %b\n\n" % (name.encode(), line, _encode(members))

    def keep_alive(self, sequence: int | None) -> bytes:
        # An id without data is no event, and moves the place where a browser goes on after a break: who waits for
        # something rare need not make us read everything again that does not concern them.
        return b": \n\n" if sequence is None else b": \nid: %d\n\n" % sequence

    def goodbye(self, code: int) -> bytes:
        del code
        return b""


class _Lines:
    """One JSON object a line, in which `message` is its name."""

    name = "application/x-ndjson"

    def event(self, sequence: int, head: bytes, encoded: bytes) -> bytes:
        del sequence
        return b'{"message":"event",%b%b}\n' % (head[1:], encoded)

    def message(self, name: str, members: dict[str, Any], id: int | None = None) -> bytes:  # noqa: A002  # the field's name
        del id
        return _encode({"message": name, **members}) + b"\n"

    def keep_alive(self, sequence: int | None) -> bytes:
        del sequence
        return b"\n"

    def goodbye(self, code: int) -> bytes:
        del code
        return b""


class _Socket(_Lines):
    """A WebSocket (RFC 6455): the same objects, each a text frame. What a server sends has no mask, so it is shared."""

    name = "websocket"

    def event(self, sequence: int, head: bytes, encoded: bytes) -> bytes:
        return _text_frame(super().event(sequence, head, encoded)[:-1])

    def message(self, name: str, members: dict[str, Any], id: int | None = None) -> bytes:  # noqa: A002  # the field's name
        return _text_frame(super().message(name, members, id)[:-1])

    def keep_alive(self, sequence: int | None) -> bytes:
        del sequence
        return b"\x89\x00"  # a ping

    def goodbye(self, code: int) -> bytes:
        return b"\x88\x02" + struct.pack("!H", code)


def _text_frame(payload: bytes) -> bytes:
    """RFC 6455 §5.2."""
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", 0x81, size) + payload
    if size < 65_536:
        return struct.pack("!BBH", 0x81, 126, size) + payload
    return struct.pack("!BBQ", 0x81, 127, size) + payload


SSE: Form = _ServerSentEvents()
LINES: Form = _Lines()
SOCKET: Form = _Socket()


class Frame:
    """One event, with its bytes in each form that somebody has asked for."""

    __slots__ = ("_encoded", "_forms", "_head", "sequence", "severity", "size", "type")

    def __init__(self, entry: Entry) -> None:
        event = entry.event
        self.sequence = entry.sequence
        self.type = event.type
        self.severity = event.severity
        self._encoded = event.encoded
        self._head = b'{"sequence":%d,"id":"%b","event":' % (entry.sequence, entry.item_id.encode())
        self._forms: dict[Form, bytes] = {}
        self.size = 2 * len(self._encoded) + 500  # about what it weighs in memory, in one or two forms

    def bytes_in(self, form: Form) -> bytes:
        """The event in a form."""
        found = self._forms.get(form)
        if found is None:
            found = self._forms[form] = form.event(self.sequence, self._head, self._encoded)
        return found


class Hole:
    """Sequences after `after` up to `sequence` that have been pruned: they are gone for good."""

    __slots__ = ("after", "sequence")
    size = 0

    def __init__(self, after: int, until: int) -> None:
        self.after = after
        self.sequence = until

    def bytes_in(self, form: Form) -> bytes:
        """The message that says so."""
        return gap(form, self.after, self.sequence, "pruned")


def gap(form: Form, after: int, until: int, reason: str) -> bytes:
    """What is missing: for good (`pruned`), or because the client read too slowly, so that it now gets it (`slow`)."""
    members = {"after": after, "until": until, "reason": reason}
    return form.message("gap", members, id=until if reason == "pruned" else None)


class Piece:
    """What is written in one go: bytes, and the last sequence that they cover, whether or not it was wanted."""

    __slots__ = ("data", "last")

    def __init__(self, data: bytes, last: int) -> None:
        self.data = data
        self.last = last


class Unseen:
    """An event of a queue alone: it is there, and for no stream."""

    __slots__ = ("sequence",)
    size = 0

    def __init__(self, sequence: int) -> None:
        self.sequence = sequence

    def bytes_in(self, _: Form) -> bytes:
        """Nothing."""
        return b""


Part = Frame | Hole | Unseen
"""What stands for a sequence, or for several."""


def entries_and_holes(entries: list[Entry], after: int) -> list[Part]:
    """Frames of entries that follow on `after`, with a hole wherever something has been pruned between them."""
    found: list[Part] = []
    for entry in entries:
        if entry.sequence > after + 1:
            found.append(Hole(after, entry.sequence - 1))
        found.append(Unseen(entry.sequence) if QUEUE in entry.event.fields else Frame(entry))
        after = entry.sequence
    return found
