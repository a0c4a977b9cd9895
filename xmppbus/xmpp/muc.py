"""Rooms (XEP-0045) as XML: what we write to them, and what they say about us and about others. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element

from xmppbus import limits
from xmppbus.xmpp.messages import MUC_USER, STANZA_IDS, quoted
from xmppbus.xmpp.replies import local_name
from xmppbus.xmpp.stanzas import element_text, one_line

MUC = "http://jabber.org/protocol/muc"
MUC_ADMIN = "http://jabber.org/protocol/muc#admin"
MUC_OWNER = "http://jabber.org/protocol/muc#owner"
DATA = "jabber:x:data"

SELF = "110"  # it is about ourselves
NON_ANONYMOUS = "172"
SEMI_ANONYMOUS = "173"
ANONYMOUS = "174"
CREATED = "201"  # there was no such room: it waits for its owner's configuration
BANNED = "301"
RENAMED = "303"
KICKED = "307"
NOT_AFFILIATED = "321"  # put out because an affiliation was taken away
MEMBERS_ONLY = "322"  # put out because the room lets members in only
SHUTDOWN = "332"  # put out because the service goes down
FAILED = "333"  # put out because of an error: our server seemed to be away
"""Status codes (XEP-0045 §15.6)."""

HIDDEN = frozenset({SEMI_ANONYMOUS, ANONYMOUS})
"""The room hides real JIDs from now on."""

NEW_ROOM: Mapping[str, str] = {
    "muc#roomconfig_persistentroom": "1",
    "muc#roomconfig_publicroom": "0",
    "muc#roomconfig_whois": "anyone",
}
"""How a room is made that was not there: it stays, only who is told of it finds it, and who says what is known."""


class Seen(NamedTuple):
    """A presence of an occupant, as its room sends it."""

    room: str  # bare JID
    nick: str
    is_there: bool
    jid: str = ""  # the real bare JID, where the room shows it to us
    affiliation: str = "none"
    role: str = "none"
    codes: frozenset[str] = frozenset()
    new_nick: str = ""  # of a 303
    reason: str = ""
    by: str = ""  # who did it: a nick or a JID
    is_destroyed: bool = False
    venue: str = ""  # where a destroyed room went on


# --- out ------------------------------------------------------------------------------------------------------------


def join(room: str, nick: str, *, sender: str, password: str = "") -> bytes:
    """Enter a room, without its history (§7.2); say it anew if we are in it, and be told of everybody again."""
    key = f"<password>{element_text(password)}</password>" if password else ""
    return (
        f"<presence{_from(sender)} to='{quoted(f'{room}/{nick}')}'>"
        f"<x xmlns='{MUC}'><history maxstanzas='0'/>{key}</x></presence>"
    ).encode()


def leave(room: str, nick: str, *, sender: str) -> bytes:
    """Leave it (§7.14)."""
    return f"<presence{_from(sender)} to='{quoted(f'{room}/{nick}')}' type='unavailable'/>".encode()


def decline(room: str, inviter: str, *, sender: str, reason: str) -> bytes:
    """Decline a mediated invitation (§7.8.2); the room passes it on."""
    words = f"<reason>{element_text(one_line(reason))}</reason>"
    return (
        f"<message{_from(sender)} to='{quoted(room)}'>"
        f"<x xmlns='{MUC_USER}'><decline to='{quoted(inviter)}'>{words}</decline></x></message>"
    ).encode()


def request(kind: str, request_id: str, to: str, inner: str, *, sender: str) -> bytes:
    """An IQ from the full JID that is in the room: from any other the room would not know us."""
    return f"<iq type='{kind}' id='{request_id}'{_from(sender)} to='{quoted(to)}'>{inner}</iq>".encode()


def configuration(fields: Mapping[str, str]) -> str:
    """Configure a room that we own (§10.2); without fields it is made as the service likes (§10.1.2)."""
    inner = "".join(
        f"<field var='{quoted(name)}'><value>{element_text(value)}</value></field>" for name, value in fields.items()
    )
    named = f"<field var='FORM_TYPE'><value>{MUC}#roomconfig</value></field>{inner}" if fields else ""
    return f"<query xmlns='{MUC_OWNER}'><x xmlns='{DATA}' type='submit'>{named}</x></query>"


def affiliations(jids: Sequence[str], affiliation: str) -> str:
    """Give JIDs an affiliation with a room that we own (§10.3)."""
    inner = "".join(f"<item affiliation='{affiliation}' jid='{quoted(jid)}'/>" for jid in jids)
    return f"<query xmlns='{MUC_ADMIN}'>{inner}</query>"


def _from(sender: str) -> str:
    return f" from='{quoted(sender)}'" if sender else ""


# --- in -------------------------------------------------------------------------------------------------------------


def seen(stanza: Element) -> Seen:
    """Read a presence that came from a room or an occupant, of any type but error."""
    room, _, nick = stanza.get("from", "").partition("/")
    is_there = stanza.get("type") != "unavailable"
    x = stanza.find(f"{{{MUC_USER}}}x")
    if x is None:
        return Seen(room, nick, is_there)
    item = x.find(f"{{{MUC_USER}}}item")
    destroyed = x.find(f"{{{MUC_USER}}}destroy")
    found = Seen(room, nick, is_there, codes=_codes(x), is_destroyed=destroyed is not None)
    if item is not None:
        actor = item.find(f"{{{MUC_USER}}}actor")
        found = found._replace(
            jid=item.get("jid", "").partition("/")[0],
            affiliation=item.get("affiliation", "none"),
            role=item.get("role", "none"),
            new_nick=item.get("nick", ""),
            reason=_short(item.findtext(f"{{{MUC_USER}}}reason")),
            by="" if actor is None else actor.get("nick", "") or actor.get("jid", ""),
        )
    if destroyed is not None:
        reason = _short(destroyed.findtext(f"{{{MUC_USER}}}reason"))
        found = found._replace(venue=destroyed.get("jid", "").partition("/")[0], reason=reason)
    return found


def is_about_a_room(stanza: Element) -> bool:
    """Whether an error presence answers a join of ours: servers repeat what was refused, or name the room."""
    return "/" in stanza.get("from", "")


def codes_of(stanza: Element) -> frozenset[str]:
    """The status codes of a message from a room (§10.2.1: its configuration has changed)."""
    x = stanza.find(f"{{{MUC_USER}}}x")
    return frozenset() if x is None else _codes(x)


def names_of(stanza: Element) -> tuple[str, ...]:
    """What a message is called: its id, and its origin-id (XEP-0359), for rooms that give their reflections new ids."""
    origin = stanza.find(f"{{{STANZA_IDS}}}origin-id")
    found = (stanza.get("id", ""), "" if origin is None else origin.get("id", ""))
    return tuple(dict.fromkeys(each for each in found if each))


def stanza_id(stanza: Element, room: str) -> str:
    """The id that the room gave a message (XEP-0359 §3): what a retraction there names. Empty where it gives none."""
    found = stanza.findall(f"{{{STANZA_IDS}}}stanza-id")
    return next((each.get("id", "") for each in found if each.get("by") == room), "")


def has_body(stanza: Element) -> bool:
    """Whether a message says something."""
    return any(local_name(child) == "body" for child in stanza)


def _codes(x: Element) -> frozenset[str]:
    return frozenset(each.get("code", "") for each in x.findall(f"{{{MUC_USER}}}status"))


def _short(text: str | None) -> str:
    return one_line(text or "")[: limits.OUTCOME_CHARACTERS]
