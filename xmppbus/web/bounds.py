"""JSON that is large is counted before it is read: objects that are built of it take far more time than its bytes."""

from __future__ import annotations

from xmppbus import limits
from xmppbus.errors import Code, Refused


def check_json(body: bytes) -> bytes:
    """The body, if reading it does not keep everybody else waiting. Raises `Refused` (payload-too-big).

    What is no larger than an event is not looked at. Brackets and commas in texts count, too: who really has so many
    of them sends several requests, and nobody else has to wait while texts are told from the rest.
    """
    if len(body) <= limits.EVENT_BYTES:
        return body
    parts = body.count(b"[") + body.count(b"{")
    if parts > limits.JSON_PARTS:
        raise _too_many(f"{parts} lists and objects", limits.JSON_PARTS)
    values = body.count(b",")
    if values > limits.JSON_VALUES:
        raise _too_many(f"{values} values", limits.JSON_VALUES)
    return body


def _too_many(what: str, most: int) -> Refused:
    return Refused(Code.TOO_BIG, f"the JSON has {what} of at most {most} in one request; send it in parts")
