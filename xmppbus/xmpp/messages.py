"""Messages as XML, out and in: what people are sent (chat, correction, retraction, receipt), and what they say. Pure.

Out: bytes, from any text; nothing that XML 1.0 forbids, no ANSI sequence and no bidi override gets through, newlines
do. Stanzas are written without a namespace, so that they take the stream's. In: an element, read from its direct
children only: what somebody forwards is not what he says.
"""

from __future__ import annotations

import re
import uuid
from typing import NamedTuple
from xml.etree.ElementTree import Element

from xmppbus import limits
from xmppbus.render import plain
from xmppbus.xmpp.replies import error_of, local_name
from xmppbus.xmpp.stanzas import attribute, element_text

CHAT_MARKERS = "urn:xmpp:chat-markers:0"
CORRECT = "urn:xmpp:message-correct:0"
DELAY = "urn:xmpp:delay"
DIRECT_INVITATION = "jabber:x:conference"
FALLBACK = "urn:xmpp:fallback:0"
HINTS = "urn:xmpp:hints"
MUC_USER = "http://jabber.org/protocol/muc#user"
REACTIONS = "urn:xmpp:reactions:0"
RECEIPTS = "urn:xmpp:receipts"
REPLY = "urn:xmpp:reply:0"
RETRACT = "urn:xmpp:message-retract:1"
SHIM = "http://jabber.org/protocol/shim"
STANZA_IDS = "urn:xmpp:sid:0"
LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"

FEATURES = (CHAT_MARKERS, CORRECT, FALLBACK, REACTIONS, RECEIPTS, REPLY, STANZA_IDS)
"""What disco says of us for what is here."""

# --- out ------------------------------------------------------------------------------------------------------------

ELLIPSIS = "…"
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_LINE_ENDS = re.compile(r"\r\n?|[\u2028\u2029\x85\v\f]")
_AUTOMATIC = f"<headers xmlns='{SHIM}'><header name='Auto-Submitted'>auto-replied</header></headers>"


def body_text(text: str) -> str:
    """What becomes of a text that is sent as a body: plain, line ends as newlines, at most `limits.BODY_CHARACTERS`."""
    # Cut before and after: a text of a hundred megabytes must not be cleaned as a whole.
    first = text[: 2 * limits.BODY_CHARACTERS]
    clean = _FORBIDDEN.sub("", plain(_LINE_ENDS.sub("\n", first)))
    if len(clean) <= limits.BODY_CHARACTERS and len(first) == len(text):
        return clean
    return clean[: limits.BODY_CHARACTERS - 1].rstrip() + ELLIPSIS


def quoted(text: str) -> str:
    """Any text as the value of an attribute, such that a parser reads it back but for what XML 1.0 forbids."""
    if text.isprintable():
        return attribute(text)
    escaped = attribute(_FORBIDDEN.sub("", text))
    # A bare one would be read as a space (XML 1.0 §3.3.3).
    return escaped.replace("\t", "&#9;").replace("\n", "&#10;").replace("\r", "&#13;")


class Message:
    """Copies of one message: everything but the recipient, the id and what it replaces is ready.

    `sender` is a full JID of ours as a component, empty in client mode, whose server fills it in. `automatic` marks an
    answer that nobody typed, so that two bots don't answer each other. `extra` is XML that goes along, as it is.
    """

    __slots__ = ("_body", "_head")

    def __init__(
        self,
        sender: str,
        body: str,
        *,
        kind: str = "chat",
        markable: bool = True,
        receipt: bool = True,
        store: bool = True,
        automatic: bool = False,
        extra: str = "",
    ) -> None:
        head = f"<message type='{kind}'{_from(sender)} to='"
        parts = [f"'/><body>{element_text(body_text(body))}</body>"]
        if receipt and kind != "groupchat":  # XEP-0184 §5.3
            parts.append(f"<request xmlns='{RECEIPTS}'/>")
        if markable:
            parts.append(f"<markable xmlns='{CHAT_MARKERS}'/>")
        if store:
            parts.append(f"<store xmlns='{HINTS}'/>")
        if automatic:
            parts.append(_AUTOMATIC)
        self._head = head.encode()
        self._body = f"{''.join(parts)}{extra}</message>".encode()

    def stanza(self, to: str, message_id: str, replace: str = "") -> bytes:
        """The message for one recipient. `replace` is the id of the first message that this one corrects (XEP-0308)."""
        made = quoted(message_id).encode()
        corrected = b"<replace xmlns='%b' id='%b'/>" % (_CORRECT, quoted(replace).encode()) if replace else b""
        return b"%b%b' id='%b'>%b<origin-id xmlns='urn:xmpp:sid:0' id='%b%b" % (
            self._head,
            quoted(to).encode(),
            made,
            corrected,
            made,
            self._body,
        )


