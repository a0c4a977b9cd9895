"""A dead man's switch: what does not come in time becomes an event, and its end, too. `xmppbus expect` asks for it.

What is expected is in the journal's drawer `expectations`, and when it came last; what came while that was not yet
written is read again from the journal. For a while after the start nothing is said: what waited for the daemon is on
its way.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import msgspec

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.event import OURS, item_id_bytes, now
from xmppbus.inputs.expectations import Expectation, Expectations, checked
from xmppbus.interfaces import Accept
from xmppbus.plugins import Registry

if TYPE_CHECKING:
    from xmppbus.house import House

log = logging.getLogger("xmppbus.expect")

DRAWER = "expectations"
CURSOR = "house/expect"
"""The consumer under whose name the journal remembers how far it was read; no client may take such a name."""


class ExpectInput:
    """As `interfaces.Input` says."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._journal = house.journal
        self._ticks = house.ticks
        self._known = Expectations()
        self._open = asyncio.Event()
        self._some = asyncio.Event()
        self._after = 0
        self._next_keep = 0.0

    # --- asked by commands --------------------------------------------------------------------------------------------

    async def expect(self, wished: Expectation) -> Expectation:
        """From now on; on disk when this returns. Raises `Refused`."""
        await self._open.wait()
        moment = now(self._house.clock)
        expectation = checked(msgspec.structs.replace(wished, made=moment))
        before = self._known.get(expectation.name)
        since = self._ticks()
        if before and before.match == expectation.match:
            since -= self._known.silent(before.name, since)
            expectation = msgspec.structs.replace(
                expectation, heard=before.heard, item=before.item, missed=before.missed, made=before.made
            )
        await self._journal.kept.keep(DRAWER, expectation.name, msgspec.to_builtins(expectation))
        if not len(self._known):
            self._after = (await self._journal.status()).newest
            await self._journal.move_cursor(CURSOR, self._after)
        if before and before.missed and not expectation.missed:
            await self._say(self._house.bus.accept, before.removed())
        self._known.put(expectation, since)
        self._some.set()
        return expectation

    async def remove(self, name: str) -> Expectation:
        """Expect it no more. Raises `Refused` (item-not-found)."""
        found = await self.find(name)
        await self._journal.kept.drop(DRAWER, name)
        self._known.drop(name)
        if not len(self._known):
            self._some.clear()
        if found.missed:
            await self._say(self._house.bus.accept, found.removed())
        return found

    async def find(self, name: str) -> Expectation:
        """The one of that name. Raises `Refused` (item-not-found)."""
        await self._open.wait()
        found = self._known.get(name)
        if found is None:
            raise Refused(
                Code.NOT_FOUND, f"nothing of the name {name!r} is expected; `xmppbus expect list` has them all"
            )
        return found

    async def all(self) -> list[Expectation]:
        """By name."""
        await self._open.wait()
        return sorted(self._known, key=lambda each: each.name)

    def silent(self, expectation: Expectation) -> float:
        """For how many seconds it has not come."""
        return self._known.silent(expectation.name, self._ticks())

    # --- its life -----------------------------------------------------------------------------------------------------

    async def run(self, accept: Accept) -> None:
        """As `interfaces.Input` says."""
        if not self._open.is_set():
            await self._begin()
        while True:
            await self._some.wait()
            await self._read(accept)
            await self._tell_missed(accept)
            await self._keep()
            wait = min(self._known.next_due(self._ticks()), limits.EXPECT_LOOK_SECONDS)
            await self._journal.changed(timedelta(seconds=max(0.01, wait)))
            await asyncio.sleep(min(wait, limits.EXPECT_GATHER_SECONDS))  # one look for many events

    def status(self) -> Mapping[str, Any]:
        """How many, and which are missed."""
        missed = [each.name for each in self._known if each.missed]
        return {"state": "up", "expectations": len(self._known), "missed": missed[: limits.EXPECT_SHOWN]}

    async def _begin(self) -> None:
        """As it was left; of the time in which nobody looked, only the clock on the wall knows."""
        cursor = await self._journal.cursor(CURSOR)
        self._after = (await self._journal.status()).newest if cursor is None else cursor
        ticks, moment = self._ticks(), self._house.clock()
        for packed in (await self._journal.kept.all(DRAWER)).values():
            each = msgspec.convert(packed, Expectation)
            silent = (moment - datetime.fromisoformat(each.heard or each.made)).total_seconds()
            self._known.put(each, ticks - max(0.0, silent), ticks + limits.EXPECT_START_SECONDS)
        self._open.set()
        if len(self._known):
            self._some.set()

    async def _read(self, accept: Accept) -> None:
        while entries := await self._journal.read(self._after, limits.LISTENER_EVENTS):
            ticks, moment = self._ticks(), self._house.clock()
            for entry in entries:
                ago = max(0.0, (moment - entry.accepted).total_seconds())
                for expectation, silent in self._known.hear(entry, ticks - ago):
                    if await self._say(accept, expectation.told("resolved", silent, entry.item_id)):
                        found = self._known.get(expectation.name)
                        if found:
                            self._known.changed(msgspec.structs.replace(found, missed=""))
                            self._next_keep = 0.0
            self._after = entries[-1].sequence

    async def _tell_missed(self, accept: Accept) -> None:
        for expectation, silent in self._known.due(self._ticks()):
            if await self._say(accept, expectation.told("firing", silent)):
                missed = msgspec.structs.replace(expectation, missed=now(self._house.clock))
                if self._known.get(expectation.name) == expectation:
                    self._known.changed(missed)
                    self._next_keep = 0.0

    async def _say(self, accept: Accept, event: Mapping[str, Any]) -> bool:
        """Whether it is said, now or (the same before a crash) already."""
        try:
            (answer,) = await accept([event])
            if isinstance(answer, Refused) and answer.code is Code.CONFLICT:
                if await self._is_said(event):
                    return True
                # Somebody has taken the name for something else, so that nobody would hear of the silence.
                (answer,) = await accept([{**event, "id": f"{event['id']}/{uuid.uuid4()}"}])
        except Refused as refusal:
            answer = refusal
        if isinstance(answer, Refused):
            log.warning("%s can't be said: %s; it is tried again", event["summary"], answer)
            return False
        return True

    async def _is_said(self, event: Mapping[str, Any]) -> bool:
        """Whether what has this name says the same, but for how long it was silent by then."""
        entry = await self._journal.find(str(uuid.UUID(bytes=item_id_bytes(OURS, event["id"]))))
        return entry is not None and _without_moment(entry.event.fields) == _without_moment(event)

    async def _keep(self) -> None:
        """When something came last need not be on disk at once: it can be read again."""
        if self._ticks() < self._next_keep:
            return
        self._next_keep = self._ticks() + limits.EXPECT_KEEP_SECONDS
        for each in [*self._known.to_keep()]:
            with contextlib.suppress(Refused):  # full: the journal says so itself, and it is tried again
                await self._journal.kept.keep(DRAWER, each.name, msgspec.to_builtins(each))
        await self._journal.move_cursor(CURSOR, self._after)


def _without_moment(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in ("summary", "data", "time")}


def expecting(house: House) -> ExpectInput:
    """The house's own."""
    return cast("ExpectInput", house.inputs["expect"])


def build(house: House, options: Mapping[str, Any]) -> ExpectInput:  # noqa: ARG001  # the registry's signature
    """It has no options."""
    return ExpectInput(house)


def register(registry: Registry) -> None:
    """Offer this input."""
    registry.input("expect", build)
