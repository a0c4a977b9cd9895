"""The bot's status text, for everybody who has it as a contact: `3 firing, 1 unacknowledged, last event 14:02`.

Some clients show each change of it as a line in the conversation, so it changes when an incident does; the time of the
last event is brought up to date now and then. It is a time and no `2 min ago`, which would be wrong a minute later.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from xmppbus import limits
from xmppbus.bot.desk import Desk
from xmppbus.bot.finding import OPEN
from xmppbus.people.catalogue import _
from xmppbus.people.incidents import is_work
from xmppbus.people.model import Status
from xmppbus.route import Match
from xmppbus.xmpp.talk import Talk


async def keep_standing(desk: Desk, talk: Talk) -> None:
    """Say how things stand, until cancelled."""
    time = asyncio.get_running_loop().time
    said: tuple[int, int] | None = None
    due = looked = 0.0
    while True:
        counted = await _count(desk)
        if counted != said or time() >= due:
            said, due = counted, time() + limits.STANDING_SECONDS
            talk.said(await _text(desk, *counted))
        looked = time()
        await desk.house.journal.changed(timedelta(seconds=max(0.0, due - looked)))
        # A busy house changes all the time; nobody needs to know how it stands more often than this.
        await asyncio.sleep(max(0.0, looked + limits.STANDING_LOOK_SECONDS - time()))


async def _count(desk: Desk) -> tuple[int, int]:
    """How many incidents are open, and how many of them nobody has taken on."""
    found = await desk.people.incidents(OPEN, limits.INCIDENTS_LISTED)
    alarming = [each for each in found if not is_work(each)]
    return len(alarming), sum(1 for each in alarming if each.status is Status.FIRING)


async def _text(desk: Desk, firing: int, unacknowledged: int) -> str:
    more = "+" if firing >= limits.INCIDENTS_LISTED else ""
    parts = [_("all is well")]
    if firing:
        parts = [_("{count} firing").format(count=f"{firing}{more}")]
    if unacknowledged:
        parts.append(_("{count} unacknowledged").format(count=f"{unacknowledged}{more}"))
    newest = await desk.people.last(1, Match())
    if newest:
        parts.append(_("last event {time}").format(time=desk.clock_time(newest[0].accepted)))
    return ", ".join(parts)
