"""`xmppbus disco`: what there is at an address, what it can do, and what hangs below it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from xmppbus.cli.asking import JSON, Visit, Work, asks, line, rows
from xmppbus.cli.showing import json_line
from xmppbus.errors import Exit

if TYPE_CHECKING:
    from xmppbus.cli.house_tree import Branch
    from xmppbus.xmpp.services.disco import Identity, Info, Item, Items, Leaf
    from xmppbus.xmpp.services.forms import Form


@click.command()
@click.argument("jid")
@click.argument("node", default="")
@click.option("--tree", is_flag=True, help="All that hangs below, too.")
@click.option("--depth", type=click.IntRange(1, 8), default=2, show_default=True, help="Of the tree.")
@JSON
@asks("ask other services in the bus's name")
def disco(jid: str, node: str, tree: bool, depth: int, json: bool) -> Work:
    """Ask an address, or a NODE of it, what it is, what it can do and what hangs below it (XEP-0030).

    \b
    Example:
      xmppbus disco example.org --tree
      xmppbus disco pubsub.example.org --as romeo@example.org
    """

    async def work(visit: Visit) -> int:
        from xmppbus.xmpp.services.asking import address

        to = address(jid)
        return await (_tree(visit, to, node, depth, json=json) if tree else _one(visit, to, node, json=json))

    return work


async def _one(visit: Visit, to: str, node: str, *, json: bool) -> int:
    from xmppbus.xmpp.replies import ErrorAnswer
    from xmppbus.xmpp.services import disco as asked

    info: Info = await visit.ask(f"can't ask {_about(to, node)}", to, asked.ask_info(visit.asker, to, node))
    try:
        items = await asked.ask_items(visit.asker, to, node)
    except ErrorAnswer as error:  # many say what they are, and not what they have
        items = asked.Items(())
        if error.reply.name not in ("feature-not-implemented", "service-unavailable"):
            await visit.desk.err(f"what hangs below {line(to)} is not told: {line(str(error))}")
    if json:
        shown = {"jid": to, "node": node, **asked.info_json(info), "items": [each._asdict() for each in items.items]}
        await visit.desk.terminal.write(json_line({**shown, "more": items.more}))
        return Exit.OK
    await visit.desk.out("\n".join(_shown(visit, to, node, info, items)))
    return Exit.OK


def _about(to: str, node: str) -> str:
    return f"{line(to)} {line(node)}".strip()


def _shown(visit: Visit, to: str, node: str, info: Info, items: Items) -> Iterator[str]:
    desk = visit.desk
    yield desk.style(_about(to, node), "bold")
    yield from (f"  {identity_words(each)}" for each in info.identities)
    for form in info.forms:
        if not form_rows(form):
            continue
        yield from ("", desk.style(line(form.form_type) or "information", "bold"))
        yield from rows(desk, form_rows(form), indent="  ")
    if info.features:
        yield from ("", desk.style("can do", "bold"))
        yield from (f"  {line(each)}" for each in info.features)
    if items.items:
        yield from ("", desk.style("has", "bold"))
        yield from rows(desk, [_item_row(to, each) for each in items.items], indent="  ")
    if items.more:
        yield f"  ... and more: only the first {len(items.items):,} are shown"


def identity_words(identity: Identity) -> str:
    """`pubsub/service  Prosody PubSub Service`."""
    language = f" [{line(identity.language)}]" if identity.language else ""
    return f"{line(identity.category)}/{line(identity.type)}  {line(identity.name)}".rstrip() + language


def form_rows(form: Form) -> list[tuple[str, str]]:
    """What a form says: label or name, and values."""
    fields = [*form.fields, *(each for row in form.items for each in row)]
    found = [each for each in fields if each.var != "FORM_TYPE" and any(each.values)]
    return [
        (line(each.label or each.var).removeprefix("pubsub#"), ", ".join(line(value) for value in each.values))
        for each in found
    ]


def _item_row(to: str, item: Item) -> tuple[str, ...]:
    words = [line(item.node)] if item.jid == to and item.node else [line(item.jid)]
    if item.jid != to and item.node:
        words.append(line(item.node))
    return (" ".join(words), line(item.name) if item.name != item.node else "")


async def _tree(visit: Visit, to: str, node: str, depth: int, *, json: bool) -> int:
    from xmppbus.cli.house_tree import LINES, Drawing
    from xmppbus.xmpp.services import disco as asked

    desk = visit.desk
    leaf = await asked.tree(visit.asker, to, node, depth=depth)
    if leaf.problem is not None and leaf.info is None:
        _raise_from(visit, leaf)
    if json:
        await desk.terminal.write(json_line(asked.leaf_json(leaf)))
        return Exit.OK
    width = desk.width if desk.facts.terminals[1] else None
    drawing = Drawing(width, LINES, lambda text, level: desk.style(text, "bold" if level < 2 else "cyan"))
    await desk.out("\n".join(drawing.lines_of(_branch(leaf, ""))))
    return Exit.OK


def _raise_from(visit: Visit, leaf: Leaf) -> None:
    """The root itself can't be asked: that is an error and no tree."""
    from xmppbus.xmpp.services.asking import explained

    assert leaf.problem is not None  # noqa: S101  # for the type checker
    about = f"can't ask {_about(leaf.item.jid, leaf.item.node)}"
    raise explained(leaf.problem, about, leaf.item.jid, visit.asker.jid)


def _branch(leaf: Leaf, parent: str) -> Branch:
    from xmppbus.cli.house_tree import Branch

    item = leaf.item
    name = line(item.node) if item.jid == parent and item.node else _about(item.jid, item.node)
    words = [identity_words(each) for each in leaf.info.identities[:1]] if leaf.info else []
    if leaf.problem is not None:
        words.append(f"({line(str(leaf.problem))})")
    if leaf.more:
        words.append("(and more, which was not asked)")
    return Branch(name, "  ".join(words), tuple(_branch(each, item.jid) for each in leaf.children))
