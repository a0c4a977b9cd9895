"""Match rules (D-Bus Specification, Match Rules): as the bus wants them, and which of ours a signal is for. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from xmppbus.dbus.values import Signal

_ARGUMENT = re.compile(r"arg([0-9]|[1-5][0-9]|6[0-3])(path)?|arg0namespace")


class MatchRule(NamedTuple):
    """What a signal must be like: every part that is given must hold."""

    sender: str = ""
    interface: str = ""
    member: str = ""
    path: str = ""
    path_namespace: str = ""
    arguments: Mapping[str, str] = {}

    def text(self) -> str:
        """As the bus reads it."""
        parts = {"type": "signal", **{name: value for name, value in self._asdict().items() if name != "arguments"}}
        return ",".join(f"{name}={_quoted(value)}" for name, value in (parts | dict(self.arguments)).items() if value)

    def matches(self, signal: Signal, owners: Mapping[str, str]) -> bool:
        """Whether a signal is for it. `owners` are the unique names of who owns a name now."""
        if self.sender and signal.sender not in (self.sender, owners.get(self.sender)):
            return False
        if (self.interface and self.interface != signal.interface) or (self.member and self.member != signal.member):
            return False
        if self.path and self.path != signal.path:
            return False
        if self.path_namespace and not _is_below(signal.path, self.path_namespace):
            return False
        return all(_argument_matches(name, wanted, signal) for name, wanted in self.arguments.items())


def check_arguments(arguments: Mapping[str, str]) -> None:
    """Raises `ValueError` for a filter that the bus has not."""
    for name in arguments:
        if not _ARGUMENT.fullmatch(name):
            raise ValueError(f"{name!r} is no filter of arguments; there are arg0 to arg63, arg0path, arg0namespace")


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"


def _is_below(path: str, namespace: str) -> bool:
    return path == namespace or path.startswith(namespace.rstrip("/") + "/")


def _argument_matches(name: str, wanted: str, signal: Signal) -> bool:
    found = _ARGUMENT.fullmatch(name)
    number = int(found[1]) if found and found[1] else 0
    value = signal.body[number] if number < len(signal.body) else None
    if not isinstance(value, str):
        return False
    if name.endswith("namespace"):
        return value == wanted or value.startswith(wanted + ".")
    if name.endswith("path"):
        return (
            value == wanted
            or (wanted.endswith("/") and value.startswith(wanted))
            or (value.endswith("/") and wanted.startswith(value))
        )
    return value == wanted
