"""The bot's contacts: who sees its presence, whose presence it sees (RFC 6121 §3 and §4).

A component has no roster on the server, so this is one, kept in the journal. In client mode the server has the roster;
what it says is taken over. Wishes are written down before they are answered.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol
from xml.etree.ElementTree import Element

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.people.model import Person
from xmppbus.xmpp.messages import quoted
from xmppbus.xmpp.presence import AWAITED, UNKNOWN, Presence, Presences
from xmppbus.xmpp.replies import ErrorAnswer, NoAnswer
from xmppbus.xmpp.stanzas import element_text, one_line

log = logging.getLogger(__name__)

ROSTER = "jabber:iq:roster"
_GONE = " type='unavailable'/>"
WISHES = frozenset({"subscribe", "subscribed", "unsubscribe", "unsubscribed", "probe"})


class Contact(NamedTuple):
    """Of one bare JID: it is told of our presence; we are told of its."""

    sees_us: bool = False
    shows_us: bool = False


NOBODY = Contact()


class Persons(Protocol):
    """What is kept of persons; the house's `Audience`."""

    def persons(self) -> list[Person]:
        """Everybody of whom something is kept."""

    async def alter(self, jid: str, **changes: Any) -> Person:
        """Change some fields; returns after the commit. `Refused` when there are too many."""


class Line(NamedTuple):
    """How contacts are spoken to. JIDs of ours are empty in client mode."""

    bare: str  # subscriptions are between bare JIDs
    full: str  # presence is of a resource
    send: Callable[[bytes], object]
    room: Callable[[], Awaitable[None]]
    fence: Callable[[int], Awaitable[None]]
    session: Callable[[], int]
    extra: Callable[[], str]  # what goes along with our presence
    may: Callable[[str], bool]  # whether that bare JID is dealt with at all
    knows: Callable[[str], bool]  # whether it may read how things stand
    roster: Callable[[], Awaitable[Element]] | None = None  # client mode: ask the server for it


