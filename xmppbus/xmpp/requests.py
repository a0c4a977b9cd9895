"""Control requests of XEP-0030, XEP-0060 and XEP-0199 as XML, and what their answers say. Pure; not on the hot path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from xml.etree.ElementTree import Element

from xmppbus.xmpp.stanzas import PUBSUB, attribute, element_text

OWNER = f"{PUBSUB}#owner"
NODE_CONFIG = f"{PUBSUB}#node_config"
PUBLISH_OPTIONS = f"{PUBSUB}#publish-options"
DATA = "jabber:x:data"
DISCO_INFO = "http://jabber.org/protocol/disco#info"
DISCO_ITEMS = "http://jabber.org/protocol/disco#items"

Values = Mapping[str, str | list[str]]


def iq(kind: str, request_id: str, sender: str, to: str, inner: str) -> bytes:
    """A whole IQ. `sender` is empty in client mode."""
    address = f" from='{attribute(sender)}'" if sender else ""
    return f"<iq type='{kind}' id='{request_id}'{address} to='{attribute(to)}'>{inner}</iq>".encode()


def form(kind: str, fields: Values) -> str:
    """A submitted data form (XEP-0004 §3)."""
    lines = [_field("FORM_TYPE", [kind])]
    lines += [_field(name, [value] if isinstance(value, str) else value) for name, value in fields.items()]
    return f"<x xmlns='{DATA}' type='submit'>{''.join(lines)}</x>"


def _field(name: str, values: Iterable[str]) -> str:
    inner = "".join(f"<value>{element_text(value)}</value>" for value in values)
    return f"<field var='{attribute(name)}'>{inner}</field>"


def create(node: str, fields: Values) -> str:
    """Create a node and configure it at once (XEP-0060 §8.1.3)."""
    configure = f"<configure>{form(NODE_CONFIG, fields)}</configure>" if fields else ""
    return f"<pubsub xmlns='{PUBSUB}'><create node='{attribute(node)}'/>{configure}</pubsub>"


def configuration(node: str) -> str:
    """Ask for a node's configuration, as its owner (§8.2.1)."""
    return f"<pubsub xmlns='{OWNER}'><configure node='{attribute(node)}'/></pubsub>"


def default_configuration() -> str:
    """Ask how new nodes are configured (§8.3)."""
    return f"<pubsub xmlns='{OWNER}'><default/></pubsub>"


def affiliations(node: str, wanted: Mapping[str, str]) -> str:
    """Change affiliations, JID to affiliation (§8.9.2)."""
    inner = "".join(f"<affiliation jid='{attribute(jid)}' affiliation='{each}'/>" for jid, each in wanted.items())
    return f"<pubsub xmlns='{OWNER}'><affiliations node='{attribute(node)}'>{inner}</affiliations></pubsub>"


def configure(node: str, fields: Values) -> str:
    """Change a node's configuration, as its owner (§8.2.4)."""
    return (
        f"<pubsub xmlns='{OWNER}'><configure node='{attribute(node)}'>{form(NODE_CONFIG, fields)}</configure></pubsub>"
    )


def list_affiliations(node: str) -> str:
    """Ask who has which affiliation with a node, as its owner (§8.9.1)."""
    return f"<pubsub xmlns='{OWNER}'><affiliations node='{attribute(node)}'/></pubsub>"


def list_subscriptions(node: str) -> str:
    """Ask who is subscribed to a node, as its owner (§8.8.1)."""
    return f"<pubsub xmlns='{OWNER}'><subscriptions node='{attribute(node)}'/></pubsub>"


def has_subscriptions(answer: Element) -> bool:
    """Whether an answer to `list_subscriptions` has a list at all, be it empty."""
    return answer.find(f"{{{OWNER}}}pubsub/{{{OWNER}}}subscriptions") is not None


def items(node: str, item_ids: Iterable[str]) -> str:
    """Ask for items by id (§6.5.8): those that are there come back, with their payloads.

    Preferred to the list of ids (§5.5): to whoever may not read, ejabberd answers that one with an empty list.
    """
    inner = "".join(f"<item id='{attribute(each)}'/>" for each in item_ids)
    return f"<pubsub xmlns='{PUBSUB}'><items node='{attribute(node)}'>{inner}</items></pubsub>"


def delete(node: str) -> str:
    """Delete a node, as its owner (§8.4)."""
    return f"<pubsub xmlns='{OWNER}'><delete node='{attribute(node)}'/></pubsub>"


def nodes() -> str:
    """Ask a service for its nodes (§5.2)."""
    return f"<query xmlns='{DISCO_ITEMS}'/>"


def read_nodes(answer: Element) -> list[str]:
    """The nodes in an answer to `nodes`."""
    return [node for each in answer.iter(f"{{{DISCO_ITEMS}}}item") if (node := each.get("node"))]


def read_identities(answer: Element) -> set[tuple[str, str]]:
    """Category and type of the identities in an answer to `features` (XEP-0030 §3.1)."""
    return {(each.get("category", ""), each.get("type", "")) for each in answer.iter(f"{{{DISCO_INFO}}}identity")}


def features(node: str = "") -> str:
    """Ask what a service can do (XEP-0030 §3), or whether it has a node (XEP-0060 §5.3)."""
    return f"<query xmlns='{DISCO_INFO}' node='{attribute(node)}'/>" if node else f"<query xmlns='{DISCO_INFO}'/>"


def read_form(answer: Element) -> dict[str, list[str]]:
    """The fields of the first data form in an answer, by name."""
    return {
        field.get("var", ""): [value.text or "" for value in field.findall(f"{{{DATA}}}value")]
        for field in answer.iter(f"{{{DATA}}}field")
    }


def read_features(answer: Element) -> set[str]:
    """The features in an answer to `features`."""
    return {each.get("var", "") for each in answer.iter(f"{{{DISCO_INFO}}}feature")}


def read_item_ids(answer: Element) -> set[str]:
    """The ids in an answer to `items`."""
    return {each.get("id", "") for each in answer.iter(f"{{{PUBSUB}}}item")}


def read_affiliations(answer: Element) -> dict[str, str]:
    """The affiliations in an answer to `list_affiliations`, by JID."""
    found = answer.iter(f"{{{OWNER}}}affiliation")
    return {each.get("jid", "").lower(): each.get("affiliation", "") for each in found}


def read_most_items(answer: Element) -> str:
    """The service's cap on `max_items`: the range of the field (XEP-0122 §3.2) if it has one, else its default."""
    for field in answer.iter(f"{{{DATA}}}field"):
        if field.get("var") == "pubsub#max_items":
            ranges = field.iter("{http://jabber.org/protocol/xdata-validate}range")
            most = next((each.get("max", "") for each in ranges), "")
            return most or field.findtext(f"{{{DATA}}}value") or ""
    return ""
