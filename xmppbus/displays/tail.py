"""The journal as it grows, in bounded bites: shared by the displays and by `xmppbus listen`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta

from xmppbus import limits
from xmppbus.journal import Entry, Journal


async def bites(journal: Journal, after: int) -> AsyncGenerator[list[Entry], None]:
    """Entries after a sequence as they come, some at a time, without an end.

    Read without a match: a reader of a rare type would else look through the same entries again at each commit.
    """
    limit = limits.LISTENER_EVENTS
    while True:
        changed = asyncio.create_task(journal.changed(timedelta(seconds=60)))
        try:
            await asyncio.sleep(0)  # let it begin to listen, or a commit during the read would go unheard
            entries = await journal.read(after, limit)
            if entries:
                yield entries
                after = entries[-1].sequence
                bytes_each = sum(len(entry.event.encoded) for entry in entries) // len(entries) + 1
                limit = max(1, min(limits.LISTENER_EVENTS, limits.LISTENER_BYTES // bytes_each))
            else:
                await changed
        finally:
            changed.cancel()
