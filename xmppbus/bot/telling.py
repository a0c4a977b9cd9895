"""Messages that the bot sends unasked: to its owners, and to who was waiting for an owner's answer."""

from __future__ import annotations

import logging
import uuid

from xmppbus.bot.desk import Desk
from xmppbus.errors import BusError
from xmppbus.xmpp.messages import chat

log = logging.getLogger("xmppbus.bot")


def tell(desk: Desk, jid: str, text: str) -> None:
    """Say something to a bare JID. Not kept anywhere: while the stream is down it is not said at all, so it must be
    something that can be asked for as well."""
    talk = desk.house.talk
    if talk is None:
        return
    stanza = chat(to=jid, sender=talk.full(), message_id=str(uuid.uuid4()), body=text, receipt=False, automatic=True)
    try:
        talk.say(jid, stanza)
    except BusError as error:
        log.info("%s was not told: %s", jid, error, extra={"jid": jid})


def tell_owners(desk: Desk, text: str) -> None:
    """Say something to each owner that the config names."""
    for jid in desk.affiliations.owners():
        tell(desk, jid, text)
