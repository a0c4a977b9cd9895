"""A message as a broker hands it over, without the library that read it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

UNREADABLE = "xmppbus-unreadable"
"""The header that stands where a table of headers can't be read; its value says why."""


class Message(NamedTuple):
    """What of a message an event can be made of. What was not given is empty. Text that was no UTF-8 has surrogates."""

    body: bytes
    exchange: str = ""
    routing_key: str = ""
    content_type: str = ""
    content_encoding: str = ""
    message_id: str = ""
    app_id: str = ""
    timestamp: datetime | None = None
    headers: Mapping[str, Any] = {}


class Verdict(enum.Enum):
    """What the broker is told of a message."""

    ACK = "ack"  # it is ours now, on disk
    REJECT = "reject"  # it will never be an event: dead letters
    LATER = "later"  # we can't take it now: back into the queue


class Source(NamedTuple):
    """A queue that is consumed. With an exchange it is ours: declared, and bound with the patterns."""

    queue: str
    exchange: str = ""
    patterns: tuple[str, ...] = ()
    dead_letters: str = ""
