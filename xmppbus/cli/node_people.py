"""`xmppbus node subscribe`, `unsubscribe`, `subscriptions`, `affiliations`: who reads a node, who may do what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import click

from xmppbus.cli.asking import JSON, SERVICE, Visit, Work, asks, done, line, rows
from xmppbus.cli.showing import json_line
from xmppbus.errors import Exit

_AFFILIATIONS = ("owner", "publisher", "publish-only", "member", "none", "outcast")
_WHAT = "change nodes in the bus's name"
_OWN_JID = click.option("--jid", default="", metavar="JID", help="This address of one's own; else the bare one.")


@click.command()
@click.argument("node", metavar="NODE")
@_OWN_JID
@SERVICE
@JSON
@asks(_WHAT)
def subscribe(node: str, jid: str, service: str, json: bool) -> Work:
    """Subscribe the account (--as), or the bus itself, to a node.

    \b
    Example:
      xmppbus node subscribe user.signup --as romeo@example.org \\
          --service pubsub.example.org
    """

    async def work(visit: Visit) -> int:
        from xmppbus.xmpp.services.asking import address

        at, desk = visit.service(service), visit.desk
        who = address(jid) if jid else visit.asker.jid
        found = await visit.ask(f"can't subscribe to {line(node)}", at.jid, at.subscribe(node, who))
        if json:
            await desk.terminal.write(json_line(found._asdict()))
        else:
            await desk.out("  ".join(filter(None, (line(found.state), line(node), line(found.jid), line(found.subid)))))
        if found.state == "pending":
            await desk.err("the node's owner has to say yes first")
        return Exit.OK

    return work


@click.command()
@click.argument("node", metavar="NODE")
@_OWN_JID
@click.option("--subid", default="", metavar="ID", help="Which, where there are several.")
@SERVICE
@JSON
@asks(_WHAT)
def unsubscribe(node: str, jid: str, subid: str, service: str, json: bool) -> Work:
    """Take a subscription of the account (--as), or of the bus itself, back.

    \b
    Example:
      xmppbus node unsubscribe user.signup --as romeo@example.org
    """

    async def work(visit: Visit) -> int:
        from xmppbus.xmpp.services.asking import address

        at = visit.service(service)
        who = address(jid) if jid else visit.asker.jid
        await visit.ask(f"can't unsubscribe from {line(node)}", at.jid, at.unsubscribe(node, who, subid))
        return await done(visit.desk, "unsubscribed", {"node": node, "jid": who}, json=json)

    return work


@click.command()
@click.argument("node", default="", metavar="[NODE]")
@click.option("--mine", is_flag=True, help="Of the NODE only one's own; its owner sees all.")
@SERVICE
@JSON
@asks("see who subscribes")
def subscriptions(node: str, mine: bool, service: str, json: bool) -> Work:
    """List who is subscribed to a node of one's own; without NODE, one's own subscriptions at the service.

    \b
    Example:
      xmppbus node subscriptions user.signup
    """

    async def work(visit: Visit) -> int:
        at = visit.service(service)
        asked = at.subscribers(node) if node and not mine else at.own_subscriptions(node)
        found = await visit.ask(f"the subscriptions of {line(node) or line(at.jid)}", at.jid, asked)
        first = [] if node else ["node"]
        await _list(visit, found, [*first, "jid", "state", "subid"], json=json, nobody="nobody is subscribed")
        return Exit.OK

    return work


async def _list(visit: Visit, found: Sequence[NamedTuple], names: Sequence[str], *, json: bool, nobody: str) -> None:
    if json:
        await visit.desk.terminal.write(b"".join(json_line(each._asdict()) for each in found))
    elif found:
        shown = [[line(getattr(each, name)) for name in names] for each in found]
        await visit.desk.out("\n".join(rows(visit.desk, shown)))
    else:
        await visit.desk.err(nobody)


@click.group()
def affiliations() -> None:
    """Show and change who may do what with a node: owner, publisher, publish-only, member, none, outcast.

    \b
    Example:
      xmppbus node affiliations get user.signup
    """


@affiliations.command()
@click.argument("node", default="", metavar="[NODE]")
@SERVICE
@JSON
@asks("see who may do what")
def get(node: str, service: str, json: bool) -> Work:
    """List the affiliations of a node of one's own; without NODE, one's own with the nodes of the service.

    \b
    Example:
      xmppbus node affiliations get user.signup --json
    """

    async def work(visit: Visit) -> int:
        at = visit.service(service)
        asked = at.affiliations(node) if node else at.own_affiliations()
        found = await visit.ask(f"the affiliations of {line(node) or line(at.jid)}", at.jid, asked)
        names = ["jid" if node else "node", "affiliation"]
        await _list(visit, found, names, json=json, nobody="there are no affiliations")
        return Exit.OK

    return work


@affiliations.command("set")
@click.argument("node", metavar="NODE")
@click.argument("wanted", nargs=-1, required=True, metavar="JID=AFFILIATION...")
@SERVICE
@JSON
@asks(_WHAT)
def set_(node: str, wanted: tuple[str, ...], service: str, json: bool) -> Work:
    """Say who may do what with a node: owner, publisher, publish-only, member, outcast; `none` takes it back.

    \b
    Example:
      xmppbus node affiliations set user.signup romeo@example.org=member
    """
    pairs = dict(_pair(each) for each in wanted)

    async def work(visit: Visit) -> int:
        from xmppbus.xmpp.services.asking import address

        at, desk = visit.service(service), visit.desk
        given = {address(jid): each for jid, each in pairs.items()}
        ignored = await visit.ask(f"can't change who may do what with {line(node)}", at.jid, at.affiliate(node, given))
        changed = {jid: each for jid, each in given.items() if jid not in ignored}
        if json:
            await desk.terminal.write(json_line({"node": node, "changed": changed, "ignored": ignored}))
        elif changed:
            await desk.out("\n".join(rows(desk, [(line(jid), each) for jid, each in changed.items()])))
        for jid, now in ignored.items():
            text = f"{line(at.jid)} said yes to {line(jid)}={given[jid]}, and it is {line(now)} all the same"
            await desk.err(text)
        return Exit.UNAVAILABLE if ignored else Exit.OK

    return work


def _pair(text: str) -> tuple[str, str]:
    jid, equals, affiliation = text.rpartition("=")
    if not equals or not jid or affiliation not in _AFFILIATIONS:
        known = ", ".join(_AFFILIATIONS)
        raise click.UsageError(f"{text!r} is not JID=AFFILIATION; an affiliation is one of: {known}.")
    return jid, affiliation


COMMANDS = (subscribe, unsubscribe, subscriptions, affiliations)
