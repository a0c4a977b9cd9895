"""`xmppbus node`: the nodes of a pubsub service, ours or any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from xmppbus.cli import node_config, node_items, node_people
from xmppbus.cli.asking import JSON, SERVICE, YES, Visit, Work, asks, done, line, rows, sure
from xmppbus.cli.disco import form_rows, identity_words
from xmppbus.cli.node_config import VALUES, say_ignored, wanted_of
from xmppbus.cli.showing import json_line
from xmppbus.errors import Exit

if TYPE_CHECKING:
    from xmppbus.xmpp.services.nodes import Service

WHAT = "change nodes in the bus's name"


@click.group()
def node() -> None:
    """Look at the nodes of a pubsub service, and change them: the bus's own service, or any other (--service).

    The daemon asks, as the owner of its nodes, for administrators; with --as an account of yours does.

    Exit codes: 0 done, 1 no such node or item, 65 the service does not take it, 69 it can't, or said yes and did not do
    it, 75 try again, 77 you may not.

    \b
    Example:
      xmppbus node list
      xmppbus node config set user.signup max_items=64
    """


@node.command("list")
@click.argument("collection", default="")
@SERVICE
@JSON
@asks("list nodes in the bus's name")
def list_(collection: str, service: str, json: bool) -> Work:
    """List the nodes of the service, or of a COLLECTION of it.

    \b
    Example:
      xmppbus node list --service pubsub.example.org
    """

    async def work(visit: Visit) -> int:
        at = visit.service(service)
        found = await visit.ask(f"the nodes of {line(at.jid)}", at.jid, at.nodes(collection))
        desk = visit.desk
        nodes = sorted(found.items, key=lambda each: each.node)
        if json:
            await desk.terminal.write(b"".join(json_line(each._asdict()) for each in nodes))
        elif nodes:
            shown = [(line(each.node), line(each.name) if each.name != each.node else "") for each in nodes]
            await desk.out("\n".join(rows(desk, shown)))
        else:
            await desk.err(f"{line(at.jid)} shows no nodes")
        if found.more:
            await desk.err(f"and more: only the first {len(nodes):,} were asked for")
        return Exit.OK

    return work


@node.command()
@click.argument("node_", metavar="NODE")
@SERVICE
@JSON
@asks("look at nodes in the bus's name")
def info(node_: str, service: str, json: bool) -> Work:
    """Show what a node is, and what its service tells everybody of it.

    \b
    Example:
      xmppbus node info user.signup
    """

    async def work(visit: Visit) -> int:
        from xmppbus.xmpp.services.disco import info_json

        at, desk = visit.service(service), visit.desk
        found = await visit.ask(f"{line(node_)} at {line(at.jid)}", at.jid, at.info(node_))
        if json:
            await desk.terminal.write(json_line({"service": at.jid, "node": node_, **info_json(found)}))
            return Exit.OK
        await desk.out(desk.style(line(node_), "bold") + f"  at {line(at.jid)}")
        for each in found.identities:
            await desk.out(f"  {identity_words(each)}")
        for form in found.forms:
            for text in rows(desk, form_rows(form), indent="  "):
                await desk.out(text)
        return Exit.OK

    return work


@node.command()
@click.argument("node_", metavar="NODE")
@VALUES
@SERVICE
@JSON
@asks(WHAT)
def create(node_: str, values: tuple[str, ...], service: str, json: bool) -> Work:
    """Make a node, with the service's own configuration but for K=V.

    \b
    Example:
      xmppbus node create lunch access_model=whitelist max_items=5
    """
    wanted = wanted_of(values)

    async def work(visit: Visit) -> int:
        at, desk = visit.service(service), visit.desk
        ignored = await visit.ask(f"can't make {line(node_)}", at.jid, at.create(node_, wanted))
        if json:
            shown = {"service": at.jid, "node": node_, "ignored": [each._asdict() for each in ignored]}
            await desk.terminal.write(json_line(shown))
        else:
            await done(desk, "made", {"node": node_, "service": at.jid}, json=False)
        return await say_ignored(visit, at.jid, ignored)

    return work


@node.command()
@click.argument("node_", metavar="NODE")
@YES
@SERVICE
@JSON
@asks(WHAT)
def delete(node_: str, yes: bool, service: str, json: bool) -> Work:
    """Delete a node, with its items, subscriptions and affiliations.

    \b
    Example:
      xmppbus node delete lunch --yes
    """

    async def work(visit: Visit) -> int:
        at, desk = visit.service(service), visit.desk
        follows = _what_follows(visit, at, node_)
        what = f"delete {line(node_)} at {line(at.jid)}, with its items, subscriptions and affiliations"
        if not await sure(desk, what, follows, yes=yes):
            return Exit.EMPTY
        await visit.ask(f"can't delete {line(node_)}", at.jid, at.delete(node_))
        code = await done(desk, "deleted", {"node": node_, "service": at.jid}, json=json)
        if follows and yes:
            await desk.err(follows)
        return code

    return work


@node.command()
@click.argument("node_", metavar="NODE")
@YES
@SERVICE
@JSON
@asks(WHAT)
def purge(node_: str, yes: bool, service: str, json: bool) -> Work:
    """Delete all items of a node; the node stays.

    \b
    Example:
      xmppbus node purge lunch --yes
    """

    async def work(visit: Visit) -> int:
        at, desk = visit.service(service), visit.desk
        if not await sure(desk, f"delete all items of {line(node_)} at {line(at.jid)}", yes=yes):
            return Exit.EMPTY
        await visit.ask(f"can't purge {line(node_)}", at.jid, at.purge(node_))
        return await done(desk, "purged", {"node": node_, "service": at.jid}, json=json)

    return work


def _what_follows(visit: Visit, at: Service, name: str) -> str:
    """Of deleting a node that the bus publishes to; nothing where it does not."""
    house = visit.house
    if house is None or house.xmpp is None or at.jid != house.xmpp.service:
        return ""
    prefix = house.xmpp.options.node_prefix
    if not name.startswith(prefix):
        return ""
    kind = line(name.removeprefix(prefix))
    return (
        f"The next event of type {kind} makes the node anew, empty, as the config's `nodes:` says. Who subscribed "
        "has to do so again. The journal keeps the events."
    )


for _each in (*node_items.COMMANDS, *node_people.COMMANDS, node_config.config):
    node.add_command(_each)
