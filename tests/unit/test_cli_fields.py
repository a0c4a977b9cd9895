"""What is typed after `xmppbus publish`, as an event's fields; times and lines."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import click
import pytest

from xmppbus import limits
from xmppbus.cli.fields import Wish, fields_of, fields_of_json
from xmppbus.cli.since import parse
from xmppbus.errors import Code, Refused
from xmppbus.inputs.lines import Line, LineSplitter, batches
from xmppbus.people.durations import duration, lasting

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def now() -> datetime:
    return NOON


def wish(*data: str, **options: Any) -> Wish:
    return Wish("user.signup", options, data)


def test_text_alone_is_the_data() -> None:
    """As plain text."""
    expected = {"type": "user.signup", "data": "alice joined\n", "datacontenttype": "text/plain"}
    assert fields_of(wish(), b"alice joined\n", now) == expected


def test_text_with_data_is_the_text_of_the_data() -> None:
    """So that people and programs read one event."""
    found = fields_of(wish("plan=free", "seats=3", 'who={"name": "al"}', 'quoted="3"'), b"alice joined", now)
    assert found["data"] == {"plan": "free", "seats": 3, "who": {"name": "al"}, "quoted": "3", "text": "alice joined"}
    assert "datacontenttype" not in found


def test_bytes_that_are_no_text_are_carried_as_bytes() -> None:
    """Nothing is replaced."""
    assert fields_of(wish(), b"\xff\x00", now)["data_base64"] == "/wA="


def test_no_text_is_no_data() -> None:
    """An empty standard input says nothing."""
    assert fields_of(wish(summary="x"), b"", now) == {"type": "user.signup", "summary": "x"}


def test_data_without_a_value_is_refused() -> None:
    """With what was typed."""
    with pytest.raises(Refused, match="'plan' is not NAME=VALUE") as refused:
        fields_of(wish("plan"), b"", now)
    assert refused.value.code is Code.USAGE


def test_what_is_typed_wins_over_what_the_json_says() -> None:
    """And data is merged."""
    event = b'{"type": "other", "severity": "info", "data": {"a": 1, "b": 2}}'
    found = fields_of_json(wish("b=3", severity="error"), event, now)
    assert found == {"type": "user.signup", "severity": "error", "data": {"a": 1, "b": 3}}


def test_an_event_expires_after_a_while_or_at_a_moment() -> None:
    """`10m` is from now."""
    assert fields_of(wish(expires="10m"), None, now)["expires"] == "2026-01-31T12:10:00.000Z"
    assert fields_of(wish(expires="2027-01-01T00:00:00Z"), None, now)["expires"] == "2027-01-01T00:00:00Z"


@pytest.mark.parametrize("text", ["", "m", "10", "10x", "-1m", "1e3s", "٣m", "1.2.3s", "9" * 400 + "d"])
def test_what_is_no_duration_is_none(text: str) -> None:
    """And raises nothing."""
    assert duration(text) is None


def test_since_is_a_sequence_a_time_or_all() -> None:
    """Times without a zone are the reader's."""
    east = timezone(timedelta(hours=2))
    assert parse("all", NOON, None) == 0
    assert parse("17", NOON, None) == 17
    assert parse("90s", NOON, None) == NOON - timedelta(seconds=90)
    assert parse("2026-01-31", NOON, east) == datetime(2026, 1, 30, 22, tzinfo=UTC)
    assert parse("2026-01-31T12:00:00Z", NOON, east) == NOON
    with pytest.raises(click.UsageError, match="no sequence, no time"):
        parse("yesterday", NOON, None)


@pytest.mark.parametrize(
    ("seconds", "said"), [(-1, "0 s"), (3, "3 s"), (200, "3 min"), (9000, "2 h"), (300_000, "3 days")]
)
def test_a_duration_is_said_in_one_unit(seconds: float, said: str) -> None:
    """For `status`."""
    assert lasting(seconds) == said


def test_lines_come_out_however_the_stream_is_cut() -> None:
    """Empty ones are left out; the last may lack its newline; CR is kept."""
    text = b"one\n\ntwo\r\nthree"
    for step in range(1, len(text)):
        splitter = LineSplitter()
        found = [line for at in range(0, len(text), step) for line in splitter.feed(text[at : at + step])]
        found += splitter.end()
        assert found == [Line(1, b"one"), Line(3, b"two\r"), Line(4, b"three")]


def test_a_line_that_is_too_long_is_refused_and_its_neighbours_are_not() -> None:
    """It is never held as a whole."""
    splitter = LineSplitter(10)
    found = [*splitter.feed(b"a\n" + b"x" * 11), *splitter.feed(b"x" * 11), *splitter.feed(b"\nb\n"), *splitter.end()]
    assert [line.content for line in found] == [b"a", b"", b"b"]
    assert found[1].number == 2
    assert found[1].refusal


async def test_a_batch_is_never_larger_than_the_door_takes() -> None:
    """And nothing waits for a batch to be full."""

    async def chunks() -> AsyncIterator[bytes]:
        yield b"x\n" * (limits.BATCH_EVENTS + 1)
        yield b"y\n"

    assert [len(batch) async for batch in batches(chunks())] == [limits.BATCH_EVENTS, 1, 1]
