"""Answers as messages, to where somebody spoke: the same client, the same thread, the same room. Pure."""

from __future__ import annotations

from xmppbus.bot.command import Place
from xmppbus.xmpp.messages import MUC_USER, Heard, chat
from xmppbus.xmpp.stanzas import element_text
from xmppbus.xmpp.upload import out_of_band


def place_of(heard: Heard) -> Place:
    """Where something was said."""
    if heard.kind == "groupchat":
        return Place.ROOM
    return Place.PRIVATE if heard.is_private else Place.CHAT


def picture(heard: Heard, url: str, sender: str, message_id: str) -> bytes:
    """A picture: clients show what is at an address only where the body is that and nothing else."""
    return reply(heard, url, sender, message_id, is_picture=True)


def reply(heard: Heard, text: str, sender: str, message_id: str, *, is_picture: bool = False) -> bytes:
    """An answer to what was heard; in a room it names whom it answers. `sender` is our main full JID, or, in client
    mode, nothing; a room knows us by the JID that it wrote to.

    Marked as automatic, and without a request for a receipt: two programs must not keep each other busy.
    """
    place = place_of(heard)
    extra = f"<thread>{element_text(heard.thread)}</thread>" if heard.thread else ""
    extra += out_of_band(text) if is_picture else ""
    if place is Place.PRIVATE:
        extra += f"<x xmlns='{MUC_USER}'/>"
    return chat(
        to=heard.bare if place is Place.ROOM else heard.sender,
        sender=sender if place is Place.CHAT or not sender else heard.to,
        message_id=message_id,
        body=f"{heard.nick}: {text}" if place is Place.ROOM and not is_picture else text,
        kind="groupchat" if place is Place.ROOM else "chat",
        receipt=False,
        markable=False,
        automatic=True,
        extra=extra,
    )