_CORRECT = CORRECT.encode()


def chat(
    *,
    to: str,
    sender: str,
    message_id: str,
    body: str,
    replace: str = "",
    kind: str = "chat",
    markable: bool = True,
    receipt: bool = True,
    store: bool = True,
    automatic: bool = False,
    extra: str = "",
) -> bytes:
    """One message; see `Message` for the parameters."""
    made = Message(
        sender, body, kind=kind, markable=markable, receipt=receipt, store=store, automatic=automatic, extra=extra
    )
    return made.stanza(to, message_id, replace)


def retraction(*, to: str, sender: str, message_id: str, retracts: str, body: str, kind: str = "chat") -> bytes:
    """Take back the message with the id `retracts`; `body` is read where that is not understood (XEP-0424 §3).

    Version 0.4 of it names the message's own id (in a room the id that the room gave it) in `<retract/>` itself; the
    `<apply-to/>` of before (XEP-0422) is gone.
    """
    retract = f"<retract xmlns='{RETRACT}' id='{quoted(retracts)}'/><fallback xmlns='{FALLBACK}' for='{RETRACT}'/>"
    return Message(sender, body, kind=kind, markable=False, receipt=False, extra=retract).stanza(to, message_id)


def receipt(*, to: str, sender: str, of: str) -> bytes:
    """Say that the message with the id `of` has come (XEP-0184 §5.2)."""
    # An id of its own, so that a bounce of it is not taken for one of something else.
    made = uuid.uuid5(uuid.NAMESPACE_OID, f"receipt\n{to}\n{_FORBIDDEN.sub('', of)}")
    return (
        f"<message type='chat'{_from(sender)} to='{quoted(to)}' id='{made}'>"
        f"<received xmlns='{RECEIPTS}' id='{quoted(of)}'/><store xmlns='{HINTS}'/></message>"
    ).encode()


def returned(of: Heard, text: str) -> bytes:
    """Send a message back to who sent it: nobody is there (RFC 6121 §8.5.1)."""
    stanzas = "urn:ietf:params:xml:ns:xmpp-stanzas"
    error = f"<service-unavailable xmlns='{stanzas}'/><text xmlns='{stanzas}'>{element_text(body_text(text))}</text>"
    return (
        f"<message type='error'{_from(of.to)} to='{quoted(of.sender)}' id='{quoted(of.id)}'>"
        f"<error type='cancel'>{error}</error></message>"
    ).encode()


def _from(sender: str) -> str:
    return f" from='{quoted(sender)}'" if sender else ""


# --- in -------------------------------------------------------------------------------------------------------------

KINDS = frozenset({"chat", "normal", "groupchat", "headline", "error"})
"""RFC 6121 §5.2.2; any other is to be read as `normal`."""

_FOREIGN = (
    "{urn:xmpp:forward:0}",
    "{urn:xmpp:carbons:2}",
    "{urn:xmpp:carbons:1}",
    "{urn:xmpp:mam:",
    "{urn:xmpp:privilege:",
    "{urn:xmpp:delegation:",
    "{http://jabber.org/protocol/pubsub#event}",
)
"""Children that carry somebody's words second-hand, or no words at all."""
_ARCHIVED = "{urn:xmpp:mam:tmp}archived"
"""COMPAT(ejabberd): on everything that its archive keeps, beside the `<stanza-id/>` that took its place (XEP-0359): it
says where the message is, and carries nothing (tests/servers/test_rooms_page.py)."""
_ENCRYPTED = frozenset(
    {
        "{eu.siacs.conversations.axolotl}encrypted",
        "{urn:xmpp:omemo:1}encrypted",
        "{urn:xmpp:omemo:2}encrypted",
        "{urn:xmpp:openpgp:0}openpgp",
        "{jabber:x:encrypted}x",
    }
)


