"""Bodies that are built to keep the one thread that everybody waits for busy."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.http_client import ask
from tests.support.http_door import open_door
from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.fields import check, decode_fields
from xmppbus.web import check_json

JSON = {"Content-Type": "application/json"}
LISTS = b'{"type":"a","data":[' + b"[]," * limits.JSON_PARTS + b"0]}"
NUMBERS = b'{"type":"a","data":[' + b"0," * (limits.JSON_VALUES + 1) + b"0]}"


@pytest.mark.parametrize(
    "body", [LISTS, NUMBERS, b'{"":0,' * (limits.JSON_PARTS + 1)], ids=["lists", "numbers", "objects"]
)
@pytest.mark.parametrize(
    "path",
    [
        "/v1/events",
        "/v1/events/user.a",
        "/v1/webhooks/alertmanager",
        "/v1/webhooks/cloudevents",
        "/v1/incidents/disk/ack",
    ],
)
async def test_json_with_more_values_than_any_batch_is_refused_unread(tmp_path: Path, path: str, body: bytes) -> None:
    """Wherever JSON is read, with a token and without."""
    async with open_door(tmp_path) as door:
        answer = await ask(door.url, "POST", path, body, JSON)
        assert answer.status in (400, 413)  # a webhook says it as it says what it does not understand
        assert "the JSON has" in answer.json["error"]["message"]


async def test_lines_and_batches_are_counted_as_a_whole(tmp_path: Path) -> None:
    """Many events, each with a part of it."""
    line = b'{"type":"a","data":[' + b"[]," * 1000 + b"0]}"
    lines = [line] * (limits.JSON_PARTS // 1000)
    async with open_door(tmp_path) as door:
        for media, body in (
            ("application/x-ndjson", b"\n".join(lines)),
            ("application/json", b"[%b]" % b",".join(lines)),
        ):
            answer = await ask(door.url, "POST", "/v1/events", body, {"Content-Type": media})
            assert (answer.status, answer.code) == (413, "payload-too-big")


def test_every_legal_event_is_read() -> None:
    """Also one that is nothing but lists, in as many bytes as an event may have, with spaces between."""
    full = b'{"type":"a","data":[' + b"[]   ,   " * (limits.EVENT_BYTES // 3 - 100) + b"0]}"
    assert len(full) > limits.EVENT_BYTES
    assert check(decode_fields(check_json(full)))["type"] == "a"


def test_a_batch_of_a_thousand_events_with_a_hundred_values_each_is_read() -> None:
    """More than what monitoring systems send."""
    one = b'{"type":"a","data":{%b}}' % b",".join(b'"name%d":[%d]' % (n, n) for n in range(100))
    assert check_json(b"[%b]" % b",".join([one] * limits.BATCH_EVENTS))


def test_what_is_refused_says_what_to_do() -> None:
    """In how many of what."""
    with pytest.raises(Refused, match=r"131073 lists and objects of at most 131072 .* send it in parts") as refused:
        check_json(b"[ " * (limits.JSON_PARTS + 1))
    assert refused.value.code is Code.TOO_BIG
    with pytest.raises(Refused, match="1000001 values of at most 1000000"):
        check_json(b"," * (limits.JSON_VALUES + 1))
