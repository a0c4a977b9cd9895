"""Whatever a broker hands us is an event of the documented form, or refused with a reason; nothing else is raised."""

import os
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pamqp import decode

from xmppbus.amqp import tolerance
from xmppbus.amqp.message import Message
from xmppbus.bus import admit
from xmppbus.errors import Refused
from xmppbus.fields import FIELDS
from xmppbus.inputs import amqp_messages, redis_entries
from xmppbus.xmpp.stanzas import check_size

RUNS = int(os.environ.get("FUZZ_RUNS", "300"))
NOW = "2026-01-31T12:00:00Z"

texts = st.one_of(st.text(max_size=30), st.sampled_from(["", "a.b", "\udcff", "x" * 600, "application/json"]))
values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        texts,
        st.binary(max_size=20),
        st.datetimes(timezones=st.just(UTC)),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=5,
)
types = st.sampled_from(
    [
        "application/cloudevents+json",
        "application/cloudevents+json; charset=latin-1",
        "application/cloudevents-batch+json",
        "application/json",
        "text/plain; charset=utf-8",
        "text/plain; charset=\xff",
        "application/x-www-form-urlencoded",
    ]
)
bodies = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [b"{}", b"[" * 2000, b'{"type": null}', b'{"type": "t", "data": {"a": [1]}}', b'{"id": "\\ud800"}', b"1e999"]
    ),
)
names = st.one_of(
    texts,
    st.sampled_from([f"cloudEvents{mark}{field}" for mark in ":_" for field in (*FIELDS, "x")]),
)
messages = st.builds(
    Message,
    bodies,
    exchange=texts,
    routing_key=texts,
    content_type=st.one_of(types, texts),
    content_encoding=st.one_of(st.sampled_from(["", "gzip", "utf-8"]), texts),
    message_id=texts,
    app_id=texts,
    timestamp=st.one_of(st.none(), st.datetimes(min_value=datetime(1970, 1, 2), timezones=st.just(UTC))),  # noqa: DTZ001  # hypothesis wants it naive
    headers=st.dictionaries(names, values, max_size=4),
)


def at_the_door(fields: dict[str, Any]) -> None:
    """The same check as `accept` makes."""
    admit(fields, "here", NOW, check_size)


@given(messages, st.booleans())
@settings(max_examples=RUNS, deadline=None)
def test_any_message_is_an_event_or_refused(message: Message, by_content: bool) -> None:
    """And the same message is the same event."""
    rule = amqp_messages.Rule(by_content=by_content)
    with suppress(Refused):
        fields = amqp_messages.event_of(message, "queue", rule)
        assert fields == amqp_messages.event_of(message, "queue", rule) or fields != fields  # noqa: PLR0124  # NaN
        at_the_door(fields)


known = st.one_of(st.sampled_from([field.encode() for field in (*FIELDS, "event", "x")]), st.binary(max_size=10))
entries = st.dictionaries(known, st.one_of(bodies, st.sampled_from([b"1", b"a.b", b"firing", b"\xff"])), max_size=5)


@given(texts, st.one_of(st.sampled_from(["1732190000123-0", "1-1", "\u0663-1", "9" * 30]), texts), entries)
@settings(max_examples=RUNS, deadline=None)
def test_any_entry_of_a_stream_is_an_event_or_refused(stream: str, entry_id: str, entry: dict[bytes, bytes]) -> None:
    """Whatever somebody has added."""
    with suppress(Refused):
        at_the_door(redis_entries.event_of(stream, entry_id, entry, redis_entries.Rule()))


@given(st.binary(max_size=20), bodies)
@settings(max_examples=RUNS, deadline=None)
def test_anything_published_on_a_channel_is_an_event_or_refused(channel: bytes, payload: bytes) -> None:
    """The same."""
    with suppress(Refused):
        at_the_door(redis_entries.published(channel, payload, redis_entries.Rule()))


@given(st.binary(max_size=60).map(lambda rest: len(rest).to_bytes(4, "big") + rest), st.binary(min_size=8, max_size=8))
@settings(max_examples=RUNS, deadline=None)
def test_no_headers_and_no_time_end_a_connection(table: bytes, time: bytes) -> None:
    """What follows them is found where it begins."""
    tolerance.install()
    consumed, _ = decode.METHODS["table"](table)
    assert consumed == len(table)
    assert decode.METHODS["timestamp"](time)[0] == 8
    assert decode.METHODS["shortstr"](bytes([len(time)]) + time)[0] == 9
