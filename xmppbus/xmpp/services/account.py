"""A log-in of its own, for one command or one script: an account, TLS that is checked, and nothing kept up."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable, Iterator
from typing import Self
from xml.etree.ElementTree import Element

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.people.addresses import bare_jid
from xmppbus.xmpp import messages, muc
from xmppbus.xmpp.answers import PING, refusal
from xmppbus.xmpp.component import WORDS
from xmppbus.xmpp.connection import Address, Connection, Ended
from xmppbus.xmpp.pipeline import Pipeline
from xmppbus.xmpp.replies import ErrorAnswer, ErrorReply, NoAnswer, Unanswered, error_of
from xmppbus.xmpp.services.asking import address as prepared
from xmppbus.xmpp.services.asking import came_back, explained, legal
from xmppbus.xmpp.stanzas import attribute

CLIENT_PORT = 5222


class Account:
    """Entered, it is logged in; left, it is logged out. An `Asker`.

    Without `host` the DNS records of the account's domain say where its server is. `ca_file` names who signed the
    server's certificate where the system does not know them.
    """

    is_component = False

    def __init__(self, jid: str, password: str, *, host: str = "", port: int | None = None, ca_file: str = "") -> None:
        """Raises `Refused` for what is no account's JID."""
        full = prepared(jid)
        self.jid, _, resource = full.partition("/")
        if "@" not in self.jid:
            raise Refused(Code.USAGE, f"{jid!r} is not an account such as romeo@example.org")
        if port and not host:
            host = bare_jid(self.jid).rpartition("@")[2]
        resource = resource or f"xmppbus-{uuid.uuid4().hex[:8]}"
        self._address = Address(self.jid, password, host, port or CLIENT_PORT, False, resource, ca_file)
        self._pipeline = Pipeline()
        self._connection: Connection | None = None
        self._listeners: list[Callable[[Element], None]] = []
        self._watch: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Raises `Refused` with what went wrong."""
        self._connection = Connection(self._address, self._take)
        try:
            await self._connection.open()
        except Ended as ended:
            await self._connection.close()
            raise self._refused(ended) from None
        except BaseException:
            await self._connection.close()
            raise
        self._pipeline.open(self._connection.write)
        self._watch = asyncio.create_task(self._until_ended(self._connection), name="account")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])
        self._pipeline.flush()
        self._pipeline.close()
        if self._connection is not None:
            await self._connection.close()

    def _refused(self, ended: Ended) -> Refused:
        where = f"{self._address.host}:{self._address.port}" if self._address.host else self.jid.rpartition("@")[2]
        reason = f" ({ended.text})" if ended.text else ""
        if ended.condition == "not-authorized":
            return Refused(Code.FORBIDDEN, f"the server does not take the password of {self.jid}{reason}")
        if ended.condition == "unreachable":
            text = f"nothing takes clients at {where}{reason}; say where its server is: --host, --port"
            return Refused(Code.CLOSING, text)
        if ended.condition == "tls":
            text = f"the certificate of {where} can't be trusted{reason}; name who signed it: --ca-file"
            return Refused(Code.FORBIDDEN, text)
        words = WORDS.get(ended.condition, f"the server ended the connection: {ended.condition}")
        return Refused(Code.CLOSING, f"{words} at {where}{reason}")

    async def _until_ended(self, connection: Connection) -> None:
        await connection.until_ended()
        self._pipeline.close()

    # --- out ----------------------------------------------------------------------------------------------------------

    async def ask(self, kind: str, to: str, inner: str) -> Element:
        """See `Asker`. Raises `Refused` for what would end the stream."""
        request_id = self._pipeline.new_id()
        stanza = f"<iq type='{kind}' id='{request_id}' to='{attribute(to)}'>{legal(inner, to)}</iq>"
        return await self._pipeline.ask(request_id, stanza.encode(), to)

    def write(self, stanza: bytes) -> None:
        """Send what nobody answers. Raises `NoAnswer`."""
        self._pipeline.write(stanza)

    async def arrived(self) -> None:
        """Return when the server has everything that was written so far (a stream is worked in order)."""
        with contextlib.suppress(ErrorAnswer):
            await self.ask("get", self.jid.rpartition("@")[2], f"<ping xmlns='{PING}'/>")

    async def message(self, to: str, text: str) -> str:
        """Tell somebody something, as a chat message; its id. Raises `Refused` when it comes back."""
        made = str(uuid.uuid4())
        to = prepared(to)
        back: asyncio.Future[ErrorReply] = asyncio.get_running_loop().create_future()

        def look(stanza: Element) -> None:
            is_back = stanza.tag.endswith("}message") and stanza.get("type") == "error" and stanza.get("id") == made
            if is_back and not back.done():
                back.set_result(error_of(stanza))

        with self._listening(look):
            self.write(messages.chat(to=to, sender="", message_id=made, body=text, markable=False, receipt=False))
            await self.arrived()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limits.BOUNCE_SECONDS):
                    await back
        if back.done() and not back.cancelled():
            raise came_back(to, back.result())
        return made

    async def say(self, room: str, text: str, *, nick: str = "", password: str = "") -> str:
        """Enter a room, say something, and leave; its id. Raises `Refused` when the room does not let us."""
        made = str(uuid.uuid4())
        room = prepared(room)
        nick = nick or self.jid.partition("@")[0]
        entered: asyncio.Future[ErrorReply | None] = asyncio.get_running_loop().create_future()
        said: asyncio.Future[ErrorReply | None] = asyncio.get_running_loop().create_future()

        def look(stanza: Element) -> None:
            if stanza.get("from", "").partition("/")[0] != room:
                return
            error = error_of(stanza) if stanza.get("type") == "error" else None
            if stanza.tag.endswith("}presence") and not entered.done():
                codes = muc.seen(stanza).codes
                if muc.CREATED in codes:  # by our coming; it goes when we leave
                    error = ErrorReply("item-not-found", "", "there is no such room")
                if error is not None or muc.SELF in codes:
                    entered.set_result(error)
            elif stanza.tag.endswith("}message") and stanza.get("id") == made and not said.done():
                said.set_result(error)

        with self._listening(look):
            self.write(muc.join(room, nick, sender="", password=password))
            try:
                await self._or_refused(entered, f"{room} does not let {self.jid} in", room)
                stanza = messages.chat(to=room, sender="", message_id=made, body=text, kind="groupchat", markable=False)
                self.write(stanza)
                await self._or_refused(said, f"{room} did not take it", room)
            finally:
                self.write(muc.leave(room, nick, sender=""))
                with contextlib.suppress(NoAnswer):
                    await self.arrived()
        return made

    async def _or_refused(self, answer: asyncio.Future[ErrorReply | None], about: str, room: str) -> None:
        try:
            async with asyncio.timeout(limits.IQ_SECONDS):
                error = await answer
        except TimeoutError:
            raise explained(NoAnswer(Unanswered.TIMEOUT), about, room, self.jid) from None
        if error is not None:
            raise explained(ErrorAnswer(error), about, room, self.jid)

    # --- in -----------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _listening(self, look: Callable[[Element], None]) -> Iterator[None]:
        self._listeners.append(look)
        try:
            yield
        finally:
            self._listeners.remove(look)

    def _take(self, stanza: Element) -> bool:
        if not self._pipeline.is_open:
            return False
        if stanza.tag.endswith("}iq"):
            if stanza.get("type") in ("get", "set"):
                self._pipeline.write(refusal(stanza, ""))
            else:
                self._pipeline.take(stanza)
        for listener in self._listeners:
            listener(stanza)
        return True
