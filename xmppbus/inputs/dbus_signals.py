"""Signals of a bus as events: which rule they are for, and what they become. Pure."""

from __future__ import annotations

from typing import Any

from xmppbus import limits
from xmppbus.dbus.rules import MatchRule, check_arguments
from xmppbus.dbus.values import Signal, plain
from xmppbus.inputs.dbus_options import DbusSignal
from xmppbus.inputs.filling import Fields

_GIVEN = ("arguments", "interface", "member", "path", "sender")


class SignalRule:
    """One of `signals`. Raises `ValueError` with what is wrong in it."""

    def __init__(self, options: DbusSignal) -> None:
        check_arguments(options.args)
        self.match = MatchRule(
            options.sender or "",
            options.interface or "",
            options.member or "",
            options.path or "",
            options.path_namespace or "",
            options.args,
        )
        if not any(self.match[:5]):
            raise ValueError(
                "a rule of `signals` would take everything that is said on the bus; name at least an interface, a "
                "member, a path or a sender"
            )
        if options.path and options.path_namespace:
            raise ValueError("`path` and `path_namespace` are given together; a rule has one of them")
        if taken := sorted({*options.arguments} & {*_GIVEN}):
            raise ValueError(f"`{taken[0]}` is in the data already; call the argument otherwise")
        self._type = options.type
        self._names = tuple(options.arguments)
        self._fields = Fields(options)
        known = {*_GIVEN, *self._names, *(f"arg{number}" for number in range(64))}
        if unknown := sorted(self._fields.names - known):
            there = ", ".join([*self._names, "arg0 to arg63", *_GIVEN])
            raise ValueError(f"a text names {unknown[0]!r}; there are {there}")

    def event(self, signal: Signal) -> dict[str, Any]:
        """Raises `TooMuch` for one that no event can hold."""
        arguments = plain(signal.body)
        named = dict(zip(self._names, arguments, strict=False))
        data = {
            "interface": signal.interface,
            "member": signal.member,
            "path": signal.path,
            "sender": signal.sender,
            "arguments": arguments,
            **named,
        }
        numbered = {f"arg{number}": each for number, each in enumerate(arguments[:64])}
        event_type = self._type or f"{signal.interface}.{signal.member}"[: limits.TYPE_CHARACTERS].rstrip(".")
        return {"type": event_type, "data": data, **self._fields.of(data | numbered)}
