"""What has to be known of a batch of deliveries before anybody is told of them: asked for in one go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from xmppbus.journal import Journal, Run
from xmppbus.people.model import Copy, Incident, Message
from xmppbus.people.store import People
from xmppbus.people.telling import is_retraction, key_of, retracted_item

Folded = Callable[[int], Awaitable[None]]
"""Returns once the event with that sequence, and all before it, are folded into their incidents."""

_T = TypeVar("_T")


class Known(NamedTuple):
    """Changes while the batch is worked: `copies` are what each JID will have once all before is handed over."""

    incidents: dict[str, Incident]  # by key
    copies: dict[tuple[str, str], Copy]  # by key and JID
    taken_back: dict[tuple[str, str], list[Message]]  # what a JID was sent of an entry, by its item id and the JID

    def has_copy(self, jid: str, incident: Incident) -> bool:
        """Whether the JID has a message about this episode, which can be corrected."""
        copy = self.copies.get((incident.key, jid))
        return copy is not None and bool(copy.message_id) and copy.episode == incident.episode

    def copies_among(self, messages: Iterable[Message]) -> list[Copy]:
        """The JID's copies of the incidents that the messages are about."""
        found = (self.copies.get((each.key, each.jid)) for each in messages if each.key)
        return [each for each in found if each is not None]


async def look_up(runs: Sequence[Run], journal: Journal, people: People, folded: Folded) -> Known:
    """Everything that telling these runs takes. Waits until their events are folded."""
    pairs: dict[tuple[str, str], None] = {}
    items: set[str] = set()
    newest = 0
    for run in runs:
        for each in run.deliveries:
            if key := key_of(each.event):
                pairs[key, run.place] = None
                newest = max(newest, each.sequence)
            elif is_retraction(each.event):
                items.add(retracted_item(each.event))
    if newest:
        await folded(newest)
    incidents = await _gathered(people.incident, {key for key, _ in pairs})
    taken_back = await _sent(items, {run.place for run in runs}, journal, people) if items else {}
    pairs |= dict.fromkeys((each.key, each.jid) for sent in taken_back.values() for each in sent if each.key)
    copies = await people.copies(list(pairs)) if pairs else {}
    return Known(incidents, copies, taken_back)


async def _sent(
    items: set[str], places: set[str], journal: Journal, people: People
) -> dict[tuple[str, str], list[Message]]:
    found: dict[tuple[str, str], list[Message]] = {}
    for item_id, entry in (await _gathered(journal.find, items - {""})).items():
        for message in await people.messages_of(entry.sequence):
            if message.jid in places:
                found.setdefault((item_id, message.jid), []).append(message)
    return found


async def _gathered(ask: Callable[[str], Awaitable[_T | None]], names: Iterable[str]) -> dict[str, _T]:
    wanted = sorted(names)
    found = await asyncio.gather(*(ask(name) for name in wanted))
    return {name: each for name, each in zip(wanted, found, strict=True) if each is not None}
