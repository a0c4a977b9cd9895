"""Frames of STOMP: bytes in, frames out, whatever the version, and back."""

from __future__ import annotations

import pytest

from xmppbus import limits
from xmppbus.inputs.stomp_frames import SERVER_COMMANDS, VERSIONS, BadFrame, Frame, Parser, encode


def parse(data: bytes, version: str = "1.2", step: int = 0) -> list[Frame]:
    parser = Parser()
    parser.version = version
    found = []
    for at in range(0, len(data), step or len(data) or 1):
        parser.feed(data[at : at + (step or len(data))])
        while frame := parser.take():
            found.append(frame)
    return found


def wrong(data: bytes, version: str = "1.2") -> BadFrame:
    with pytest.raises(BadFrame) as caught:
        parse(data, version)
    return caught.value


SENT = b"SEND\ndestination:/topic/a\nreceipt:1\n\nhello\0"
STREAM = b"\n" + SENT + b"\n\r\n" + SENT.replace(b"\n", b"\r\n") + b"SEND\ncontent-length:3\n\n\0\0\n\0\n"


@pytest.mark.parametrize("step", [0, 1, 2, 3, 7, 64])
@pytest.mark.parametrize("version", VERSIONS)
def test_frames_come_out_however_the_stream_is_cut(step: int, version: str) -> None:
    """Also with CR LF, heart-beats between them, and bodies with NULs."""
    headers = {"destination": "/topic/a", "receipt": "1"}
    expected = [Frame("SEND", headers, b"hello")] * 2 + [Frame("SEND", {"content-length": "3"}, b"\0\0\n")]
    assert parse(STREAM, version, step) == expected


def test_a_heart_beat_is_no_beginning_of_a_frame() -> None:
    """But a byte of one is."""
    parser = Parser()
    parser.feed(b"\n\r\n\n")
    assert parser.take() is None
    assert not parser.has_begun
    parser.feed(b"S")
    assert parser.take() is None
    assert parser.has_begun


@pytest.mark.parametrize(
    ("version", "line", "name", "value"),
    [
        ("1.0", rb"a: b\nc:d ", "a", r"b\nc:d"),
        ("1.1", rb"a\cb: x\n\\\c ", "a:b", " x\n\\: "),
        ("1.2", rb"a\nb:x\ry:z", "a\nb", "x\ry:z"),
    ],
)
def test_headers_are_unescaped_as_their_version_has_it(version: str, line: bytes, name: str, value: str) -> None:
    """1.0 has no escapes, and its spaces mean nothing."""
    assert parse(b"SEND\n" + line + b"\n\n\0", version) == [Frame("SEND", {name: value})]


@pytest.mark.parametrize("version", VERSIONS)
def test_connect_is_never_unescaped(version: str) -> None:
    """So that each version can read it."""
    assert parse(b"CONNECT\npasscode:a\\nb\n\n\0", version) == [Frame("CONNECT", {"passcode": "a\\nb"})]


def test_of_a_header_that_comes_twice_the_first_counts() -> None:
    """STOMP 1.2."""
    assert parse(b"SEND\na:1\na:2\n\n\0")[0].headers == {"a": "1"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"GET / HTTP/1.1\r\n", "does not speak HTTP"),
        (b"\x16\x03\x01\x02\n", "without TLS"),
        (b"PUBLISH\n", "no command"),
        (b"MESSAGE\n", "no command"),
        (b"SEND\nnothing\n", "no NAME:VALUE"),
        (b"SEND\n:value\n", "no NAME:VALUE"),
        (b"SEND\na:\xff\n", "not UTF-8"),
        (b"SEND\na:b\\tc\n", "no escape"),
        (b"SEND\na:b\\\n", "no escape"),
        (b"SEND\ncontent-length:x\n\n", "content-length"),
        (b"SEND\ncontent-length:-1\n\n", "content-length"),
        (b"SEND\ncontent-length:1\n\nab\0", "no NUL behind"),
        (b"ACK\nid:1\n\nbody\0", "only SEND"),
    ],
)
def test_what_is_no_frame_is_said(data: bytes, said: str) -> None:
    """In words that tell what to mend."""
    assert said in str(wrong(data))


