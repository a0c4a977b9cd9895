"""What a message of a bus carries, as JSON has it. Pure, and without dbus-fast: a variant is what has a value."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from xmppbus import limits


class Signal(NamedTuple):
    """A signal as it came. `sender` is the unique name of who sent it, which the bus vouches for."""

    sender: str
    path: str
    interface: str
    member: str
    body: Sequence[Any]


class TooMuch(ValueError):
    """More values, or deeper within one another, than an event can hold."""


def plain(body: Any) -> Any:
    """Variants without their wrapping, bytes as text or base64. Raises `TooMuch`.

    File descriptors never come: our connections don't agree to them, and the bus keeps such messages back.
    """
    found, _ = _plain(body, limits.DATA_DEPTH - 2, limits.DBUS_VALUES)
    return found


def _plain(value: Any, depth: int, left: int) -> tuple[Any, int]:
    if left <= 0 or depth <= 0:
        raise TooMuch("too many values, or too deep within one another")
    left -= 1
    if isinstance(value, (bytes, bytearray)):
        return _text(bytes(value)), left
    if isinstance(value, dict):
        fields = {}
        for key, each in value.items():
            fields[key if isinstance(key, str) else str(key)], left = _plain(each, depth - 1, left)
        return fields, left
    if isinstance(value, (list, tuple)):
        items = []
        for each in value:
            item, left = _plain(each, depth - 1, left)
            items.append(item)
        return items, left
    if isinstance(value, float) and not math.isfinite(value):
        return None, left
    if value is None or isinstance(value, (str, int, float)):
        return value, left
    return _plain(value.value, depth - 1, left)  # a variant


def _text(content: bytes) -> Any:
    """Paths are byte strings with a NUL at their end."""
    try:
        return content.removesuffix(b"\0").decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}
