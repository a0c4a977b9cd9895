"""A message of the chat plane, written by hand, so that what clients do with it is known apart from the product."""

from __future__ import annotations

from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from tests.support.raw_xml import Stanza

RECEIPTS = "urn:xmpp:receipts"


@dataclass(frozen=True, kw_only=True)
class ChatMessage:
    """`type="chat"` with a stable id (0359), kept (0334), a receipt asked for (0184), markable (0333)."""

    sender: str
    to: str
    id: str
    body: str
    replaces: str = ""  # the id that it corrects (0308)

    def xml(self) -> str:
        """As it goes out of a component."""
        return (
            f"<message type='chat' from={quoteattr(self.sender)} to={quoteattr(self.to)} id={quoteattr(self.id)}>"
            f"<body>{escape(self.body)}</body><origin-id xmlns='urn:xmpp:sid:0' id={quoteattr(self.id)}/>"
            "<store xmlns='urn:xmpp:hints'/><request xmlns='urn:xmpp:receipts'/>"
            f"<markable xmlns='urn:xmpp:chat-markers:0'/>{self._replace()}</message>"
        )

    def _replace(self) -> str:
        return f"<replace xmlns='urn:xmpp:message-correct:0' id={quoteattr(self.replaces)}/>" if self.replaces else ""


def receipts(stanzas: list[Stanza]) -> list[tuple[str, str]]:
    """(JID that the receipt was sent to, id that it says was received), in order of arrival."""
    found = [(stanza.get("to"), stanza.find(RECEIPTS, "received")) for stanza in stanzas]
    return [(to, received.get("id", "")) for to, received in found if received is not None]


def said(stanzas: list[Stanza]) -> list[tuple[str, str]]:
    """(JID that it was said to, body) of every message that has one, in order of arrival."""
    bodies = [(stanza.get("to"), stanza.element.findtext("{*}body")) for stanza in stanzas]
    return [(to, body) for to, body in bodies if body]
