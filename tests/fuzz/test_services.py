"""Whatever a service answers is read in bounds, or refused in words; and whatever is shown of it does nothing else.

`FUZZ_RUNS=100000 pytest tests/fuzz/test_services.py` is the long form, with other examples each time.
"""

from __future__ import annotations

import os
import re
from xml.etree.ElementTree import Element

from defusedxml.ElementTree import fromstring
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xmppbus import limits
from xmppbus.cli.asking import line
from xmppbus.errors import Refused
from xmppbus.xmpp.replies import ErrorAnswer, error_of
from xmppbus.xmpp.requests import DATA, DISCO_INFO, DISCO_ITEMS, OWNER
from xmppbus.xmpp.services import disco, forms, nodes, payloads, pep, rosters
from xmppbus.xmpp.services.asking import explained
from xmppbus.xmpp.services.form_checks import checked, ignored
from xmppbus.xmpp.stanzas import ATOM, JSON, PUBSUB

RUNS = int(os.environ.get("FUZZ_RUNS", "200"))
BOUNDED = settings(
    max_examples=RUNS,
    derandomize="FUZZ_RUNS" not in os.environ,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

SPACES = (
    "jabber:client", DATA, DISCO_INFO, DISCO_ITEMS, OWNER, PUBSUB, ATOM, JSON, forms.VALIDATE, forms.MEDIA, "",
    "jabber:iq:roster", pep.TUNE.node, pep.MOOD.node, pep.ACTIVITY.node, pep.NICK.node, "urn:x",
    "urn:ietf:params:xml:ns:xmpp-stanzas", "http://jabber.org/protocol/pubsub#errors", "http://jabber.org/protocol/rsm",
)  # fmt: skip
NAMES = (
    "x", "field", "value", "option", "required", "validate", "range", "open", "uri", "item", "title", "instructions",
    "query", "identity", "feature", "pubsub", "items", "subscription", "affiliation", "configure", "entry", "json",
    "tune", "mood", "activity", "nick", "happy", "text", "error", "unsupported", "forbidden", "group", "set", "last",
)  # fmt: skip
ATTRIBUTES = (
    "var", "type", "label", "category", "name", "jid", "node", "id", "min", "max", "datatype", "subscription",
    "feature", "affiliation", "subid", "publisher", "ask", "{http://www.w3.org/XML/1998/namespace}lang", "{urn:y}z",
)  # fmt: skip
VALUES = (
    "", "FORM_TYPE", "pubsub#max_items", "boolean", "list-single", "jid-multi", "fixed", "hidden", "1", "9" * 40,
    "xs:integer", "error", "\x9b31m", "\u202e", "a\tb", "owner", "subscribe", "\r\n",
)  # fmt: skip
characters = st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="\ufffe\uffff\x00")
texts = st.one_of(st.sampled_from(VALUES), st.text(characters, max_size=12))
attributes = st.dictionaries(st.sampled_from(ATTRIBUTES), texts, max_size=4)


@st.composite
def elements(draw: st.DrawFn, depth: int = 0) -> Element:
    """Known names in known namespaces, at wrong places."""
    space = draw(st.sampled_from(SPACES))
    made = Element(f"{{{space}}}{draw(st.sampled_from(NAMES))}" if space else draw(st.sampled_from(NAMES)))
    made.attrib.update(draw(attributes))
    made.text, made.tail = draw(st.none() | texts), draw(st.none() | texts)
    if depth < 3:
        made.extend(draw(st.lists(elements(depth + 1), max_size=3)))
    return made


@given(elements(), st.dictionaries(texts, st.lists(texts, max_size=3), max_size=3))
@BOUNDED
def test_any_answer_is_read_in_bounds_or_refused(answer: Element, wanted: dict[str, list[str]]) -> None:
    """By every reader."""
    try:
        info = disco.read_info(answer)
        for form in info.forms:
            disco.info_json(info)
            forms.submission(form, checked(form, wanted))
            ignored(wanted, form)
            assert set(forms.read_json(forms.form_json(form))) <= {each.var for each in form.fields}
    except Refused:
        pass
    assert len(disco.read_items(answer)) <= sum(1 for _ in answer.iter())
    nodes.read_subscriptions(answer, "n")
    nodes.read_affiliations(answer, "n", "j")
    rosters.read(answer)
    pep.read(answer)
    for item in nodes.read_items(answer):
        payloads.event_in(item.payload)
        payloads.entry_in(item.payload)
        pep.read(item.payload)
    refused = explained(ErrorAnswer(error_of(answer)), "it", "to@x", "own@x")
    assert len(str(refused)) < 1_000
    assert not UNSAFE.search(str(refused))


@given(elements())
@BOUNDED
def test_any_payload_is_written_as_xml_that_says_the_same(payload: Element) -> None:
    """Names, namespaces, attributes and texts; indented or not, it can be parsed."""
    legal = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
    for each in payload.iter():
        each.text, each.tail = legal.sub("", each.text or ""), legal.sub("", each.tail or "")
        for name, value in each.attrib.items():
            each.set(name, legal.sub("", value))
    fromstring(payloads.xml_text(payload, indented=True))
    read = fromstring(payloads.xml_text(payload))
    payload.tail = ""
    for one, other in zip(payload.iter(), read.iter(), strict=True):
        assert (one.tag, one.attrib, one.text or "") == (other.tag, other.attrib, other.text or "")


@given(st.text(max_size=200))
@BOUNDED
def test_a_line_is_one_line_and_moves_no_cursor(text: str) -> None:
    """Whatever a service calls things."""
    shown = line(text)
    assert "\n" not in shown
    assert not UNSAFE.search(shown)


def test_what_is_nested_too_deep_is_not_followed() -> None:
    """`limits.DATA_DEPTH`: a reader that recurses would fall."""
    top = bottom = Element("x")
    for _ in range(100_000):
        below = Element("x")
        bottom.append(below)
        bottom = below
    assert payloads.xml_text(top) == ""
    assert payloads.is_deep(top)
    shallow = Element("x")
    for _ in range(limits.DATA_DEPTH - 1):
        outer = Element("x")
        outer.append(shallow)
        shallow = outer
    assert payloads.xml_text(shallow)
