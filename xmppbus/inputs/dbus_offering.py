"""What we offer on a bus: the method `Publish(s type, s summary, a{sv} fields) -> s id`, answered after the commit.

Who may call it is the bus's policy: `xmppbus/data/dbus/internal.xmppbus.conf` for the system bus.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from xmppbus import limits
from xmppbus.dbus import names
from xmppbus.dbus.values import TooMuch, plain
from xmppbus.errors import Code, Refused
from xmppbus.interfaces import Accept

if TYPE_CHECKING:
    from xmppbus.dbus.link import Call, Session

log = logging.getLogger("xmppbus.dbus")

_INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"
_SIGNATURE = "ssa{sv}"
_TAKEN = (_SIGNATURE, "ssa{ss}", "ss")  # dbus-send can't say a{sv}
_UNKNOWN = "org.freedesktop.DBus.Error.UnknownMethod"
_ARGUMENTS = "org.freedesktop.DBus.Error.InvalidArgs"

INTROSPECTION = f"""\
<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">
<node>
  <interface name="{names.BUS_INTERFACE}">
    <method name="Publish">
      <arg name="type" type="s" direction="in"/>
      <arg name="summary" type="s" direction="in"/>
      <arg name="fields" type="a{{sv}}" direction="in"/>
      <arg name="id" type="s" direction="out"/>
    </method>
  </interface>
  <interface name="{names.EVENTS_INTERFACE}">
    <signal name="{names.EVENT_MEMBER}">
      <arg name="type" type="s"/>
      <arg name="id" type="s"/>
      <arg name="event" type="s"/>
    </signal>
  </interface>
  <interface name="{_INTROSPECTABLE}">
    <method name="Introspect">
      <arg name="data" type="s" direction="out"/>
    </method>
  </interface>
</node>
"""


class Offering:
    """Our object, under a well-known name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.reason = ""  # why the name is not ours
        self._answering: set[asyncio.Task[None]] = set()

    def serve(self, session: Session, accept: Accept) -> None:
        """Answer calls of this connection."""

        def on_call(call: Call) -> bool:
            if call.path != names.PATH:
                return False
            if (call.interface, call.member) == (_INTROSPECTABLE, "Introspect"):
                call.answer("s", INTROSPECTION)
                return True
            if call.interface not in ("", names.BUS_INTERFACE) or call.member != "Publish":
                return False
            self._begin(call, accept)
            return True

        session.on_call = on_call

    async def own(self, session: Session) -> None:
        """Have the name. Where the policy of the bus is against it, that is in `status`, and all else goes on."""
        from xmppbus.dbus.link import Failed

        self.reason = ""
        try:
            if not await session.own(self.name):
                self.reason = f"another program owns {self.name} on this bus; it is ours once that gives it up"
        except Failed as failed:
            self.reason = (
                f"the bus does not let us own {self.name}: {failed}; its policy has to allow it (docs/howto/dbus.md)"
            )
        if self.reason:
            log.warning("%s", self.reason)

    def gained(self, name: str) -> None:
        """A name is ours after all: who had it has given it up."""
        if name == self.name:
            self.reason = ""

    def _begin(self, call: Call, accept: Accept) -> None:
        if call.signature not in _TAKEN:
            call.refuse(
                _ARGUMENTS, f"Publish takes {_SIGNATURE} (type, summary, fields), not {call.signature or 'nothing'}"
            )
        elif len(self._answering) >= limits.DBUS_CALLS:
            _refuse(call, Refused(Code.TOO_MANY, f"{limits.DBUS_CALLS} calls are being answered; try again"))
        else:
            task = asyncio.create_task(self._publish(call, accept))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)

    async def _publish(self, call: Call, accept: Accept) -> None:
        try:
            (answer,) = await accept([fields_of(*call.body)])
            if isinstance(answer, Refused):
                raise answer
        except Refused as refusal:
            _refuse(call, refusal)
        except Exception as error:  # whoever called is told, and the house is kept alive
            log.exception("a call of Publish failed")
            call.refuse(f"{names.ERRORS}Failed", f"{type(error).__name__}; see the log of xmppbus")
        else:
            call.answer("s", answer.item_id)


def fields_of(event_type: str, summary: str, fields: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """An event's fields as they were given in a call. Raises `Refused`."""
    try:
        found: dict[str, Any] = plain(dict(fields))
    except TooMuch as error:
        raise Refused(Code.TOO_BIG, f"{error}: at most {limits.DBUS_VALUES} values") from None
    for name in ("type", *(("summary",) if summary else ())):
        if name in found:
            raise Refused(Code.INVALID, "given twice: it is an argument of its own", field=name)
    return {**found, "type": event_type, **({"summary": summary} if summary else {})}


def _refuse(call: Call, refusal: Refused) -> None:
    """The code as the name of an error: `internal.xmppbus.Error.InvalidEvent`."""
    name = "".join(word.capitalize() for word in str(refusal.code).split("-"))
    call.refuse(f"{names.ERRORS}{name}", str(refusal))
