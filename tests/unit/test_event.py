"""Events: what the door takes, what it refuses, and that what it takes survives."""

from __future__ import annotations

import json
import sys
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.event import NAMESPACE, Event, bytes_as_data, parse
from xmppbus.fields import FIELDS, check, decode_fields, encode_fields

DEFAULTS = {"id": "1", "source": "host", "time": "2026-01-31T12:00:00.000Z"}
LEGAL_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | LEGAL_TEXT,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(LEGAL_TEXT, children, max_size=4),
    max_leaves=12,
)


def refused(fields: dict[str, Any]) -> Refused:
    with pytest.raises(Refused) as caught:
        parse(fields, DEFAULTS)
    return caught.value


def test_a_type_alone_makes_an_event() -> None:
    """Everything else has a default."""
    event = parse({"type": "user.signup"}, DEFAULTS).event
    assert (event.type, event.source, event.id, event.time) == ("user.signup", "host", "1", DEFAULTS["time"])
    assert event.summary == "user.signup"
    assert event.severity == "info"


def test_the_item_id_is_the_uuid5_of_source_newline_id() -> None:
    """So that a program in any language can compute it."""
    event = parse({"type": "a", "id": "42", "source": "db1"}, DEFAULTS).event
    assert event.item_id == str(uuid.uuid5(NAMESPACE, "db1\n42"))


@given(JSON, LEGAL_TEXT)
def test_every_legal_text_and_every_json_value_survives_byte_for_byte(data: Any, summary: str) -> None:
    """Through the encoding that the journal and the item carry."""
    event = parse({"type": "a", "data": data, "summary": summary}, DEFAULTS).event
    read = Event.decode(event.encoded)
    assert json.dumps(read.fields["data"], sort_keys=True) == json.dumps(data, sort_keys=True)
    assert read.get("summary") == summary


def test_all_code_points_become_characters_that_xml_allows() -> None:
    """Control characters and the two non-characters are escaped; the rest stands as it is."""
    text = "".join(chr(point) for point in range(sys.maxunicode + 1) if not 0xD800 <= point <= 0xDFFF)
    encoded = encode_fields({"data": text}).decode()
    illegal = {*map(chr, range(0x20)), "\ufffe", "\uffff"}
    assert not illegal & set(encoded)
    assert decode_fields(encoded.encode())["data"] == text


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "type"),
        ({"type": ""}, "type"),
        ({"type": "a..b"}, "type"),
        ({"type": "a b"}, "type"),
        ({"type": "a\n"}, "type"),
        ({"type": "a" * (limits.TYPE_CHARACTERS + 1)}, "type"),
        ({"type": 7}, "type"),
        ({"type": "a", "id": ""}, "id"),
        ({"type": "a", "id": "x\x1b"}, "id"),
        ({"type": "a", "source": "x\ny"}, "source"),
        ({"type": "a", "source": "s" * (limits.NAME_CHARACTERS + 1)}, "source"),
        ({"type": "a", "time": "yesterday"}, "time"),
        ({"type": "a", "time": "2026-01-31"}, "time"),
        ({"type": "a", "time": "2026-01-31T12:00:00"}, "time"),
        ({"type": "a", "severity": "bad"}, "severity"),
        ({"type": "a", "status": "open", "key": "k"}, "status"),
        ({"type": "a", "status": "firing"}, "key"),
        ({"type": "a", "link": "example.org"}, "link"),
        ({"type": "a", "link": "https://e.org/" + "x" * limits.LINK_CHARACTERS}, "link"),
        ({"type": "a", "tags": ["a,b"]}, "tags"),
        ({"type": "a", "tags": [str(n) for n in range(limits.TAGS + 1)]}, "tags"),
        ({"type": "a", "tags": ["x" * (limits.TAG_CHARACTERS + 1)]}, "tags"),
        ({"type": "a", "tags": 3}, "tags"),
        ({"type": "a", "summary": "x" * (limits.SUMMARY_CHARACTERS + 1)}, "summary"),
        ({"type": "a", "data_base64": "!"}, "data_base64"),
        ({"type": "a", "data": 1, "data_base64": "QQ=="}, "data_base64"),
        ({"type": "a", "datacontenttype": "text"}, "datacontenttype"),
        ({"type": "a", "hops": limits.HOPS + 1}, "hops"),
        ({"type": "a", "Severity": "info"}, "Severity"),
        (
            {"type": "a", "x" * (limits.EXTENSION_NAME_CHARACTERS + 1): "1"},
            "x" * (limits.EXTENSION_NAME_CHARACTERS + 1),
        ),
        ({"type": "a", "extra": [1]}, "extra"),
        ({"type": "a", "extra": 1.5}, "extra"),
        ({"type": "a", "specversion": "0.3"}, "specversion"),
        ({"type": "a", "data": "\ud800"}, "data"),
        ({"type": "a", "summary": "\udfff"}, "summary"),
    ],
)
def test_a_bad_field_is_refused_by_its_name(fields: dict[str, Any], field: str) -> None:
    """And the reason says how to mend it."""
    refusal = refused(fields)
    assert refusal.code is Code.INVALID
    assert refusal.field == field
    assert refusal.message
    assert refusal.answer.http == 400
    assert refusal.answer.exit == 65


