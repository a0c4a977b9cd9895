"""Events as signals of a message bus: `dbus:INTERFACE/MEMBER`, with the arguments type, item id, and the event as JSON.

A signal is delivered when the bus has taken it: a question behind it is answered only then.
"""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from xmppbus.config.ways import kind_of
from xmppbus.dbus import names
from xmppbus.journal import DELIVERED, Delivery, Outcome, Verdict
from xmppbus.options import Name, Section
from xmppbus.outputs.linked import Linked
from xmppbus.plugins import Registry

if TYPE_CHECKING:
    from xmppbus.dbus.link import Link, Session  # noqa: F401  # named in the text of a type below
    from xmppbus.house import House


class DbusOutputOptions(Section, frozen=True, kw_only=True):
    """Events are emitted as signals of a message bus ([more](../howto/dbus.md)). Needs the extra `dbus`."""

    bus: Name = "system"  # `system`, `session`, or an address such as `unix:path=/run/x/bus`
    # The object that emits them.
    path: Annotated[str, Meta(pattern=names.PATH_PATTERN, description="such as `/org/example/disks`")] = names.PATH


class Dbus(Linked["Session"]):
    """As `interfaces.Output` says."""

    def __init__(self, link: Link, path: str) -> None:
        super().__init__(link.keep)
        self.link = link
        self._path = path

    def status(self) -> Mapping[str, Any]:
        """As `interfaces.Output` says."""
        reason = {"reason": self.link.reason} if self.link.reason else {}
        return {"state": self.link.state, "address": self.link.address, **reason}

    async def deliver_run(self, place: str, deliveries: Sequence[Delivery]) -> AsyncIterator[Outcome]:
        """As `interfaces.Output` says. One that is emitted twice has the same item id."""
        outcome = await self._emit(place, deliveries)
        for _ in deliveries:
            yield outcome

    async def _emit(self, place: str, deliveries: Sequence[Delivery]) -> Outcome:
        from xmppbus.dbus.link import LOST

        try:
            interface, member = names.signal_of(place)
        except ValueError as error:
            return Outcome(Verdict.STOPPED, "not-allowed", str(error))
        session = self.session
        if session is None:
            return Outcome(Verdict.STOPPED, "not-connected", self.link.reason)
        try:
            for each in deliveries:
                content = (each.event.type, each.item_id, each.event.encoded.decode())
                await session.emit(self._path, interface, member, "sss", *content)
            await session.ask("GetId")
        except LOST as error:
            return Outcome(Verdict.UNKNOWN, "timeout", f"the bus did not say that it has them: {error}")
        return DELIVERED


def build(house: House, options: DbusOutputOptions) -> Dbus:
    """Raises `ValueError` for what can't be right, also in the routes."""
    for route in house.config.routes:
        for address in (each for step in (route.to, *route.escalate) for each in step):
            if kind_of(address.output) == "dbus" and address.place:
                names.signal_of(address.place)
                if "/" not in address.place:
                    raise ValueError(
                        f"the address `{address.output}:{address.place}` names no signal: write INTERFACE/MEMBER"
                    )
    try:
        from xmppbus.dbus.link import Link
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "dbus_fast":
            raise
        raise ValueError(names.NEEDS) from None
    return Dbus(Link(names.address_of(options.bus, os.environ), random.random), options.path)


def register(registry: Registry) -> None:
    """Offer this output."""
    registry.output("dbus", build, options=DbusOutputOptions)
