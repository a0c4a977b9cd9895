"""How entries of Redis streams, and messages on channels, become event fields."""

from __future__ import annotations

import pytest

from xmppbus.errors import Refused
from xmppbus.inputs.redis_entries import Rule, event_of, published

RULE = Rule()
ENTRY = "1732190000123-0"


def test_fields_of_an_event_are_taken_and_others_are_data() -> None:
    """The entry's id is its name and its time."""
    found = event_of("jobs", ENTRY, {b"type": b"job.done", b"summary": b"done", b"minutes": b"40"}, RULE)
    assert found == {
        "type": "job.done",
        "source": "redis:jobs",
        "id": ENTRY,
        "time": "2024-11-21T11:53:20.123Z",
        "summary": "done",
        "data": {"minutes": "40"},
        "datacontenttype": "application/json",
    }


def test_data_is_read_by_its_type_and_others_beside_it_are_extensions() -> None:
    """JSON where it is said to be."""
    entry = {b"data": b'{"a": 1}', b"datacontenttype": b"application/json", b"region": b"eu"}
    found = event_of("s", ENTRY, entry, RULE)
    assert (found["data"], found["region"]) == ({"a": 1}, "eu")
    assert event_of("s", ENTRY, {b"data": b"text"}, RULE)["data"] == "text"


def test_a_whole_event_is_as_it_is() -> None:
    """In the field `event`; its own id comes before the entry's."""
    found = event_of("s", ENTRY, {b"event": b'{"type": "a", "id": "1"}', b"more": b"x"}, RULE)
    assert (found["type"], found["id"], found["source"]) == ("a", "1", "redis:s")
    assert "more" not in found


def test_bytes_that_are_no_text_are_kept_in_data_and_refused_elsewhere() -> None:
    """Under a name that says what they are."""
    assert event_of("s", ENTRY, {b"raw": b"\xff"}, RULE)["data"] == {"raw_base64": "/w=="}
    with pytest.raises(Refused, match="summary: is not UTF-8"):
        event_of("s", ENTRY, {b"summary": b"\xff"}, RULE)
    with pytest.raises(Refused, match="not a JSON object"):
        event_of("s", ENTRY, {b"event": b"{"}, RULE)


def test_an_id_that_somebody_chose_is_no_time() -> None:
    """Such as `1-1`."""
    assert "time" not in event_of("s", "1-1", {}, RULE)
    assert "time" not in event_of("s", "18446744073709551615-1", {}, RULE)


def test_a_message_on_a_channel_is_data_or_an_event() -> None:
    """By what it looks like, for nobody says it."""
    assert published(b"a.b", b'{"used": 93}', RULE)["data"] == {"used": 93}
    assert published(b"a.b", b"{ not json", RULE)["data"] == "{ not json"
    event = published(b"a.b", b'{"specversion": "1.0", "type": "own", "source": "s", "id": "1"}', RULE)
    assert (event["type"], event["source"], event["id"]) == ("own", "s", "1")
    assert published(b"\xff/x", b"", Rule("t", "s")) == {"type": "t", "source": "s"}
