"""The bot's JID on the stream: what it says goes out here, what it hears comes in here; it has contacts and a profile.

As a component it is NAME@COMPONENT, with every resource of it: each incident speaks from one of its own (clients
correct only the last message of the same full JID). In client mode it is the account, with one resource.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol, Self
from xml.etree.ElementTree import Element

from xmppbus import limits
from xmppbus.interfaces import Clock
from xmppbus.options import BotOptions
from xmppbus.xmpp.answers import DISCO_ITEMS, PING, answer, refusal, result
from xmppbus.xmpp.component import Stream
from xmppbus.xmpp.contacts import ROSTER, Contacts, Line, Persons
from xmppbus.xmpp.fence import Fence
from xmppbus.xmpp.messages import Heard, heard, receipt, returned
from xmppbus.xmpp.presence import Presence
from xmppbus.xmpp.profile import Profile, load_avatar
from xmppbus.xmpp.replies import NoAnswer, Unanswered, local_name
from xmppbus.xmpp.stanzas import attribute

log = logging.getLogger(__name__)

MAIN = "xmppbus"
"""The resource of answers and presence; incidents have others."""

Answering = Callable[[Element], bytes | Awaitable[bytes | None] | None]


class Encryption(Protocol):
    """What a talk needs to encrypt; see `xmppbus.xmpp.omemo`. Entered and left with the talk."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc_info: object) -> None: ...

    async def prepare(self, jids: Sequence[str]) -> None:
        """Learn of many at once what sealing for each of them takes; what can't be learnt is left."""

    async def sealed(self, to: str, stanza: bytes) -> bytes:
        """The message as it may be sent to a JID. Raises `NoAnswer`: nothing may be sent now."""

    def say(self, to: str, stanza: bytes) -> None:
        """Send a message that nobody waits for, sealed."""

    def opens(self, stanza: Element, hear: Callable[[Element], None]) -> bool:
        """Whether a message is being decrypted, or is behind one that is; then `hear` is called with it in a while."""

    def reads(self, jid: str) -> bool:
        """Whether what a bare JID encrypts is meant to be read."""

    async def encrypts(self, jid: str) -> bool:
        """Whether what a bare JID is told is encrypted, or is not told at all."""

    def status(self) -> dict[str, Any]:
        """What `xmppbus status` shows."""


