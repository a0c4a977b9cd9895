"""The nodes of a pubsub service (XEP-0060), whosever they are: everything that a subscriber and an owner can do.

Not `xmppbus.xmpp.nodes`, which keeps the bus's own nodes as the config wants them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element

from xmppbus import limits
from xmppbus.xmpp import requests
from xmppbus.xmpp.replies import ErrorAnswer
from xmppbus.xmpp.requests import OWNER
from xmppbus.xmpp.services.asking import Asker, exact
from xmppbus.xmpp.services.disco import Info, Items, ask_info, ask_items
from xmppbus.xmpp.services.form_checks import Ignored, checked, ignored
from xmppbus.xmpp.services.forms import FORM_TYPE, SHORT, Form, form_in, submission, submitted
from xmppbus.xmpp.services.paging import named, pages
from xmppbus.xmpp.stanzas import PUBSUB

AFFILIATIONS = ("owner", "publisher", "publish-only", "member", "none", "outcast")
"""XEP-0060 §4.1."""
SUBSCRIPTIONS = ("subscribed", "pending", "unconfigured", "none")


class NodeItem(NamedTuple):
    """An item as it is on a node; `payload` is its first child."""

    item_id: str
    publisher: str
    payload: Element | None


class Subscription(NamedTuple):
    """Somebody's subscription of a node."""

    node: str
    jid: str
    state: str
    subid: str = ""


class Affiliation(NamedTuple):
    """What somebody is to a node."""

    node: str
    jid: str
    affiliation: str


class ManyItems(NamedTuple):
    """Items as the service orders them. `more` is whether there was more than the bound."""

    items: tuple[NodeItem, ...]
    more: bool


