"""The events that benchmarks publish: like a log line with a few fields, each with a name of its own."""

from __future__ import annotations

import itertools
import json
import secrets
from collections.abc import Iterator

RUN = secrets.token_hex(6)
_numbers = itertools.count(1)

LOG_LINE = (
    "sshd[4711]: Accepted publickey for deploy from 192.0.2.17 port 52144 ssh2: ED25519 "
    "SHA256:uNiVztksCsDhcc0u9e8BgrJXVGDQRPZRvKxWFQ8bxYs; session opened (uid=1001), cgroup user.slice, scope 42"
)


def event_bytes(event_type: str, size: int = 500) -> bytes:
    """One new event as compact JSON of about `size` bytes."""
    event = {
        "specversion": "1.0",
        "id": f"{RUN}-{next(_numbers):08d}",
        "source": "benchmark.example.org",
        "type": event_type,
        "time": "2026-01-31T12:00:00.000Z",
        "severity": "notice",
        "data": "",
    }
    empty = len(json.dumps(event, separators=(",", ":")))
    text = (LOG_LINE + " ") * (size // len(LOG_LINE) + 1)
    event["data"] = text[: max(0, size - empty)]
    return json.dumps(event, separators=(",", ":")).encode()


def events(count: int, event_type: str, size: int = 500) -> Iterator[bytes]:
    """So many of them."""
    return (event_bytes(event_type, size) for _ in range(count))
