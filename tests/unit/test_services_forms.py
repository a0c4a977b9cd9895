"""Data forms go back as they came, but for what was changed; what is wrong with a wish is said before it is sent."""

from __future__ import annotations

import json
from typing import Any
from xml.etree.ElementTree import Element

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.xmpp.services.form_checks import check, checked, field_named, ignored, same
from xmppbus.xmpp.services.forms import (
    Field,
    Form,
    Option,
    form_in,
    form_json,
    read,
    read_json,
    submission,
    submitted,
)

NODE_CONFIG = "http://jabber.org/protocol/pubsub#node_config"
UNKNOWN = f"""
<pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><configure node='n'>
<x xmlns='jabber:x:data' type='form'>
  <title>A service of tomorrow</title><instructions>Fill in</instructions>
  <field var='FORM_TYPE' type='hidden'><value>{NODE_CONFIG}</value></field>
  <field type='fixed'><value>Words only</value></field>
  <field var='pubsub#title' type='text-single' label='Title'><value>a &lt;b&gt;</value></field>
  <field var='pubsub#persist_items' type='boolean'><value>true</value></field>
  <field var='pubsub#deliver_payloads' type='boolean'><value>1</value></field>
  <field var='pubsub#max_items' type='text-single'><value>10</value>
    <validate xmlns='http://jabber.org/protocol/xdata-validate' datatype='xs:integer'>
    <range min='1' max='256'/></validate></field>
  <field var='pubsub#access_model' type='list-single'><value>open</value>
    <option label='All'><value>open</value></option><option><value>whitelist</value></option></field>
  <field var='pubsub#roster_groups_allowed' type='list-multi'><value>b</value><value>a</value>
    <option><value>a</value></option><option><value>b</value></option><option><value>c</value></option></field>
  <field var='pubsub#contact' type='jid-multi'><value>romeo@example.org</value></field>
  <field var='pubsub#children' type='text-multi'><value>one</value><value/><value>three</value></field>
  <field var='tomorrow#moon' type='urn:unknown'><value>full</value><value>new</value></field>
  <field var='tomorrow#secret' type='hidden'><value>x1</value><value>x2</value></field>
  <field var='tomorrow#empty' type='text-single'/>
  <field var='tomorrow#untyped'><value> spaces  kept </value></field>
  <field var='tomorrow#picture' type='text-single'><media xmlns='urn:xmpp:media-element'>
    <uri type='image/png'>https://example.org/p.png</uri></media><value>p</value></field>
</x></configure></pubsub>"""


def form() -> Form:
    return form_in(fromstring(UNKNOWN))


def sent(xml: str) -> dict[str, tuple[str, ...]]:
    return {each.var: each.values for each in read(fromstring(xml)).fields}


def original() -> dict[str, tuple[str, ...]]:
    return {each.var: each.values for each in form().fields if each.var}


def test_a_form_goes_back_as_it_came() -> None:
    """Multi values in their order, empty ones, unknown types, hidden ones, FORM_TYPE first; no text that was fixed."""
    assert sent(submission(form(), {})) == original()
    assert next(iter(original())) == "FORM_TYPE"


def test_only_what_was_changed_is_another() -> None:
    """However it was named."""
    changes = checked(form(), {"max_items": ["64"], "pubsub#access_model": ["whitelist"], "moon": ["half"]})
    expected = {"pubsub#max_items": ("64",), "pubsub#access_model": ("whitelist",), "tomorrow#moon": ("half",)}
    assert changes == expected
    assert sent(submission(form(), changes)) == {**original(), **expected}


def test_json_that_nobody_edited_changes_nothing() -> None:
    """`config get --json`, then `config set --from`."""
    given_ = read_json(json.loads(json.dumps(form_json(form()))))
    known = form().settable
    assert {name: values for name, values in checked(form(), given_).items() if known[name].values != values} == {}
    assert form_json(form())["fields"][-1]["media"] == ["https://example.org/p.png"]


def test_a_boolean_keeps_the_spelling_of_its_form() -> None:
    """Four of them are legal (XEP-0004 §3.3), and a service may know only its own."""
    for word in ("false", "0", "no", "Off"):
        assert checked(form(), {"persist_items": [word], "deliver_payloads": [word]}) == {
            "pubsub#persist_items": ("false",),
            "pubsub#deliver_payloads": ("0",),
        }
    assert same(Field("b", "boolean", values=("1",)), ["true"])
    assert not same(Field("b", "boolean", values=("1",)), ["0"])


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"max_item": ["1"]}, "no field 'max_item'; did you mean max_items?"),
        ({"color": ["red"]}, "no field 'color'; `config get` shows"),
        ({"max_items": ["many"]}, "is a whole number, not 'many'"),
        ({"max_items": ["0"]}, "is at least 1 here"),
        ({"max_items": ["257"]}, "is at most 256 here"),
        ({"max_items": ["1", "2"]}, "takes one value, not 2"),
        ({"access_model": ["opn"]}, "did you mean open?"),
        ({"access_model": ["zzz"]}, "it is one of: open, whitelist"),
        ({"roster_groups_allowed": ["a", "d"]}, "does not take 'd'"),
        ({"persist_items": ["maybe"]}, "is true or false"),
        ({"contact": ["a@@b"]}, "not a JID"),
        ({"title": ["two\nlines"]}, "takes one line"),
        ({"title": ["bell\x07"]}, "XML forbids"),
        ({"title": ["\ud800"]}, "XML forbids"),
        ({"FORM_TYPE": ["x"]}, "no field 'FORM_TYPE'"),
        ({"max_items": ["1"], "pubsub#max_items": ["2"]}, "is given twice"),
    ],
)
def test_what_a_form_does_not_take_is_said_before_it_is_sent(wanted: dict[str, list[str]], words: str) -> None:
    """In plain words, with what to write instead."""
    with pytest.raises(Refused, match=r".") as caught:
        checked(form(), wanted)
    assert words in str(caught.value)
    assert caught.value.code is Code.INVALID


