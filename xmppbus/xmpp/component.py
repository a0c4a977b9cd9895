"""The one stream to the server: kept up by a supervisor, shared by everybody who publishes or talks.

XEP-0114 (a component) or a client's account, by the options. Whoever uses it waits for `ready()`, then sends through
`pipeline`; an answer, or its absence, comes back for every request.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Self
from xml.etree.ElementTree import Element

from xmppbus import limits
from xmppbus.options import XmppOptions
from xmppbus.retry import Dice, Retry
from xmppbus.xmpp.answers import PING, answer
from xmppbus.xmpp.connection import Address, Connection, Ended, unreachable
from xmppbus.xmpp.hooks import Hooks
from xmppbus.xmpp.pipeline import Answer, Pipeline
from xmppbus.xmpp.replies import ErrorAnswer, NoAnswer, local_name
from xmppbus.xmpp.split import Seen, SplitCheck
from xmppbus.xmpp.stanzas import attribute

log = logging.getLogger("xmppbus.xmpp")


class State(enum.StrEnum):
    """How the stream is."""

    CONNECTING = "connecting"  # an attempt is under way
    UP = "up"  # in session
    BACKOFF = "backoff"  # the last attempt failed, the next one comes
    REFUSED = "refused"  # the server does not take our name or our secret: tried again slowly
    CONFLICT = "conflict"  # another connection holds our address
    SPLIT = "split"  # another holds it beside us, and is older: we have stepped down
    CLOSED = "closed"  # the house is being left


_STATES = {
    "not-authorized": State.REFUSED,
    "host-unknown": State.REFUSED,
    "invalid-namespace": State.REFUSED,
    "tls": State.REFUSED,
    "conflict": State.CONFLICT,
    "split": State.SPLIT,
}
WORDS = {
    "not-authorized": "the server does not take our secret",
    "host-unknown": "the server knows no such component or domain",
    "conflict": "another connection holds our address",
    "split": "another, older holder shares our address; we have stepped down",
    "unreachable": "no connection to the server",
    "bug": "the bus itself failed; please report what its log says",
    "tls": "the server's certificate can't be trusted",
    "timeout": "the server takes too long to let us in",
}
_BACKOFF = Retry(limits.CONNECT_FIRST_SECONDS, limits.CONNECT_MOST_SECONDS)


CONFLICTS_AT_ONCE = 2


def address_of(options: XmppOptions, secret: str) -> Address:
    """Whom to connect to, and as whom."""
    return Address(
        options.jid.lower(),
        secret,
        options.host,
        options.server_port,
        options.component is not None,
        options.resource,
        options.ca_file or "",
    )


class Stream:
    """The stream. Entered, it connects and keeps itself up; left, it closes."""

    def __init__(self, options: XmppOptions, secret: str, *, dice: Dice) -> None:
        self.options = options
        self.service = options.service.lower()
        self.pipeline = Pipeline()
        self.session = 0  # the number of the present session; 0 while there is none
        self.state = State.CONNECTING
        self._said: tuple[State, str] | None = None  # in the log, once for as long as it stays so
        self.reason = ""
        self.warning = ""  # what is odd though it is up
        self.hooks = Hooks()
        self.presence = b"<presence><priority>-1</priority></presence>"  # an account's first one: no messages, please
        self._address = address_of(options, secret)
        self._dice = dice
        self._since = datetime.now(UTC)
        self._attempts = 0
        self._sessions = 0
        self._up = asyncio.Event()
        self._changed = asyncio.Event()  # the secret
        self._connection: Connection | None = None
        self._split: SplitCheck | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def sender(self) -> str:
        """What `from` must say: our JID as a component; nothing as a client, whose server fills it in."""
        return self._address.jid if self._address.is_component else ""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._supervise(), name="xmpp stream")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def take_secret(self, secret: str) -> None:
        """Log in with this one from now on; without a session at once."""
        if secret != self._address.secret:
            self._address = self._address._replace(secret=secret)
            self._changed.set()

    async def ready(self) -> None:
        """Return when there is a session."""
        await self._up.wait()

    def status(self) -> dict[str, Any]:
        """What `xmppbus status` shows."""
        shown = {
            "state": str(self.state),
            "reason": self.reason or self.warning,
            "since": self._since.isoformat(timespec="milliseconds"),
            "mode": "component" if self._address.is_component else "account",
            "jid": self._connection.jid if self._connection and self.session else self._address.jid,
            "host": self._address.host,
            "port": self._address.port,
            "pubsub_service": self.service,
            "attempts": self._attempts,
            "sessions": self._sessions,
            "in_flight": self.pipeline.in_flight,
        }
        if not self._address.is_component:
            shown["limits"] = (
                "an account: the server may slow it down (Prosody and ejabberd do by default), and it has one resource"
            )
        return shown

    async def ask(self, kind: str, to: str, inner: str, *, sender: str = "") -> Element:
        """Send an IQ of control traffic (`kind` is get or set) and return its result. `sender` is another JID of ours.

        Raises `ErrorAnswer` with the condition, or `NoAnswer`.
        """
        return await self.pipeline.ask(*self._iq(kind, to, inner, sender), to)

    def _iq(self, kind: str, to: str, inner: str, sender: str = "") -> tuple[str, bytes]:
        request_id = self.pipeline.new_id()
        own = sender or self.sender
        sender = f" from='{attribute(own)}'" if own else ""
        return request_id, f"<iq type='{kind}' id='{request_id}'{sender} to='{attribute(to)}'>{inner}</iq>".encode()

    # --- the supervisor ---------------------------------------------------------------------------------------------

    async def _supervise(self) -> None:
        failures = 0  # in a row, and of one sort: a server that is coming up has been away, and deserves no slow one
        ended: Ended | None = None
        try:
            while True:
                self._enter(State.CONNECTING, self.reason)
                self._attempts += 1
                was_away = ended is not None and ended.condition == "unreachable"
                try:
                    ended, was_good = await self._attempt(ended)
                except Exception as error:  # the house is kept alive: a bug here must not leave it without a stream
                    log.exception("%s: the stream failed", self._address.jid)
                    ended, was_good = self._end_session(Ended("bug", f"{type(error).__name__}: {error}")), False
                failures = 1 if was_good or was_away != (ended.condition == "unreachable") else failures + 1
                self._changed.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._pause(ended.condition, failures)):
                        await self._changed.wait()
        finally:
            self._enter(State.CLOSED, "")

    async def _attempt(self, last: Ended | None) -> tuple[Ended, bool]:
        """Why it ended, and whether it was a session that lasted, or did its work."""
        begun = asyncio.get_running_loop().time()
        # A stream of slixmpp's costs 40 ms, in which nobody else is served: not for a port that is closed.
        if last and last.condition == "unreachable" and (closed := await unreachable(self._address)):
            return self._end_session(closed), False
        ended, was_up = await self._live()
        lasted = asyncio.get_running_loop().time() - begun >= limits.SESSION_LASTED_SECONDS
        return ended, was_up and (lasted or self.pipeline.answers >= limits.SESSION_ANSWERS)

    def _end_session(self, ended: Ended) -> Ended:
        """Say why; whatever is in flight is unanswered from now on."""
        self.session = 0
        self._up.clear()
        self.pipeline.close()
        reason = "; ".join(filter(None, (WORDS.get(ended.condition, ended.condition), ended.text)))
        self._enter(_STATES.get(ended.condition, State.BACKOFF), reason)
        return ended

    def _pause(self, condition: str, failures: int) -> float:
        """Seconds until the next attempt; slow where it costs the server something, quick where nobody listens."""
        seconds = _BACKOFF.decide(failures, self._dice)
        if condition == "unreachable":
            return min(seconds, limits.UNREACHABLE_MOST_SECONDS)
        # The first conflicts may be with our own last connection, which the server has not seen the end of yet.
        slow = self.state in (State.REFUSED, State.SPLIT) or (
            self.state is State.CONFLICT and failures > CONFLICTS_AT_ONCE
        )
        return max(seconds, limits.REFUSED_SECONDS) if slow else seconds

    async def _live(self) -> tuple[Ended, bool]:
        """One connection, from the attempt to its end: why it ended, and whether there was a session."""
        connection = self._connection = Connection(self._address, self._take)
        self._split = SplitCheck(self._address.jid) if self._address.is_component else None
        was_up = False
        try:
            await connection.open()
            self.pipeline.open(connection.write)
            await self._settle_in(connection)
            was_up = True
            self._begin_session()
            return self._end_session(await self._stay(connection)), True
        except Ended as ended:
            return self._end_session(ended), was_up
        except NoAnswer:
            return self._end_session(await connection.until_ended()), was_up
        finally:
            self.session = 0
            self._up.clear()
            self.pipeline.close()
            await asyncio.shield(connection.close())

    def _begin_session(self) -> None:
        self._sessions += 1
        self.session = self._sessions
        self._enter(State.UP, "")
        self._up.set()
        self.hooks.begin(self.session)

    async def _settle_in(self, connection: Connection) -> None:
        """Before anything is published: are we alone? A client says that it is there."""
        if self._split is None:
            self.pipeline.write(self.presence)
            return
        await self._while_up(connection, self._check_split)

    async def _stay(self, connection: Connection) -> Ended:
        """Look after the session until it ends."""
        checks = [asyncio.create_task(self._watched(connection, self._ping(connection)))]
        if self._split is not None:
            checks.append(asyncio.create_task(self._watched(connection, self._keep_checking_split())))
        try:
            return await connection.until_ended()
        finally:
            for check in checks:
                check.cancel()
            await asyncio.wait(checks)

    async def _watched(self, connection: Connection, check: Awaitable[None]) -> None:
        """A check whose failure ends the session: without it a dead or shared connection would stay unnoticed."""
        try:
            await check
        except Exception as error:  # the house is kept alive: the next session begins with fresh checks
            log.exception("%s: a check of the stream failed", self._address.jid)
            connection.end("bug", f"{type(error).__name__}: {error}")

    async def _while_up(self, connection: Connection, what: Callable[[], Awaitable[None]]) -> None:
        """Do something that makes sense only as long as the connection lasts; raises `Ended` when it does not."""
        work = asyncio.ensure_future(what())
        end = asyncio.ensure_future(connection.until_ended())
        try:
            await asyncio.wait((work, end), return_when=asyncio.FIRST_COMPLETED)
            if end.done():
                raise end.result()
            await work
        finally:
            work.cancel()
            end.cancel()
            await asyncio.wait((work, end))

    async def _check_split(self) -> None:
        """Send nonces and wait until they are all back, or for a short while after what was sent behind them."""
        assert self._split is not None  # noqa: S101  # for the type checker
        busy = self.pipeline.in_flight > 0
        self.pipeline.write(self._split.nonces())
        if busy:
            # A stream is worked in order: on a slow server the nonces stand behind publishes until this is answered.
            with contextlib.suppress(ErrorAnswer, NoAnswer):
                await self.ask("get", self.service, f"<ping xmlns='{PING}'/>")
        lost = await self._split.wait()
        warning = f"{lost} of {limits.SPLIT_NONCES} stanzas to ourselves went elsewhere: another holds our address"
        self.warning = warning if lost else ""
        if lost:
            log.warning("%s: %s", self._address.jid, self.warning)

    async def _keep_checking_split(self) -> None:
        while True:
            await asyncio.sleep(limits.SPLIT_SECONDS)
            with contextlib.suppress(NoAnswer):  # the session has just ended, which its own watch says
                await self._check_split()

    async def _ping(self, connection: Connection) -> None:
        """Notice a connection that is open and dead: anything at all that arrives counts as a sign of life."""
        own = self._address.jid if self._address.is_component else self._address.jid.partition("@")[2]
        while True:
            await asyncio.sleep(limits.PING_SECONDS)
            before = connection.received
            with contextlib.suppress(NoAnswer):
                for to in (own, self.service):
                    request_id, stanza = self._iq("get", to, f"<ping xmlns='{PING}'/>")
                    self.pipeline.send(request_id, stanza, to, _ignore)
            await asyncio.sleep(limits.PING_DEADLINE_SECONDS)
            if connection.received == before:
                connection.end("timeout", "nothing came back for too long: the connection is dead")

    def _enter(self, state: State, reason: str) -> None:
        if (state, reason) == (self.state, self.reason):
            return
        if State.UP in (state, self.state):
            self._since = datetime.now(UTC)
        self.state, self.reason = state, reason
        if state is State.CONNECTING:
            return  # an attempt every few seconds is no news: how it ends is said
        is_said, self._said = (state, reason) == self._said, (state, reason)
        level = logging.INFO if state in (State.UP, State.CLOSED) else logging.WARNING
        why = f": {reason}" if reason else ""
        log.log(logging.DEBUG if is_said else level, "%s is %s%s", self._address.jid, state, why)

    # --- what arrives -----------------------------------------------------------------------------------------------

    def _take(self, stanza: Element) -> bool:
        """Deal with a stanza; whether slixmpp need not see it."""
        kind = stanza.get("type")
        if stanza.tag.endswith("}iq"):
            return self._take_iq(stanza, kind)
        if not self.pipeline.is_open or local_name(stanza) not in ("message", "presence"):
            return False
        is_message = local_name(stanza) == "message"
        if kind == "error":  # never answered
            self.hooks.tell(self.hooks.errors, stanza)
        elif is_message and self._split is not None and stanza.get("from") == self._address.jid:
            self._see(self._split, stanza)
        else:
            listeners = self.hooks.messages if is_message else self.hooks.presences
            self.hooks.hear(listeners, stanza, is_up=self.session > 0)
        return True

    def _take_iq(self, stanza: Element, kind: str | None) -> bool:
        if not self.pipeline.is_open:
            return False  # the log-in is slixmpp's
        # A request to ourselves comes back as it is: that, too, is an answer, for it has been to the server.
        if not self.pipeline.take(stanza) and kind in ("get", "set") and not self.hooks.answer(stanza):
            self.pipeline.write(answer(stanza, self.sender))
        return True

    def _see(self, split: SplitCheck, message: Element) -> None:
        seen = split.see(message)
        if seen is Seen.YOUNGER:
            self.warning = "another, younger holder shares our address; it has to step down"
            log.warning("%s: %s", self._address.jid, self.warning)
            self.pipeline.write(split.announcement() * limits.SPLIT_NONCES)
        elif seen is Seen.OLDER and self._connection is not None:
            self._connection.end("split", "")


def _ignore(_: Any, __: Answer) -> None:
    """Whatever it is, it has arrived."""
