"""For whom is encrypted; what becomes of a message of ours that is, or can't be, and of one of theirs. Pure."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from typing import NamedTuple
from xml.etree.ElementTree import Element, SubElement
from xml.sax.saxutils import unescape

from xmppbus.people.addresses import bare_jid, domain_of
from xmppbus.xmpp.stanzas import element_text

ENCRYPTED = "{eu.siacs.conversations.axolotl}encrypted"

_OPENS, _CLOSES = b"<body>", b"</body>"
_STORE = b"<store xmlns='urn:xmpp:hints'/>"
_REPLACE = re.compile(rb"<replace xmlns='urn:xmpp:message-correct:0' id='[^']*'/>")
_GROUPCHAT = b"<message type='groupchat'"
_SAYS_SO = b"<encryption xmlns='urn:xmpp:eme:0' namespace='eu.siacs.conversations.axolotl' name='OMEMO'/>"
_FALLBACK = b"This message is encrypted with OMEMO; your client does not show such messages."
"""XEP-0384 0.3 §4.5 wants a body for clients that don't know what the rest is."""
NOTICE = (
    "An encrypted message waits for you: it could not be encrypted for any of your devices ({}), and is not sent "
    "without. Open a client with OMEMO, then ask me with `last`."
)


class Wanted(enum.StrEnum):
    """What the config wants for a recipient."""

    REQUIRED = "required"  # nothing is said to them without
    POSSIBLE = "possible"  # where they can read it, and from then on never without
    NEVER = "never"


class Recipients:
    """For whom is encrypted, as `bot.omemo` says it: for everybody, or by bare JID, else by domain, else never."""

    def __init__(self, given: bool | Mapping[str, str]) -> None:
        named = {} if isinstance(given, bool) else given
        self._named = {bare_jid(name): Wanted(each) for name, each in named.items()}
        self._others = Wanted.POSSIBLE if given is True else Wanted.NEVER

    def of(self, jid: str) -> Wanted:
        """For a bare JID, as the server stamped it."""
        return self._named.get(jid) or self._named.get(domain_of(jid), self._others)


class Stanza(NamedTuple):
    """A message of ours, taken apart at its body."""

    before: bytes
    body: str
    after: bytes

    def encrypted(self, payload: str) -> bytes:
        """The same message, with `<encrypted/>` in the place of the words. What is not the body stays readable: ids,
        what it corrects, and whether a receipt is asked for."""
        store = b"" if _STORE in self.after else _STORE
        inside = b"%b%b%b%b%b%b" % (_OPENS, _FALLBACK, _CLOSES, payload.encode(), _SAYS_SO, store)
        return b"%b%b%b" % (self.before, inside, self.after)

    def refused(self, reason: str) -> bytes:
        """Words that say only that there is a message. They replace nothing."""
        words = element_text(NOTICE.format(reason)).encode()
        return b"%b%b%b%b%b" % (_REPLACE.sub(b"", self.before), _OPENS, words, _CLOSES, self.after)


def taken_apart(stanza: bytes) -> Stanza | None:
    """A message as `messages.Message` writes it; None for one that is not encrypted: without words, or for a room."""
    before, found, rest = stanza.partition(_OPENS)
    body, closed, after = rest.partition(_CLOSES)
    if not found or not closed or stanza.startswith(_GROUPCHAT):
        return None
    return Stanza(before, unescape(body.decode()), after)


def is_encrypted(stanza: Element) -> bool:
    """Whether a message of somebody's is to be decrypted. A bounce carries what we wrote ourselves."""
    return stanza.get("type") not in ("error", "groupchat") and stanza.find(ENCRYPTED) is not None


def readable(stanza: Element, text: str) -> Element:
    """The message, with what it says in the place of what is encrypted."""
    made = Element(stanza.tag, dict(stanza.attrib))
    body = f"{stanza.tag.rpartition('}')[0]}}}body"
    made.extend(child for child in stanza if child.tag not in (body, ENCRYPTED))
    SubElement(made, body).text = text
    return made
