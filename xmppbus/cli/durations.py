"""Durations as options: `90s`, `10m`, `25h`."""

from __future__ import annotations

from typing import Any

import click

from xmppbus.people.durations import duration


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.2
    """`90s`, `10m`, `2h`, `3d`, `1w`; in seconds."""

    name = "duration"

    def __init__(self, least: float = 0.0, most: float = float("inf")) -> None:
        self._least = least
        self._most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As click says."""
        if isinstance(value, float):
            return value
        found = duration(value)
        if found is None:
            self.fail(f"{value!r} is no duration; write 90s, 10m, 2h, 3d or 1w", param, ctx)
        seconds = found.total_seconds()
        if not self._least <= seconds <= self._most:
            self.fail(f"{value} is not between {self._least:g} and {self._most:g} seconds", param, ctx)
        return seconds