class Reactions(NamedTuple):
    """Somebody's reactions to a message (XEP-0444 §3): all that he has now; none takes back the earlier ones."""

    to: str  # the id of the message
    emojis: tuple[str, ...]


class Invitation(NamedTuple):
    """Into a room: mediated by it (XEP-0045 §7.8.2), or direct (XEP-0249)."""

    room: str  # bare JID
    inviter: str  # as the room says, or who sent it
    reason: str = ""
    password: str = ""
    is_mediated: bool = True


class Heard(NamedTuple):
    """A message as it came. JIDs are as the server stamped them; everything else is only what its sender says."""

    kind: str  # chat, normal, groupchat, headline, error
    sender: str  # a full JID mostly; empty from our own account's server
    to: str
    id: str
    body: str = ""  # without the quotation of what is replied to
    is_cut: bool = False  # the body was longer than `limits.HEARD_CHARACTERS`
    thread: str = ""  # which conversation of theirs it belongs to (RFC 6121 §5.2.5); an answer repeats it
    language: str = ""  # `xml:lang` of the stanza (RFC 6120 §8.1.5)
    subject: str | None = None  # None: it has none; in a room one without a body is the room's
    replies_to: str = ""  # id (XEP-0461)
    reactions: Reactions | None = None
    received: str = ""  # id: a client of the sender's has that message of ours (XEP-0184)
    displayed: str = ""  # id: it has been seen there (XEP-0333)
    replaces: str = ""  # id: this corrects that message of the sender's (XEP-0308)
    asks_receipt: bool = False
    is_delayed: bool = False  # it was kept for us, or is from a room's history (XEP-0203)
    is_private: bool = False  # from an occupant of a room to us alone (XEP-0045 §7.5)
    is_automatic: bool = False  # nobody typed it: it must not be answered
    is_encrypted: bool = False  # the body, if any, only says so
    invitation: Invitation | None = None
    condition: str = ""  # of an error (RFC 6120 §8.3.3)
    error_kind: str = ""  # of an error: auth, cancel, continue, modify, wait
    text: str = ""  # of an error

    @property
    def bare(self) -> str:
        """The sender's bare JID: a person's, or a room's."""
        return self.sender.partition("/")[0]

    @property
    def nick(self) -> str:
        """In a room: who says it, as the room calls him; empty when the room itself says it."""
        return self.sender.partition("/")[2] if self.kind == "groupchat" or self.is_private else ""


def heard(stanza: Element) -> Heard | None:
    """Read a message. None for a carbon, a forwarded or archived message and a notification: they are never opened."""
    children: dict[str, Element] = {}
    for child in stanza:
        if child.tag.startswith(_FOREIGN) and child.tag != _ARCHIVED:
            return None
        children.setdefault(child.tag, child)
    kind = stanza.get("type", "normal")
    found = Heard(
        kind if kind in KINDS else "normal", stanza.get("from", ""), stanza.get("to", ""), stanza.get("id", "")
    )
    if found.kind == "error":
        return _bounce(stanza, found)
    reply = children.get(f"{{{REPLY}}}reply")
    muc = children.get(f"{{{MUC_USER}}}x")
    body, is_cut = _body(stanza)
    return found._replace(
        body=body,
        is_cut=is_cut,
        thread=_thread(stanza),
        language=stanza.get(LANGUAGE, ""),
        subject=_subject(stanza),
        replies_to=reply.get("id", "") if reply is not None else "",
        reactions=_reactions(children.get(f"{{{REACTIONS}}}reactions")),
        received=_id_of(children, RECEIPTS, "received") or _id_of(children, CHAT_MARKERS, "received"),
        displayed=_id_of(children, CHAT_MARKERS, "displayed") or _id_of(children, CHAT_MARKERS, "acknowledged"),
        replaces=_id_of(children, CORRECT, "replace"),
        asks_receipt=f"{{{RECEIPTS}}}request" in children,
        is_delayed=f"{{{DELAY}}}delay" in children,
        is_private=muc is not None and found.kind != "groupchat" and muc.find(f"{{{MUC_USER}}}invite") is None,
        is_automatic=_is_automatic(stanza),
        is_encrypted=not _ENCRYPTED.isdisjoint(children),
        invitation=_invitation(found, muc, children.get(f"{{{DIRECT_INVITATION}}}x")),
    )


