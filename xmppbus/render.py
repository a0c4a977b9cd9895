"""An event as text for people: one line, or a few. Terminals, chat, rooms and displays share it."""

from __future__ import annotations

import re

from xmppbus.event import Event

MARKS = {"debug": "·", "info": "•", "notice": "◆", "warning": "▲", "error": "✖", "critical": "‼"}
"""A mark for each severity: shape as well as colour, for those who see no colour."""

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")
_SPACE = re.compile(r"\s+")


def plain(text: str) -> str:
    """Text that can do no harm where it is shown: no ANSI sequences, no control or bidi-override characters."""
    return _CONTROL.sub("", _ANSI.sub("", text))


def one_line(event: Event) -> str:
    """`▲ disk.full  / is 91 % full  (db1, firing)`."""
    said = _SPACE.sub(" ", plain(event.summary)).strip()
    where = ", ".join(filter(None, (event.get("subject"), event.get("status"))))
    words = [MARKS[event.severity], event.type]
    if said != event.type:
        words.append(f" {said}")
    if where:
        words.append(f" ({plain(where)})")
    return " ".join(words)


def few_lines(event: Event) -> str:
    """Severity mark and summary, the text if it says more, the link, and where it came from."""
    summary = _SPACE.sub(" ", plain(event.summary)).strip()
    lines = [f"{MARKS[event.severity]} {summary}"]
    text = plain(event.text or "").strip().removeprefix(f"{summary}\n")  # the summary may be its first line
    if text and text != summary:
        lines.append(text)
    if event.get("link"):
        lines.append(str(event.get("link")))
    lines.append(f"{event.type} · {plain(event.source)}")
    return "\n".join(lines)
