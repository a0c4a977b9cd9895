"""Follows the daemon for the board: what happens, how things stand; for weeks, whatever becomes of the daemon."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from xmppbus import limits
from xmppbus.cli.board.calling import AwayError, EndedError, Said, ask, lines
from xmppbus.cli.board.kept import Line, line_of
from xmppbus.errors import Exit


class Up(Protocol):
    """Called when the daemon is there; `anew` when it has another journal than before."""

    def __call__(self, *, anew: bool) -> None:
        """As above."""


class RefusedError(Exception):
    """The daemon does not let us: no use in trying again."""

    def __init__(self, said: Said) -> None:
        super().__init__(said.err)
        self.code = said.code


class Following:
    """Calls back with what it learns. `after` is where it goes on."""

    def __init__(self, patterns: Sequence[str], since: str | None) -> None:
        self._patterns = tuple(patterns)
        self._since = since
        self.after: int | None = None

    async def events(self, take: Callable[[Line], None], up: Up, away: Callable[[str], None]) -> None:
        """Each event, once, in order. Raises `RefusedError`."""
        while True:
            try:
                since, anew = await self._begin()
                up(anew=anew)
                async for content in lines("listen", "--json", "--since", since, "--", *self._patterns):
                    line = line_of(content)
                    self.after = line.sequence
                    take(line)
            except (AwayError, TimeoutError, EndedError) as error:
                _check(error.said if isinstance(error, EndedError) else None)
                away(str(error) or "the daemon does not answer")
            except PermissionError as error:
                message = f"the daemon's socket {error.filename} refuses you: its config lets only administrators in"
                raise RefusedError(Said(Exit.REFUSED, b"", message)) from error
            await asyncio.sleep(limits.WATCH_AGAIN_SECONDS)

    async def _begin(self) -> tuple[str, bool]:
        """Where to go on: behind the last one seen. And whether this is another journal, and it begins anew."""
        if self.after is None and self._since is not None:
            return self._since, False
        newest = int((await status())["journal"]["newest"])
        anew = self.after is not None and newest < self.after
        if self.after is None or anew:
            self.after = max(0, newest - limits.WATCH_BACK)
        return str(self.after), anew


async def status() -> dict[str, Any]:
    """How the house stands. Raises as `ask`, and `RefusedError`."""
    said = await ask("status", "--json")
    _check(said)
    found: dict[str, Any] = msgspec.json.decode(said.out)
    return found


async def incidents() -> tuple[list[Mapping[str, Any]], str]:
    """Those that are open, and why there are none: a bus without a bot keeps none. Raises as `ask`."""
    said = await ask("incidents", "--json", "-n", str(limits.WATCH_INCIDENTS))
    if said.code != Exit.OK:
        return [], said.err
    return [msgspec.json.decode(line) for line in said.out.splitlines()], ""


def _check(said: Said | None) -> None:
    if said is not None and said.code in (Exit.REFUSED, Exit.USAGE, Exit.DATA):
        raise RefusedError(said)
