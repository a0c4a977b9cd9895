"""XEP-0060 by hand, on the raw clients: what a test needs to set a scene and to look at what came out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from tests.support.raw import TIMEOUT, RawError, RawStream
from tests.support.raw_xml import PUBSUB, PUBSUB_OWNER

NODE_CONFIG = f"{PUBSUB}#node_config"
DATA_FORMS = "jabber:x:data"


@dataclass(frozen=True, slots=True)
class Item:
    """One item as a service answered it."""

    item_id: str
    payload: bytes


def form(kind: str, fields: Mapping[str, str]) -> str:
    """A submitted data form (XEP-0004); field names may leave out `pubsub#`."""
    inner = "".join(
        f"<field var={quoteattr(name if '#' in name else 'pubsub#' + name)}><value>{escape(value)}</value></field>"
        for name, value in fields.items()
    )
    return (
        f"<x xmlns='{DATA_FORMS}' type='submit'><field var='FORM_TYPE' type='hidden'><value>{kind}</value></field>"
        f"{inner}</x>"
    )


async def create_node(stream: RawStream, service: str, node: str, fields: Mapping[str, str] | None = None) -> None:
    """Create a node, configured in the same request (§8.1.3); raises `RawError('conflict')` if it exists."""
    configure = f"<configure>{form(NODE_CONFIG, fields)}</configure>" if fields else ""
    await stream.iq("set", service, f"<pubsub xmlns='{PUBSUB}'><create node={quoteattr(node)}/>{configure}</pubsub>")


async def configure_node(stream: RawStream, service: str, node: str, fields: Mapping[str, str]) -> None:
    """Change a node's configuration (§8.2)."""
    inner = f"<configure node={quoteattr(node)}>{form(NODE_CONFIG, fields)}</configure>"
    await stream.iq("set", service, f"<pubsub xmlns='{PUBSUB_OWNER}'>{inner}</pubsub>")


async def node_configuration(stream: RawStream, service: str, node: str) -> dict[str, str]:
    """The node's configuration as the service tells its owner (§8.2.1), first value of each field."""
    inner = f"<pubsub xmlns='{PUBSUB_OWNER}'><configure node={quoteattr(node)}/></pubsub>"
    answer = await stream.iq("get", service, inner)
    found = {}
    for element in answer.element.iter(f"{{{DATA_FORMS}}}field"):
        value = element.find(f"{{{DATA_FORMS}}}value")
        found[element.get("var", "")] = "" if value is None else value.text or ""
    return found


async def delete_node(stream: RawStream, service: str, node: str, *, missing_ok: bool = True) -> None:
    """Delete a node (§8.4)."""
    try:
        await stream.iq("set", service, f"<pubsub xmlns='{PUBSUB_OWNER}'><delete node={quoteattr(node)}/></pubsub>")
    except RawError as error:
        if not (missing_ok and error.condition == "item-not-found"):
            raise


async def set_affiliation(stream: RawStream, service: str, node: str, jid: str, affiliation: str) -> None:
    """Make somebody a member, outcast, publisher... of a node (§8.9.2)."""
    inner = f"<affiliation jid={quoteattr(jid)} affiliation='{affiliation}'/>"
    await stream.iq(
        "set",
        service,
        f"<pubsub xmlns='{PUBSUB_OWNER}'><affiliations node={quoteattr(node)}>{inner}</affiliations></pubsub>",
    )


async def subscribe(stream: RawStream, service: str, node: str, jid: str = "") -> None:
    """Subscribe our bare JID (or another of ours) to a node (§6.1)."""
    wanted = jid or stream.jid.partition("/")[0]
    inner = f"<subscribe node={quoteattr(node)} jid={quoteattr(wanted)}/>"
    await stream.iq("set", service, f"<pubsub xmlns='{PUBSUB}'>{inner}</pubsub>")


async def unsubscribe(stream: RawStream, service: str, node: str, jid: str = "") -> None:
    """End a subscription (§6.2)."""
    wanted = jid or stream.jid.partition("/")[0]
    inner = f"<unsubscribe node={quoteattr(node)} jid={quoteattr(wanted)}/>"
    await stream.iq("set", service, f"<pubsub xmlns='{PUBSUB}'>{inner}</pubsub>")


async def publish(
    stream: RawStream, service: str, node: str, item_id: str, payload: str, *, timeout: float = TIMEOUT
) -> None:
    """Publish one item (§7.1) and wait for the result."""
    inner = f"<publish node={quoteattr(node)}><item id={quoteattr(item_id)}>{payload}</item></publish>"
    await stream.iq("set", service, f"<pubsub xmlns='{PUBSUB}'>{inner}</pubsub>", timeout)


async def items(
    stream: RawStream, service: str, node: str, maximum: int | None = None, *, timeout: float = TIMEOUT
) -> list[Item]:
    """The node's items (§6.5), in the order in which the service gave them."""
    limit = "" if maximum is None else f" max_items='{maximum}'"
    answer = await stream.iq(
        "get", service, f"<pubsub xmlns='{PUBSUB}'><items node={quoteattr(node)}{limit}/></pubsub>", timeout
    )
    found = answer.element.iter(f"{{{PUBSUB}}}item")
    return [Item(item.get("id", ""), payload) for item, payload in zip(found, answer.payloads, strict=True)]
