"""`xmppbus roster`: whose presence an account sees, and who sees its own; of a component, the bot's contacts."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING

import click

from xmppbus.cli.asking import JSON, YES, Visit, Work, asks, done, line, rows, sure
from xmppbus.cli.showing import json_line
from xmppbus.errors import Code, Exit, Refused

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from xmppbus.xmpp.contacts import Contacts
    from xmppbus.xmpp.services.rosters import Person

_WHAT = "look after the bot's contacts"


class _Listing(click.Group):
    """A group that lists where no part of it is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See click."""
        if not args or (args[0].startswith("-") and args[0] not in ("-h", "--help")):
            args.insert(0, "list")
        return super().parse_args(ctx, args)


@click.group(cls=_Listing)
def roster() -> None:
    """List, add and remove contacts: of an account (--as), or of the bot. Without more, it lists.

    \b
    Example:
      xmppbus roster list --as romeo@example.org
    """


@roster.command("list")
@JSON
@asks(_WHAT)
def list_(json: bool) -> Work:
    """List the contacts, and who sees whom.

    \b
    Example:
      xmppbus roster list --as romeo@example.org
    """

    async def work(visit: Visit) -> int:
        desk, found = visit.desk, await _people(visit)
        if json:
            await desk.terminal.write(b"".join(json_line(each._asdict()) for each in found))
        elif found:
            await desk.out("\n".join(rows(desk, [_row(each) for each in found])))
        else:
            await desk.err(f"{line(_own(visit))} has no contacts; `xmppbus roster add JID`")
        return Exit.OK

    return work


def _row(person: Person) -> tuple[str, ...]:
    words = {"both": "see each other", "to": "is seen", "from": "sees us", "none": "neither sees the other"}
    said = words.get(person.subscription, line(person.subscription)) + (", asked" if person.asked else "")
    groups = ", ".join(line(each) for each in person.groups)
    return (line(person.jid), said, line(person.name) + (f" [{groups}]" if groups else ""))


async def _people(visit: Visit) -> Sequence[Person]:
    from xmppbus.xmpp.services import rosters

    if not visit.asker.is_component:
        answer = await visit.ask("the roster", visit.asker.jid, _ask(visit, "get", rosters.request()))
        return rosters.read(answer)
    how = {(True, True): "both", (True, False): "from", (False, True): "to"}
    return [
        rosters.Person(jid, subscription=how.get((each.sees_us, each.shows_us), "none"))
        for jid, each in _contacts(visit).listed()
    ]


def _ask(visit: Visit, kind: str, inner: str) -> Awaitable[Element]:
    return visit.asker.ask(kind, visit.asker.jid, inner)


def _own(visit: Visit) -> str:
    talk = visit.house.talk if visit.house is not None else None
    return talk.jid if talk is not None else visit.asker.jid


def _contacts(visit: Visit) -> Contacts:
    """The bot's. Raises `Refused` where there is no bot."""
    talk = visit.house.talk if visit.house is not None else None
    if talk is None:
        text = "a component has no roster, and this bus no bot whose contacts could be listed: write `bot: {}`, or --as"
        raise Refused(Code.NOT_CONFIGURED, text)
    return talk.contacts


@roster.command()
@click.argument("jid")
@click.option("--name", default="", metavar="NAME", help="How to call it (accounts only).")
@click.option("--group", "groups", multiple=True, metavar="GROUP", help="Put it into a group (accounts only).")
@JSON
@asks(_WHAT)
def add(jid: str, name: str, groups: tuple[str, ...], json: bool) -> Work:
    """Add a contact, and ask it to let its presence be seen.

    \b
    Example:
      xmppbus roster add juliet@example.com --name Juliet --as romeo@example.org
    """

    async def work(visit: Visit) -> int:
        from xmppbus.xmpp.services import rosters
        from xmppbus.xmpp.services.asking import address

        who = address(jid).partition("/")[0]
        if visit.asker.is_component:
            if name or groups:
                raise Refused(Code.USAGE, "the bot's contacts have no names and no groups")
            _contacts(visit).invite(who)
            return await done(visit.desk, "asked", {"jid": who}, json=json)
        about = f"can't add {line(who)}"
        await visit.ask(about, visit.asker.jid, _ask(visit, "set", rosters.added(who, name, groups)))
        visit.asker.write(rosters.presence("subscribe", who))
        return await done(visit.desk, "added", {"jid": who}, json=json)

    return work


@roster.command()
@click.argument("jid")
@YES
@JSON
@asks(_WHAT)
def remove(jid: str, yes: bool, json: bool) -> Work:
    """Remove a contact; neither sees the other from then on.

    \b
    Example:
      xmppbus roster remove juliet@example.com --as romeo@example.org
    """

    async def work(visit: Visit) -> int:
        from xmppbus.xmpp.services import rosters
        from xmppbus.xmpp.services.asking import address

        who = address(jid).partition("/")[0]
        if not await sure(visit.desk, f"remove {line(who)} from the contacts of {line(_own(visit))}", yes=yes):
            return Exit.EMPTY
        if visit.asker.is_component:
            if not await _contacts(visit).dismiss(who):
                raise Refused(Code.NOT_FOUND, f"{line(who)} was no contact")
        else:
            about = f"can't remove {line(who)}"
            await visit.ask(about, visit.asker.jid, _ask(visit, "set", rosters.removed(who)))
        return await done(visit.desk, "removed", {"jid": who}, json=json)

    return work
