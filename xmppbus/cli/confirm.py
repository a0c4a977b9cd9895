"""`publish --confirm`: wait until the node's server has said yes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from xmppbus.cli.desk import Desk
from xmppbus.errors import Exit, condition
from xmppbus.interfaces import Accepted
from xmppbus.journal import Fate, State
from xmppbus.route import QUEUE, STATION

OUTPUT = "pubsub"
"""The output whose yes is the yes of a node's server."""


async def confirm_all(desk: Desk, answers: Sequence[Accepted], timeout: float) -> int:
    """0 when every delivery to a node is delivered, 65 when one is dead, 75 after `timeout` seconds."""
    try:
        async with asyncio.timeout(timeout):
            codes = [await _confirm(desk, answer) for answer in answers]
    except TimeoutError:
        text = f"accepted and kept, but not confirmed within {timeout:g} s; `xmppbus status` says why it waits"
        await desk.err(text)
        return Exit.TRY_AGAIN
    return max(codes, default=Exit.OK)


async def _confirm(desk: Desk, answer: Accepted) -> int:
    journal = desk.house.journal
    while True:
        # Begin to listen before looking, or a commit in between would go unheard.
        changed = asyncio.create_task(journal.changed(timedelta(seconds=60)))
        try:
            await asyncio.sleep(0)
            every = await journal.fates(answer.sequence)
            if every and all(each.output == QUEUE for each in every):
                return Exit.OK  # it is in its queue; when somebody takes it is his affair
            fates = [each for each in every if each.output in (OUTPUT, STATION)]
            if not any(each.state is State.WAITING for each in fates):
                return await _verdict(desk, answer, [each for each in fates if each.output == OUTPUT])
            await changed
        finally:
            changed.cancel()


async def _verdict(desk: Desk, answer: Accepted, fates: Sequence[Fate]) -> int:
    if not fates:
        await desk.err(f"{answer.item_id} goes to no node, so no server can confirm it; see `routes` in the config")
        return Exit.UNAVAILABLE
    for fate in fates:
        if fate.state is State.DEAD:
            advice = condition(fate.condition).advice
            await desk.err(f"{answer.item_id} is dead at {fate.place}: {fate.condition}: {fate.text or advice}")
            return Exit.DATA
    return Exit.OK
