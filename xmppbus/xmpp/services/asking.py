"""Whom a request goes out through: the daemon's stream, or an account that is logged in for it; and plain words."""

from __future__ import annotations

import asyncio
import re
from typing import Protocol, Self
from xml.etree.ElementTree import Element

from xmppbus import limits
from xmppbus.errors import BusError, Code, Refused
from xmppbus.people.addresses import bare_jid
from xmppbus.render import plain
from xmppbus.xmpp.component import Stream
from xmppbus.xmpp.replies import ErrorAnswer, ErrorReply, NoAnswer, Unanswered
from xmppbus.xmpp.stanzas import attribute

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class Asker(Protocol):
    """Somebody with an address, who can ask."""

    jid: str  # bare
    is_component: bool

    async def ask(self, kind: str, to: str, inner: str) -> Element:
        """Send an IQ and return its result. Raises `ErrorAnswer` or `NoAnswer`."""

    def write(self, stanza: bytes) -> None:
        """Send what nobody answers. Raises `NoAnswer`."""


class Through:
    """The daemon's stream, as its own component or account."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.jid = stream.options.jid.lower()
        self.is_component = stream.options.component is not None

    @classmethod
    async def ready(cls, stream: Stream) -> Self:
        """Once there is a session, soon. Raises `Refused` when there is none."""
        try:
            async with asyncio.timeout(limits.SESSION_SECONDS):
                await stream.ready()
        except TimeoutError:
            why = f": {stream.reason}" if stream.reason else ""
            raise Refused(
                Code.CLOSING, f"the daemon has no session with its server{why}; see `xmppbus status`"
            ) from None
        return cls(stream)

    async def ask(self, kind: str, to: str, inner: str) -> Element:
        """See `Asker`. Raises `Refused` for what would end the stream, which is everybody's."""
        return await self._stream.ask(kind, to, legal(inner, to))

    def write(self, stanza: bytes) -> None:
        """See `Asker`."""
        self._stream.pipeline.write(stanza)


def legal(inner: str, to: str) -> str:
    """`inner`, if a server takes it. Raises `Refused`: on what XML forbids, and on what is too large, it ends the
    stream. `to` may be an address that a service has named."""
    if _FORBIDDEN.search(inner):
        raise Refused(Code.USAGE, "a name or a value has a character that XML forbids (control characters are)")
    if len(inner.encode()) + len(attribute(to).encode()) > limits.REQUEST_BYTES:
        raise Refused(Code.TOO_BIG, f"the request has more than {limits.REQUEST_BYTES} bytes; no server takes it")
    return inner


def exact(text: str) -> str:
    """Escaped for an attribute, and read back as it is: bare tabs and newlines become spaces (XML 1.0 §3.3.3)."""
    return attribute(text).replace("\t", "&#9;").replace("\n", "&#10;").replace("\r", "&#13;")


def address(text: str) -> str:
    """A JID as servers stamp it, bare or full. Raises `Refused`."""
    try:
        bare = bare_jid(text)
    except ValueError as error:
        raise Refused(Code.USAGE, str(error)) from None
    _, slash, resource = text.strip().partition("/")
    if not resource.isprintable():
        raise Refused(Code.USAGE, f"{plain(text)!r} is not a JID: its resource has control characters")
    return f"{bare}/{resource}" if slash and resource else bare


# --- what went wrong, in plain words --------------------------------------------------------------------------------

