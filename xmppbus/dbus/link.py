"""A connection to a message bus that is made again when it is lost, and what can be done with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

from dbus_fast import DBusError, Message, MessageFlag, MessageType
from dbus_fast.aio import MessageBus
from dbus_fast.errors import AuthError, DBusFastError

from xmppbus import limits
from xmppbus.dbus.values import Signal
from xmppbus.retry import Dice, Retry

log = logging.getLogger("xmppbus.dbus")

_AGAIN = Retry(limits.DBUS_FIRST_SECONDS, limits.DBUS_MOST_SECONDS)
_DAEMON = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")
_PROPERTIES = "org.freedesktop.DBus.Properties"


class Failed(Exception):
    """The other side's error, or none in time."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}" if text else name)
        self.name = name


LOST = (OSError, EOFError, DBusFastError, DBusError, Failed, TimeoutError)
"""What is raised where the connection is lost, or the other side says no."""


class Session:
    """One connection. `on_signal` is called for each signal, in order; `on_call` answers calls of our object."""

    def __init__(self, bus: MessageBus) -> None:
        self._bus = bus
        self.unique_name: str = bus.unique_name or ""
        self.on_signal: Callable[[Signal], None] | None = None
        self.on_call: Callable[[Call], bool] | None = None
        bus.add_message_handler(self._take)

    async def call(
        self, destination: str, path: str, interface: str, member: str, signature: str = "", *body: Any
    ) -> list[Any]:
        """What a method returns. Raises `Failed`."""
        message = Message(destination, path, interface, member, signature=signature, body=list(body))
        try:
            async with asyncio.timeout(limits.DBUS_CALL_SECONDS):
                reply = await self._bus.call(message)
        except TimeoutError:
            raise Failed("timeout", f"{destination} does not answer") from None
        if reply.message_type is MessageType.ERROR:
            raise Failed(reply.error_name or "", str(reply.body[0]) if reply.body else "")
        return list(reply.body)

    async def ask(self, member: str, signature: str = "", *body: Any) -> list[Any]:
        """The bus itself."""
        return await self.call(*_DAEMON, member, signature, *body)

    async def properties(self, destination: str, path: str, interface: str) -> dict[str, Any]:
        """All of an object's interface, still as variants. Raises `Failed`."""
        found: dict[str, Any]
        (found,) = await self.call(destination, path, _PROPERTIES, "GetAll", "s", interface)
        return found

    async def match(self, rule: str) -> None:
        """Have signals that are like a rule."""
        await self.ask("AddMatch", "s", rule)

    async def owner(self, name: str) -> str:
        """Who owns a name now; empty when nobody does."""
        try:
            (found,) = await self.ask("GetNameOwner", "s", name)
        except Failed:
            return ""
        return str(found)

    async def own(self, name: str) -> bool:
        """Ask for a name; False when another has it, and we are next. Raises `Failed` if the policy is against it."""
        (answer,) = await self.ask("RequestName", "su", name, 0)
        return answer in (1, 4)  # primary owner, already owner

    async def emit(self, path: str, interface: str, member: str, signature: str, *body: Any) -> None:
        """A signal to whoever wants it."""
        await self._bus.send(Message.new_signal(path, interface, member, signature, list(body)))

    def _take(self, message: Message) -> bool:
        if message.message_type is MessageType.SIGNAL:
            if self.on_signal:
                self.on_signal(
                    Signal(
                        message.sender or "",
                        message.path or "",
                        message.interface or "",
                        message.member or "",
                        message.body,
                    )
                )
        elif message.message_type is MessageType.METHOD_CALL and self.on_call:
            return self.on_call(Call(self._bus, message))
        return False


class Call:
    """A method that somebody calls on us."""

    def __init__(self, bus: MessageBus, message: Message) -> None:
        self._bus = bus
        self._message = message
        self.path, self.interface, self.member = message.path or "", message.interface or "", message.member or ""
        self.signature: str = message.signature
        self.body: list[Any] = message.body

    def answer(self, signature: str, *body: Any) -> None:
        """A result."""
        self._reply(Message.new_method_return(self._message, signature, list(body)))

    def refuse(self, name: str, text: str) -> None:
        """An error."""
        self._reply(Message.new_error(self._message, name, text.replace("\0", "")))

    def _reply(self, message: Message) -> None:
        if not self._message.flags & MessageFlag.NO_REPLY_EXPECTED and self._bus.connected:
            self._bus.send(message).add_done_callback(_heard)


class Link:
    """A connection that is kept up. `state` is one word for `status`, `reason` says more."""

    def __init__(self, address: str, dice: Dice) -> None:
        self.address = address
        self.state = "connecting"
        self.reason = ""
        self.unique_name = ""
        self._dice = dice

    async def keep(self, work: Callable[[Session], Awaitable[None]]) -> NoReturn:
        """Connect, let `work` have the session until it is lost, and begin again, later each time."""
        attempts = 0
        while True:
            try:
                async with _Connection(self.address) as bus:
                    session = Session(bus)
                    self.state, self.reason, self.unique_name, attempts = "up", "", session.unique_name, 0
                    log.info("connected to the message bus at %s", self.address)
                    await _until_lost(bus, work(session))
                self._lost("the bus closed the connection")
            except LOST as error:
                self._lost(_words(error, self.address))
            attempts += 1
            await asyncio.sleep(_AGAIN.decide(attempts, self._dice))

    def _lost(self, reason: str) -> None:
        if self.reason != reason:
            log.warning("%s; trying again", reason)
        self.state, self.reason, self.unique_name = "connecting", reason, ""


class _Connection:
    """Entered when we are on the bus."""

    def __init__(self, address: str) -> None:
        # File descriptors are not agreed to: whoever sends one is told so by the bus.
        self._bus = MessageBus(bus_address=address, negotiate_unix_fd=False)

    async def __aenter__(self) -> MessageBus:
        async with asyncio.timeout(limits.DBUS_CALL_SECONDS):
            return await self._bus.connect()

    async def __aexit__(self, *exc_info: object) -> None:
        self._bus.disconnect()
        ending = asyncio.ensure_future(_ended(self._bus))
        await asyncio.wait({ending}, timeout=limits.DBUS_CALL_SECONDS)
        if ending.done() and not ending.cancelled():
            ending.exception()  # why it ended is known by now


async def _until_lost(bus: MessageBus, work: Awaitable[None]) -> None:
    """Work until the connection is lost, or the work fails; a work that is done waits for its end."""
    working = asyncio.ensure_future(work)
    # Shielded: cancelling the wait would cancel the future of the library that others wait for.
    losing = asyncio.shield(asyncio.ensure_future(_ended(bus)))
    try:
        await asyncio.wait({working, losing}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
        await losing
    finally:
        working.cancel()
        losing.cancel()
        await asyncio.gather(working, losing, return_exceptions=True)


async def _ended(bus: MessageBus) -> None:
    """Raises why, if that was not our wish."""
    await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]  # the library's


def _heard(done: asyncio.Future[Any]) -> None:
    """A reply that could not be sent: whoever called has gone, or the connection has."""
    if not done.cancelled():
        done.exception()


def _words(error: Exception, address: str) -> str:
    if isinstance(error, AuthError):
        return f"the bus at {address} does not let us in: {error}"
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return f"there is no bus at {address}; is it running, and is this its address?"
    said = str(error) or type(error).__name__
    return f"the connection to the bus at {address} is lost: {said}"
