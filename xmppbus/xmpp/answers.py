"""What we answer to requests of others: who we are, that we live, and otherwise that there is no such service here."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from xml.etree.ElementTree import Element

from xmppbus.xmpp.stanzas import attribute, element_text

DISCO_INFO = "http://jabber.org/protocol/disco#info"
DISCO_ITEMS = "http://jabber.org/protocol/disco#items"
PING = "urn:xmpp:ping"
VERSION = "jabber:iq:version"

_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"
_UNAVAILABLE = f"<error type='cancel'><service-unavailable xmlns='{_STANZAS}'/></error>"


def answer(request: Element, own: str) -> bytes:
    """The answer to an IQ of type get or set that came to us, in the name of the JID it was sent to."""
    inner = _inner(request)
    kind = "error" if inner is None else "result"
    sender = attribute(request.get("to") or own)
    asker = request.get("from")
    to = f" to='{attribute(asker)}'" if asker else ""
    own_name = f" from='{sender}'" if sender else ""
    found = _UNAVAILABLE if inner is None else inner
    return f"<iq type='{kind}' id='{attribute(request.get('id', ''))}'{to}{own_name}>{found}</iq>".encode()


def _inner(request: Element) -> str | None:
    child = next(iter(request), None)
    if child is None or request.get("type") != "get":
        return None
    if child.tag == f"{{{PING}}}ping":
        return ""
    if child.tag == f"{{{DISCO_INFO}}}query" and not child.get("node"):
        features = "".join(f"<feature var='{each}'/>" for each in (DISCO_INFO, PING, VERSION))
        identity = "<identity category='component' type='generic' name='xmppbus'/>"
        return f"<query xmlns='{DISCO_INFO}'>{identity}{features}</query>"
    if child.tag == f"{{{DISCO_ITEMS}}}query" and not child.get("node"):
        return f"<query xmlns='{DISCO_ITEMS}'/>"
    if child.tag == f"{{{VERSION}}}query":
        words = f"<name>xmppbus</name><version>{element_text(_version())}</version>"
        return f"<query xmlns='{VERSION}'>{words}</query>"
    return None


def _version() -> str:
    try:
        return version("xmppbus")
    except PackageNotFoundError:  # run from a tree that was not installed
        return "0"