_UNKNOWN = (Code.INVALID, "the service does not take this; what it says stands above, its log may say more")
_WORDS: dict[str, tuple[Code, str]] = {
    "bad-request": (Code.INVALID, "the service does not understand this; `xmppbus disco {to}` shows what it can do"),
    "conflict": (Code.CONFLICT, "it is there already; choose another name"),
    "feature-not-implemented": (Code.NOT_CONFIGURED, "{to} can't do this; `xmppbus disco {to}` shows what it can"),
    "forbidden": (Code.FORBIDDEN, "{own} may not do this; its owner may (--as), or lets you: `node affiliations set`"),
    "gone": (Code.NOT_FOUND, "it was moved, or is gone for good"),
    "internal-server-error": (Code.FAILED, "the service failed; its log says why"),
    "item-not-found": (Code.NOT_FOUND, "{to} has nothing of that name; `xmppbus disco {to}` lists what it has"),
    "jid-malformed": (Code.USAGE, "an address is no JID; mend it"),
    "not-acceptable": (Code.INVALID, "the service does not take these values; `node config get` shows what it takes"),
    "not-allowed": (Code.FORBIDDEN, "{to} does not let {own} do this; ask its operator"),
    "not-authorized": (Code.FORBIDDEN, "{own} may not do this; its owner has to let you in: `node affiliations set`"),
    "policy-violation": (Code.TOO_MANY, "the server's policy refuses it, or it came too fast; try again later"),
    "presence-subscription-required": (Code.FORBIDDEN, "its owner has to let {own} see its presence: `roster add`"),
    "recipient-unavailable": (Code.TIMEOUT, "nobody is there; try again when they are"),
    "registration-required": (Code.FORBIDDEN, "members only; somebody has to make {own} one"),
    "remote-server-not-found": (Code.NOT_CONFIGURED, "the server finds no {to}; is it spelled right?"),
    "remote-server-timeout": (Code.TIMEOUT, "{to} does not answer; try again later"),
    "resource-constraint": (Code.INVALID, "the service does not take these values, or is short of something"),
    "service-unavailable": (Code.NOT_CONFIGURED, "{to} does not know this request, or is not there; `xmppbus disco`"),
    "subscription-required": (Code.FORBIDDEN, "subscribers only: `xmppbus node subscribe`"),
    "unexpected-request": (Code.INVALID, "nothing there to do this with"),
}
_SPECIFIC: dict[str, tuple[Code, str]] = {
    "closed-node": (Code.FORBIDDEN, "the node's access model lets only those in whom its owner names (whitelist)"),
    "invalid-jid": (Code.FORBIDDEN, "only an address of your own can be subscribed"),
    "invalid-options": (Code.INVALID, "the service does not take these options"),
    "invalid-payload": (Code.INVALID, "the node wants another payload"),
    "item-required": (Code.USAGE, "say which item"),
    "max-items-exceeded": (Code.TOO_MANY, "the node is full"),
    "max-nodes-exceeded": (Code.TOO_MANY, "you have as many nodes as the service allows; delete one"),
    "node-required": (Code.USAGE, "say which node"),
    "nodeid-required": (Code.USAGE, "say which node"),
    "not-in-roster-group": (Code.FORBIDDEN, "its owner has to put {own} into a group of the roster"),
    "not-subscribed": (Code.NOT_FOUND, "{own} is not subscribed"),
    "pending-subscription": (Code.CONFLICT, "the subscription still waits for the owner's yes"),
    "presence-subscription-required": _WORDS["presence-subscription-required"],
    "subid-required": (Code.USAGE, "there are several subscriptions; say which with --subid"),
    "too-many-subscriptions": (Code.TOO_MANY, "there are as many subscriptions as the service allows"),
    "unsupported": _WORDS["feature-not-implemented"],
    "unsupported-access-model": (Code.INVALID, "the service has no such access model; `config get` shows those it has"),
}


def explained(error: BusError, about: str, to: str, own: str) -> Refused:
    """An error as a sentence: what was wanted, the stanza's condition and words, and what to do next."""
    if isinstance(error, NoAnswer):
        if error.why is Unanswered.TIMEOUT:
            return Refused(Code.TIMEOUT, f"{about}: {to} does not answer; whether it was done is not known. Look again")
        return Refused(
            Code.CLOSING, f"{about}: the connection to the server was lost; whether it was done is not known"
        )
    if not isinstance(error, ErrorAnswer):
        return error if isinstance(error, Refused) else Refused(Code.INVALID, f"{about}: {error}")
    reply = error.reply
    code, advice = _SPECIFIC.get(reply.specific) or _WORDS.get(reply.name) or _UNKNOWN
    return Refused(code, f"{about}: {advice.format(to=to, own=own)} ({condition_words(reply)})")


def condition_words(reply: ErrorReply) -> str:
    """`feature-not-implemented, unsupported retrieve-affiliations: No such feature`."""
    words = [plain(reply.name)[:100]]
    if reply.specific:
        words.append(f"{plain(reply.specific)[:100]} {plain(reply.feature)[:100]}".strip())
    said = " ".join(plain(reply.text).split())[:300]
    return ", ".join(words) + (f": {said}" if said else "")


def came_back(to: str, error: ErrorReply) -> Refused:
    """A message that came back (RFC 6121 §8.5), in words."""
    return Refused(
        Code.NOT_FOUND, f"{to} did not get it ({condition_words(error)}); is there such an account, and is it there?"
    )
