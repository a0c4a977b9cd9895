"""`xmppbus ack`, `unack`, `resolve` and `retract`: what somebody does about an incident or an event."""

from __future__ import annotations

import asyncio
import pwd

import click

from xmppbus.cli.desk import Action, Desk, encode
from xmppbus.cli.incidents import incident_words
from xmppbus.cli.showing import entry_json, json_line
from xmppbus.errors import Code, Exit, Refused
from xmppbus.people.acting import Acted, Acting
from xmppbus.people.durations import ago
from xmppbus.people.shown import incident_json, too_late
from xmppbus.render import one_line, plain

VIA = "command line"

_JSON = click.option("--json", is_flag=True, help="Print how it stands then as one JSON object.")
_WHICH = click.argument("which", default="", metavar="[KEY|ID]")


@click.command()
@_WHICH
@_JSON
def ack(which: str, json: bool) -> Action:
    """Acknowledge an incident, by its key or the item id of one of its events; the only one that fires without either.

    The first wins: it exits with 65 and says who, when somebody else was faster. Everybody's message then says who has
    it, and nobody else is called.

    \b
    Example:
      xmppbus ack db1:/var
    """

    async def action(desk: Desk) -> int:
        acting, name = await _begin(desk)
        return await _end(desk, await acting.acknowledge(which, by=name, via=VIA), "acknowledged", json=json)

    return action


@click.command()
@_WHICH
@_JSON
def unack(which: str, json: bool) -> Action:
    """Take an acknowledgement back: the incident fires again.

    \b
    Example:
      xmppbus unack db1:/var
    """

    async def action(desk: Desk) -> int:
        acting, name = await _begin(desk)
        return await _end(desk, await acting.unacknowledge(which, by=name, via=VIA), "taken back", json=json)

    return action


@click.command()
@_WHICH
@_JSON
def resolve(which: str, json: bool) -> Action:
    """Say that an incident is over, when no check will; if it fires again that is another episode.

    \b
    Example:
      xmppbus resolve db1:/var
    """

    async def action(desk: Desk) -> int:
        acting, name = await _begin(desk)
        return await _end(desk, await acting.resolve(which, by=name, via=VIA), "resolved", json=json)

    return action


@click.command()
@click.argument("id_", metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", is_flag=True, help="Print what was taken back as one JSON object.")
def retract(id_: str, yes: bool, json: bool) -> Action:
    """Take back what people were told of an event that was published by mistake, by its item id.

    Their clients withdraw the message (XEP-0424), or show that it was a mistake. The event stays in the journal and on
    its node.

    \b
    Example:
      xmppbus retract 6f1f7a0e-5a0c-5d39-9a3b-0d6f5a2f6f0e --yes
    """

    async def action(desk: Desk) -> int:
        desk.need_admin("retract")
        acting, name = await _begin(desk)
        item_id = id_.lower()
        if not yes and not await _wanted(desk, item_id):
            await desk.err("nothing was retracted")
            return Exit.EMPTY
        retracted = await acting.retract(item_id, by=name, via=VIA)
        if json:
            shown = {**entry_json(retracted.entry), "by": retracted.by, "retracted": retracted.moment.isoformat()}
            await desk.terminal.write(json_line(shown))
        elif retracted.first:
            await desk.out(f"retracted  {one_line(retracted.entry.event)}")
        else:
            await desk.err(f"{plain(retracted.by)} has retracted it already, {ago(retracted.moment, desk.now())} ago")
        return Exit.OK

    return action


async def _begin(desk: Desk) -> tuple[Acting, str]:
    """What acts, and in whose name. To act is to see an event and to make one: it needs the right to both."""
    from xmppbus.house import acting_of, people_by_now

    house = desk.house
    desk.need_publish()
    desk.need_listen()
    await people_by_now(house)
    return acting_of(house), await asyncio.to_thread(user_name, desk.role.uid)


def user_name(uid: int) -> str:
    """Of the Unix user whom the kernel vouches for; the number of one without a name. May ask a directory service."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


async def _end(desk: Desk, acted: Acted, word: str, *, json: bool) -> int:
    if not acted.first:
        raise Refused(Code.CONFLICT, too_late(acted, desk.now()))
    if json:
        await desk.terminal.write(json_line(incident_json(acted.incident)))
    else:
        words = [word, plain(acted.incident.key), *incident_words(acted.incident)]
        await desk.out("  ".join(words))
    return Exit.OK


async def _wanted(desk: Desk, item_id: str) -> bool:
    """Whether somebody at a terminal says y. Raises `Refused` where there is none, or no such event."""
    if not (desk.facts.terminals[0] and desk.facts.terminals[2]):
        raise Refused(Code.USAGE, "there is no terminal to ask at whether to retract it; say --yes")
    entry = await desk.house.journal.find(item_id)
    said = one_line(entry.event) if entry else item_id
    await desk.terminal.complain(encode(f"Take back what people were told of this?\n  {said}\n[y/N] "))
    answer = await anext(desk.terminal.read(), b"")
    return answer.strip().lower() in (b"y", b"yes")