class Contacts:
    """Entered, it reads what is kept; `begin` is called with every session."""

    def __init__(self, persons: Persons, line: Line) -> None:
        self.presences = Presences()
        self.on_presence: list[Callable[[str, Presence], None]] = []
        self._persons = persons
        self._line = line
        self._known: dict[str, Contact] = {}
        self._asked: set[str] = set()
        self._wishes: dict[tuple[str, str], None] = {}  # JID and type of a presence, in the order of arrival
        self._more = asyncio.Event()
        self._status = ("", "")
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._greeting: asyncio.Task[None] | None = None
        self._is_asking = True  # not everybody who shows us its presence has been asked for it in this session

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._known)

    def listed(self) -> list[tuple[str, Contact]]:
        """All of them, by JID."""
        return sorted(self._known.items())

    @property
    def is_client(self) -> bool:
        """Whether the server has the roster, and tells everybody itself."""
        return self._line.roster is not None

    def open(self) -> None:
        """Read what is kept."""
        for person in [] if self.is_client else self._persons.persons():
            if person.sees_us or person.shows_us:
                self._known[person.jid] = Contact(person.sees_us, person.shows_us)
        self._tasks = [asyncio.create_task(self._work(), name="contacts"),
                       asyncio.create_task(self._keep_saying(), name="status text")]  # fmt: skip

    async def close(self) -> None:
        """Say that we are gone: a server does not say it in a component's place."""
        tasks = [*self._tasks, *([self._greeting] if self._greeting else [])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        try:
            async with asyncio.timeout(limits.CLOSE_SECONDS):
                session = self._line.session()
                await self._broadcast(gone=True)
                await self._line.fence(session)
        except (NoAnswer, TimeoutError):
            pass  # there is no session any more, or the server does not read: they will see it by themselves

    # --- our presence -----------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """A session has begun: say that we are there, and ask who else is."""
        self.presences.clear()
        self._is_asking = True
        if self._greeting is not None:
            self._greeting.cancel()
        self._greeting = asyncio.create_task(self._greet(), name="greeting")

    def changed(self) -> None:
        """What goes along with our presence is another now: everybody who sees it is told."""
        self._changed.set()

    def said(self, text: str, show: str = "") -> None:
        """Our status text from now on; it goes out at once, or when `limits.STATUS_SECONDS` are over."""
        if (text, show) != self._status:
            self._status = (text, show)
            self._changed.set()

    def _available(self, *, knows: bool) -> str:
        """Our presence from the recipient on; the text is for who may read how things stand."""
        text, show = self._status
        inner = f"<show>{element_text(show)}</show>" if show else ""
        inner += f"<status>{element_text(one_line(text))}</status>" if text and knows else ""
        inner += "<priority>0</priority>" if self.is_client else ""
        return f">{inner}{self._line.extra()}</presence>"

    def _show(self, jid: str, *, gone: bool = False) -> None:
        """Tell one JID, or in client mode everybody, that we are there, or gone."""
        rest = _GONE if gone else self._available(knows=self.is_client or self._line.knows(jid))
        self._line.send(f"<presence{_named('from', self._line.full)}{_named('to', jid)}{rest}".encode())

    async def _greet(self) -> None:
        try:
            if self._line.roster is not None:  # having asked, we are also told of wishes (RFC 6121 §2.1.6)
                answer = await self._line.roster()
                self._known.clear()
                for query in answer.findall(f"{{{ROSTER}}}query"):
                    self.take_roster(query)
            showing = [jid for jid, each in self._known.items() if each.shows_us]
            for start in range(0, len(showing), limits.CONTACTS_SLICE):
                await self._line.room()
                for jid in showing[start : start + limits.CONTACTS_SLICE]:
                    self._watch(jid)
                await asyncio.sleep(0)
            self._is_asking = False
            await self._broadcast()
        except NoAnswer:
            if not self._line.session():
                return  # the next one begins anew
        except ErrorAnswer:
            pass  # there is no roster here: nobody's presence will be known
        self._is_asking = False
        await asyncio.sleep(limits.PROBE_SECONDS)
        for jid in self.presences.settle():
            self._tell(jid, self.presences.of(jid))

    def _watch(self, jid: str) -> None:
        self.presences.watch(jid)
        if not self.is_client:
            self._presence("probe", jid)

    async def _broadcast(self, *, gone: bool = False) -> None:
        if self.is_client:
            self._show("", gone=gone)
            return
        head = f"<presence{_named('from', self._line.full)} to='"
        known, unknown = [f"'{_GONE if gone else self._available(knows=each)}" for each in (True, False)]
        knows = self._line.knows
        seeing = [jid for jid, each in self._known.items() if each.sees_us]
        for start in range(0, len(seeing), limits.CONTACTS_SLICE):
            await self._line.room()
            some = seeing[start : start + limits.CONTACTS_SLICE]
            stanzas = [f"{head}{quoted(jid)}{known if knows(jid) else unknown}" for jid in some]
            self._line.send("".join(stanzas).encode())
            await asyncio.sleep(0)  # others have a turn

    async def _keep_saying(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._broadcast()
            except NoAnswer:
                continue  # the next session's greeting says it
            except Exception:  # the house is kept alive: a text is not worth more
                log.exception("the status text could not be sent")
            await asyncio.sleep(limits.STATUS_SECONDS)

    # --- theirs -----------------------------------------------------------------------------------------------------

    def take(self, stanza: Element) -> None:
        """A presence of any type but error that was sent to us."""
        kind = stanza.get("type", "")
        jid = stanza.get("from", "").partition("/")[0]
        if kind in WISHES:
            if self.is_client and kind != "subscribe":
                return  # the server deals with it, and its roster says what came of it
            if jid and self._line.may(jid) and len(self._wishes) < limits.CONTACT_REQUESTS:
                self._wishes[jid, kind] = None
                self._more.set()
        elif kind in ("", "unavailable") and (changed := self.presences.take(stanza)):
            self._tell(*changed)

    def take_roster(self, query: Element) -> None:
        """The server's roster, or a change of it (client mode)."""
        for item in query.findall(f"{{{ROSTER}}}item"):
            jid, how = item.get("jid", ""), item.get("subscription", "none")
            contact = Contact(how in ("from", "both"), how in ("to", "both"))
            is_new = contact.shows_us and not self._known.get(jid, NOBODY).shows_us
            self._set(jid, contact)
            if is_new:
                self._watch(jid)

    def presence_of(self, jid: str) -> Presence:
        """How somebody is; `unknown` where he does not let us see it."""
        if self._is_asking and (self.is_client or self._known.get(jid, NOBODY).shows_us):
            return AWAITED
        return self.presences.of(jid) if self._known.get(jid, NOBODY).shows_us else UNKNOWN

    def _tell(self, jid: str, presence: Presence) -> None:
        for listener in self.on_presence:
            try:
                listener(jid, presence)
            except Exception:  # the house is kept alive: one listener's bug is not the others'
                log.exception("a change of presence could not be dealt with")

    # --- wishes -----------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            wishes, self._wishes = list(self._wishes), {}
            for jid, kind in wishes:
                try:
                    await self._grant(jid, kind)
                except NoAnswer:
                    break  # the session is over: whoever wished it will wish it again
                except Exception:  # the house is kept alive: the next wish may be a better one
                    log.exception("the contacts could not be changed")

    async def _grant(self, jid: str, kind: str) -> None:
        """Write down what changes, then answer."""
        if self.is_client and not self._line.knows(jid):  # the server tells all contacts the same
            self._presence("unsubscribed", jid)
            return
        before = self._known.get(jid, NOBODY)
        after = self._decide(jid, kind, before)
        if after != before:
            most = limits.CONTACTS if self._line.knows(jid) else limits.UNKNOWN_CONTACTS
            try:
                if before == NOBODY and len(self._known) >= most:
                    raise Refused(Code.TOO_MANY, f"there are {len(self._known)} contacts")
                await self._persons.alter(jid, **after._asdict())
            except Refused as refused:
                log.info("%s can't be a contact: %s", jid, refused, extra={"jid": jid})
                if (
                    kind == "subscribe"
                ):  # not for a probe: whoever is subscribed stays so, though it is not written down
                    self._presence("unsubscribed", jid)
                return
            self._set(jid, after)
        await self._line.room()
        self._answer(jid, kind, before, after)

    def invite(self, jid: str) -> None:
        """Ask somebody to let us see its presence. Raises `NoAnswer` without a session."""
        self._presence("subscribe", jid)
        self._asked.add(jid)

    async def dismiss(self, jid: str) -> bool:
        """End it both ways; whether it was a contact. Raises `NoAnswer` without a session."""
        was = self._known.get(jid, NOBODY) != NOBODY
        if was:
            await self._persons.alter(jid, sees_us=False, shows_us=False)
            self._set(jid, NOBODY)
        self._asked.discard(jid)
        for kind in ("unsubscribe", "unsubscribed"):
            self._presence(kind, jid)
        self._show(jid, gone=True)
        return was

    def _decide(self, jid: str, kind: str, before: Contact) -> Contact:
        if kind == "subscribe":
            return before._replace(sees_us=True)
        if kind == "probe":
            # Servers probe for those who are subscribed: whoever is, and is not known here, knew an older journal.
            return before._replace(sees_us=True)
        if kind == "unsubscribe":
            return before._replace(sees_us=False)
        if kind == "subscribed":
            # Only where we have asked; nobody puts himself before our eyes.
            return before._replace(shows_us=before.shows_us or before.sees_us or jid in self._asked)
        return before._replace(shows_us=False)

    def _answer(self, jid: str, kind: str, before: Contact, after: Contact) -> None:
        if kind == "subscribe":
            self._presence("subscribed", jid)
            self._show(jid)
            if not before.sees_us and not after.shows_us and jid not in self._asked:
                self._ask(jid)
        elif kind == "probe":
            self._show(jid)
        elif kind == "unsubscribe":
            self._presence("unsubscribed", jid)
            self._show(jid, gone=True)
        elif kind == "subscribed" and after.shows_us and not before.shows_us:
            self._asked.discard(jid)
            self._watch(jid)

    def _ask(self, jid: str) -> None:
        """Once: somebody who does not want to be seen is not asked again until he has gone and come back."""
        if len(self._asked) < limits.CONTACTS:
            self._asked.add(jid)
        self._presence("subscribe", jid)

    def _set(self, jid: str, contact: Contact) -> None:
        if contact == NOBODY:
            self._known.pop(jid, None)
        else:
            self._known[jid] = contact
        if not contact.shows_us:
            self.presences.forget(jid)
        if not contact.sees_us:
            self._asked.discard(jid)

    def _presence(self, kind: str, jid: str) -> None:
        sender = self._line.full if kind == "probe" else self._line.bare
        self._line.send(f"<presence{_named('from', sender)}{_named('to', jid)} type='{kind}'/>".encode())


def _named(name: str, jid: str) -> str:
    return f" {name}='{quoted(jid)}'" if jid else ""
