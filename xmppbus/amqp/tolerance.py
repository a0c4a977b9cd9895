"""One message that can't be read must not end the connection, for it would come again, and end the next one too.

COMPAT(pamqp<=4.0.1): it raises for a name that is not UTF-8, for a time that is not in this age, and for a broken
table of headers, and aiormq closes the connection. Any publisher can send these, and RabbitMQ passes them on. Here they
are read as far as they go; `tests/unit/test_amqp_tolerance.py` shows it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, datetime

from pamqp import decode
from pamqp.common import FieldTable, FieldValue

from xmppbus.amqp.message import UNREADABLE

_SECONDS_MOST = 0xFFFFFFFF
_Decoder = Callable[..., tuple[int, FieldValue]]


def install() -> None:
    """From now on; a second time changes nothing."""
    decode.METHODS["shortstr"] = _short_text
    decode.METHODS["timestamp"] = decode.TABLE_MAPPING[b"T"] = _time
    decode.METHODS["table"] = _table


def _short_text(value: bytes) -> tuple[int, str]:
    """Bytes that are no text become lone surrogates, which the door refuses."""
    length = value[0]
    return length + 1, value[1 : length + 1].decode("utf-8", "surrogateescape")


def _time(value: bytes) -> tuple[int, datetime | None]:
    """Seconds since 1970, as AMQP says; what many send instead, milliseconds to nanoseconds; or nothing."""
    (number,) = struct.unpack(">Q", value[:8])
    seconds = float(number)
    while seconds > _SECONDS_MOST:
        seconds /= 1000
    return 8, datetime.fromtimestamp(seconds, UTC)


def _table(value: bytes) -> tuple[int, FieldTable]:
    try:
        return decode.field_table(value)
    except Exception as error:  # whatever a stranger's bytes make it raise: the length in front still holds
        (length,) = struct.unpack(">I", value[:4])
        return 4 + length, {UNREADABLE: f"{type(error).__name__}: {error}"}