class Service:
    """A pubsub service, or a bare JID's PEP. All raise `ErrorAnswer`, `NoAnswer`, and `Refused` for what is malformed.

    `asker` is an account that is logged in (`xmppbus.script.Account`), or the daemon's own stream.
    """

    def __init__(self, asker: Asker, jid: str) -> None:
        self.asker = asker
        self.jid = jid

    async def nodes(self, node: str = "") -> Items:
        """The nodes, or those in a collection (§5.2)."""
        return await ask_items(self.asker, self.jid, node)

    async def info(self, node: str = "") -> Info:
        """What a node is, with its meta-data (§5.3, §5.4)."""
        return await ask_info(self.asker, self.jid, node)

    async def create(self, node: str, wanted: Mapping[str, Sequence[str]]) -> list[Ignored]:
        """Make a node and configure it at once (§8.1); what of that the service has ignored."""
        fields = await self._spelled(wanted)
        form = submitted({FORM_TYPE: [requests.NODE_CONFIG], **fields}) if fields else ""
        configure = f"<configure>{form}</configure>" if form else ""
        await self._set(f"<pubsub xmlns='{PUBSUB}'><create{named(node)}/>{configure}</pubsub>")
        return ignored(fields, await self.config(node)) if fields else []

    async def _spelled(self, wanted: Mapping[str, Sequence[str]]) -> Mapping[str, Sequence[str]]:
        """By the form for new nodes (§8.3), where the service has one."""
        if not wanted:
            return {}
        try:
            answer = await self._get(requests.default_configuration())
        except ErrorAnswer:
            return {name if "#" in name else SHORT + name: values for name, values in wanted.items()}
        return checked(form_in(answer), wanted)

    async def config(self, node: str) -> Form:
        """A node's configuration, as its owner (§8.2)."""
        return form_in(await self._get(requests.configuration(node)))

    async def configure(
        self, node: str, wanted: Mapping[str, Sequence[str]], *, unknown: bool = False
    ) -> tuple[dict[str, tuple[str, ...]], list[Ignored]]:
        """Change some fields, send the others back as they are, and look what came of it: what was sent that differs
        from before, and what of it the service has ignored. With `unknown` also fields that the form does not have.
        """
        form = await self.config(node)
        extra = {}
        if unknown:
            known = form.settable
            extra = {n: tuple(v) for n, v in wanted.items() if n not in known and SHORT + n not in known}
        spelled = {**checked(form, {n: v for n, v in wanted.items() if n not in extra}), **extra}
        changes = {
            name: values for name, values in spelled.items() if name in extra or form.settable[name].values != values
        }
        if not changes:
            return {}, []
        filled = submission(form, changes)
        await self._set(f"<pubsub xmlns='{OWNER}'><configure{named(node)}>{filled}</configure></pubsub>")
        return changes, ignored(changes, await self.config(node))

    async def delete(self, node: str) -> None:
        """Delete a node with all that is on it (§8.4)."""
        await self._set(f"<pubsub xmlns='{OWNER}'><delete{named(node)}/></pubsub>")

    async def purge(self, node: str) -> None:
        """Delete all items of a node (§8.5)."""
        await self._set(f"<pubsub xmlns='{OWNER}'><purge{named(node)}/></pubsub>")

    async def items(self, node: str, *, last: int | None = None, ids: Sequence[str] = ()) -> ManyItems:
        """Items: the newest so many (§6.5.7), those with some ids (§6.5.8), or all of them in pages (§6.5.4)."""
        if ids:
            inner = "".join(f"<item id='{exact(each)}'/>" for each in ids)
            answers: Sequence[Element] = [await self._get(items_request(node, inner))]
            more = False
        elif last is not None:
            answers = [await self._get(items_request(node, most=last))]
            more = False
        else:
            answers, more = await pages(
                self.asker,
                self.jid,
                lambda rest: items_request(node, rest=rest),
                lambda each: len(read_items(each)),
                from_the_first=True,
            )
        found: dict[str, NodeItem] = {}
        for answer in answers:
            for each in read_items(answer):
                found.setdefault(each.item_id, each)
        most = limits.SERVICE_ITEMS
        return ManyItems(tuple(found.values())[:most], more or len(found) > most)

    async def retract(self, node: str, item_id: str) -> None:
        """Delete one item (§7.2), and tell the subscribers. One a request: of several Prosody takes the first."""
        inner = f"<retract{named(node)} notify='true'><item id='{exact(item_id)}'/></retract>"
        await self._set(f"<pubsub xmlns='{PUBSUB}'>{inner}</pubsub>")

    async def subscribe(self, node: str, jid: str = "") -> Subscription:
        """Subscribe an address of ours, without another the bare one (§6.1)."""
        who = jid or self.asker.jid
        inner = f"<subscribe{named(node)} jid='{exact(who)}'/>"
        answer = await self._set(f"<pubsub xmlns='{PUBSUB}'>{inner}</pubsub>")
        found = read_subscriptions(answer, node)
        return found[0] if found else Subscription(node, who, "subscribed")

    async def unsubscribe(self, node: str, jid: str = "", subid: str = "") -> None:
        """Take a subscription back (§6.2)."""
        which = f" subid='{exact(subid)}'" if subid else ""
        inner = f"<unsubscribe{named(node)} jid='{exact(jid or self.asker.jid)}'{which}/>"
        await self._set(f"<pubsub xmlns='{PUBSUB}'>{inner}</pubsub>")

    async def own_subscriptions(self, node: str = "") -> list[Subscription]:
        """One's own at the service, or of a node (§5.6)."""
        answer = await self._get(f"<pubsub xmlns='{PUBSUB}'><subscriptions{named(node)}/></pubsub>")
        return read_subscriptions(answer, node)

    async def subscribers(self, node: str) -> list[Subscription]:
        """Everybody's, as the node's owner (§8.8)."""
        answer = await self._get(f"<pubsub xmlns='{OWNER}'><subscriptions{named(node)}/></pubsub>")
        return read_subscriptions(answer, node)

    async def own_affiliations(self) -> list[Affiliation]:
        """One's own at the service (§5.7)."""
        answer = await self._get(f"<pubsub xmlns='{PUBSUB}'><affiliations/></pubsub>")
        return read_affiliations(answer, "", self.asker.jid)

    async def affiliations(self, node: str) -> list[Affiliation]:
        """Everybody's, as the node's owner (§8.9.1)."""
        return read_affiliations(await self._get(requests.list_affiliations(node)), node, "")

    async def affiliate(self, node: str, wanted: Mapping[str, str]) -> dict[str, str]:
        """Change what some are to a node (§8.9.2), and look what came of it: JID and affiliation of those that are not
        as wanted.
        """
        await self._set(requests.affiliations(node, wanted))
        now = {each.jid.lower(): each.affiliation for each in await self.affiliations(node)}
        return {jid: now.get(jid, "none") for jid, each in wanted.items() if now.get(jid, "none") != each}

    async def _get(self, inner: str) -> Element:
        return await self.asker.ask("get", self.jid, inner)

    async def _set(self, inner: str) -> Element:
        return await self.asker.ask("set", self.jid, inner)


def items_request(node: str, inner: str = "", *, most: int | None = None, rest: str = "") -> str:
    """Ask for items (§6.5); `rest` stands beside the list, as pages are asked for."""
    bound = f" max_items='{most}'" if most is not None else ""
    return f"<pubsub xmlns='{PUBSUB}'><items{named(node)}{bound}>{inner}</items>{rest}</pubsub>"


def read_items(answer: Element) -> list[NodeItem]:
    """The items in an answer, in its order."""
    return [
        NodeItem(each.get("id", ""), each.get("publisher", ""), next(iter(each), None))
        for each in answer.iter(f"{{{PUBSUB}}}item")
    ]


def read_subscriptions(answer: Element, node: str) -> list[Subscription]:
    """In an answer to a subscriber or an owner; where it does not say of which node, of `node`."""
    found = [each for space in (PUBSUB, OWNER) for each in answer.iter(f"{{{space}}}subscription")]
    return [
        Subscription(
            each.get("node", node), each.get("jid", ""), each.get("subscription", "subscribed"), each.get("subid", "")
        )
        for each in found[: limits.SERVICE_ITEMS]
    ]


def read_affiliations(answer: Element, node: str, jid: str) -> list[Affiliation]:
    """In an answer to anybody, whose own they are (`jid`), or to an owner."""
    found = [each for space in (PUBSUB, OWNER) for each in answer.iter(f"{{{space}}}affiliation")]
    return [
        Affiliation(each.get("node", node), each.get("jid", jid), each.get("affiliation", "none"))
        for each in found[: limits.SERVICE_ITEMS]
    ]
