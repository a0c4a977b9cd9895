"""Bytes and headers as event fields: CloudEvents' HTTP binding, and what `curl -d` sends."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.fields import check
from xmppbus.inputs.cloudevents_http import Mode, binary_event, data_of, events_of, is_object, media_type, mode_of


@pytest.mark.parametrize(
    ("content_type", "headers", "mode"),
    [
        ("application/cloudevents+json", {}, Mode.OBJECT),
        ("application/cloudevents+json; charset=UTF-8", {}, Mode.OBJECT),
        ("Application/CloudEvents+JSON", {}, Mode.OBJECT),
        ("application/cloudevents+json", {"ce-type": "a"}, Mode.OBJECT),
        ("application/cloudevents-batch+json", {}, Mode.ARRAY),
        ("application/json", {}, Mode.PLAIN),
        ("", {}, Mode.PLAIN),
        ("application/x-ndjson", {}, Mode.LINES),
        ("application/jsonl", {}, Mode.LINES),
        ("application/json", {"ce-type": "a"}, Mode.BINARY),
        ("text/plain", {"ce-specversion": "1.0"}, Mode.BINARY),
        ("", {"ce-type": "a"}, Mode.BINARY),
    ],
)
def test_the_media_type_says_the_mode(content_type: str, headers: dict[str, str], mode: Mode) -> None:
    """CloudEvents' own types win over `ce-` headers, which win over the others."""
    assert mode_of(content_type, headers) is mode


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/cloudevents+xml",
        "application/cloudevents",
        "application/json; charset=latin-1",
        "nonsense",
    ],
)
def test_a_type_that_says_nothing_of_an_event_is_refused(content_type: str) -> None:
    """With 415."""
    with pytest.raises(Refused) as raised:
        mode_of(content_type, {})
    assert raised.value.code is Code.MEDIA_TYPE


@pytest.mark.parametrize(
    ("content_type", "found"),
    [
        ("Text/Plain", ("text/plain", "")),
        ('text/plain; Charset="UTF-8"', ("text/plain", "utf-8")),
        ("text/plain;charset=utf-8;x=y", ("text/plain", "utf-8")),
        ("", ("", "")),
        (";;;", ("", "")),
    ],
)
def test_a_charset_is_found_whatever_its_case(content_type: str, found: tuple[str, str]) -> None:
    """RFC 9110 §8.3."""
    assert media_type(content_type) == found


@pytest.mark.parametrize(
    ("content_type", "body", "fields"),
    [
        ("", b"", {}),
        ("text/plain", b"", {}),
        ("", b"backup done", {"data": "backup done", "datacontenttype": "text/plain"}),
        ("application/x-www-form-urlencoded", b"a=b", {"data": "a=b", "datacontenttype": "text/plain"}),
        ("text/csv", b"a;b\r\n", {"data": "a;b\r\n", "datacontenttype": "text/csv"}),
        ("application/json", b' {"a":[1]}', {"data": {"a": [1]}, "datacontenttype": "application/json"}),
        ("application/geo+json", b"null", {"data": None, "datacontenttype": "application/geo+json"}),
        ("image/png", b"\x89PNG", {"data_base64": "iVBORw==", "datacontenttype": "image/png"}),
        ("", b"\xff", {"data_base64": "/w==", "datacontenttype": "application/octet-stream"}),
        (
            "text/plain; charset=utf-16",
            "a".encode("utf-16-le"),
            {"data_base64": "YQA=", "datacontenttype": "text/plain; charset=utf-16"},
        ),
    ],
)
def test_a_body_is_data_and_not_a_byte_is_lost(content_type: str, body: bytes, fields: dict[str, Any]) -> None:
    """JSON as itself, text as text, anything else in base64."""
    assert data_of(content_type, body) == fields


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 100_000, b'"\\ud800'])
def test_json_that_is_none_is_refused(body: bytes) -> None:
    """And it names the field."""
    with pytest.raises(Refused) as raised:
        data_of("application/json", body)
    assert (raised.value.code, raised.value.field) == (Code.INVALID, "data")


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ("plain", "plain"),
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ("Euro €", "Euro €"),
        ("91%25", "91%"),
        ("100%", "100%"),
        ('"quoted \\"text\\" \\\\"', 'quoted "text" \\'),
        ('"%22"', '"'),
        ('"', '"'),
    ],
)
def test_a_header_is_percent_encoded_utf_8(sent: str, text: str) -> None:
    """§3.1.3.2: quotes go first, then percent-encoding, then UTF-8."""
    assert binary_event([("ce-summary", sent)], "", "", b"") == {"summary": text}


