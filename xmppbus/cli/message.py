"""`xmppbus message`: tell one person or room something, once: no event, no node, no subscription."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from xmppbus import limits
from xmppbus.cli.asking import JSON, Visit, Work, asks, done, line
from xmppbus.cli.desk import Desk, read_all
from xmppbus.errors import Code, Refused

if TYPE_CHECKING:
    from xmppbus.house import House
    from xmppbus.xmpp.services.account import Account

_NO_BOT = "this bus has no bot that could say it: write `bot: {}` into xmppbus.yaml, or log in with an account: --as"


@click.command()
@click.argument("jid")
@click.argument("text", nargs=-1)
@click.option("--room", is_flag=True, help="JID is a room.")
@click.option("--nick", default="", metavar="NICK", help="How to be called there (--as).")
@JSON
@asks("speak in the bot's name")
def message(*, jid: str, text: tuple[str, ...], room: bool, nick: str, json: bool) -> Work:
    """Send a chat message to JID, from the bot, or from an account (--as). TEXT of - or none is standard input.

    It is no event: it is not kept, and sent once. Exit codes: 0 the server has it, 1 it came back, 65 it is empty or
    too long, 69 there is no bot, 75 try again.

    \b
    Example:
      xmppbus message romeo@example.org "The backup is done."
      df -h | xmppbus message ops@muc.example.org - --room
    """

    async def work(visit: Visit) -> int:
        from xmppbus.xmpp.services.asking import address

        to, body = address(jid), await _body(visit.desk, text)
        if visit.house is None:
            made = await _from_account(visit, to, body, nick, room=room)
        else:
            made = await _from_the_bot(visit.house, visit, to, body, room=room)
        return await done(visit.desk, "sent", {"to": to, "id": made}, json=json)

    return work


async def _body(desk: Desk, words: tuple[str, ...]) -> str:
    from xmppbus.xmpp.messages import body_text

    text = " ".join(words)
    if text in ("", "-"):
        most = 4 * limits.BODY_CHARACTERS
        content = await read_all(desk.terminal.read(), most, "the message")
        text = content.decode("utf-8", "replace").rstrip("\n")
    if len(text) > limits.BODY_CHARACTERS:
        text_ = f"the message has {len(text)} characters of {limits.BODY_CHARACTERS}; send less, or a link to the rest"
        raise Refused(Code.TOO_BIG, text_)
    if not body_text(text).strip():
        raise Refused(Code.INVALID, "the message is empty, or nothing of it can be shown")
    return text


async def _from_account(visit: Visit, to: str, body: str, nick: str, *, room: bool) -> str:
    account = cast("Account", visit.asker)  # without a house it is one
    asked = account.say(to, body, nick=nick) if room else account.message(to, body)
    made: str = await visit.ask(f"{line(to)} did not get it", to, asked)
    return made


async def _from_the_bot(house: House, visit: Visit, to: str, body: str, *, room: bool) -> str:
    from xmppbus.xmpp.services import saying

    if house.talk is None or house.rooms is None:
        raise Refused(Code.NOT_CONFIGURED, _NO_BOT)
    asked = saying.say(house.talk, house.rooms, to, body) if room else saying.tell(house.talk, to, body)
    made: str = await visit.ask(f"{line(to)} did not get it", to, asked)
    return made
