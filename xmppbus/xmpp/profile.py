"""Who the bot is: vCard (XEP-0054), avatar (XEP-0153, XEP-0084), disco#info and its hash in presence (XEP-0115). Pure.

A component's JID has no storage on the server: all of it is answered by ourselves, to whoever asks the bot's JID. The
XEP-0084 half is answered where it is asked for; without a PEP service nobody is notified of it, so contacts learn of
the avatar by the hash in our presence.
"""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

from xmppbus import limits
from xmppbus.xmpp.answers import DISCO_INFO, DISCO_ITEMS, PING, VERSION, version_query
from xmppbus.xmpp.messages import FEATURES
from xmppbus.xmpp.stanzas import PUBSUB, attribute, element_text, one_line

log = logging.getLogger(__name__)

AVATAR_DATA = "urn:xmpp:avatar:data"
AVATAR_METADATA = "urn:xmpp:avatar:metadata"
CAPS = "http://jabber.org/protocol/caps"
CAPS_NODE = "urn:xmppbus:bot"
TIME = "urn:xmpp:time"
VCARD = "vcard-temp"
VCARD_UPDATE = "vcard-temp:x:update"

_PNG = b"\x89PNG\r\n\x1a\n"
_IDENTITY = ("client", "bot")
OWN = (DISCO_INFO, DISCO_ITEMS, PING, VERSION, TIME, VCARD, CAPS, *FEATURES)
"""What disco says of the bot, whatever else registers."""


class Avatar(NamedTuple):
    """A picture, and the SHA-1 of its bytes in hex: its name everywhere."""

    data: bytes
    sha1: str
    width: int
    height: int

    @property
    def encoded(self) -> str:
        """Base64 on one line."""
        return base64.b64encode(self.data).decode()


def avatar_of(data: bytes) -> Avatar:
    """Raises `ValueError`, with what to do, for what is no PNG or too large."""
    if not data.startswith(_PNG) or len(data) < 24:
        raise ValueError("it is not a PNG file")
    if len(data) > limits.AVATAR_BYTES:
        raise ValueError(f"it has {len(data)} bytes of {limits.AVATAR_BYTES}; make it smaller")
    width, height = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    return Avatar(data, hashlib.sha1(data, usedforsecurity=False).hexdigest(), width, height)


def load_avatar(path: str | None) -> Avatar:
    """The configured one; where that can't be used our own, and the log says why."""
    if path:
        try:
            with Path(path).open("rb") as file:
                return avatar_of(file.read(limits.AVATAR_BYTES + 1))
        except (OSError, ValueError) as error:
            log.warning("bot.avatar_file %s can't be used, the bot has its own picture: %s", path, error)
    return avatar_of(files("xmppbus.xmpp").joinpath("avatar.png").read_bytes())