@pytest.mark.parametrize("sent", ["%FF", "%ED%A0%80", "\udcff", "%C3"])
def test_a_header_that_is_not_utf_8_is_refused(sent: str) -> None:
    """And it names the field."""
    with pytest.raises(Refused) as raised:
        binary_event([("Ce-Summary", sent)], "", "", b"")
    assert raised.value.field == "summary"


def test_headers_and_query_are_fields() -> None:
    """Whatever the case of a header; other headers are not looked at."""
    headers = [("Host", "x"), ("CE-Type", "user.signup"), ("ce-hops", "2"), ("CE-SpecVersion", "1.0")]
    found = binary_event(headers, "severity=warning&summary=a+b%20%E2%82%AC&subject=", "text/plain", b"x")
    assert found == {
        "type": "user.signup",
        "hops": 2,
        "specversion": "1.0",
        "severity": "warning",
        "summary": "a b €",
        "subject": "",
        "data": "x",
        "datacontenttype": "text/plain",
    }


@pytest.mark.parametrize(
    ("headers", "query", "field"),
    [
        ([("ce-type", "a"), ("ce-type", "b")], "", "type"),
        ([("ce-severity", "info")], "severity=warning", "severity"),
        ([("ce-data", "x")], "", "data"),
        ([], "data_base64=eA==", "data_base64"),
        ([("ce-datacontenttype", "text/plain")], "", "datacontenttype"),
    ],
)
def test_a_field_has_one_value_and_data_is_the_body(headers: list[tuple[str, str]], query: str, field: str) -> None:
    """Whichever of two were meant, half of the senders would be wrong."""
    with pytest.raises(Refused) as raised:
        binary_event(headers, query, "", b"")
    assert raised.value.field == field


@pytest.mark.parametrize("query", ["a=%FF", "&".join(f"a{number}=1" for number in range(100))])
def test_a_query_that_cannot_be_read_is_refused(query: str) -> None:
    """Not UTF-8, or endless."""
    with pytest.raises(Refused):
        binary_event([], query, "", b"")


def test_lines_are_read_one_by_one() -> None:
    """A bad one stands as its refusal; empty ones are nothing."""
    first, second, third = events_of(Mode.LINES, b'{"type":"a"}\r\n\n  \nnonsense\n{"type":"b"}')
    assert (first, third) == ({"type": "a"}, {"type": "b"})
    assert isinstance(second, Refused)


def test_an_array_may_hold_what_is_no_event() -> None:
    """It gets its own refusal."""
    first, second = events_of(Mode.ARRAY, b'[{"type":"a"}, 7]')
    assert first == {"type": "a"}
    assert isinstance(second, Refused)


@pytest.mark.parametrize("body", [b"", b"{}", b"[", b"[1", b"\xff", b"[" * 100_000])
def test_what_is_no_array_is_refused_as_a_whole(body: bytes) -> None:
    """With the JSON reader's own words."""
    with pytest.raises(Refused) as raised:
        events_of(Mode.ARRAY, body)
    assert raised.value.code is Code.INVALID


@pytest.mark.parametrize("mode", [Mode.ARRAY, Mode.LINES])
def test_a_request_holds_so_many_events(mode: Mode) -> None:
    """One more is refused, and nothing of it is read."""
    count = limits.BATCH_EVENTS + 1
    body = b"{}\n" * count if mode is Mode.LINES else b"[" + b",".join([b"{}"] * count) + b"]"
    with pytest.raises(Refused) as raised:
        events_of(mode, body)
    assert raised.value.code is Code.TOO_BIG


def test_plain_json_is_one_event_or_many() -> None:
    """Whichever it is; CloudEvents' own types say which."""
    assert is_object(Mode.PLAIN, b' {"type":"a"}')
    assert not is_object(Mode.PLAIN, b'\n[{"type":"a"}]')
    assert is_object(Mode.OBJECT, b"[]")
    assert not is_object(Mode.ARRAY, b"[]")


def test_base64_gives_the_bytes_back() -> None:
    """Every byte there is."""
    body = bytes(range(256))
    assert base64.b64decode(data_of("image/png", body)["data_base64"]) == body


@pytest.mark.parametrize("hops", ["9" * 5_000, "999", "-1", "x"])
def test_a_count_of_hops_that_is_none_is_refused_with_its_name(hops: str) -> None:
    """However many digits it has."""
    fields = binary_event([("ce-type", "a"), ("ce-hops", hops)], "", "", b"")
    with pytest.raises(Refused) as raised:
        check(fields)
    assert raised.value.field == "hops"
