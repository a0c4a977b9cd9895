"""`xmppbus listen`: events as they come, and those that came before."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial

import click

from xmppbus import limits
from xmppbus.cli.desk import Action, Desk
from xmppbus.cli.patterns import Pattern, matches
from xmppbus.cli.showing import Lines
from xmppbus.cli.since import HELP, check_since, sequence_of
from xmppbus.displays.tail import bites
from xmppbus.errors import Code, Exit, Refused
from xmppbus.journal import Entry, Journal
from xmppbus.route import Match

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


def check_name(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:  # noqa: ARG001  # click's
    """A callback of the option."""
    if value is not None and not _NAME.fullmatch(value):
        raise click.BadParameter(f"{value!r} is not 1 to 64 characters of A-Z a-z 0-9 . _ -")
    return value


@click.command()
@click.argument("patterns", nargs=-1, type=Pattern(), metavar="[PATTERN]...")
@click.option(
    "--since", metavar="SEQUENCE|TIME|all", callback=check_since, help=HELP + " Else: what comes from now on."
)
@click.option("-n", "count", type=click.IntRange(1), metavar="N", help="End after so many events.")
@click.option(
    "--name",
    metavar="CONSUMER",
    callback=check_name,
    help="A name under which the daemon remembers what was written; one that comes back gets what it missed. --since "
    "says where it begins the first time.",
)
@click.option("--json", is_flag=True, help="One JSON object a line.")
def listen(patterns: tuple[str, ...], since: str | None, count: int | None, name: str | None, json: bool) -> Action:
    """Print events whose type matches a PATTERN (* is one word, # any number of them), as they come.

    With --name an event counts as read once its line is written and flushed: a listener that is killed may see the
    last line again, and misses nothing.

    \b
    Example:
      xmppbus listen 'disk.#' 'user.*' --since 1h
      xmppbus listen --name backup --json >> events
    """

    async def action(desk: Desk) -> int:
        desk.need_listen()
        journal = desk.house.journal
        await desk.terminal.watch()
        lines = Lines(desk, json=json)
        if name:
            async with taken(desk, name):
                cursor = await _resume(desk, name, since)
                entries = limited(following(journal, cursor.begin, matches(patterns)), count)
                return await _listen_durably(desk, cursor, entries, lines)
        async for entry in limited(following(journal, await _begin(desk, since), matches(patterns)), count):
            await desk.terminal.write(lines(entry))
        return Exit.OK

    return action


async def following(journal: Journal, after: int, match: Sequence[Match]) -> AsyncIterator[Entry]:
    """Entries after a sequence as they come, without an end."""
    async with aclosing(bites(journal, after)) as found:
        async for entries in found:
            for entry in entries:
                if not match or any(each.matches(entry.event) for each in match):
                    yield entry


async def limited(entries: AsyncIterator[Entry], count: int | None) -> AsyncIterator[Entry]:
    """At most `count` of them."""
    async for entry in entries:
        yield entry
        if count is not None:
            count -= 1
            if not count:
                return


@asynccontextmanager
async def taken(desk: Desk, name: str) -> AsyncIterator[None]:
    """A durable name, for one listener at a time. Raises `Refused`.

    One that was killed and started again may be back before its end was noticed, so this waits for a moment.
    """
    active = desk.names.active
    try:
        async with asyncio.timeout(limits.NAME_SECONDS):
            while name in active:
                await active[name].wait()
    except TimeoutError:
        message = f"somebody listens as {name!r} already; end that, or take another name"
        raise Refused(Code.TOO_MANY, message) from None
    active[name] = asyncio.Event()
    try:
        yield
    finally:
        active.pop(name).set()


class Cursor:
    """How far a durable listener has written. Commits are merged: while one is written, the next are collected."""

    def __init__(self, journal: Journal, name: str, sequence: int) -> None:
        self._journal = journal
        self._name = name
        self.begin = self._written = self._kept = sequence
        self._moved = asyncio.Event()

    def written(self, sequence: int) -> None:
        """A line is out."""
        self._written = sequence
        self._moved.set()

    async def run(self) -> None:
        """Keep it up to date, until cancelled; then once more."""
        try:
            while True:
                await self._moved.wait()
                self._moved.clear()
                await self.keep()
        finally:
            await asyncio.shield(asyncio.ensure_future(self.keep()))

    async def keep(self) -> None:
        """Write it down, if it has moved."""
        if self._written > self._kept:
            moving = self._written
            await self._journal.move_cursor(self._name, moving)
            self._kept = moving


async def _begin(desk: Desk, since: str | None) -> int:
    return await sequence_of(desk, since) if since else (await desk.house.journal.status()).newest


async def _resume(desk: Desk, name: str, since: str | None) -> Cursor:
    """Where a durable listener goes on; one that nobody knows begins, and is known from now on."""
    journal = desk.house.journal
    after = await journal.cursor(name)
    if after is None:
        after = await _begin(desk, since)
        await journal.move_cursor(name, after)
    return Cursor(journal, name, after)


async def _listen_durably(desk: Desk, cursor: Cursor, entries: AsyncIterator[Entry], lines: Lines) -> int:
    keeping = asyncio.create_task(cursor.run())
    try:
        async for entry in entries:
            await desk.terminal.write_surely(lines(entry), partial(cursor.written, entry.sequence))
        await desk.terminal.all_written()
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
    return Exit.OK
