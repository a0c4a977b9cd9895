"""`publish` and `retract`: events that people make, and take back."""

from __future__ import annotations

import uuid

from xmppbus.bot.access import Action
from xmppbus.bot.command import Answer, Argument, Asker, Kind, Values
from xmppbus.bot.desk import Desk
from xmppbus.bot.finding import entry_of, short_id
from xmppbus.errors import Refused
from xmppbus.people.catalogue import _, mark, several
from xmppbus.plugins import Registry
from xmppbus.render import one_line, plain


async def publish(desk: Desk, asker: Asker, values: Values) -> Answer:
    """Through the same door as every event; its source is who says it."""
    (accepted,) = await desk.accept(
        [
            {
                "id": str(uuid.uuid4()),
                "source": f"xmpp:{asker.jid}",
                "type": values["type"],
                "data": values["text"],
                "datacontenttype": "text/plain",
            }
        ]
    )
    if isinstance(accepted, Refused):
        raise accepted
    item = short_id(accepted.item_id)
    if not accepted.deliveries:
        return Answer(_("Accepted as {item}, but no route takes it: nobody is told.").format(item=item))
    text = several(
        "Accepted as {item}; it goes to {count} place.",
        "Accepted as {item}; it goes to {count} places.",
        accepted.deliveries,
    )
    return Answer(text.format(item=item, count=accepted.deliveries))


async def retract(desk: Desk, asker: Asker, values: Values) -> Answer:
    """Take back what people were told, as far as their clients let it be taken back."""
    entry = await entry_of(desk, asker, values["id"])

    async def work() -> Answer:
        retracted = await desk.acting.retract(entry.item_id, by=asker.jid, via=asker.place.value)
        if retracted.first:
            return Answer(_("Taken back: {event}").format(event=one_line(entry.event)))
        text = _("{by} took it back already, {time}.")
        return Answer(text.format(by=plain(retracted.by), time=desk.clock_time(retracted.moment)), failed=True)

    return Answer(
        _("This takes back what people were told of: {event}").format(event=one_line(entry.event)), confirm=work
    )


def register(registry: Registry) -> None:
    """Offer them."""
    registry.command(
        "publish",
        mark("Publish an event"),
        publish,
        action=Action.PUBLISH,
        arguments=(
            Argument("type", Kind.TYPE, mark("its type: words joined by dots")),
            Argument("text", Kind.TEXT, mark("what happened")),
        ),
        example="publish deploy.done web 2.4 is out",
    )
    registry.command(
        "retract",
        mark("Take back what people were told of an event by mistake"),
        retract,
        action=Action.ADMINISTER,
        arguments=(Argument("id", Kind.EVENT, mark("the event's id, or its beginning"), required=False),),
        example="retract 6f1f7a0e",
    )