class Profile:
    """What is told of the bot. `features` may be added to until the first session begins."""

    def __init__(self, title: str, nickname: str, avatar: Avatar, clock: Callable[[], datetime]) -> None:
        self.title = one_line(title)
        self.nickname = one_line(nickname)
        self.description = "Says what happens, and takes commands: write `help`."
        self.avatar = avatar
        self.features = set(OWN)
        self._clock = clock

    def show(self, title: str, avatar: Avatar) -> None:
        """What it is called, and looks like, from now on."""
        self.title, self.avatar = one_line(title), avatar

    @property
    def version(self) -> str:
        """The hash over identity and features (XEP-0115 §5.1): clients ask once for each."""
        return verification(*_IDENTITY, self._name, self.features)

    @property
    def presence(self) -> str:
        """What goes along with each presence: the hashes of capabilities and avatar."""
        return (
            f"<c xmlns='{CAPS}' hash='sha-1' node='{CAPS_NODE}' ver='{self.version}'/>"
            f"<x xmlns='{VCARD_UPDATE}'><photo>{self.avatar.sha1}</photo></x>"
        )

    def answer(self, request: Element) -> str | None:
        """The inside of the result for a request of type get; None where it is no question about the bot."""
        child = next(iter(request), None)
        if child is None or request.get("type") != "get":
            return None
        found = _ANSWERS.get(child.tag)
        return found(self, child) if found else None

    @property
    def _name(self) -> str:
        # `<` separates the parts of the hashed string; XEP-0115 §5.2 warns of it.
        return self.title.replace("<", "")

    def _disco(self, query: Element) -> str | None:
        node = query.get("node", "")
        if node not in ("", f"{CAPS_NODE}#{self.version}"):
            return None
        about = f" node='{attribute(node)}'" if node else ""
        category, kind = _IDENTITY
        features = "".join(f"<feature var='{attribute(each)}'/>" for each in sorted(self.features))
        identity = f"<identity category='{category}' type='{kind}' name='{attribute(self._name)}'/>"
        return f"<query xmlns='{DISCO_INFO}'{about}>{identity}{features}</query>"

    def _items(self, query: Element) -> str | None:
        return None if query.get("node") else f"<query xmlns='{DISCO_ITEMS}'/>"

    def _ping(self, _: Element) -> str:
        return ""

    def _software(self, _: Element) -> str:
        return version_query()

    def _time(self, _: Element) -> str:
        now = self._clock()
        offset = now.strftime("%z") or "+0000"
        utc = now.astimezone(UTC)
        return f"<time xmlns='{TIME}'><tzo>{offset[:3]}:{offset[3:5]}</tzo><utc>{utc:%Y-%m-%dT%H:%M:%S}Z</utc></time>"

    def _vcard(self, _: Element) -> str:
        return (
            f"<vCard xmlns='{VCARD}'><FN>{element_text(self.title)}</FN>"
            f"<NICKNAME>{element_text(self.nickname)}</NICKNAME><DESC>{element_text(self.description)}</DESC>"
            f"<PHOTO><TYPE>image/png</TYPE><BINVAL>{self.avatar.encoded}</BINVAL></PHOTO></vCard>"
        )

    def _pubsub(self, pubsub: Element) -> str | None:
        items = pubsub.find(f"{{{PUBSUB}}}items")
        node = items.get("node", "") if items is not None else ""
        payload = _PAYLOADS.get(node)
        if payload is None:
            return None
        item = f"<item id='{self.avatar.sha1}'>{payload(self.avatar)}</item>"
        return f"<pubsub xmlns='{PUBSUB}'><items node='{node}'>{item}</items></pubsub>"


_ANSWERS: dict[str, Callable[[Profile, Element], str | None]] = {
    f"{{{DISCO_INFO}}}query": Profile._disco,
    f"{{{DISCO_ITEMS}}}query": Profile._items,
    f"{{{PING}}}ping": Profile._ping,
    f"{{{VERSION}}}query": Profile._software,
    f"{{{TIME}}}time": Profile._time,
    f"{{{VCARD}}}vCard": Profile._vcard,
    f"{{{PUBSUB}}}pubsub": Profile._pubsub,
}


def _metadata(avatar: Avatar) -> str:
    size = f"bytes='{len(avatar.data)}' width='{avatar.width}' height='{avatar.height}'"
    return f"<metadata xmlns='{AVATAR_METADATA}'><info id='{avatar.sha1}' type='image/png' {size}/></metadata>"


def _data(avatar: Avatar) -> str:
    return f"<data xmlns='{AVATAR_DATA}'>{avatar.encoded}</data>"


_PAYLOADS: dict[str, Callable[[Avatar], str]] = {AVATAR_METADATA: _metadata, AVATAR_DATA: _data}


def verification(category: str, kind: str, name: str, features: Collection[str]) -> str:
    """XEP-0115's verification string for one identity without a language, hashed with SHA-1."""
    parts = [f"{category}/{kind}//{name}", *sorted(features)]
    hashed = hashlib.sha1("".join(f"{each}<" for each in parts).encode(), usedforsecurity=False)
    return base64.b64encode(hashed.digest()).decode()
