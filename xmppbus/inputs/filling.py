"""Texts with `{name}` in them, and the fields that they make of an event. Pure.

For ways in that read what was not written for us: lines of a log, signals of a bus.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from xmppbus import limits
from xmppbus.fields import SEVERITIES, STATUSES

_PART = re.compile(r"\{\{|\}\}|\{([A-Za-z0-9_]+(?:\.[A-Za-z0-9_-]+)*)\}|[{}]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffe\uffff]+")
_SAME = {
    "trace": "debug",
    "information": "info",
    "warn": "warning",
    "err": "error",
    "crit": "critical",
    **dict.fromkeys(("alert", "emerg", "emergency", "fatal", "panic"), "critical"),
}
"""What syslog and others call the severities."""


class Texts(Protocol):
    """The options of a way in that say what its events are like."""

    @property
    def summary(self) -> str | None:
        """One line for people."""

    @property
    def severity(self) -> str:
        """A severity, or what becomes one."""

    @property
    def key(self) -> str | None:
        """The incident's name."""

    @property
    def status(self) -> str | None:
        """How it stands."""


class Text:
    """A text in which `{name}` stands for a value and `{{` for a brace; `{a.b}` is a value within one.

    Raises `ValueError` for one that can't be read.
    """

    def __init__(self, text: str) -> None:
        self._parts: list[str | tuple[str, ...]] = []
        at = 0
        for found in _PART.finditer(text):
            self._parts.append(text[at : found.start()])
            if found[1]:
                self._parts.append(tuple(found[1].split(".")))
            elif len(found[0]) == 2:
                self._parts.append(found[0][0])
            else:
                raise ValueError(f"the text {text!r} has a brace alone; write `{found[0] * 2}` for one that is meant")
            at = found.end()
        self._parts.append(text[at:])

    @property
    def names(self) -> set[str]:
        """Of the values that it wants."""
        return {each[0] for each in self._parts if isinstance(each, tuple)}

    def fill(self, values: Mapping[str, Any]) -> str:
        """With its values, on one line; nothing stands for one that there is not."""
        found = "".join(each if isinstance(each, str) else _shown(_within(values, each)) for each in self._parts)
        return _CONTROL.sub(" ", found)


class Fields:
    """The fields of an event that an operator gave as texts. Raises `ValueError` for one that can't be right."""

    def __init__(self, texts: Texts) -> None:
        self._summary = Text(texts.summary) if texts.summary is not None else None
        self._severity = Text(texts.severity)
        self._key = Text(texts.key) if texts.key is not None else None
        self._status = Text(texts.status) if texts.status is not None else None
        if not self._severity.names and severity_of(texts.severity) is None:
            raise ValueError(f"{texts.severity!r} is no severity; there are {', '.join(SEVERITIES)}")
        if self._status and not self._status.names and texts.status not in STATUSES:
            raise ValueError(f"{texts.status!r} is no status; there are {', '.join(STATUSES)}")
        if self._status and not self._key:
            raise ValueError("an event with a `status` needs a `key`: it names the incident")

    @property
    def names(self) -> set[str]:
        """Of the values that they want."""
        given = [each for each in (self._summary, self._severity, self._key, self._status) if each]
        return set[str]().union(*(each.names for each in given))

    def of(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Legal whatever the values are. What can't be a severity or a status is left out."""
        found: dict[str, Any] = {}
        if severity := severity_of(self._severity.fill(values)):
            found["severity"] = severity
        if self._summary and (summary := self._summary.fill(values).strip()):
            found["summary"] = summary[: limits.SUMMARY_CHARACTERS]
        key = self._key.fill(values).strip() if self._key else ""
        if key:
            found["key"] = key[: limits.NAME_CHARACTERS]
            status = self._status.fill(values).strip().lower() if self._status else ""
            if status in STATUSES:
                found["status"] = status
        return found


def severity_of(word: str) -> str | None:
    """The house's word for it."""
    found = word.strip().lower()
    found = _SAME.get(found, found)
    return found if found in SEVERITIES else None


def _within(values: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if isinstance(values, Mapping):
            values = values.get(name)
        elif isinstance(values, list) and name.isdecimal() and len(name) < 9 and int(name) < len(values):
            values = values[int(name)]
        else:
            return None
    return values


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
