"""Rules of the input `follow`: which files, which lines, and what they become."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, field

from xmppbus import limits
from xmppbus.inputs.filling import Fields
from xmppbus.inputs.rotation import COMPRESSED, current_names
from xmppbus.inputs.trail import Line
from xmppbus.options import EventType, Name, Section

NEEDS = "`pattern` needs google-re2: pip install 'xmppbus[follow]'"

_GIVEN = ("text", "file", "cut")
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,18}\.[0-9]{0,18}|\.[0-9]{1,18})")


class FollowedFile(Section, frozen=True, kw_only=True):
    """One file, or several by a pattern, whose lines become events. In the texts `{name}` is a group of the pattern."""

    file: Name  # a log file; `*` in it stands for several files, `**` for directories as well
    type: EventType  # of the events
    # A regular expression (RE2): only lines in which it is found become events, with its named groups as data:
    # `(?P<user>[a-z]+)`. Every line unless it is given. Needs the extra `follow`.
    pattern: Annotated[str, Meta(min_length=1, max_length=limits.FOLLOW_PATTERN_CHARACTERS)] | None = None
    numbers: list[Name] = field(default_factory=list)  # groups that are numbers in the data; the others are text
    summary: Name | None = None  # one line for people; the line itself unless it is given
    severity: Name = "info"  # a severity, or a text that becomes one: `{level}`
    key: Name | None = None  # the incident's name, such as `login {user}`
    status: Name | None = None  # with a key: `firing` or `resolved`, or a text that becomes one
    # Where to begin in a file that is there when this is new; what appears later is read from its first line.
    begin: Literal["end", "start"] = "end"


class FollowOptions(Section, frozen=True, kw_only=True):
    """Lines of log files as events, through rotations; how far each is read survives a restart."""

    files: Annotated[list[FollowedFile], Meta(min_length=1)]  # the options below


class Rule:
    """One of `files`, compiled. Raises `ValueError` with what is wrong in it."""

    def __init__(self, options: FollowedFile) -> None:
        self.options = options
        self.type = options.type
        self.is_pattern = glob.has_magic(options.file)
        self._fields = Fields(options)
        self._expression = _compiled(options.pattern) if options.pattern is not None else None
        self._numbers = frozenset(options.numbers)
        groups = set(self._expression.groupindex) if self._expression else set[str]()
        if taken := sorted(groups & set(_GIVEN)):
            raise ValueError(f"the group {taken[0]!r} of the pattern needs another name: `{taken[0]}` is in the data")
        if unknown := sorted((self._fields.names | self._numbers) - groups - set(_GIVEN)):
            there = ", ".join(sorted(groups | {"text", "file"}))
            raise ValueError(f"the pattern has no group {unknown[0]!r}; there are {there}")

    @property
    def name(self) -> str:
        """Of what is kept of it."""
        return f"{self.type} {self.options.file}"

    @property
    def at_end(self) -> bool:
        """Whether what stands in a file when the rule is new is left out."""
        return self.options.begin == "end"

    def paths(self) -> list[Path]:
        """The files that it names now, without those that were rotated away from under one of them."""
        if not self.is_pattern:
            return [Path(self.options.file)]
        found = sorted(glob.glob(self.options.file, recursive=True))  # absolute, and with `**`
        paths = [Path(each) for each in found if not each.endswith(COMPRESSED)]
        return without_rotated(paths)[: limits.FOLLOW_FILES + 1]  # that one is too many is said

    def event(self, token: str, line: Line, path: Path) -> dict[str, Any] | None:
        """What a line becomes; None when it does not match."""
        text = line.content.decode("utf-8", "backslashreplace")
        groups: dict[str, Any] = {}
        if self._expression:
            match = self._expression.search(text)
            if match is None:
                return None
            groups = {name: value for name, value in match.groupdict().items() if value is not None}
            groups |= {name: number_of(groups[name]) for name in self._numbers if name in groups}
        data = {"text": text, "file": str(path), **groups}
        if line.cut:
            data["cut"] = True
        return {
            "id": f"{token}:{line.offset}",
            "type": self.type,
            "data": data,
            **self._fields.of(data),
        }


def without_rotated(paths: Sequence[Path]) -> list[Path]:
    """Not those that are older files of another one of them."""
    names: dict[Path, set[str]] = {}
    for path in paths:
        names.setdefault(path.parent, set()).add(path.name)
    return [each for each in paths if names[each.parent].isdisjoint(current_names(each.name))]


def number_of(text: str) -> int | float | str:
    """As a number, where it is one."""
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


def named_twice(files: Sequence[FollowedFile]) -> str:
    """A file that two rules follow with one type, or nothing: their lines could not be told apart."""
    seen: set[tuple[str, str]] = set()
    for each in files:
        if (each.file, each.type) in seen:
            return each.file
        seen.add((each.file, each.type))
    return ""


def _compiled(pattern: str) -> Any:
    """RE2 takes time in proportion to a line's length, whatever the pattern: strangers write into logs."""
    try:
        import re2
    except ModuleNotFoundError:
        raise ValueError(NEEDS) from None
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        said = error.args[0]
        words = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        raise ValueError(
            f"the pattern {pattern!r} is not a regular expression of RE2, which has no look-around and no "
            f"back-references: {words}"
        ) from None