class Talk:
    """Made before the stream is entered, entered after it; it is of use whenever there is a session. `persons` is the
    house's `Audience`, open by then: the contacts are kept there.

    Listeners are appended to `on_heard`, `on_presence` and `answers` before it is entered, and are called at once, in
    the order of arrival; none of them may block. What a listener raises is logged, and nobody is answered for it.
    """

    def __init__(self, stream: Stream, options: BotOptions, persons: Persons, *, clock: Clock) -> None:
        self.is_component = stream.options.component is not None
        self.domain = stream.options.jid.lower().rpartition("@")[2]  # the component's, or the account's server's
        self.jid = f"{options.name}@{self.domain}" if self.is_component else stream.options.jid.lower()
        self.profile = Profile(options.title, options.name, load_avatar(options.avatar_file), clock)
        self.on_heard: list[Callable[[Heard], None]] = []  # what is addressed to us; bounces too, as kind `error`
        # Requests to the bot's JID (IQ get and set): the whole answer, or None for what is not one's own.
        self.answers: list[Answering] = []
        # Whether a bare JID is dealt with at all: who may not is not answered.
        self.may_subscribe: Callable[[str], bool] = lambda _: True
        # Whether a bare JID may read how things stand; to the others the presence says nothing of it.
        self.may_know: Callable[[str], bool] = lambda _: True
        self.encryption: Encryption | None = None  # set before the talk is entered
        self.ignored = 0  # forwarded, archived or reflected: never opened
        self._stream = stream
        # The contacts have a better one; in client mode the server answers the first one with who is there, only once.
        stream.presence = b""
        self._fence = Fence(self._ping, lambda: stream.session)
        self.contacts = Contacts(persons, self._line())
        self._answering: set[asyncio.Task[None]] = set()

    def _line(self) -> Line:
        roster = partial(self._stream.ask, "get", self.jid, f"<query xmlns='{ROSTER}'/>")
        return Line(
            bare=self.jid if self.is_component else "",
            full=self.full(),
            send=self.send,
            room=self.room,
            fence=self.fence,
            session=lambda: self._stream.session,
            extra=lambda: self.profile.presence,
            may=self._may,
            knows=self._knows,
            roster=None if self.is_component else roster,
        )

    async def __aenter__(self) -> Self:
        self.contacts.open()
        hooks = self._stream.hooks
        hooks.messages.append(self._heard)
        hooks.errors.append(self._heard)
        hooks.presences.append(self._seen)
        hooks.requests.append(self._requested)
        hooks.begun.append(self._begun)
        if self._stream.session:
            self._begun(self._stream.session)
        if self.encryption is not None:
            await self.encryption.__aenter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self.encryption is not None:
            await self.encryption.__aexit__(*exc_info)
        hooks = self._stream.hooks
        hooks.begun.remove(self._begun)
        hooks.requests.remove(self._requested)
        hooks.presences.remove(self._seen)
        hooks.errors.remove(self._heard)
        hooks.messages.remove(self._heard)
        for task in self._answering:
            task.cancel()
        await self.contacts.close()
        await self._fence.close()

    def _may(self, jid: str) -> bool:
        return self.may_subscribe(jid)

    def _knows(self, jid: str) -> bool:
        return self.may_know(jid)

    # --- out --------------------------------------------------------------------------------------------------------

    @property
    def session(self) -> int:
        """The number of the stream's session; 0 while there is none."""
        return self._stream.session

    @property
    def on_presence(self) -> list[Callable[[str, Presence], None]]:
        """Called with a bare JID that shows us its presence, and how it is now, whenever that changes."""
        return self.contacts.on_presence

    def full(self, resource: str = MAIN) -> str:
        """Our full JID with that resource, to send from; empty in client mode, whose server fills in the only one."""
        return f"{self.jid}/{resource}" if self.is_component else ""

    async def ready(self) -> None:
        """Return when there is a session."""
        await self._stream.ready()

    def send(self, stanza: bytes, session: int | None = None) -> int:
        """Write a stanza; the number of the session in which it was. With `session` only if it still is that one.

        Raises `NoAnswer`. Of a series, await `room()` before each, and `fence(session)` behind the last.
        """
        now = self._stream.session
        if not now or session not in (None, now):
            raise NoAnswer(Unanswered.DISCONNECTED)
        if self._fence.unacknowledged >= limits.TALK_MOST_BYTES:
            raise NoAnswer(Unanswered.TIMEOUT)
        self._stream.pipeline.write(stanza)
        self._fence.wrote(len(stanza))
        return now

    async def prepare(self, jids: Sequence[str]) -> None:
        """Before many bare JIDs are told something: what encrypting for them takes is learnt of all at once."""
        if self.encryption is not None:
            await self.encryption.prepare(jids)

    async def sealed(self, to: str, stanzas: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """Messages to a JID as they may be sent: encrypted, where that is switched on. Raises `NoAnswer`."""
        encryption = self.encryption
        return stanzas if encryption is None else tuple([await encryption.sealed(to, each) for each in stanzas])

    def say(self, to: str, stanza: bytes) -> None:
        """Send a message that nobody waits for, encrypted where that is switched on. Raises `NoAnswer`."""
        if self.encryption is None:
            self.send(stanza)
        else:
            self.encryption.say(to, stanza)

    def reads(self, jid: str) -> bool:
        """Whether what a bare JID encrypts is meant to be read."""
        return self.encryption is not None and self.encryption.reads(jid)

    async def room(self) -> None:
        """Return when the server keeps up with what is written. Raises `NoAnswer` when it does not."""
        await self._fence.room()

    async def fence(self, session: int) -> None:
        """Return when everything written so far is with the server: in the recipients' sessions, in offline storage,
        or on its way to their servers.

        `session` is the one in which it was written, as `send` says. Raises `NoAnswer` when that is over or the server
        does not answer: then nobody knows.
        """
        await self._fence.wait(session)

    async def _ping(self) -> Element:
        # A component pings itself: the server hands the request back, in order. For an account its server answers.
        return await self._stream.ask("get", self.domain, f"<ping xmlns='{PING}'/>")

    def said(self, text: str, show: str = "") -> None:
        """The status text from now on, and `away`, `xa`, `dnd` or `chat`; it goes out to everybody who sees us, at
        most once in `limits.STATUS_SECONDS`."""
        self.contacts.said(text, show)

    def take(self, options: BotOptions) -> None:
        """Be called and look like these options say from now on; contacts are told."""
        self.profile.show(options.title, load_avatar(options.avatar_file))
        self.contacts.changed()

    def presence_of(self, jid: str) -> Presence:
        """How a bare JID is; `unknown` where it does not let us see it, or was not heard of yet."""
        return self.contacts.presence_of(jid)

    def shows_corrections(self, jid: str) -> bool:
        """Whether a correction (XEP-0308) is shown by every client that a bare JID is seen with."""
        return self.contacts.presences.shows_corrections(jid)

    def shows_tables(self, full: str) -> bool:
        """Whether the client of a full JID shows a form with a table (XEP-0004 §3.4)."""
        return self.contacts.presences.shows_tables(full)

    def status(self) -> dict[str, Any]:
        """What `xmppbus status` shows."""
        return {
            "jid": self.jid,
            "contacts": self.contacts.count,
            "online": self.contacts.presences.online,
            "unacknowledged_bytes": self._fence.unacknowledged,
            "answering": len(self._answering),
            "ignored": self.ignored,
            "encryption": self.encryption.status() if self.encryption is not None else None,
        }

    # --- in ---------------------------------------------------------------------------------------------------------

    def _begun(self, _: int) -> None:
        self.contacts.begin()

    def _is_for_us(self, stanza: Element) -> bool:
        """All resources of ours are; and in client mode whatever the server gives us."""
        return not self.is_component or stanza.get("to", "").partition("/")[0] == self.jid

    def _is_ours(self, stanza: Element) -> bool:
        """From within our own domain (a component's is all ours), or another client of our account."""
        sender = stanza.get("from", "").partition("/")[0]
        return sender.rpartition("@")[2] == self.domain if self.is_component else sender in ("", self.jid)

    def _heard(self, stanza: Element) -> None:
        if local_name(stanza) != "message":
            return
        if not self._is_for_us(stanza):
            self._send_back(stanza)
        elif self._is_ours(stanza):
            self.ignored += 1
        elif not self._opens(stanza):
            self._hear(stanza)

    def _send_back(self, stanza: Element) -> None:
        """Nobody but the bot lives at a component's domain; who writes to another name there is told so, by an error
        (RFC 6121 §8.5.1), which nothing answers."""
        message = None if self._is_ours(stanza) else heard(stanza)
        is_typed = message is not None and message.kind in ("chat", "normal") and message.body
        if message is not None and is_typed and not message.is_automatic:
            self._write(returned(message, f"nobody is here; write to {self.jid}"))

    def _opens(self, stanza: Element) -> bool:
        """Nothing of somebody who is not dealt with is decrypted."""
        sender = stanza.get("from", "").partition("/")[0]
        return self.encryption is not None and self.may_subscribe(sender) and self.encryption.opens(stanza, self._hear)

    def _hear(self, stanza: Element) -> None:
        message = heard(stanza)
        if message is None:
            self.ignored += 1
            return
        for listener in self.on_heard:
            try:
                listener(message)
            except Exception:  # the house is kept alive: one listener's bug is not the others'
                log.exception("a message could not be dealt with")
        if message.asks_receipt:
            self._acknowledge(message)

    def _acknowledge(self, message: Heard) -> None:
        """XEP-0184: for what somebody has just typed to us; nothing is held up for it."""
        is_plain = message.kind in ("chat", "normal") and not (message.is_delayed or message.is_private)
        if not message.id or not is_plain or message.received or not self.may_subscribe(message.bare):
            return
        if self._fence.unacknowledged < limits.TALK_BYTES:
            sender = message.to if self.is_component else ""
            self._write(receipt(to=message.sender, sender=sender, of=message.id))

    def _seen(self, stanza: Element) -> None:
        if self._is_for_us(stanza) and not self._is_ours(stanza):
            self.contacts.take(stanza)

    def _requested(self, request: Element) -> bool:
        asker = request.get("from", "").partition("/")[0]
        if self.is_component and request.get("to") == self.domain:
            return self._about_the_domain(request)
        if not self._is_for_us(request):
            return False
        if not self.is_component and asker in ("", self.jid):
            return self._from_our_account(request)
        if not self.may_subscribe(asker):
            self._write(refusal(request, self.jid))
        else:
            self._ask_all(iter(self.answers), request)
        return True

    def _about_the_domain(self, request: Element) -> bool:
        """The component's domain has one item, the bot (XEP-0030 §4)."""
        query = request.find(f"{{{DISCO_ITEMS}}}query")
        if query is None or query.get("node") or request.get("type") != "get":
            return False
        item = f"<item jid='{attribute(self.jid)}' name='{attribute(self.profile.title)}'/>"
        self._write(result(request, self.domain, f"<query xmlns='{DISCO_ITEMS}'>{item}</query>"))
        return True

    def _from_our_account(self, request: Element) -> bool:
        """Changes of the roster (RFC 6121 §2.1.6), which only our own server may send."""
        query = request.find(f"{{{ROSTER}}}query")
        if query is None or request.get("type") != "set":
            return False
        self.contacts.take_roster(query)
        self._write(result(request, "", ""))
        return True

    def _ask_all(self, listeners: Iterator[Answering], request: Element) -> None:
        """Whoever answers first; the others are not asked. What takes time goes on in a task."""
        for listener in listeners:
            try:
                found = listener(request)
            except Exception:  # the house is kept alive, and a request has to be answered (RFC 6120 §8.2.3)
                log.exception("a request could not be dealt with")
                found = refusal(request, self.jid, "internal-server-error")
            if isinstance(found, bytes):
                self._write(found)
                return
            if found is not None:
                self._wait_for(found, listeners, request)
                return
        inner = self.profile.answer(request)
        own = self.jid if self.is_component else ""
        self._write(answer(request, own) if inner is None else result(request, own, inner))

    def _wait_for(self, found: Awaitable[bytes | None], listeners: Iterator[Answering], request: Element) -> None:
        if len(self._answering) >= limits.REQUESTS_AT_ONCE:
            _drop(found)
            self._write(refusal(request, self.jid, "resource-constraint", "wait"))
            return
        task = asyncio.create_task(self._finish(found, listeners, request), name="answering a request")
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _finish(self, found: Awaitable[bytes | None], listeners: Iterator[Answering], request: Element) -> None:
        try:
            answered = await found
        except Exception:  # the same
            log.exception("a request could not be dealt with")
            answered = refusal(request, self.jid, "internal-server-error")
        if answered is None:
            self._ask_all(listeners, request)
        else:
            self._write(answered)

    def _write(self, stanza: bytes) -> None:
        """Answer somebody; not when there is no session any more, or the server reads nothing."""
        if self._fence.unacknowledged < limits.TALK_MOST_BYTES:
            try:
                self._stream.pipeline.write(stanza)
            except NoAnswer:
                return
            self._fence.wrote(len(stanza))


def _drop(found: Awaitable[object]) -> None:
    """A coroutine that will not be awaited has to be closed."""
    close = getattr(found, "close", None)
    if close is not None:
        close()
