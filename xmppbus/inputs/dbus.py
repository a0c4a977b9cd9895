"""The input `dbus`: signals of a message bus become events, and programs publish by calling a method.

A bus does not wait: signals are put into a queue with a bound, and what does not fit is dropped and said.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xmppbus import limits
from xmppbus.dbus import names
from xmppbus.dbus.values import Signal, TooMuch
from xmppbus.errors import Refused
from xmppbus.fields import encode_fields
from xmppbus.inputs.dbus_offering import Offering
from xmppbus.inputs.dbus_options import DbusInputOptions
from xmppbus.inputs.dbus_signals import SignalRule
from xmppbus.inputs.dbus_units import FailedUnits
from xmppbus.interfaces import Accept
from xmppbus.plugins import Registry
from xmppbus.retry import Retry

if TYPE_CHECKING:
    from xmppbus.dbus.link import Link, Session
    from xmppbus.house import House

log = logging.getLogger("xmppbus.dbus")

_AGAIN = Retry(limits.RESTART_FIRST_SECONDS, limits.RESTART_MOST_SECONDS)
_OWNER_CHANGED = "NameOwnerChanged"
_DAEMON = "org.freedesktop.DBus"


class Arrived:
    """Events that wait to be accepted: so many, and so many bytes."""

    def __init__(self) -> None:
        self.dropped = 0
        self._events: deque[tuple[dict[str, Any], int]] = deque()
        self._bytes = 0
        self._full = False
        self._changed = asyncio.Event()

    def put(self, event: dict[str, Any]) -> None:
        """One more, if there is room."""
        size = len(encode_fields(event))
        if len(self._events) >= limits.DBUS_WAITING or self._bytes + size > limits.DBUS_WAITING_BYTES:
            self.dropped += 1
            if not self._full:
                log.error("signals are dropped (%d so far): they come faster than they are accepted", self.dropped)
            self._full = True
            return
        self._events.append((event, size))
        self._bytes += size
        self._changed.set()

    async def batch(self) -> list[dict[str, Any]]:
        """Those that are there, once there is one. They stay until `accepted`."""
        while not self._events:
            self._changed.clear()
            await self._changed.wait()
        return [event for event, _ in list(self._events)[: limits.BATCH_EVENTS]]

    def accepted(self, count: int) -> None:
        """So many need not wait any more."""
        self._full = False
        for _ in range(count):
            self._bytes -= self._events.popleft()[1]


class DbusInput:
    """As `interfaces.Input` says."""

    def __init__(self, house: House, options: DbusInputOptions, link: Link) -> None:
        self.link = link
        self._house = house
        self._rules = [SignalRule(each) for each in options.signals]
        self._units = FailedUnits(house.journal.kept) if options.systemd else None
        self._offering = Offering(options.name) if options.name else None
        self._owners: dict[str, str] = {}
        self._arrived = Arrived()
        self._accepted = self._refused = 0
        self._reason = ""

    async def run(self, accept: Accept) -> None:
        """As `interfaces.Input` says."""

        async def work(session: Session) -> None:
            await self._begin(session, accept)

        async with asyncio.TaskGroup() as group:
            group.create_task(self.link.keep(work))
            group.create_task(self._accept(accept))

    def status(self) -> Mapping[str, Any]:
        """As `interfaces.Input` says."""
        reason = self.link.reason or self._reason
        if self.link.state == "up":
            reason = reason or (self._offering.reason if self._offering else "")
            reason = reason or (self._units.reason if self._units else "")
        state = "waiting" if self.link.state == "up" and reason else self.link.state
        found: dict[str, Any] = {"state": state, "address": self.link.address, **({"reason": reason} if reason else {})}
        found |= {"accepted": self._accepted, "refused": self._refused, "dropped": self._arrived.dropped}
        return found | ({"failed_units": len(self._units.failed)} if self._units else {})

    async def _begin(self, session: Session, accept: Accept) -> None:
        """All that is to be asked for on a new connection; then wait until it is lost."""
        senders = {each.match.sender for each in self._rules if each.match.sender and each.match.sender[0] != ":"}
        self._owners = {}
        session.on_signal = self._take
        if self._offering:
            self._offering.serve(session, accept)
        for sender in senders:
            await session.match(f"type='signal',sender='{_DAEMON}',member='{_OWNER_CHANGED}',arg0='{sender}'")
            self._owners[sender] = await session.owner(sender)
        for rule in self._rules:
            await session.match(rule.match.text())
        if self._offering:
            await self._offering.own(session)
        if self._units:
            await self._units.watch(session, accept)

    def _take(self, signal: Signal) -> None:
        if signal.interface == _DAEMON and signal.sender == _DAEMON and signal.member == _OWNER_CHANGED:
            name, _, owner = signal.body
            if name in self._owners:
                self._owners[name] = owner
        if self._offering and signal.sender == _DAEMON and signal.member == "NameAcquired":
            self._offering.gained(signal.body[0])
        if self._units:
            self._units.take(signal)
        if self._is_ours(signal):
            return  # it came from the output `dbus`, and would go round for ever
        for rule in self._rules:
            if rule.match.matches(signal, self._owners):
                try:
                    self._arrived.put(rule.event(signal))
                except (TooMuch, Refused) as error:
                    self._refused += 1
                    log.warning("a signal %s.%s can't be an event: %s", signal.interface, signal.member, error)

    def _is_ours(self, signal: Signal) -> bool:
        links = [getattr(each, "link", None) for each in self._house.outputs.values()]
        return any(getattr(each, "unique_name", None) == signal.sender for each in links)

    async def _accept(self, accept: Accept) -> None:
        """In the order in which they came; as long as the house takes nothing, they wait."""
        attempts = 0
        while True:
            events = await self._arrived.batch()
            try:
                answers = await accept(events)
            except Refused as refusal:
                attempts += 1
                self._reason = str(refusal)
                await asyncio.sleep(max(refusal.retry_after, _AGAIN.decide(attempts, random.random)))
                continue
            attempts, self._reason = 0, ""
            self._arrived.accepted(len(events))
            for event, answer in zip(events, answers, strict=True):
                if isinstance(answer, Refused):
                    self._refused += 1
                    log.warning("a signal is refused as %s: %s", event["type"], answer)
                else:
                    self._accepted += 1


def build(house: House, options: DbusInputOptions) -> DbusInput:
    """Raises `ValueError` for what can't be right."""
    if not (options.signals or options.systemd or options.name):
        raise ValueError("it has nothing to do: give it `signals`, `systemd: failed-units` or a `name`")
    try:
        from xmppbus.dbus.link import Link
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "dbus_fast":
            raise
        raise ValueError(names.NEEDS) from None
    return DbusInput(house, options, Link(names.address_of(options.bus, os.environ), random.random))


def register(registry: Registry) -> None:
    """Offer this input."""
    registry.input("dbus", build, DbusInputOptions)