def test_the_most_that_a_service_keeps_has_a_word() -> None:
    """`max` (XEP-0060 §16.4.4), though the form says integer."""
    assert checked(form(), {"max_items": ["max"]}) == {"pubsub#max_items": ("max",)}


def test_what_a_service_ignores_is_found() -> None:
    """Another value than wanted, or no such field."""
    after = form()
    wanted = {"pubsub#max_items": ("64",), "pubsub#persist_items": ("1",), "pubsub#nope": ("1",)}
    found = ignored(wanted, after)
    assert [(each.var, each.found) for each in found] == [("pubsub#max_items", ("10",)), ("pubsub#nope", None)]
    assert ignored({"pubsub#roster_groups_allowed": ("a", "b")}, after) == [], "a list has no order"


def test_an_open_list_takes_what_it_does_not_offer() -> None:
    """XEP-0122 §3.3; and so does a list without options."""
    field = Field("f", "list-single", options=(Option("a", ""),), is_open=True)
    assert check(field, ["other"]) == ("other",)
    assert check(Field("f", "list-multi"), ["x", "y"]) == ("x", "y")
    with pytest.raises(Refused, match="required"):
        check(Field("f", "text-single", required=True), [])


def test_a_name_that_two_fields_share_is_written_in_full() -> None:
    """The short one would be a guess."""
    twins = Form("form", "", (), (Field("a#x", values=("1",)), Field("b#x", values=("2",))))
    assert field_named(twins, "b#x").values == ("2",)
    with pytest.raises(Refused, match="no field 'x'"):
        field_named(twins, "x")


def test_a_form_that_names_a_field_twice_is_not_sent_back() -> None:
    """Nobody knows which of the two counts."""
    with pytest.raises(Refused, match="twice"):
        submission(Form("form", "", (), (Field("a"), Field("a"))), {})


def test_a_form_beyond_the_bounds_is_refused_and_not_cut() -> None:
    """`limits.FORM_VALUES`: a part of a form would be another form."""
    values = "<value>v</value>" * limits.FORM_VALUES
    fits = fromstring(f"<x xmlns='jabber:x:data'><field var='f' type='text-multi'>{values}</field></x>")
    assert len(read(fits).fields[0].values) == limits.FORM_VALUES
    for inner in (f"<field var='f'>{values}<value/></field>", "<field var='f'/>" * (limits.FORM_VALUES + 1)):
        with pytest.raises(Refused) as caught:
            read(fromstring(f"<x xmlns='jabber:x:data'>{inner}</x>"))
        assert caught.value.code is Code.TOO_BIG


@pytest.mark.parametrize(
    "content", [[], 1, None, {"fields": [1]}, {"fields": [{"var": 1}]}, {"a": {"b": 1}}, {"a": [None]}, {"a": 1.5}]
)
def test_json_of_another_shape_is_refused(content: Any) -> None:
    """With a sentence."""
    with pytest.raises(Refused):
        read_json(content)


def test_json_may_be_written_by_hand() -> None:
    """Names and values alone."""
    content = {"max_items": 64, "persist_items": True, "groups": ["a", "b"], "title": ""}
    assert read_json(content) == {
        "max_items": ("64",),
        "persist_items": ("true",),
        "groups": ("a", "b"),
        "title": ("",),
    }
    with pytest.raises(Refused, match="twice"):
        read_json({"fields": [{"var": "a"}, {"var": "a"}]})


def test_an_answer_without_a_form_says_so() -> None:
    """It can't be configured like this."""
    with pytest.raises(Refused, match="without a form"):
        form_in(Element("iq"))


texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff",
                              include_characters="\t\n\r\"'<>&"), max_size=20)  # fmt: skip
names = texts.map(lambda text: "v" + "".join(text.split()))


@given(st.dictionaries(names, st.lists(texts, max_size=4), max_size=6))
def test_any_values_come_back_as_they_were_sent(values: dict[str, list[str]]) -> None:
    """Every text that XML can carry, its ends of line too."""
    assert sent(submitted(values)) == {name: tuple(each) for name, each in values.items()}


@given(st.dictionaries(names, st.lists(texts, max_size=4), max_size=6), st.sampled_from(["", "hidden", "urn:x"]))
def test_any_form_survives_json(values: dict[str, list[str]], kind: str) -> None:
    """Whatever its fields are called."""
    known = Form("form", "", (), tuple(Field(name, kind, values=tuple(each)) for name, each in values.items()))
    assert read_json(json.loads(json.dumps(form_json(known)))) == {name: tuple(each) for name, each in values.items()}
