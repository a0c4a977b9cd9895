"""Which event a SEND is, and what a MESSAGE says of one. Pure."""

from __future__ import annotations

from typing import Any

import pytest

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.event import Event
from xmppbus.fields import check
from xmppbus.inputs.stomp_events import body_of, event_of, message_headers
from xmppbus.inputs.stomp_frames import Frame


def sent(destination: str = "/topic/a.b", body: bytes = b"", **headers: str) -> dict[str, Any]:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return event_of(Frame("SEND", {"destination": destination, **names}, body))


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("", b"", {}),
        ("", b"alice joined", {"data": "alice joined", "datacontenttype": "text/plain"}),
        ("", b"\xff", {"data_base64": "/w==", "datacontenttype": "application/octet-stream"}),
        ("text/html", b"<b>", {"data": "<b>", "datacontenttype": "text/html"}),
        (
            "text/plain; charset=latin-1",
            b"\xe4",
            {"data_base64": "5A==", "datacontenttype": "text/plain; charset=latin-1"},
        ),
        ("application/json", b"[1]", {"data": [1], "datacontenttype": "application/json"}),
        ("application/cloudevents+json", b'{"data": 1, "source": "s"}', {"data": 1, "source": "s"}),
    ],
)
def test_the_content_type_says_what_a_body_is(content_type: str, body: bytes, expected: dict[str, Any]) -> None:
    """As it does over HTTP."""
    assert sent(body=body, content_type=content_type) == {"type": "a.b", **expected}


@pytest.mark.parametrize(
    ("destination", "headers", "expected"),
    [
        ("/topic/a", {"receipt": "1", "transaction": "t", "ack": "x", "passcode": "secret", "Authorization": "x"}, {}),
        (
            "/topic/a",
            {"severity": "error", "ce-key": "k", "CE-Subject": "s"},
            {"severity": "error", "key": "k", "subject": "s"},
        ),
        ("/topic/a", {"persistent": "true", "priority": "4"}, {"persistent": "true", "priority": "4"}),
        ("/topic/a", {"X-Shop": "7", "correlation-id": "8"}, {"stompheaders": '{"X-Shop":"7","correlation-id":"8"}'}),
        ("/topic/a", {"message-id": "17"}, {"id": "17"}),
        ("/topic/a", {"message-id": "17", "id": "18"}, {"id": "18"}),
        ("/topic/a", {"hops": "3"}, {"hops": 3}),
        ("/queue/q", {}, {"type": "q", "queue": "q"}),
        ("/queue/a/b", {}, {"type": "a.b", "queue": "a/b"}),
        ("/queue/q", {"type": "job.mail", "queue": "q"}, {"type": "job.mail", "queue": "q"}),
    ],
)
def test_headers_are_fields_extensions_or_the_users_own(
    destination: str, headers: dict[str, str], expected: dict[str, Any]
) -> None:
    """STOMP's own, and secrets, are none of them."""
    fields = event_of(Frame("SEND", {"destination": destination, **headers}))
    assert fields == {"type": "a", **expected}
    check(fields)


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        ({"data": "x"}, b"", Code.INVALID),
        ({"ce-datacontenttype": "x"}, b"", Code.INVALID),
        ({"stompheaders": "{}"}, b"", Code.INVALID),
        ({"key": "a", "ce-key": "b"}, b"", Code.INVALID),
        ({"queue": "q"}, b"", Code.INVALID),
        ({"type": "other"}, b"", Code.INVALID),
        ({"content-type": "application/json"}, b"{", Code.INVALID),
        ({"content-type": "application/cloudevents+json"}, b"[]", Code.INVALID),
        ({"content-type": "application/cloudevents+json"}, b'{"queue": "q"}', Code.INVALID),
        ({"content-type": "application/cloudevents+json"}, b'{"type": "other"}', Code.INVALID),
        ({"x-large": "x" * limits.LINK_CHARACTERS}, b"", Code.TOO_BIG),
    ],
)
def test_what_can_not_be_meant_is_refused(headers: dict[str, str], body: bytes, code: Code) -> None:
    """Nothing is dropped silently."""
    with pytest.raises(Refused) as caught:
        event_of(Frame("SEND", {"destination": "/topic/a.b", **headers}, body))
    assert caught.value.code is code


@pytest.mark.parametrize(
    ("fields", "media", "body"),
    [
        ({}, "text/plain", b""),
        ({"data": "text"}, "text/plain", b"text"),
        ({"data": "<b>", "datacontenttype": "text/html"}, "text/html", b"<b>"),
        ({"data": "text", "datacontenttype": "application/json"}, "application/json", b'"text"'),
        ({"data": {"n": 1}}, "application/json", b'{"n":1}'),
        ({"data": None}, "application/json", b"null"),
        ({"data_base64": "/w=="}, "application/octet-stream", b"\xff"),
        (
            {"data_base64": "5A==", "datacontenttype": "text/plain; charset=latin-1"},
            "text/plain; charset=latin-1",
            b"\xe4",
        ),
    ],
)
def test_a_body_is_the_data_as_it_was_sent(fields: dict[str, Any], media: str, body: bytes) -> None:
    """With its type."""
    event = Event(check({"type": "a", **fields}))
    assert body_of(event, whole=False) == (media, body)


def test_a_message_that_is_sent_on_makes_the_same_event() -> None:
    """All of its headers with it."""
    given = {"id": "1", "source": "s", "time": "2026-01-31T12:00:00Z", "severity": "error", "tags": "a,b", "own": "x"}
    fields = check({"type": "a", **given, "stompheaders": '{"X-Shop":"7"}', "data": {"n": [1]}, "hops": 2})
    event = Event({**fields, "datacontenttype": "application/json"})
    media, body = body_of(event, whole=False)
    headers = {"destination": "/topic/a", "message-id": "1-1", "ack": "1-1", **message_headers(event, media)}
    assert check(event_of(Frame("SEND", headers, body))) == event.fields


@pytest.mark.parametrize("kept", ["no JSON", "[1]", '{"destination": "/topic/b", "id": "1-1", "ACK": "x"}', 7])
def test_an_extension_of_that_name_by_somebody_else_is_harmless(kept: Any) -> None:
    """It came by another door."""
    event = Event(check({"type": "a", "stompheaders": kept}))
    assert message_headers(event, "text/plain") == {"content-type": "text/plain", "type": "a"}
