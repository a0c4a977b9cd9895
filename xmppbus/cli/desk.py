"""Where a command is carried out: somebody's terminal on one side, the house, if there is a daemon, on the other.

A command's callback only looks at its options; it returns an `Action`, which is carried out at a `Desk`. So a command
is written once, and works for a client of the daemon and, where that makes sense, without a daemon.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Protocol

from xmppbus.errors import Code, Refused
from xmppbus.inputs.visitor import Facts, Role

if TYPE_CHECKING:
    import asyncio

    from xmppbus.house import House

Action = Callable[["Desk"], Awaitable[int]]
"""What a command does; its result is the exit code. `Refused` becomes a sentence and the code it stands for."""

STYLES = {
    "dim": "2",
    "bold": "1",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "cyan": "36",
    "alarm": "1;31",
}
SEVERITY_STYLES = {
    "debug": "dim",
    "info": "cyan",
    "notice": "green",
    "warning": "yellow",
    "error": "red",
    "critical": "alarm",
}


class Terminal(Protocol):
    """The three standard streams of whoever typed the command."""

    async def write(self, content: bytes) -> None:
        """To standard output. Waits for a slow reader."""
        ...

    async def complain(self, content: bytes) -> None:
        """To error output."""
        ...

    async def write_surely(self, content: bytes, written: Callable[[], None]) -> None:
        """To standard output; `written` is called when it has been written and flushed there, in order."""
        ...

    async def all_written(self) -> None:
        """Return when everything that was written surely has been."""
        ...

    def read(self, path: bytes = b"") -> AsyncIterator[bytes]:
        """Chunks of a file that is named in an argument, or of standard input. Raises `Refused` when that can't be."""
        ...

    async def save(self, path: bytes, content: bytes) -> None:
        """Into a file that is named in an argument, whole or not at all; the last that is said to standard output."""
        ...

    async def watch(self) -> None:
        """From now on, end the command once nobody reads standard output any more."""
        ...


@dataclass
class Names:
    """Durable listeners at work, and what tells that they have ended: a cursor is moved by one at a time."""

    active: dict[str, asyncio.Event] = field(default_factory=dict)


@dataclass(frozen=True)
class Desk:
    """A terminal, who sits there, and the house, which is None when there is no daemon."""

    terminal: Terminal
    facts: Facts
    role: Role
    names: Names
    open_house: House | None

    @property
    def house(self) -> House:
        """The house; raises `Refused` (no-daemon) when there is none."""
        if self.open_house is None:
            message = "no daemon is running; start one with `xmppbus serve` (or `systemctl start xmppbus`)"
            raise Refused(Code.NO_DAEMON, message)
        return self.open_house

    async def out(self, text: str) -> None:
        """A line of result."""
        await self.terminal.write(encode(text + "\n"))

    async def err(self, text: str) -> None:
        """A line for whoever watches, beside the result."""
        await self.terminal.complain(encode(f"xmppbus: {text}\n"))

    def style(self, text: str, name: str, *, stream: int = 1) -> str:
        """Coloured, where a terminal can show it and nobody said NO_COLOR (no-color.org)."""
        return f"\x1b[{STYLES[name]}m{text}\x1b[0m" if name and self.colours(stream) else text

    def colours(self, stream: int = 1) -> bool:
        """Whether a stream shows colours."""
        environment = self.facts.environment
        return self.facts.terminals[stream] and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"

    @property
    def width(self) -> int:
        """Columns to lay things out in."""
        return max(40, self.facts.width)

    @property
    def zone(self) -> tzinfo | None:
        """The time zone of whoever reads; None is this machine's."""
        name = self.facts.environment.get("TZ", "").removeprefix(":")
        if not name:
            return None
        from zoneinfo import ZoneInfo

        try:
            return ZoneInfo(name)
        except (ValueError, OSError):  # a POSIX rule such as CET-1CEST, or no such zone
            return None

    def now(self) -> datetime:
        """UTC."""
        return self.open_house.clock() if self.open_house else datetime.now(UTC)

    def need_admin(self, what: str) -> None:
        """Raises `Refused` for everybody but the daemon's own user, root and the group of the config."""
        if not self.role.admin:
            message = f"only administrators may {what}: root, the daemon's own user, and members of `socket: group:`"
            raise Refused(Code.FORBIDDEN, message)

    def need_listen(self) -> None:
        """Raises `Refused` for those who may not see events."""
        if not self.role.listen:
            message = "the config lets only administrators see events; `socket: {listen: everyone}` would let you"
            raise Refused(Code.FORBIDDEN, message)

    def need_publish(self) -> None:
        """Raises `Refused` for those who may not publish."""
        if not self.role.publish:
            message = "the config lets only administrators publish; `socket: {publish: everyone}` would let you"
            raise Refused(Code.FORBIDDEN, message)


def encode(text: str) -> bytes:
    """Text for a terminal: arguments that are not UTF-8 come out as they went in."""
    return text.encode("utf-8", "surrogateescape")


async def read_all(chunks: AsyncIterator[bytes], most: int, what: str) -> bytes:
    """Everything, up to a bound. Raises `Refused` beyond it."""
    found = bytearray()
    async for chunk in chunks:
        found += chunk
        if len(found) > most:
            raise Refused(Code.TOO_BIG, f"{what} has more than {most} bytes; send a link to it, or --lines of it")
    return bytes(found)
