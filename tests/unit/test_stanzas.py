"""The item: what is in it, that everything comes back, and that nothing illegal is ever in it."""

import json
import subprocess
import sys
import unicodedata
from typing import Any
from xml.etree.ElementTree import Element
from xml.parsers import expat

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.event import Event, parse
from xmppbus.xmpp.stanzas import (
    ATOM,
    JSON,
    PUBSUB,
    Publish,
    attribute,
    check_size,
    element_text,
    encode_item,
    encoded_size,
    event_of,
    one_line,
)

DEFAULTS = {"id": "1", "source": "urn:example:shop", "time": "2026-01-31T12:00:00.000Z"}
TEXT = st.text(max_size=200)
LINE = TEXT.filter(lambda text: bool(text) and not any(unicodedata.category(each) == "Cc" for each in text)).filter(
    lambda text: "\ufffe" not in text and "\uffff" not in text
)


def event(**fields: Any) -> Event:
    """A checked event with some fields."""
    return parse({"type": "user.signup", **fields}, DEFAULTS).event


def written(one: Event) -> Element:
    """The item as a parser reads it."""
    item: Element = fromstring(encode_item(one.item_id, one))
    return item


def entry_text(one: Event, name: str) -> str:
    """The text of an element of the entry."""
    return written(one).findtext(f"{{{ATOM}}}entry/{{{ATOM}}}{name}") or ""


# --- what is in it ----------------------------------------------------------------------------------------------------


def test_an_item_is_an_atom_entry_that_carries_the_event() -> None:
    """RFC 4287's required elements, and the event as XEP-0335 has it."""
    one = event(
        data="alice joined\nfrom a web form", severity="notice", tags=["web", "eu"], link="https://example.org/?a=1&b=2"
    )
    item = written(one)
    entry = item[0]
    assert item.tag == "item"
    assert item.get("id") == one.item_id
    assert entry.tag == f"{{{ATOM}}}entry"
    assert entry_text(one, "title") == "alice joined"
    assert entry_text(one, "summary") == "alice joined from a web form"
    assert entry_text(one, "id") == f"urn:uuid:{one.item_id}"
    assert entry_text(one, "updated") == one.time
    assert entry.findtext(f"{{{ATOM}}}author/{{{ATOM}}}name") == "urn:example:shop"
    categories = [(each.get("scheme"), each.get("term")) for each in entry.findall(f"{{{ATOM}}}category")]
    assert categories == [
        ("urn:xmppbus:type", "user.signup"),
        ("urn:xmppbus:severity", "notice"),
        ("urn:xmppbus:tag", "web"),
        ("urn:xmppbus:tag", "eu"),
    ]
    links = [each.get("href") for each in entry.findall(f"{{{ATOM}}}link")]
    assert links == ["https://example.org/?a=1&b=2"]
    assert json.loads(entry.findtext(f"{{{JSON}}}json") or "")["data"] == "alice joined\nfrom a web form"


def test_a_publish_has_its_sender_its_node_and_one_item() -> None:
    """A component must say who it is; names are escaped."""
    one = event(data="x")
    stanza = Publish("pubsub.example.org", "a'b&<c>", "bus.example.org").stanza("q1", one.item_id, one)
    iq = fromstring(stanza)
    assert iq.attrib == {"type": "set", "id": "q1", "from": "bus.example.org", "to": "pubsub.example.org"}
    publish = iq.find(f"{{{PUBSUB}}}pubsub/{{{PUBSUB}}}publish")
    assert publish is not None
    assert publish.get("node") == "a'b&<c>"
    assert len(publish) == 1


def test_a_client_leaves_its_name_to_its_server() -> None:
    """RFC 6120 §8.1.2.1."""
    one = event()
    assert fromstring(Publish("pubsub.example.org", "n", "").stanza("q", one.item_id, one)).get("from") is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m alert", "red alert"),
        ("\x1b]0;a window's title\x07shown", "shown"),
        ("\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b31mred", "red"),
        ("a\r\nb\rc\nd\te", "a b c d e"),
        ("bell\x07 null\x00 delete\x7f", "bell null delete"),
        ("a\u2028b\u2029c\x85d", "a b c d"),
        ("not a character: \ufffe\uffff.", "not a character: ."),
        ("an unfinished escape \x1b", "an unfinished escape"),
        ("naïve ☃ 🎉 العربية", "naïve ☃ 🎉 العربية"),
    ],
)
def test_people_see_one_line_without_control_characters(text: str, shown: str) -> None:
    """Colours of a log, line ends, and what XML forbids."""
    assert one_line(text) == shown
    assert entry_text(event(summary=text), "title") == shown


def test_a_title_without_anything_visible_falls_back_on_nothing() -> None:
    """An empty title is legal Atom; the event has the rest."""
    one = event(summary="\x1b[0m\x07")
    assert entry_text(one, "title") == ""
    assert event_of(encode_item(one.item_id, one)).event.summary == "\x1b[0m\x07"


# --- everything comes back --------------------------------------------------------------------------------------------


