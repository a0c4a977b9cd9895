"""Events as lines: for people with local time and colour, for programs as JSON."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import msgspec

from xmppbus.cli.desk import SEVERITY_STYLES, Desk
from xmppbus.journal import Entry, Fate
from xmppbus.render import MARKS, one_line


def entry_json(entry: Entry) -> dict[str, Any]:
    """`{"sequence", "id", "accepted", "event"}`: the item id is the event's name everywhere but within itself."""
    return {
        "sequence": entry.sequence,
        "id": entry.item_id,
        "accepted": entry.accepted.isoformat(),
        "event": msgspec.Raw(entry.event.encoded),
    }


def json_line(content: Any) -> bytes:
    """One object a line."""
    return msgspec.json.encode(content) + b"\n"


def fate_json(fate: Fate) -> dict[str, Any]:
    """What has become of a delivery, for programs."""
    return {
        "delivery": fate.id,
        "sequence": fate.sequence,
        "output": fate.output,
        "place": fate.place,
        "state": fate.state.name.lower(),
        "condition": fate.condition,
        "text": fate.text,
        "settled": fate.settled.isoformat() if fate.settled else None,
        "attempts": fate.attempts,
    }


class Lines:
    """One event a line. On a terminal a new day gets a line of its own, elsewhere each line has its date."""

    def __init__(self, desk: Desk, *, json: bool) -> None:
        self._desk = desk
        self._json = json
        self._zone = desk.zone
        self._day: date | None = desk.now().astimezone(self._zone).date()
        self._terminal = desk.facts.terminals[1]
        self._colours = desk.colours()

    def __call__(self, entry: Entry) -> bytes:
        """With its newline; on a terminal perhaps two of them."""
        if self._json:
            return json_line(entry_json(entry))
        moment = entry.accepted.astimezone(self._zone)
        text = one_line(entry.event)
        if self._colours:
            mark, rest = text[: len(MARKS[entry.event.severity])], text[len(MARKS[entry.event.severity]) :]
            text = self._desk.style(mark, SEVERITY_STYLES[entry.event.severity]) + rest
        return f"{self._clock(moment)} {text}\n".encode("utf-8", "replace")

    def _clock(self, moment: datetime) -> str:
        if not self._terminal:
            return moment.strftime("%Y-%m-%d %H:%M:%S")
        clock = self._desk.style(moment.strftime("%H:%M:%S"), "dim")
        if moment.date() == self._day:
            return clock
        self._day = moment.date()
        return self._desk.style(f"── {moment.strftime('%A, %d %B %Y')} ──", "dim") + "\n" + clock
