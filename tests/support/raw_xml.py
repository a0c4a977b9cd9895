"""Bytes of an XML stream to stanzas: an expat reader that shares no code with the product.

Every inner byte of an `<item/>` is kept exactly as the server sent it, because the oracle compares bytes; a tree has
already forgotten some of them.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from xml.parsers import expat

STREAMS = "http://etherx.jabber.org/streams"
PUBSUB = "http://jabber.org/protocol/pubsub"
PUBSUB_EVENT = "http://jabber.org/protocol/pubsub#event"
PUBSUB_OWNER = "http://jabber.org/protocol/pubsub#owner"
STANZA_ERRORS = "urn:ietf:params:xml:ns:xmpp-stanzas"
ITEM_TAGS = frozenset({f"{{{PUBSUB}}}item", f"{{{PUBSUB_EVENT}}}item"})


@dataclass(slots=True)
class Stanza:
    """One first-level element of the stream, with the raw content of each item in it, in document order."""

    element: ET.Element
    payloads: list[bytes] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The local name: `iq`, `message`, `presence`, `features`..."""
        return local_name(self.element.tag)

    def get(self, attribute: str) -> str:
        """The value of an attribute of the stanza itself, or the empty string."""
        return self.element.get(attribute, "")

    def find(self, namespace: str, name: str) -> ET.Element | None:
        """The first descendant of that name, in document order."""
        return next(self.element.iter(f"{{{namespace}}}{name}"), None)

    def condition(self) -> str:
        """The defined condition of an error (RFC 6120 §8.3.3), or the empty string."""
        for child in self.element.iter():
            if child.tag.startswith(f"{{{STANZA_ERRORS}}}") and not child.tag.endswith("}text"):
                return local_name(child.tag)
        return ""


def local_name(tag: str) -> str:
    """`{namespace}name` without its namespace."""
    return tag.rpartition("}")[2]


class StanzaReader:
    """Feed it bytes in any slices, it returns the stanzas that became complete."""

    def __init__(self) -> None:
        self.stream_attributes: dict[str, str] | None = None
        self.ended = False
        self._buffer = bytearray()
        self._buffer_begins = 0
        self._depth = 0
        self._item_depth = 0
        self._content_begins: int | None = None
        self._builder = ET.TreeBuilder()
        self._payloads: list[bytes] = []
        self._complete: list[Stanza] = []
        self._parser = expat.ParserCreate(namespace_separator="}")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        # expat 2.6 holds a token back that arrived in small pieces: a delay that is not the server's.
        defer = getattr(self._parser, "SetReparseDeferralEnabled", None)
        if defer is not None:
            defer(False)

    def feed(self, data: bytes) -> list[Stanza]:
        """Stanzas completed by these bytes; raises `expat.ExpatError` for what is not XML."""
        self._buffer += data
        self._parser.Parse(data, False)
        complete, self._complete = self._complete, []
        return complete

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        name = qualified(tag)
        if self._depth == 1:
            self.stream_attributes = attributes
            return
        if self._item_depth and self._depth == self._item_depth + 1 and self._content_begins is None:
            self._content_begins = self._parser.CurrentByteIndex
        if not self._item_depth and name in ITEM_TAGS:
            self._item_depth = self._depth
            self._content_begins = None
        self._builder.start(name, {qualified(key): value for key, value in attributes.items()})

    def _end(self, tag: str) -> None:
        if self._depth == 1:
            self.ended = True
            return
        if self._depth == self._item_depth:
            self._payloads.append(self._item_content())
            self._item_depth = 0
        self._builder.end(qualified(tag))
        self._depth -= 1
        if self._depth == 1:
            self._finish_stanza()

    def _item_content(self) -> bytes:
        if self._content_begins is None:
            return b""
        begins = self._content_begins - self._buffer_begins
        return bytes(self._buffer[begins : self._parser.CurrentByteIndex - self._buffer_begins])

    def _finish_stanza(self) -> None:
        self._complete.append(Stanza(self._builder.close(), self._payloads))
        self._builder = ET.TreeBuilder()
        self._payloads = []
        index = self._parser.CurrentByteIndex
        del self._buffer[: index - self._buffer_begins]
        self._buffer_begins = index

    def _text(self, text: str) -> None:
        if self._depth > 1:
            self._builder.data(text)


def qualified(tag: str) -> str:
    """expat's `uri}name` as ElementTree's `{uri}name`."""
    return "{" + tag if "}" in tag else tag
