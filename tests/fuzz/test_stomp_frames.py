"""Whatever comes to the STOMP codec is frames, or one documented refusal; however it is cut, it is the same."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xmppbus import limits
from xmppbus.errors import Refused
from xmppbus.event import Event
from xmppbus.fields import check
from xmppbus.inputs.stomp_events import body_of, event_of, message_headers
from xmppbus.inputs.stomp_frames import CLIENT_COMMANDS, SERVER_COMMANDS, VERSIONS, BadFrame, Frame, Parser, encode

RUNS = int(os.environ.get("FUZZ_RUNS", "300"))

Result = tuple[list[Frame], str]

TOKENS = [
    *(command.encode() for command in sorted(CLIENT_COMMANDS | SERVER_COMMANDS)),
    *(
        b"\n",
        b"\r\n",
        b"\0",
        b":",
        b"\\",
        b"\\n",
        b"\\c",
        b"\\r",
        b"\\x",
        b" ",
        b"\xff",
        b"\xc3\xa4",
        b"\n\n",
        b"\n\n\0",
    ),
    *(b"destination:/topic/a.b", b"destination:/queue/q", b"content-length:3", b"content-length:0", b"receipt:1"),
    *(b"content-type:application/json", b"content-type:application/cloudevents+json", b'{"type":"a.b"}', b"{}", b"[1]"),
    *(b"id:1", b"severity:error", b"x-own:1", b"ce-tags:a", b"hops:1", b"queue:q", b"transaction:t", b"ack:auto"),
    b"SEND\ndestination:/topic/a.b\n\nhello\0",
    b"SEND\ndestination:/queue/q\ncontent-length:2\n\n\0\0\0",
]

streams = st.lists(st.one_of(st.sampled_from(TOKENS), st.binary(max_size=12)), max_size=24).map(b"".join)
cuts = st.lists(st.integers(1, 40), max_size=12)
texts = st.text(max_size=20)


def pieces(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    for size in sizes:
        yield data[:size]
        data = data[size:]
    yield data


def read(found: Iterator[bytes], version: str) -> Result:
    """Every frame, and the refusal that ended it."""
    parser = Parser()
    parser.version = version
    frames: list[Frame] = []
    try:
        for piece in found:
            parser.feed(piece)
            while frame := parser.take():
                frames.append(frame)
    except BadFrame as error:
        return frames, str(error)
    assert parser.held <= limits.STOMP_BODY_BYTES
    return frames, ""


def look(data: bytes, sizes: list[int], version: str) -> None:
    """One execution: the codec, and what is behind it up to the door."""
    whole = read(iter([data]), version)
    assert read(pieces(data, sizes), version) == whole
    for frame in whole[0]:
        assert frame.command in CLIENT_COMMANDS
        if frame.command == "SEND":
            look_at_event(frame, version)


def look_at_event(frame: Frame, version: str) -> None:
    try:
        event = Event(check(event_of(frame)))
        event.encoded  # noqa: B018  # a lone surrogate is refused here
    except Refused:
        return
    for whole in (False, True):
        media, body = body_of(event, whole=whole)
        parser = Parser(SERVER_COMMANDS, most_body=2**20)
        parser.version = version
        parser.feed(encode("MESSAGE", message_headers(event, media), body, version))
        (shown, nothing) = (parser.take(), parser.take())
        assert shown is not None
        assert nothing is None
        assert shown.body == body


@given(streams, cuts, st.sampled_from(VERSIONS))
@settings(max_examples=RUNS, deadline=None)
def test_any_bytes_are_frames_or_one_refusal_however_they_are_cut(data: bytes, sizes: list[int], version: str) -> None:
    """And the events in them are accepted or refused, and can be shown."""
    look(data, sizes, version)


@given(st.dictionaries(texts.filter(bool), texts, max_size=5), st.binary(max_size=40))
@settings(max_examples=RUNS, deadline=None)
def test_1_2_carries_any_text_and_any_bytes(headers: dict[str, str], body: bytes) -> None:
    """All but NULs in headers, which few clients could read."""
    expected = {name.replace("\0", " "): value.replace("\0", " ") for name, value in headers.items()}
    if len(expected) < len(headers) or "content-length" in headers:
        return
    parser = Parser(SERVER_COMMANDS)
    parser.version = "1.2"
    parser.feed(encode("MESSAGE", headers, body, "1.2"))
    frame = parser.take()
    assert frame == Frame("MESSAGE", {**expected, "content-length": str(len(body))}, body)


@pytest.mark.parametrize("version", VERSIONS)
def test_random_streams_of_tokens(version: str) -> None:
    """The same without Hypothesis, which is a hundred times as fast: for long runs."""
    seed = int(os.environ.get("FUZZ_SEED", "1"))
    dice = random.Random(f"{seed}/{version}")
    for _ in range(RUNS * 10):
        parts = [dice.choice(TOKENS) if dice.random() < 0.9 else dice.randbytes(dice.randrange(12)) for _ in range(20)]
        look(b"".join(parts[: dice.randrange(21)]), [dice.randrange(1, 40) for _ in range(8)], version)