def _bounce(stanza: Element, found: Heard) -> Heard:
    error = error_of(stanza)
    kind = next((child.get("type", "") for child in stanza if local_name(child) == "error"), "")
    return found._replace(condition=error.name, error_kind=kind, text=error.text[: limits.OUTCOME_CHARACTERS])


def _own(stanza: Element, name: str) -> Element | None:
    """A child in the stanza's own namespace: `jabber:client`, or a component's."""
    return stanza.find(stanza.tag.rpartition("}")[0] + "}" + name if stanza.tag[0] == "{" else name)


def _thread(stanza: Element) -> str:
    thread = _own(stanza, "thread")
    return "" if thread is None else (thread.text or "").strip()[: limits.NAME_CHARACTERS]


def _subject(stanza: Element) -> str | None:
    subject = _own(stanza, "subject")
    return None if subject is None else (subject.text or "")[: limits.HEARD_CHARACTERS]


def _body(stanza: Element) -> tuple[str, bool]:
    """What its sender typed, and whether that was cut."""
    body = _own(stanza, "body")
    text = (body.text or "") if body is not None else ""
    for fallback in stanza.findall(f"{{{FALLBACK}}}fallback"):
        if fallback.get("for") in (REPLY, REACTIONS):
            text = _without(text, fallback)
    text = text.strip()
    return text[: limits.HEARD_CHARACTERS], len(text) > limits.HEARD_CHARACTERS


def _without(text: str, fallback: Element) -> str:
    """The text without what stands in it for clients that don't know better (XEP-0428 §3), counted in code points."""
    part = fallback.find(f"{{{FALLBACK}}}body")
    if part is None:
        return "" if len(fallback) == 0 else text
    try:
        start, end = int(part.get("start", "0")), int(part.get("end", str(len(text))))
    except ValueError:
        return text
    return text[:start] + text[end:] if 0 <= start <= end <= len(text) else text


def _reactions(element: Element | None) -> Reactions | None:
    if element is None:
        return None
    texts = [(each.text or "").strip() for each in element.findall(f"{{{REACTIONS}}}reaction")[: limits.REACTIONS]]
    return Reactions(element.get("id", ""), tuple(each for each in texts if 0 < len(each) <= limits.EMOJI_CHARACTERS))


def _id_of(children: dict[str, Element], namespace: str, name: str) -> str:
    child = children.get(f"{{{namespace}}}{name}")
    return "" if child is None else child.get("id", "")


def _is_automatic(stanza: Element) -> bool:
    """RFC 3834's header, as XEP-0131 carries it: any value but `no`."""
    headers = stanza.findall(f"{{{SHIM}}}headers/{{{SHIM}}}header")
    return any(
        each.get("name", "").lower() == "auto-submitted" and (each.text or "").strip().lower() != "no"
        for each in headers
    )


def _invitation(found: Heard, muc: Element | None, direct: Element | None) -> Invitation | None:
    invite = muc.find(f"{{{MUC_USER}}}invite") if muc is not None else None
    if muc is not None and invite is not None:
        reason = invite.findtext(f"{{{MUC_USER}}}reason") or ""
        return Invitation(found.bare, invite.get("from", ""), reason, muc.findtext(f"{{{MUC_USER}}}password") or "")
    if direct is not None and direct.get("jid"):
        room = direct.get("jid", "").partition("/")[0]
        return Invitation(room, found.sender, direct.get("reason", ""), direct.get("password", ""), is_mediated=False)
    return None
