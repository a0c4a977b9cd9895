"""Conversations as text: reads `tests/servers/talk/*.txt`, whose language `docs/contributing.md` describes.

A step is a line that starts in the first column; what is said may go on in indented lines below it. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml


class Step(NamedTuple):
    """One line of a conversation: what it is, who takes part, what is said, and where it stands."""

    kind: str
    who: str
    text: str
    line: int
    where: str = ""


class Script(NamedTuple):
    """A whole conversation. `bot` is the config of the bot, with names in the place of JIDs; `rooms` are those that
    there are, with the options that they are made with."""

    title: str
    starts: str
    rooms: dict[str, dict[str, str]]
    bot: dict[str, Any]
    routes: list[Any]
    steps: list[Step]


_NAME = r"(?P<who>(?!bot\b|the\b)[a-z]+)"
_SAID = r":(?: (?P<text>.*))?$"
_ROOM = r"(?P<where>[a-z]+)"
STEPS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("says", rf"{_NAME} says{_SAID}"),
        ("says in", rf"{_NAME} says in {_ROOM}{_SAID}"),
        ("whispers", rf"{_NAME} whispers to the bot in {_ROOM}{_SAID}"),
        ("replies", rf"{_NAME} replies{_SAID}"),
        ("replies in", rf"{_NAME} replies in {_ROOM}{_SAID}"),
        ("reacts", rf"{_NAME} reacts{_SAID}"),
        ("reacts in", rf"{_NAME} reacts in {_ROOM}{_SAID}"),
        ("receives", rf"{_NAME}'s phone receives it(?P<text>)$"),
        ("sees", rf"{_NAME} has seen it(?P<text>)$"),
        ("hears", rf"bot (?:answers|says to) {_NAME}{_SAID}"),
        ("all hear in", rf"(?P<who>)bot says in {_ROOM}{_SAID}"),
        ("all corrected in", rf"(?P<who>)bot corrects in {_ROOM}{_SAID}"),
        ("all retracted in", rf"(?P<who>)bot retracts in {_ROOM}{_SAID}"),
        ("is whispered", rf"bot whispers to {_NAME} in {_ROOM}{_SAID}"),
        ("corrected", rf"bot corrects for {_NAME}{_SAID}"),
        ("retracted", rf"bot retracts for {_NAME}{_SAID}"),
        ("hears nothing", rf"{_NAME} hears nothing(?P<text>)$"),
        ("is", rf"{_NAME} is (?P<text>dnd|xa|away|available)$"),
        ("leaves", rf"{_NAME} leaves(?P<text>)$"),
        ("logs in", rf"{_NAME} logs in(?P<text>)$"),
        ("bot joins", rf"(?P<who>)bot joins {_ROOM}(?P<text>)$"),
        ("bot leaves", rf"(?P<who>)bot leaves {_ROOM}(?P<text>)$"),
        ("bot is put out", rf"(?P<who>)bot is put out of {_ROOM}(?P<text>)$"),
        ("host does", rf"(?P<who>)the host of {_ROOM} (?P<text>kicks|bans|admits) the bot$"),
        ("host destroys", rf"(?P<who>)the host destroys {_ROOM}(?P<text>)$"),
        ("invites", rf"{_NAME} invites the bot into {_ROOM}(?P<text>| directly)$"),
        ("declined", rf"bot declines for {_NAME}{_SAID}"),
        ("joins", rf"{_NAME} joins {_ROOM} as (?P<text>\S+)$"),
        ("adds", rf"{_NAME} adds the bot(?P<text>)$"),
        ("status", rf"bot's status for {_NAME}{_SAID}"),
        ("runs", rf"{_NAME} runs{_SAID}"),
        ("completed", rf"bot completes for {_NAME}{_SAID}"),
        ("refused", rf"bot refuses {_NAME}{_SAID}"),
        ("event", rf"(?P<who>)event{_SAID}"),
        ("clock shows", r"(?P<who>)the clock shows (?P<text>.*)$"),
        ("clock goes on", r"(?P<who>)the clock goes on by (?P<text>.*)$"),
        ("restart", r"(?P<who>)the bus is restarted(?P<text>)$"),
        ("killed", r"(?P<who>)the server is restarted(?P<text>)$"),
    )
)


def read(path: Path) -> Script:
    """Raises `ValueError` with file and line for a step that nobody knows."""
    head: dict[str, list[str]] = {"Title": [], "Time": [], "Bot": [], "Routes": [], "Rooms": []}
    steps: list[Step] = []
    for number, first, rest in _paragraphs(path.read_text()):
        name, colon, said = first.partition(":")
        if colon and name in head and not steps:
            head[name] += [said.strip(), *rest] if said.strip() else rest
            continue
        step = _step(first, number)
        if step is None:
            raise ValueError(f"{path.name}:{number}: nobody knows what to do with {first!r}")
        steps.append(step._replace(text="\n".join(filter(None, [step.text, *rest])) if rest else step.text))
    bot = yaml.safe_load("\n".join(head["Bot"])) or {}
    routes = yaml.safe_load("\n".join(head["Routes"])) or []
    rooms = yaml.safe_load("\n".join(head["Rooms"])) or {}
    return Script(" ".join(head["Title"]), " ".join(head["Time"]), rooms, bot, routes, steps)


def _paragraphs(text: str) -> Iterator[tuple[int, str, list[str]]]:
    """The number of each line that starts in the first column, the line, and the indented lines below it."""
    number, first, rest = 0, "", list[str]()
    for at, line in enumerate(text.splitlines(), start=1):
        if line.startswith("    ") and first:
            rest.append(line[4:])
        elif line.strip() and not line.startswith("#"):
            if first:
                yield number, first, rest
            number, first, rest = at, line.rstrip(), []
    if first:
        yield number, first, rest


def _step(line: str, number: int) -> Step | None:
    for kind, pattern in STEPS:
        found = pattern.match(line)
        if found:
            parts = found.groupdict()
            return Step(kind, parts["who"], parts["text"] or "", number, parts.get("where") or "")
    return None


def pattern_of(expected: str, known: dict[str, str]) -> re.Pattern[str]:
    """What a text must look like: `...` is anything, a line of only `...` any lines, `{name}` a word that is known
    from before, or is remembered from now on."""
    parts: list[str] = []
    named: set[str] = set()
    for piece in re.split(r"(\.\.\.|\{[a-z_]+\})", expected):
        name = piece[1:-1]
        if piece == "...":
            parts.append(r"(?s:.*?)")
        elif piece.startswith("{") and name in known:
            parts.append(re.escape(known[name]))
        elif piece.startswith("{") and name in named:
            parts.append(f"(?P={name})")
        elif piece.startswith("{"):
            named.add(name)
            parts.append(rf"(?P<{name}>\S+)")
        else:
            parts.append(re.escape(piece))
    return re.compile("".join(parts) + r"\s*\Z")


def filled(text: str, known: dict[str, str]) -> str:
    """The text with `{name}` replaced by what is known by that name."""
    return re.sub(r"\{([a-z_]+)\}", lambda found: known.get(found[1], found[0]), text)
