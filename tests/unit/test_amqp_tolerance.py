"""What any publisher can send, and pamqp can't read, is read as far as it goes: a message must not end a connection."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from pamqp import commands, decode, frame
from pamqp.exceptions import UnmarshalingException
from pamqp.header import ContentHeader

from xmppbus.amqp import tolerance
from xmppbus.amqp.message import UNREADABLE

MOMENT = datetime(2021, 3, 4, tzinfo=UTC)
STRANGE = b"\xff\xfe\xfd\xfc"


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """The library as it comes, and afterwards as it was."""
    before = dict(decode.METHODS), dict(decode.TABLE_MAPPING)
    decode.METHODS.update(shortstr=decode.short_str, timestamp=decode.timestamp, table=decode.field_table)
    decode.TABLE_MAPPING[b"T"] = decode.timestamp
    yield
    decode.METHODS.update(before[0])
    decode.TABLE_MAPPING.update(before[1])


def header(old: bytes, new: bytes) -> bytes:
    """A content header with some of its bytes in the place of others."""
    properties = commands.Basic.Properties(message_id="NAME", headers={"HEAD": "1"}, timestamp=MOMENT)
    sent = frame.marshal(ContentHeader(body_size=0, properties=properties), 1)
    assert old in sent
    return sent.replace(old, new)


SECONDS = struct.pack(">Q", int(MOMENT.timestamp()))
SENT = [
    header(b"NAME", STRANGE),
    header(b"HEAD", STRANGE),
    header(SECONDS, struct.pack(">Q", int(MOMENT.timestamp()) * 10**9)),
    header(SECONDS, b"\xff" * 8),
]


@pytest.mark.parametrize("sent", SENT)
def test_the_library_alone_raises_and_its_connection_would_end(sent: bytes) -> None:
    """COMPAT(pamqp<=4.0.1): when this fails for all four, the module can go."""
    with pytest.raises((UnmarshalingException, ValueError, OverflowError)):
        frame.unmarshal(sent)


@pytest.mark.parametrize("sent", SENT)
def test_it_is_read_as_far_as_it_goes(sent: bytes) -> None:
    """All the rest of the properties is as it was sent."""
    tolerance.install()
    _, _, found = frame.unmarshal(sent)
    assert isinstance(found, ContentHeader)
    given = found.properties
    assert given.message_id in ("NAME", STRANGE.decode("utf-8", "surrogateescape"))
    assert given.headers == {"HEAD": "1"} or UNREADABLE in (given.headers or {})
    assert given.timestamp is not None


def test_times_in_other_units_are_the_times_that_were_meant() -> None:
    """Seconds, milliseconds, microseconds, nanoseconds."""
    tolerance.install()
    for factor in (1, 10**3, 10**6, 10**9):
        value = struct.pack(">Q", int(MOMENT.timestamp()) * factor)
        assert decode.METHODS["timestamp"](value) == (8, MOMENT)
