"""What an administrator does to a node behind its owner's back.

The servers of the tests let the component `operator.localhost` write in anybody's name: so it makes itself an owner
of the node in the name of the present one, and goes on in its own.
"""

from xml.sax.saxutils import quoteattr

from tests.support.raw import component
from tests.support.raw_xml import PUBSUB_OWNER

HOST = "127.0.0.1"
PUBSUB = "pubsub.localhost"
ROOMS = "rooms.localhost"
OPERATOR = "operator.localhost"
SECRET = "component secret"


async def take_over(port: int, node: str, owner: str) -> None:
    """Become an owner of the node, in the name of `owner`. Raises RawError when the server refuses."""
    async with await component(HOST, port, OPERATOR, SECRET) as stream:
        # The answer goes to the owner, who knows no such id and drops it; a request of our own is answered after it.
        request = affiliations(node, {OPERATOR: "owner"})
        stream.write(f"<iq type='set' id='operator' to='{PUBSUB}' from='{owner}'>{request}</iq>")
        await stream.iq(
            "get", PUBSUB, f"<pubsub xmlns='{PUBSUB_OWNER}'><affiliations node={quoteattr(node)}/></pubsub>"
        )


async def set_affiliation(port: int, node: str, jid: str, affiliation: str) -> None:
    """Give `jid` another affiliation with a node that has been taken over. Raises RawError."""
    await _request(port, affiliations(node, {jid: affiliation}))


async def delete_node(port: int, node: str) -> None:
    """Delete a node that has been taken over. Raises RawError."""
    await _request(port, f"<pubsub xmlns='{PUBSUB_OWNER}'><delete node={quoteattr(node)}/></pubsub>")


async def _request(port: int, inner: str) -> None:
    async with await component(HOST, port, OPERATOR, SECRET) as stream:
        await stream.iq("set", PUBSUB, inner)


def affiliations(node: str, wanted: dict[str, str]) -> str:
    """The request that sets affiliations (XEP-0060 §8.9.2)."""
    inner = "".join(f"<affiliation jid='{jid}' affiliation='{kind}'/>" for jid, kind in wanted.items())
    return f"<pubsub xmlns='{PUBSUB_OWNER}'><affiliations node={quoteattr(node)}>{inner}</affiliations></pubsub>"
