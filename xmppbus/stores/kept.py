"""Drawers of the journal's file: what parts of the house keep beside events."""

from __future__ import annotations

import sqlite3
from functools import partial
from typing import Any

import msgspec

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.stores import queries
from xmppbus.stores.ledger import Ledger
from xmppbus.stores.people import Change, Growth
from xmppbus.stores.reader import Reader
from xmppbus.stores.writer import Writer

SQL = queries.load("kept")


class SqliteKept:
    """`Kept` (see `xmppbus/journal.py`) in the file of a journal that is open."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def all(self, drawer: str) -> dict[str, Any]:
        """Everything in a drawer, by name."""
        return await self._reader.look(_all, drawer)

    async def keep(self, drawer: str, name: str, value: Any) -> None:
        """Keep a value (whatever JSON can say) in the place of the one before, on disk when this returns. `Refused`
        (too-many-requests, journal-full)."""
        await self._writer.submit(Growth(partial(_keep, drawer=drawer, name=name, value=value)))

    async def drop(self, drawer: str, name: str) -> bool:
        """Forget it; whether it was there."""
        found: bool = await self._writer.submit(Change(partial(_drop, drawer=drawer, name=name)))
        return found


def _all(connection: sqlite3.Connection, drawer: str) -> dict[str, Any]:
    (packed,) = connection.execute(SQL["all"], (drawer,)).fetchone()
    found: dict[str, Any] = msgspec.json.decode(packed)
    return found


def _keep(ledger: Ledger, drawer: str, name: str, value: Any) -> None:
    text = msgspec.json.encode(value).decode()
    if len(text) > limits.KEPT_CHARACTERS:
        raise Refused(Code.TOO_BIG, f"{len(text)} characters are more than the {limits.KEPT_CHARACTERS} to be kept")
    found, known = ledger.connection.execute(SQL["room"], {"drawer": drawer, "name": name}).fetchone()
    if not known and found >= limits.KEPT_IN_A_DRAWER:
        raise Refused(Code.TOO_MANY, f"{found} {drawer} are all that there may be; remove one first")
    ledger.connection.execute(SQL["keep"], {"drawer": drawer, "name": name, "value": text})


def _drop(ledger: Ledger, drawer: str, name: str) -> bool:
    return ledger.connection.execute(SQL["drop"], (drawer, name)).rowcount > 0
