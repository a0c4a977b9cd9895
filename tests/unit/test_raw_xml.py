"""The independent reader gives the same stanzas however the bytes are cut, and every byte of an item."""

import pytest

from tests.support.raw_xml import PUBSUB_EVENT, Stanza, StanzaReader

HEADER = b"<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' id='42' xmlns:stream='http://etherx.jabber.org/streams'>"
CONTENT = "<e xmlns='x:y' a='>'>hé&#13;\n<b/></e>".encode()
MESSAGE = (
    b"<message from='pubsub.localhost'><event xmlns='http://jabber.org/protocol/pubsub#event'><items node='a.b'>"
    b"<item id='1'>" + CONTENT + b"</item><item id='2'/></items></event></message>"
)
ERROR = (
    b"<iq type='error' id='7'><error type='wait'><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>no</text>"
    b"<resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
)


@pytest.mark.parametrize("size", [1, 2, 7, 4096])
def test_an_items_content_is_kept_byte_for_byte(size: int) -> None:
    reader = StanzaReader()
    stanzas = read(reader, HEADER + MESSAGE + b"\n" + MESSAGE + ERROR, size)
    assert reader.stream_attributes == {"id": "42"}
    assert [stanza.name for stanza in stanzas] == ["message", "message", "iq"]
    assert [stanza.payloads for stanza in stanzas] == [[CONTENT, b""], [CONTENT, b""], []]
    items = stanzas[1].find(PUBSUB_EVENT, "items")
    assert items is not None
    assert [item.get("id") for item in items] == ["1", "2"]


def test_the_condition_of_an_error_is_read_from_the_raw_xml() -> None:
    (stanza,) = read(StanzaReader(), HEADER + ERROR, 4096)
    assert stanza.condition() == "resource-constraint"


def test_the_end_of_the_stream_is_seen() -> None:
    reader = StanzaReader()
    read(reader, HEADER + b"</stream:stream>", 4096)
    assert reader.ended


def read(reader: StanzaReader, data: bytes, size: int) -> list[Stanza]:
    """Feed it slices of that size."""
    return [stanza for at in range(0, len(data), size) for stanza in reader.feed(data[at : at + size])]
