"""`dead`: deliveries that the other side refused because of the event itself. A person decides."""

from __future__ import annotations

from xmppbus import limits
from xmppbus.bot.access import Action
from xmppbus.bot.command import Answer, Argument, Asker, Kind, Table, Unusable, Values
from xmppbus.bot.desk import Desk
from xmppbus.errors import condition
from xmppbus.journal import Entry, Fate
from xmppbus.people.catalogue import _, mark
from xmppbus.plugins import Registry
from xmppbus.render import one_line, plain

RETRY, DROP = "retry", "drop"


async def dead(desk: Desk, asker: Asker, values: Values) -> Answer:  # noqa: ARG001  # every owner sees the same
    """List them; or retry or drop one, after its one-time word."""
    if values["what"] is None:
        if values["number"] is not None:
            return _about(*await _one(desk, values["number"]))
        return await _list(desk)
    if values["number"] is None:
        raise Unusable(_("Which one? `dead` lists them, with a number each."))
    fate, entry = await _one(desk, values["number"])
    journal, drops = desk.house.journal, values["what"] == DROP

    async def work() -> Answer:
        done = await (journal.drop_dead if drops else journal.retry_dead)([fate.id])
        if not done:
            return Answer(_("{number} is not dead any more.").format(number=fate.id), failed=True)
        text = _("{number} is dropped.") if drops else _("{number} waits again.")
        return Answer(text.format(number=fate.id))

    text = (
        _("This forgets delivery {number} to {place} for good: {event}")
        if drops
        else _("This sends delivery {number} to {place} again: {event}")
    )
    said = text.format(number=fate.id, place=f"{fate.output}:{fate.place}", event=one_line(entry.event))
    return Answer(said, confirm=work)


async def _list(desk: Desk) -> Answer:
    found = await desk.house.journal.dead((), limits.ANSWER_ROWS)
    if not found:
        return Answer(_("No delivery is dead."))
    rows = [
        (str(fate.id), f"{fate.output}:{fate.place}", fate.condition, one_line(entry.event)) for fate, entry in found
    ]
    text = _("`dead retry NUMBER` sends one again, `dead drop NUMBER` forgets it.")
    return Answer(text, Table((_("number"), _("place"), _("why"), _("event")), rows))


def _about(fate: Fate, entry: Entry) -> Answer:
    why = plain(fate.text) or condition(fate.condition).advice
    lines = [f"{fate.id} · {fate.output}:{fate.place} · {fate.condition}", why, one_line(entry.event), entry.item_id]
    return Answer("\n".join(lines))


async def _one(desk: Desk, number: int) -> tuple[Fate, Entry]:
    for fate, entry in await desk.house.journal.dead((), limits.DEAD_LISTED):
        if fate.id == number:
            return fate, entry
    raise Unusable(_("No delivery {number} is dead; `dead` lists those that are.").format(number=number))


def register(registry: Registry) -> None:
    """Offer it."""
    registry.command(
        "dead",
        mark("Deliveries that were refused because of the event itself; retry or drop one"),
        dead,
        action=Action.ADMINISTER,
        arguments=(
            Argument("what", Kind.WORD, mark("what to do; nothing lists them"), required=False, choices=(RETRY, DROP)),
            Argument("number", Kind.NUMBER, mark("which one"), required=False),
        ),
        example="dead retry 17",
    )
