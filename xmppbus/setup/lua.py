"""Prosody's config is a Lua program. What an operator writes there is nearly always settings one after the other, and
those are read here, without running anything; what else there is (functions, loops) is passed over."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | --\[(?P<long_comment>=*)\[ .*? \](?P=long_comment)\]
      | (?P<comment>--[^\n]*)
      | \[(?P<level>=*)\[ (?P<long>.*?) \](?P=level)\]
      | "(?P<double>(?:[^"\\\n]|\\.)*)" | '(?P<single>(?:[^'\\\n]|\\.)*)'
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<number>[0-9][0-9A-Za-z.]*)
      | (?P<sign>.)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


class Token(NamedTuple):
    """`kind` is text, name, number or sign."""

    kind: str
    text: str
    line: int


def tokens(source: str) -> Iterator[Token]:
    """Everything but space and comments (Lua manual §3.1)."""
    line = 1
    for match in _TOKEN.finditer(source):
        groups = match.groupdict()
        if (text := groups["long"]) is not None:
            yield Token("text", text.removeprefix("\n"), line)
        elif (text := groups["double"] if groups["double"] is not None else groups["single"]) is not None:
            yield Token("text", _ESCAPE.sub(r"\1", text), line)
        else:
            for kind in ("name", "number", "sign"):
                if groups[kind] is not None:
                    yield Token(kind, groups[kind], line)
        line += match.group().count("\n")
