"""A person who owns a room (XEP-0045), from outside: makes it, and does to its occupants what owners do."""

from __future__ import annotations

from uuid import uuid4
from xml.sax.saxutils import escape, quoteattr

from tests.support.administrator import ROOMS
from tests.support.raw import RawStream
from tests.support.raw_xml import Stanza

MUC = "http://jabber.org/protocol/muc"
MUC_USER = f"{MUC}#user"
DATA = "jabber:x:data"
CORRECTION = "urn:xmpp:message-correct:0"


class RoomOwner:
    """A logged in client, and the rooms it makes; `nick` is what it is called there."""

    def __init__(self, stream: RawStream, nick: str = "owner") -> None:
        self.stream = stream
        self.nick = nick

    async def make(self, name: str = "", **options: str) -> str:
        """A new room, configured (`moderatedroom="1"`); its bare JID."""
        room = f"{name or 'room'}-{uuid4().hex[:12]}@{ROOMS}"
        await self.join(room)
        await self.configure(room, **options)
        return room

    async def join(self, room: str) -> None:
        """Enter a room, without its history."""
        self.stream.write(
            f"<presence to='{room}/{self.nick}'><x xmlns='{MUC}'><history maxstanzas='0'/></x></presence>"
        )
        await self.stream.until(lambda: self.sees(room, self.nick))

    def leave(self, room: str) -> None:
        """Leave it."""
        self.stream.write(f"<presence to='{room}/{self.nick}' type='unavailable'/>")

    async def configure(self, room: str, **options: str) -> None:
        """Set options of it, named without `muc#roomconfig_`."""
        fields = {"FORM_TYPE": f"{MUC}#roomconfig"} | {f"muc#roomconfig_{name}": each for name, each in options.items()}
        inner = "".join(f"<field var='{name}'><value>{escape(each)}</value></field>" for name, each in fields.items())
        form = f"<x xmlns='{DATA}' type='submit'>{inner}</x>"
        await self.stream.iq("set", room, f"<query xmlns='{MUC}#owner'>{form}</query>")

    async def give(self, room: str, *, nick: str = "", role: str = "", jid: str = "", affiliation: str = "") -> None:
        """A role to a nick (`none`: out with him), or an affiliation to a JID (`outcast`: never again)."""
        whom = f"nick={quoteattr(nick)} role='{role}'" if nick else f"jid={quoteattr(jid)} affiliation='{affiliation}'"
        item = f"<item {whom}><reason>by the test</reason></item>"
        await self.stream.iq("set", room, f"<query xmlns='{MUC}#admin'>{item}</query>")

    async def destroy(self, room: str, venue: str = "") -> None:
        """Destroy it; it may go on elsewhere."""
        goes_on = f" jid='{venue}'" if venue else ""
        inner = f"<destroy{goes_on}><reason>by the test</reason></destroy>"
        await self.stream.iq("set", room, f"<query xmlns='{MUC}#owner'>{inner}</query>")

    def say(self, room: str, text: str) -> None:
        """Say something to everybody."""
        self.stream.write(f"<message type='groupchat' to='{room}' id='{uuid4()}'><body>{escape(text)}</body></message>")

    def invite(self, room: str, jid: str, password: str = "") -> None:
        """A mediated invitation."""
        inner = f"<invite to='{jid}'><reason>come in</reason></invite>"
        inner += f"<password>{escape(password)}</password>" if password else ""
        self.stream.write(f"<message to='{room}'><x xmlns='{MUC_USER}'>{inner}</x></message>")

    def invite_directly(self, room: str, jid: str) -> None:
        """A direct one (XEP-0249)."""
        self.stream.write(f"<message to='{jid}'><x xmlns='jabber:x:conference' jid='{room}'/></message>")

    # --- what has arrived ---

    def presences(self, room: str, nick: str) -> list[Stanza]:
        """Of an occupant, in order."""
        return [
            each for each in self.stream.stanzas if each.name == "presence" and each.get("from") == f"{room}/{nick}"
        ]

    def sees(self, room: str, nick: str) -> bool:
        """Whether an occupant is there now."""
        found = self.presences(room, nick)
        return bool(found) and not found[-1].get("type")

    def said(self, room: str, nick: str = "bot") -> list[Stanza]:
        """What somebody has said, in order."""
        return [
            each
            for each in self.stream.stanzas
            if each.name == "message" and each.get("type") == "groupchat" and each.get("from") == f"{room}/{nick}"
        ]

    def bodies(self, room: str, nick: str = "bot") -> list[str]:
        """The same as text."""
        return [each.element.findtext("{jabber:client}body") or "" for each in self.said(room, nick)]

    def declined(self, room: str) -> list[str]:
        """The reasons of declined invitations."""
        found = [each.find(MUC_USER, "decline") for each in self.stream.stanzas if each.get("from") == room]
        return [each.findtext(f"{{{MUC_USER}}}reason") or "" for each in found if each is not None]
