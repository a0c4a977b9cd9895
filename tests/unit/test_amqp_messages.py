"""How AMQP messages become event fields; what can be none says why."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import pytest

from xmppbus.amqp.message import UNREADABLE, Message
from xmppbus.errors import Refused
from xmppbus.inputs.amqp_messages import Rule, event_of, type_of

RULE = Rule()


def fields(message: Message, rule: Rule = RULE) -> dict[str, Any]:
    """Of a message in the queue `q`."""
    return event_of(message, "q", rule)


def test_json_is_data_and_the_properties_name_the_event() -> None:
    """Routing key, message-id, app-id, timestamp."""
    message = Message(
        b'{"used": 93}',
        exchange="amq.topic",
        routing_key="disk.full",
        content_type="application/json",
        message_id="m1",
        app_id="df",
        timestamp=datetime(2026, 1, 31, 12, tzinfo=UTC),
    )
    assert fields(message) == {
        "type": "disk.full",
        "source": "df",
        "id": "m1",
        "time": "2026-01-31T12:00:00Z",
        "data": {"used": 93},
        "datacontenttype": "application/json",
    }


def test_text_is_text_and_what_is_neither_is_kept_byte_for_byte() -> None:
    """Compressed bodies too: nobody unpacks a stranger's archive here."""
    assert fields(Message(b"full"))["data"] == "full"
    assert fields(Message(b"\xff"))["data_base64"] == base64.b64encode(b"\xff").decode()
    packed = fields(Message(b"{}", content_type="application/json", content_encoding="gzip"))
    assert (packed["data_base64"], packed["contentencoding"]) == ("e30=", "gzip")
    assert fields(Message(b"{}", content_type="application/json", content_encoding="UTF-8"))["data"] == {}
    assert fields(Message(b"{}", content_type="json"))["data"] == "{}", "what is no media type says nothing"


def test_cloudevents_come_in_both_modes() -> None:
    """Structured is the event as it is; binary has fields in headers, with either separator."""
    whole = b'{"specversion": "1.0", "type": "a.b", "source": "s", "id": "1", "data": 5}'
    structured = Message(whole, content_type="application/cloudevents+json; charset=utf-8", message_id="other")
    assert fields(structured) == {"type": "a.b", "source": "s", "id": "1", "data": 5}
    headers = {"cloudEvents:type": "a.b", "cloudEvents_severity": "warning", "cloudEvents:n": 5, "x": "y"}
    binary = fields(Message(b"text", routing_key="k", headers=headers))
    assert (binary["type"], binary["severity"], binary["n"]) == ("a.b", "warning", 5)
    assert "x" not in binary
    moment = {"cloudEvents:time": datetime(2026, 1, 31, tzinfo=UTC)}
    assert fields(Message(b"", headers=moment))["time"] == "2026-01-31T00:00:00Z"


def test_the_config_comes_before_properties_and_behind_the_event_itself() -> None:
    """`type` and `source`; and the exchange, or the queue, is the last resort."""
    rule = Rule(type="fixed.type", source="fixed")
    named = Message(b"", routing_key="r", app_id="app", headers={"cloudEvents:type": "own.type"})
    assert (fields(named, rule)["type"], fields(named, rule)["source"]) == ("own.type", "fixed")
    assert fields(Message(b"", routing_key="r"), rule)["type"] == "fixed.type"
    assert fields(Message(b"", exchange="x"))["source"] == "amqp:x"
    assert fields(Message(b""))["source"] == "amqp:q"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("disk.full", "disk.full"),
        ("a b.ü/c", "a-b.-c"),
        ("..", "amqp.message"),
        ("", "amqp.message"),
        (".x..y.", "x.y"),
    ],
)
def test_a_routing_key_becomes_a_type(name: str, expected: str) -> None:
    """What can't be in a type becomes one hyphen; empty words go."""
    assert type_of(name, "amqp.message") == expected


def test_a_message_without_an_id_is_named_by_its_content_only_if_that_is_wanted() -> None:
    """And headers, which a broker changes when it delivers again, are no part of it."""
    message = Message(b"x", routing_key="k")
    assert "id" not in fields(message)
    by_content = Rule(by_content=True)
    again = message._replace(headers={"x-delivery-count": 1})
    assert fields(message, by_content)["id"] == fields(again, by_content)["id"]
    for other in (message._replace(body=b"y"), message._replace(routing_key="l"), message._replace(app_id="k")):
        assert fields(other, by_content)["id"] != fields(message, by_content)["id"]
    assert fields(message._replace(message_id="m"), by_content)["id"] == "m"


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (Message(b"{", content_type="application/json"), "is not JSON"),
        (Message(b"[]", content_type="application/cloudevents+json"), "not a JSON object"),
        (Message(b"[]", content_type="application/cloudevents-batch+json"), "is not spoken here"),
        (Message(b"", headers={"cloudEvents:data": "x"}), "is the body"),
        (Message(b"", headers={UNREADABLE: "why"}), "its headers can't be read: why"),
    ],
)
def test_what_can_be_no_event_says_why(message: Message, said: str) -> None:
    """For the log; the dead-letter exchange gets the message."""
    with pytest.raises(Refused, match=said):
        fields(message)
