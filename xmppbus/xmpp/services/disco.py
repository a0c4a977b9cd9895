"""Service discovery (XEP-0030, XEP-0128): what there is at an address, and what hangs below it."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

from xmppbus import limits
from xmppbus.errors import BusError
from xmppbus.xmpp.requests import DISCO_INFO, DISCO_ITEMS
from xmppbus.xmpp.services.asking import Asker
from xmppbus.xmpp.services.forms import Form, form_json, forms_in
from xmppbus.xmpp.services.paging import named, pages

LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"


class Identity(NamedTuple):
    """What something says that it is (XEP-0030 §3.1)."""

    category: str
    type: str
    name: str = ""
    language: str = ""


class Info(NamedTuple):
    """An answer about one address, or one node of it."""

    identities: tuple[Identity, ...]
    features: tuple[str, ...]
    forms: tuple[Form, ...] = ()

    def has(self, category: str, kind: str) -> bool:
        """Whether it is of that kind."""
        return any((each.category, each.type) == (category, kind) for each in self.identities)


class Item(NamedTuple):
    """Something that hangs below an address: another address, or a node of one."""

    jid: str
    node: str = ""
    name: str = ""


class Items(NamedTuple):
    """What hangs below. `more` is whether there was more than the bound."""

    items: tuple[Item, ...]
    more: bool = False


class Leaf(NamedTuple):
    """One place of a tree: what it is, what hangs below it, and why that is not known."""

    item: Item
    info: Info | None
    children: tuple[Leaf, ...] = ()
    problem: BusError | None = None
    more: bool = False


def info_request(node: str = "") -> str:
    """Ask what something is and can do (§3)."""
    return f"<query xmlns='{DISCO_INFO}'{named(node)}/>"


def items_request(node: str = "", rest: str = "") -> str:
    """Ask what hangs below (§4)."""
    return f"<query xmlns='{DISCO_ITEMS}'{named(node)}>{rest}</query>"


def read_info(answer: Element) -> Info:
    """Identities and features, sorted and each once; extended information as forms."""
    identities = {
        Identity(each.get("category", ""), each.get("type", ""), each.get("name", ""), each.get(LANGUAGE, ""))
        for each in answer.iter(f"{{{DISCO_INFO}}}identity")
    }
    features = {each.get("var", "") for each in answer.iter(f"{{{DISCO_INFO}}}feature")}
    return Info(
        tuple(sorted(identities))[: limits.FORM_VALUES],
        tuple(sorted(features - {""}))[: limits.FORM_VALUES],
        tuple(forms_in(answer)),
    )


def read_items(answer: Element) -> list[Item]:
    """As they come. What has no address is none."""
    found = (
        Item(each.get("jid", ""), each.get("node", ""), each.get("name", ""))
        for each in answer.iter(f"{{{DISCO_ITEMS}}}item")
    )
    return [each for each in found if each.jid]


async def ask_info(asker: Asker, jid: str, node: str = "") -> Info:
    """What it is. Raises `ErrorAnswer`, `NoAnswer`, or `Refused` for an answer beyond the bounds."""
    return read_info(await asker.ask("get", jid, info_request(node)))


async def ask_items(asker: Asker, jid: str, node: str = "") -> Items:
    """What hangs below, in pages where the service pages. Raises `ErrorAnswer` or `NoAnswer`."""
    found = await pages(asker, jid, lambda rest: items_request(node, rest), lambda answer: len(read_items(answer)))
    items = tuple(each for answer in found.answers for each in read_items(answer))
    most = limits.SERVICE_ITEMS
    return Items(items[:most], more=found.more or len(items) > most)


async def tree(asker: Asker, jid: str, node: str = "", *, depth: int) -> Leaf:
    """All that hangs below, so deep, and at most `limits.TREE_PLACES`; each place once. What can't be asked says so."""
    return await _Walk(asker).leaf(Item(jid, node), min(depth, limits.TREE_DEPTH))


class _Walk:
    """One walk down: so many at a time, so many in all, until the time is up."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker
        self._gate = asyncio.Semaphore(limits.TREE_AT_ONCE)
        self._seen: set[tuple[str, str]] = set()
        self._end = asyncio.get_running_loop().time() + limits.TREE_SECONDS

    async def leaf(self, item: Item, depth: int) -> Leaf:
        self._seen.add((item.jid, item.node))
        if asyncio.get_running_loop().time() > self._end:
            return Leaf(item, None, more=True)
        info, items, problem = None, Items(()), None
        async with self._gate:
            try:
                info = await ask_info(self._asker, item.jid, item.node)
                if depth > 0 and not info.has("pubsub", "leaf"):  # what hangs below a leaf are its items
                    items = await ask_items(self._asker, item.jid, item.node)
            except BusError as error:
                problem = error
        below = []
        for each in items.items:
            if (each.jid, each.node) not in self._seen and len(self._seen) < limits.TREE_PLACES:
                self._seen.add((each.jid, each.node))
                below.append(each)
        is_full = len(self._seen) >= limits.TREE_PLACES
        children = await asyncio.gather(*(self.leaf(each, depth - 1) for each in below))
        return Leaf(item, info, tuple(children), problem, items.more or is_full)


def info_json(info: Info) -> dict[str, Any]:
    """For programs."""
    return {
        "identities": [each._asdict() for each in info.identities],
        "features": list(info.features),
        "forms": [form_json(each) for each in info.forms],
    }


def leaf_json(leaf: Leaf) -> dict[str, Any]:
    """A tree, for programs."""
    shown: dict[str, Any] = dict(leaf.item._asdict())
    shown["identities"] = [each._asdict() for each in leaf.info.identities] if leaf.info else []
    shown["children"] = [leaf_json(each) for each in leaf.children]
    if leaf.problem is not None:
        shown["problem"] = str(leaf.problem)
    if leaf.more:
        shown["more"] = True
    return shown