def test_too_many_extensions_are_refused() -> None:
    """The bound has a name."""
    fields = {"type": "a", **{f"e{n}": n for n in range(limits.EXTENSIONS + len(FIELDS))}}
    assert "extensions" in refused(fields).message


def test_deeply_nested_data_is_refused_and_breaks_nothing() -> None:
    """However deep: a reader that recurses would die of it."""
    data: Any = 0
    for _ in range(limits.DATA_DEPTH + 1):
        data = [data]
    assert refused({"type": "a", "data": data}).field == "data"
    with pytest.raises(Refused):
        decode_fields(b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}")


def test_an_event_over_its_bound_is_refused_as_too_big() -> None:
    """413, and the sentence names both sizes."""
    refusal = refused({"type": "a", "data": "x" * limits.EVENT_BYTES})
    assert refusal.code is Code.TOO_BIG
    assert str(limits.EVENT_BYTES) in refusal.message


def test_the_content_is_what_was_sent_not_what_the_house_filled_in() -> None:
    """So that the same event sent again a minute later is known, and no conflict."""
    first = parse({"type": "a", "id": "1", "data": {"x": 1, "y": 2}}, DEFAULTS)
    again = parse({"id": "1", "data": {"y": 2, "x": 1}, "type": "a"}, {**DEFAULTS, "time": "2026-02-01T00:00:00Z"})
    other = parse({"type": "a", "id": "1", "data": {"x": 1, "y": 3}}, DEFAULTS)
    assert first.content == again.content
    assert first.content != other.content


def test_tags_are_the_same_as_a_list_and_as_words_with_commas() -> None:
    """CloudEvents has no lists."""
    assert check({"type": "a", "tags": ["x", "y"]}) == check({"type": "a", "tags": "x,y"})
    assert Event({"tags": "x,y"}).tags == ("x", "y")


def test_null_is_the_same_as_absent_but_in_data() -> None:
    """CloudEvents JSON format §2.2."""
    assert check({"type": "a", "subject": None, "data": None}) == {"type": "a", "data": None}


def test_bytes_are_text_when_they_are_utf8_and_base64_when_not() -> None:
    """Nothing is replaced by question marks."""
    assert bytes_as_data("grüß".encode())["data"] == "grüß"
    assert bytes_as_data(b"\xff\x00") == {"data_base64": "/wA=", "datacontenttype": "application/octet-stream"}


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_refused(content: bytes) -> None:
    """Never another exception."""
    try:
        assert isinstance(decode_fields(content), dict)
    except Refused as refusal:
        assert refusal.code is Code.INVALID  # noqa: PT017  # either is right, nothing else is


@pytest.mark.parametrize("text", ["_-" * 64, "_" * 81, "a." * 60 + "ab", "a" + "-" * 80])
def test_a_type_that_no_file_can_be_named_after_is_refused_at_the_door(text: str) -> None:
    """Prosody's storage in files escapes all but letters and digits, and would refuse all its events for ever."""
    refusal = refused({"type": text})
    assert refusal.field == "type"
    assert "a file named after it" in str(refusal)


@pytest.mark.parametrize("text", ["a" * limits.TYPE_CHARACTERS, "_" * 80, "-" * 80, "a." * 56 + "b" * 16])
def test_long_types_are_taken(text: str) -> None:
    """Up to what a file's name can be."""
    assert parse({"type": text}, DEFAULTS).event.type == text