def test_the_length_of_a_body_that_there_is_none_of_means_nothing() -> None:
    """PHP's extension sends back with an ACK all that came with the MESSAGE."""
    assert [each.command for each in parse(b"ACK\ncontent-length:17\n\n\0BEGIN\n\n\0")] == ["ACK", "BEGIN"]


def test_a_bad_frame_says_whose_receipt_it_was() -> None:
    """As far as it was read."""
    assert wrong(b"SEND\nreceipt:77\ncontent-length:99999999\n\n").receipt == "77"


def test_1_1_does_not_know_the_escaped_cr() -> None:
    """Its table ends before it."""
    assert "STOMP 1.1" in str(wrong(b"SEND\na:\\r\n\n\0", "1.1"))


@pytest.mark.parametrize(
    "data",
    [
        b"S" * (limits.STOMP_LINE_BYTES + 1),
        b"SEND\na:" + b"x" * limits.STOMP_LINE_BYTES + b"\n",
        b"SEND\n" + b"".join(b"h%d:x\n" % each for each in range(limits.STOMP_HEADERS + 1)),
        b"SEND\n"
        + b"".join(b"h%d:%b\n" % (each, b"x" * 8000) for each in range(limits.STOMP_HEADER_BYTES // 8000 + 1)),
        b"SEND\ncontent-length:%d\n\n" % (limits.STOMP_BODY_BYTES + 1),
        b"SEND\n\n" + b"x" * (limits.STOMP_BODY_BYTES + 1),
    ],
    ids=["command", "line", "headers", "bytes of headers", "length", "body"],
)
def test_nothing_of_a_frame_is_without_a_bound(data: bytes) -> None:
    """It is refused before it is whole."""
    assert "at most" in str(wrong(data)) or "more than" in str(wrong(data))


def test_the_largest_frame_is_taken() -> None:
    """With and without its length."""
    body = b"x" * limits.STOMP_BODY_BYTES
    (first, second) = parse(b"SEND\n\n%b\0SEND\ncontent-length:%d\n\n%b\0" % (body, len(body), body))
    assert first.body == second.body == body


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_encoded_is_read_back(version: str) -> None:
    """By a client of the same version; its bodies may hold anything."""
    headers = {"plain": "ä €", "with space": " x "} if version != "1.0" else {"plain": "ä €"}
    if version != "1.0":
        headers["a:b"] = "line\nline \\ :"
    if version == "1.2":
        headers["cr"] = "\r\n"
    parser = Parser(SERVER_COMMANDS)
    parser.version = version
    parser.feed(encode("MESSAGE", headers, b"\0body\0", version))
    assert parser.take() == Frame("MESSAGE", {**headers, "content-length": "6"}, b"\0body\0")


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_said_before_a_version_is_agreed_on_can_be_read_in_each(version: str) -> None:
    """An ERROR may come before CONNECTED."""
    parser = Parser(SERVER_COMMANDS)
    parser.version = version
    parser.feed(encode("ERROR", {"message": "no: '\\x'\n"}))
    frame = parser.take()
    assert frame
    assert frame.headers["message"].strip() == "no: ' x'"


def test_a_header_of_an_event_is_never_one_of_the_frame() -> None:
    """A client of 1.0 leaves spaces out: somebody else's `content-length ` would cut the body, and begin a frame."""
    framed = encode("MESSAGE", {"content-length\r": "1", "content-length ": "1", "a": "b"}, b"body", "1.0")
    assert framed == b"MESSAGE\na:b\ncontent-length:4\n\nbody\0"


@pytest.mark.parametrize("version", VERSIONS)
def test_no_header_can_become_two(version: str) -> None:
    """What a version has no escape for becomes a space, or is left out."""
    hostile = {"a": "x\nb:y", "c": "x\r\nd:y\0", "e:f\ng": "x"}
    parser = Parser(SERVER_COMMANDS)
    parser.version = version
    parser.feed(encode("MESSAGE", hostile, b"", version))
    frame = parser.take()
    assert frame
    assert set(frame.headers) - {"e:f\ng"} == {"a", "c", "content-length"}
    assert parser.take() is None
