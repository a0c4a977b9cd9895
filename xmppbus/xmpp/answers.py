"""What we answer to requests of others: who we are, that we live, and otherwise that there is no such service here."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from xml.etree.ElementTree import Element

from xmppbus.xmpp.stanzas import attribute, element_text, one_line

DISCO_INFO = "http://jabber.org/protocol/disco#info"
DISCO_ITEMS = "http://jabber.org/protocol/disco#items"
PING = "urn:xmpp:ping"
VERSION = "jabber:iq:version"

_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"


def answer(request: Element, own: str) -> bytes:
    """The answer to an IQ of type get or set that came to us, in the name of the JID it was sent to."""
    inner = _inner(request)
    return refusal(request, own) if inner is None else result(request, own, inner)


def result(request: Element, own: str, inner: str) -> bytes:
    """A yes to a request (RFC 6120 §8.2.3), with what was asked for. `own` is used where it was sent to nobody."""
    return _reply("result", request, own, inner)


def refusal(
    request: Element, own: str, condition: str = "service-unavailable", kind: str = "cancel", text: str = ""
) -> bytes:
    """A no (RFC 6120 §8.3), in words if need be."""
    words = f"<text xmlns='{_STANZAS}'>{element_text(one_line(text))}</text>" if text else ""
    return _reply("error", request, own, f"<error type='{kind}'><{condition} xmlns='{_STANZAS}'/>{words}</error>")


def _reply(kind: str, request: Element, own: str, inner: str) -> bytes:
    sender = attribute(request.get("to") or own)
    asker = request.get("from")
    to = f" to='{attribute(asker)}'" if asker else ""
    own_name = f" from='{sender}'" if sender else ""
    return f"<iq type='{kind}' id='{attribute(request.get('id', ''))}'{to}{own_name}>{inner}</iq>".encode()


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
        return version_query()
    return None


def version_query() -> str:
    """What we are (XEP-0092)."""
    words = f"<name>xmppbus</name><version>{element_text(_version())}</version>"
    return f"<query xmlns='{VERSION}'>{words}</query>"


def _version() -> str:
    try:
        return version("xmppbus")
    except PackageNotFoundError:  # run from a tree that was not installed
        return "0"