@given(data=st.recursive(TEXT | st.integers(-(2**53), 2**53) | st.booleans() | st.none(),
                         lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4)),
       summary=TEXT, subject=LINE, key=LINE)  # fmt: skip
def test_an_item_gives_the_same_event_back(data: Any, summary: str, subject: str, key: str) -> None:
    """Whatever the texts are; the reader is expat."""
    one = event(data=data, summary=summary, subject=subject, key=key)
    assert event_of(encode_item(one.item_id, one)) == (one.item_id, one)


@given(st.text(st.characters(min_codepoint=0, max_codepoint=0x2FFF, exclude_categories=["Cs"]), max_size=50))
def test_no_text_breaks_the_stream(text: str) -> None:
    """What a parser reads of each element is what was meant."""
    one = event(data=text, summary=text)
    item = written(one)
    assert item.findtext(f"{{{ATOM}}}entry/{{{ATOM}}}title") == one_line(one.summary)
    assert (item.findtext(f"{{{ATOM}}}entry/{{{JSON}}}json") or "").encode() == one.encoded


def test_every_code_point_survives_in_data_and_reads_as_one_line_in_the_title() -> None:
    """All 1,112,064 that are characters, in texts as long as an event may have."""
    characters = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
    for start in range(0, len(characters), limits.SUMMARY_CHARACTERS):
        piece = characters[start : start + limits.SUMMARY_CHARACTERS]
        one = event(data=piece, summary=piece)
        item = encode_item(one.item_id, one)
        again = event_of(item).event
        assert again.fields["data"] == piece
        assert again.summary == piece
        _feed(item)


def _feed(document: bytes) -> None:
    """Let expat alone read it; it raises for what XML 1.0 forbids."""
    parser = expat.ParserCreate()
    parser.Parse(document, True)


@pytest.mark.parametrize("surrogate", ["\ud800 first", "last \udfff", "within \udc80 text"])
def test_a_lone_surrogate_is_refused_at_the_door(surrogate: str) -> None:
    """It is not text, and would never leave the process."""
    for field in ("data", "summary", "subject"):
        with pytest.raises(Refused) as refused:
            event(**{field: surrogate})
        assert refused.value.code is Code.INVALID


@given(TEXT.map(one_line))
def test_escaped_text_is_read_as_it_was(text: str) -> None:
    """In an element and in an attribute of either quotes."""
    for document in (
        f"<a>{element_text(text)}</a>",
        f"<a b='{attribute(text)}'/>",
        f'<a b="{attribute(text)}"/>',
    ):
        element = fromstring(document)
        assert (element.text or element.get("b") or "") == text


def test_an_item_without_an_event_is_refused() -> None:
    """Somebody else's item on our node."""
    with pytest.raises(Refused, match="carries no event"):
        event_of("<item id='1'><entry xmlns='http://www.w3.org/2005/Atom'/></item>")


@pytest.mark.parametrize("document", ["", "<item", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "\x00"])
def test_what_is_not_plain_xml_is_refused(document: str) -> None:
    """Entities are an attack, not an item."""
    with pytest.raises(Refused, match="not XML"):
        event_of(document)


# --- sizes ------------------------------------------------------------------------------------------------------------


@given(st.text(max_size=300))
def test_the_size_at_the_door_is_the_size_on_the_wire(text: str) -> None:
    """Bytes of the encoded item."""
    one = event(data=text)
    assert encoded_size(one) == len(encode_item(one.item_id, one))


def test_an_event_whose_item_is_too_large_is_refused_with_its_size() -> None:
    """Escaping counts: `&` takes five bytes."""
    one = event(data="&" * (limits.ITEM_BYTES // 5))
    with pytest.raises(Refused) as refused:
        check_size(one)
    assert refused.value.code is Code.TOO_BIG
    with pytest.raises(Refused):
        Publish("s", "n", "b").stanza("1", one.item_id, one)
    check_size(event(data="&" * (limits.ITEM_BYTES // 6)))


@given(st.lists(st.sampled_from("&<>'\"a\u00e9\U0001f389\x1b"), max_size=40).map("".join))
def test_no_small_event_passes_the_quick_check_and_is_too_large(piece: str) -> None:
    """`check_size` looks no closer at an event whose JSON has an eighth of the bound."""
    text = (piece or "&") * 400
    one = event(data=text[:3000], summary=(piece * 40)[: limits.SUMMARY_CHARACTERS], tags=["&" * 60] * 32)
    if len(one.encoded) <= limits.ITEM_BYTES // 8:
        assert encoded_size(one) <= limits.ITEM_BYTES


def test_the_door_does_not_load_slixmpp() -> None:
    """It takes 120 ms, and the command line uses the same check."""
    code = "import sys, xmppbus.xmpp.stanzas; sys.exit('slixmpp' in sys.modules or 'asyncio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_time_that_somebody_smuggled_into_the_journal_does_not_break_the_item() -> None:
    """Nothing that XML forbids is in it, whatever the journal holds."""
    smuggled = Event({"id": "1", "source": "s", "type": "a", "time": "\x1b[31m2026\x00\ufffe<&>"})
    assert entry_text(smuggled, "updated") == "2026<&>"
