"""Event to XML and back: pure, without I/O and without slixmpp, so that the door can check a size in microseconds.

An item's payload is an Atom entry (RFC 4287) for people's readers that carries the event as JSON (XEP-0335) for
programs; `docs/reference/payload.md` shows one. Everything on the hot path is bytes built from a template that was
escaped once, and from text in which nothing is left that XML 1.0 forbids.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.event import Event

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

ATOM = "http://www.w3.org/2005/Atom"
JSON = "urn:xmpp:json:0"
PUBSUB = "http://jabber.org/protocol/pubsub"
CATEGORY = "urn:xmppbus:"
"""Schemes of the categories: `urn:xmppbus:type`, `:severity`, `:status` and `:tag`."""

# ECMA-48: CSI sequences, OSC and the other strings with their ends, then the two-character sequences.
_ANSI = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]"
)
_BLANKS = re.compile(r"[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]+")
_UNSHOWABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class Item(NamedTuple):
    """An item as it was read: its id and the event in it."""

    item_id: str
    event: Event


class Publish:
    """Publishes of one node on one stream (XEP-0060 §7.1): everything but id, item id and payload is ready.

    `sender` is our JID in component mode (ejabberd ends a stream on which it is missing), empty in client mode. `guard`
    is a `<publish-options/>` (§7.1.5) that goes with each publish, or nothing.
    """

    __slots__ = ("_after_id", "_end")

    def __init__(self, service: str, node: str, sender: str, guard: str = "") -> None:
        address = f" from='{attribute(sender)}'" if sender else ""
        self._after_id = (
            f"'{address} to='{attribute(service)}'><pubsub xmlns='{PUBSUB}'><publish node='{attribute(node)}'>"
        ).encode()
        self._end = f"</publish>{guard}</pubsub></iq>".encode()

    def stanza(self, request_id: str, item_id: str, event: Event) -> bytes:
        """The whole IQ. Raises `Refused` when the item is larger than `limits.ITEM_BYTES`."""
        item = encode_item(item_id, event)
        if len(item) > limits.ITEM_BYTES:
            raise _too_big(len(item))
        return b"<iq type='set' id='%b%b%b%b" % (request_id.encode(), self._after_id, item, self._end)


def encode_item(item_id: str, event: Event) -> bytes:
    """The `<item/>` in UTF-8, without white space around it."""
    fields = event.fields
    title = element_text(one_line(event.summary))
    text = event.text
    summary = element_text(one_line(text[: limits.SUMMARY_CHARACTERS])) if text else title
    head = (
        f"<item id='{item_id}'><entry xmlns='{ATOM}'><title>{title}</title><summary>{summary}</summary>"
        f"<id>urn:uuid:{item_id}</id><updated>{element_text(one_line(fields['time']))}</updated>"
        f"<author><name>{element_text(one_line(fields['source']))}</name></author>"
        f"<category scheme='{CATEGORY}type' term='{fields['type']}'/>"
    )
    if len(fields) > _PLAIN_FIELDS:
        head += _extras(event)
    return b"%b<json xmlns='urn:xmpp:json:0'>%b</json></entry></item>" % (head.encode(), escape_json(event.encoded))


_PLAIN_FIELDS = 4
"""id, source, type, time: an event with no more than these has no category or link to add."""


def _extras(event: Event) -> str:
    fields = event.fields
    parts = [
        f"<category scheme='{CATEGORY}{name}' term='{fields[name]}'/>"
        for name in ("severity", "status")
        if name in fields
    ]
    parts += [f"<category scheme='{CATEGORY}tag' term='{attribute(one_line(tag))}'/>" for tag in event.tags]
    if "link" in fields:
        parts.append(f"<link href='{attribute(one_line(fields['link']))}'/>")
    return "".join(parts)


_ITEM_ID = "00000000-0000-5000-8000-000000000000"


def encoded_size(event: Event) -> int:
    """Bytes of the encoded item: what `limits.ITEM_BYTES` bounds, at the door."""
    return len(encode_item(_ITEM_ID, event))


def check_size(event: Event) -> None:
    """Raise `Refused` for an event whose item no server would take."""
    # JSON grows by at most 5 bytes a character (`&amp;`): a small event need not be encoded to be known as small.
    if len(event.encoded) > limits.ITEM_BYTES // 8 and (size := encoded_size(event)) > limits.ITEM_BYTES:
        raise _too_big(size)


def _too_big(size: int) -> Refused:
    return Refused(Code.TOO_BIG, f"its item has {size} bytes of {limits.ITEM_BYTES}; send less, or a link to the rest")


def event_of(item: str | bytes | Element) -> Item:
    """The event in an `<item/>`, byte for byte in every text as it was accepted.

    Takes XML or a parsed element; the item's namespace (pubsub, pubsub#event) does not matter. Raises `Refused`
    when there is no event in it, and for XML with entities of its own.
    """
    element = _parsed(item) if isinstance(item, (str, bytes)) else item
    json = element.find(f".//{{{JSON}}}json")
    if json is None or not json.text:
        raise Refused(Code.INVALID, "the item carries no event: it has no <json xmlns='urn:xmpp:json:0'/>")
    return Item(element.get("id", ""), Event.decode(json.text.encode()))


def _parsed(item: str | bytes) -> Element:
    import xml.etree.ElementTree as ET  # its usual name; imported late, as only readers need it

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        found: Element = fromstring(item)
    except (ET.ParseError, DefusedXmlException, ValueError) as error:
        raise Refused(Code.INVALID, f"the item is not XML that is read here: {error}") from error
    return found


def one_line(text: str) -> str:
    """Text for people on one line: no ANSI sequences, no control characters, nothing that XML 1.0 §2.2 forbids."""
    if text.isprintable():
        return text
    return _UNSHOWABLE.sub("", _BLANKS.sub(" ", _ANSI.sub("", text))).strip()


def element_text(text: str) -> str:
    """Escaped for element content."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def attribute(text: str) -> str:
    """Escaped for an attribute in either kind of quotes. Tabs and newlines must not be in it (XML 1.0 §3.3.3)."""
    return element_text(text).replace("'", "&apos;").replace('"', "&quot;")


def escape_json(encoded: bytes) -> bytes:
    """JSON in UTF-8, escaped for element content; `Event.encoded` has only characters that are legal in XML."""
    return encoded.replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b">", b"&gt;")
