"""`xmppbus node items` and `retract`: what is on a node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import msgspec

from xmppbus.cli.asking import JSON, SERVICE, Visit, Work, asks, done, line
from xmppbus.cli.desk import Desk
from xmppbus.cli.showing import json_line
from xmppbus.errors import Exit
from xmppbus.render import one_line, plain

if TYPE_CHECKING:
    from xmppbus.xmpp.services.nodes import NodeItem


@click.command()
@click.argument("node", metavar="NODE")
@click.option("--last", type=click.IntRange(1, 10_000), metavar="N", help="Only the newest N.")
@click.option("--id", "ids", multiple=True, metavar="ID", help="Only this one; may be given several times.")
@click.option("--xml", is_flag=True, help="The payloads as XML.")
@SERVICE
@JSON
@asks("read nodes in the bus's name")
def items(*, node: str, last: int | None, ids: tuple[str, ...], xml: bool, service: str, json: bool) -> Work:
    """Show the items of a node, in the service's order: events as lines, Atom entries as titles, the rest as XML.

    \b
    Example:
      xmppbus node items user.signup --last 5
      xmppbus node items user.signup --json | jq -r .id
    """

    async def work(visit: Visit) -> int:
        at, desk = visit.service(service), visit.desk
        found = await visit.ask(f"the items of {line(node)}", at.jid, at.items(node, last=last, ids=ids))
        for each in found.items:
            await desk.terminal.write(json_line(_json(each)) if json else _shown(desk, each, xml=xml))
        if not found.items and not json:
            await desk.err(f"there are no such items on {line(node)}")
        if found.more:
            await desk.err(f"and more: only {len(found.items):,} were asked for; --last N shows the newest")
        return Exit.OK if found.items or not ids else Exit.EMPTY

    return work


def _json(item: NodeItem) -> dict[str, Any]:
    from xmppbus.xmpp.services.payloads import event_in, xml_text

    shown: dict[str, Any] = {"id": item.item_id}
    if item.publisher:
        shown["publisher"] = item.publisher
    if event := event_in(item.payload):
        shown["event"] = msgspec.Raw(event.encoded)
    return {**shown, "xml": xml_text(item.payload)}


def _shown(desk: Desk, item: NodeItem, *, xml: bool) -> bytes:
    from xmppbus.xmpp.services.payloads import entry_in, event_in, xml_text

    head = desk.style(line(item.item_id), "dim")
    event = None if xml else event_in(item.payload)
    entry = None if xml or event else entry_in(item.payload)
    if event is not None:
        text = f"{head}  {one_line(event)}"
    elif entry is not None:
        text = f"{head}  {entry.title}" + (f"  ({entry.updated})" if entry.updated else "")
    else:
        found = plain(xml_text(item.payload, indented=True))
        body = "\n".join(f"  {each}" for each in found.splitlines())
        text = f"{head}\n{body}" if body else f"{head}  {_nothing(item)}"
    return f"{text}\n".encode("utf-8", "replace")


def _nothing(item: NodeItem) -> str:
    return "(no payload)" if item.payload is None else "(nested too deep to be shown)"


@click.command()
@click.argument("node", metavar="NODE")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@SERVICE
@JSON
@asks("change nodes in the bus's name")
def retract(node: str, ids: tuple[str, ...], service: str, json: bool) -> Work:
    """Delete single items of a node, by their ids; the subscribers are told.

    \b
    Example:
      xmppbus node retract user.signup 6f1f7a0e-5a0c-5d39-9a3b-0d6f5a2f6f0e
    """

    async def work(visit: Visit) -> int:
        at = visit.service(service)
        for each in ids:
            await visit.ask(f"can't retract {line(each)} of {line(node)}", at.jid, at.retract(node, each))
            await done(visit.desk, "retracted", {"id": each, "node": node, "service": at.jid}, json=json)
        return Exit.OK

    return work


COMMANDS = (items, retract)
