"""`who`, `allow`, `deny`: what owners see and decide of others."""

from __future__ import annotations

from collections.abc import Iterator

from xmppbus import limits
from xmppbus.bot import words
from xmppbus.bot.access import Action
from xmppbus.bot.command import Answer, Argument, Asker, Kind, Table, Unusable, Values
from xmppbus.bot.commands.listening import SUBSCRIBE, described, wish
from xmppbus.bot.commands.rooms import room_state
from xmppbus.bot.desk import Desk
from xmppbus.bot.telling import tell
from xmppbus.people.catalogue import _, mark
from xmppbus.people.model import Person
from xmppbus.plugins import Registry


async def who(desk: Desk, asker: Asker, values: Values) -> Answer:  # noqa: ARG001  # it has no arguments
    """Subscribers, who waits for a yes, and to whom nothing can be sent."""
    rows = [(each.jid, _("waits for your yes"), each.requested) for each in _wishes(desk)]
    interests = desk.audience.interests
    for jid in sorted(interests.owners())[: limits.ANSWER_ROWS]:
        patterns = ", ".join(described(each) for each in interests.of(jid))
        rows.append((jid, patterns, _state(desk, jid)))
    left = len(interests.owners()) - limits.ANSWER_ROWS
    text = _("{count} more are not shown.").format(count=left) if left > 0 else ""
    if not rows:
        return Answer(_("Nobody has subscribed to anything."))
    return Answer(text, Table((_("who"), _("what"), _("state")), rows))


def _wishes(desk: Desk) -> Iterator[Person]:
    return (each for each in desk.audience.persons() if each.requested)


def _state(desk: Desk, jid: str) -> str:
    """How somebody is, where we may know it, or why nothing is sent there."""
    suspended = desk.audience.person(jid).suspended
    if suspended:
        return _("suspended: {why}").format(why=suspended)
    if _is_room(desk, jid):
        return room_state(desk, jid)
    talk = desk.house.talk
    show = talk.presence_of(jid).show if talk else "unknown"
    return "" if show in ("unknown", "awaited") else _(show)


def _is_room(desk: Desk, jid: str) -> bool:
    rooms = desk.house.rooms
    return desk.audience.person(jid).is_room or (rooms is not None and rooms.is_room(jid))


_SHOWS = (mark("available"), mark("chat"), mark("away"), mark("xa"), mark("dnd"), mark("offline"))
"""For the catalogue: they are looked up by their values."""


async def allow(desk: Desk, asker: Asker, values: Values) -> Answer:  # noqa: ARG001  # every owner may
    """A stranger's wish comes true."""
    person = _wishing(desk, values["jid"])
    rest = words.split(person.requested)[1]
    kept = await desk.audience.subscribe(wish(desk, person.jid, words.fill(SUBSCRIBE, rest)))
    await desk.audience.alter(person.jid, requested="")
    tell(desk, person.jid, _("An owner said yes: you get {words} from now on.").format(words=described(kept)))
    return Answer(
        _(
            "{jid} gets {words} from now on, and is told so. To let them look and acknowledge as well, write"
            " `{jid}: member` into the config."
        ).format(jid=person.jid, words=described(kept))
    )


async def deny(desk: Desk, asker: Asker, values: Values) -> Answer:  # noqa: ARG001  # every owner may
    """It does not."""
    person = _wishing(desk, values["jid"])
    await desk.audience.alter(person.jid, requested="")
    tell(desk, person.jid, _("An owner said no to `{wish}`.").format(wish=person.requested))
    return Answer(_("{jid} is told that it was refused.").format(jid=person.jid))


def _wishing(desk: Desk, jid: str | None) -> Person:
    """Who is meant: the only one who waits, if nobody is named."""
    waiting = list(_wishes(desk))
    if not waiting:
        raise Unusable(_("Nobody waits for an owner's yes."))
    found = waiting if jid is None else [each for each in waiting if each.jid == jid]
    if len(found) == 1:
        return found[0]
    jids = ", ".join(each.jid for each in waiting[: limits.ANSWER_LINES])
    raise Unusable(_("Which one? Waiting: {jids}.").format(jids=jids))


def register(registry: Registry) -> None:
    """Offer them."""
    jid = Argument("jid", Kind.JID, mark("who asked; needless when it is only one"), required=False)
    registry.command("who", mark("Who hears of what, and who would like to"), who, action=Action.ADMINISTER)
    registry.command(
        "allow",
        mark("Say yes to somebody's wish to subscribe"),
        allow,
        action=Action.ADMINISTER,
        arguments=(jid,),
        example="allow romeo@example.org",
    )
    registry.command(
        "deny",
        mark("Say no to it"),
        deny,
        action=Action.ADMINISTER,
        arguments=(jid,),
        example="deny romeo@example.org",
    )
