"""The output `people` at work on a journal, for tests of what needs to know how incidents stand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC

from xmppbus.deliver import Deliverer
from xmppbus.interfaces import Clock
from xmppbus.outputs.people import ForPeople, people_work
from xmppbus.people.audience import Audience
from xmppbus.people.budget import Budget
from xmppbus.route import Routes
from xmppbus.stores.sqlite import SqliteJournal


@asynccontextmanager
async def folding(journal: SqliteJournal, routes: Routes, clock: Clock) -> AsyncIterator[tuple[ForPeople, Audience]]:
    """Everything that comes by is folded, and goes on to the audience, while this is entered."""
    audience = Audience(journal.people, routes, clock)
    await audience.open()
    output = ForPeople(
        journal,
        journal.people,
        audience,
        budget=Budget(1_000),
        presence_of=lambda _: "unknown",
        is_room=lambda _: False,
        corrects=lambda _: True,
        zone=UTC,
        clock=clock,
    )
    deliverer = Deliverer("people", people_work(output), journal, ready=output.ready, dice=lambda: 0.5)
    async with output:
        task = asyncio.create_task(deliverer.run())
        try:
            yield output, audience
        finally:
            task.cancel()
            await asyncio.wait([task])
