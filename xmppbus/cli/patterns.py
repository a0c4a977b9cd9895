"""AMQP patterns as arguments: `user.*`, `#`."""

from __future__ import annotations

import re
from collections.abc import Sequence

import click

from xmppbus.route import Match

_PATTERN = re.compile(r"(?:[A-Za-z0-9_-]+|\*|#)(?:\.(?:[A-Za-z0-9_-]+|\*|#))*")


class Pattern(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.2
    """Words joined by dots; `*` is exactly one word, `#` any number of words."""

    name = "pattern"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """As click says."""
        if len(value) > 512 or not _PATTERN.fullmatch(value):
            self.fail(
                f"{value!r} is no pattern; write words joined by dots, * for one word, # for any number", param, ctx
            )
        return value


def matches(patterns: Sequence[str]) -> list[Match]:
    """For the journal; none is all."""
    return [Match(type=pattern) for pattern in patterns]
