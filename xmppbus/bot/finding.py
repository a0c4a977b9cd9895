"""Which event, or which incident, somebody means: by id, the beginning of one, a key, a reply, or by nothing at all."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta

from xmppbus import limits
from xmppbus.bot import words
from xmppbus.bot.command import Asker, Unusable
from xmppbus.bot.desk import Desk
from xmppbus.journal import Entry
from xmppbus.people.audience import CHAT, ROOM
from xmppbus.people.catalogue import _
from xmppbus.people.incidents import is_of_incident
from xmppbus.people.model import Incident, Message, Status
from xmppbus.route import QUEUE, Match, Target

OPEN = (Status.FIRING, Status.ACKNOWLEDGED)
SHORT_ID = 8
_ID_CHARACTERS = frozenset("0123456789abcdef-")


def short_id(item_id: str) -> str:
    """So much of an item id as people type."""
    return item_id[:SHORT_ID]


async def entry_of(desk: Desk, asker: Asker, item_id: str | None) -> Entry:
    """The event with that id, or with an id that begins like that; without one, the event of the message that is
    replied to. Raises `Unusable`."""
    if item_id is None:
        entry = await _replied_entry(desk, asker)
        if entry is None:
            raise Unusable(_("Which one? Give me its id, or reply to its message."))
        return entry
    if _is_whole(item_id):
        entry = await desk.house.journal.find(item_id)
        found = [entry] if entry and QUEUE not in entry.event.fields else []  # that one is its consumer's alone
    else:
        newest = await desk.people.last(limits.SHORT_ID_ENTRIES, Match())
        found = [each for each in newest if each.item_id.startswith(item_id)]
    if not found:
        raise Unusable(
            _("I know no event {item}: it never was, or is long gone. `last` lists the newest.").format(item=item_id)
        )
    if len(found) > 1:
        ids = ", ".join(short_id(each.item_id) + each.item_id[SHORT_ID:13] for each in found[:5])
        raise Unusable(_("More than one event begins like that: {ids}. Give me more of its id.").format(ids=ids))
    return found[0]


async def incident_of(desk: Desk, asker: Asker, said: str | None) -> Incident:
    """The incident with that key, or that an event is about; without a word, the one that is replied to, else the last
    open one that the asker (in a room: the room) was told of. Raises `Unusable`."""
    if said is None:
        return await _meant(desk, asker)
    incident = await desk.people.incident(said)
    if incident is not None:
        return incident
    if _looks_like_id(said):
        entry = await entry_of(desk, asker, said.casefold())
        incident = await _of_entry(desk, entry)
        if incident is None:
            raise Unusable(_("That event is of no incident, so there is nothing to do about it."))
        return incident
    return await _by_part(desk, said)


async def is_about_incident(desk: Desk, asker: Asker) -> bool:
    """Whether what the asker replies to is a message of ours about an incident."""
    entry = await _replied_entry(desk, asker)
    return entry is not None and is_of_incident(entry.event)


async def _by_part(desk: Desk, said: str) -> Incident:
    """The open incident whose key has that in it, if there is only one."""
    known = await desk.people.incidents(OPEN, limits.INCIDENTS_LISTED)
    part = said.casefold()
    found = [each for each in known if part in each.key.casefold()]
    if len(found) == 1:
        return found[0]
    if found:
        keys = ", ".join(f"`{words.short(each.key)}`" for each in found[:5])
        raise Unusable(_("More than one incident is called like that: {keys}.").format(keys=keys))
    near = words.did_you_mean(said, [each.key for each in known])
    raise Unusable(
        _("I know no incident `{key}`").format(key=words.short(said))
        + (near or ".")
        + " "
        + _("`incidents` lists those that are open.")
    )


async def _meant(desk: Desk, asker: Asker) -> Incident:
    entry = await _replied_entry(desk, asker)
    if entry is not None:
        incident = await _of_entry(desk, entry)
        if incident is None:
            raise Unusable(_("That message is about no incident, so there is nothing to do about it."))
        return incident
    found = await _last_told(desk, asker.subscriber)
    if found is None:
        raise Unusable(_("You were told of nothing that is open. Name it: `incidents` lists those that are."))
    return found


async def _replied_entry(desk: Desk, asker: Asker) -> Entry | None:
    """The event of the message that is replied to; the message has to be one to the asker, or to his room."""
    message = await _message(desk, asker.replies_to) if asker.replies_to else None
    if message is None or message.jid not in (asker.jid, asker.room):
        return None
    entries = await desk.house.journal.read(message.sequence - 1, 1)
    return entries[0] if entries and entries[0].sequence == message.sequence else None


async def _message(desk: Desk, message_id: str) -> Message | None:
    """Quick fingers: what a client has already is written down once the server has said that it has it."""
    deadline = asyncio.get_running_loop().time() + limits.LEDGER_SECONDS
    while (message := await desk.people.message(message_id)) is None:
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            break
        await desk.house.journal.changed(timedelta(seconds=left))
    return message


async def _of_entry(desk: Desk, entry: Entry) -> Incident | None:
    return await desk.people.incident(str(entry.event.get("key"))) if is_of_incident(entry.event) else None


async def _last_told(desk: Desk, jid: str) -> Incident | None:
    """The open incident whose first message to a JID is the newest. Nothing of it is kept here: it survives a restart,
    and nobody can see what another was told."""
    if not jid:
        return None
    await _until_written(desk, jid)
    incidents = {each.key: each for each in await desk.people.incidents(OPEN, limits.INCIDENTS_LISTED)}
    copies = await desk.people.copies([(key, jid) for key in incidents])
    current = [copy for copy in copies.values() if copy.episode == incidents[copy.key].episode and copy.message_id]
    messages = await asyncio.gather(*(desk.people.message(copy.message_id) for copy in current))
    newest = max(filter(None, messages), key=lambda each: each.sequence, default=None)
    return incidents[newest.key] if newest else None


async def _until_written(desk: Desk, jid: str) -> None:
    """The same, of whatever is on its way to a JID."""
    deadline = asyncio.get_running_loop().time() + limits.LEDGER_SECONDS
    while any([await desk.people.waiting(Target(output, jid), 1) for output in (CHAT, ROOM)]):
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            break
        await desk.house.journal.changed(timedelta(seconds=left))


def _looks_like_id(said: str) -> bool:
    return len(said) >= SHORT_ID and set(said.casefold()) <= _ID_CHARACTERS


def _is_whole(item_id: str) -> bool:
    try:
        return str(uuid.UUID(item_id)) == item_id
    except ValueError:
        return False
