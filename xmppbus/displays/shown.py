"""What a board shows of an event: short texts and numbers, the same that `static/panels/shown.js` makes in the browser.

A board keeps this, never events: one of them may be as large as 256 KiB.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from xmppbus import limits
from xmppbus.event import Event
from xmppbus.journal import Entry
from xmppbus.plots.series import MISSING, found_at, moment_of
from xmppbus.render import plain

Value = str | int | float | None


def milliseconds(entry: Entry) -> int:
    """When it happened; what is said to happen later happened when it was accepted."""
    return round(min(moment_of(entry), entry.accepted).timestamp() * 1000)


def value_of(event: Event, path: Sequence[str]) -> Value:
    """What a field says: text, a number, or nothing. What is made of more is shown as JSON."""
    if tuple(path) == ("summary",):
        return cut(event.summary)
    if tuple(path) == ("severity",):
        return event.severity
    found = found_at(event.fields, path)
    if found is MISSING or found is None:
        return None
    if isinstance(found, str):
        return cut(found)
    if isinstance(found, (int, float)) and not isinstance(found, bool):
        return found
    return cut(msgspec.json.encode(found).decode())


def name_of(event: Event, path: Sequence[str]) -> str:
    """Which row, lamp or line an event is of; its type where it lacks the field."""
    found = value_of(event, path)
    return event.type if found is None or found == "" else str(found)


def line_of(entry: Entry, at: int) -> dict[str, Value]:
    """An event as a line of a feed."""
    event = entry.event
    return {
        "sequence": entry.sequence,
        "at": at,
        "type": event.type,
        "severity": event.severity,
        "status": event.get("status"),
        "summary": cut(event.summary),
        "subject": value_of(event, ("subject",)),
    }


def cut(text: str) -> str:
    """One harmless line of at most so many characters."""
    line = " ".join(plain(text[: 4 * limits.BOARD_TEXT_CHARACTERS]).split())
    return line if len(line) <= limits.BOARD_TEXT_CHARACTERS else line[: limits.BOARD_TEXT_CHARACTERS - 1] + "…"
