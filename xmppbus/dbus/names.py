"""What we are called on a message bus, and what names look like there. Pure.

The project has no domain, and a name under somebody else's would be a claim: `internal` is reserved, so that nobody can
ever own `xmppbus.internal` (docs/adr has more).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from xmppbus import limits

BUS_NAME = "internal.xmppbus"
PATH = "/internal/xmppbus"
BUS_INTERFACE = "internal.xmppbus.Bus"
EVENTS_INTERFACE = "internal.xmppbus.Events"
EVENT_MEMBER = "Event"
ERRORS = "internal.xmppbus.Error."

NEEDS = "D-Bus needs dbus-fast: pip install 'xmppbus[dbus]'"

_ELEMENT = "[A-Za-z_][A-Za-z0-9_]*"
INTERFACE_PATTERN = rf"^(?=.{{1,255}}\Z){_ELEMENT}(?:\.{_ELEMENT})+\Z"
MEMBER_PATTERN = rf"^(?=.{{1,255}}\Z){_ELEMENT}\Z"
PATH_PATTERN = r"^/(?:[A-Za-z0-9_]+(?:/[A-Za-z0-9_]+)*)?\Z"
NAME_PATTERN = (
    r"^(?=.{1,255}\Z)(?::[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+|[A-Za-z_-][A-Za-z0-9_-]*(?:\.[A-Za-z_-][A-Za-z0-9_-]*)+)\Z"
)
OWN_NAME_PATTERN = r"^(?=.{1,255}\Z)[A-Za-z_-][A-Za-z0-9_-]*(?:\.[A-Za-z_-][A-Za-z0-9_-]*)+\Z"
"""D-Bus Specification, Valid Names and Valid Object Paths."""

_INTERFACE, _MEMBER = re.compile(INTERFACE_PATTERN), re.compile(MEMBER_PATTERN)
_PLAIN = re.compile("[A-Za-z0-9]")


def address_of(bus: str, environ: Mapping[str, str]) -> str:
    """Where a bus listens: `system`, `session`, or an address as it stands. Raises `ValueError`."""
    if bus == "system":
        return environ.get("DBUS_SYSTEM_BUS_ADDRESS") or "unix:path=/run/dbus/system_bus_socket"
    if bus == "session":
        runtime = environ.get("XDG_RUNTIME_DIR")
        found = environ.get("DBUS_SESSION_BUS_ADDRESS") or (f"unix:path={runtime}/bus" if runtime else "")
        if not found:
            raise ValueError("there is no session bus: neither $DBUS_SESSION_BUS_ADDRESS nor $XDG_RUNTIME_DIR is set")
        return found
    if not re.match(r"(unix:(path|abstract)=|tcp:)", bus):
        raise ValueError(f"{bus!r} is no bus: write `system`, `session`, or an address such as `unix:path=/run/x/bus`")
    return bus


def signal_of(place: str) -> tuple[str, str]:
    """Interface and member of a place `INTERFACE/MEMBER`; of any other, which is an event's type, our own. Raises
    `ValueError`."""
    interface, slash, member = place.partition("/")
    if not slash:
        return EVENTS_INTERFACE, EVENT_MEMBER
    if not _INTERFACE.match(interface) or not _MEMBER.match(member):
        raise ValueError(f"{place[:80]!r} is no signal: write INTERFACE/MEMBER, such as `org.example.Disks/Full`")
    return interface, member


def unit_path(unit: str) -> str:
    """The object of a unit of systemd: its name, escaped as sd_bus_path_encode(3) says."""
    return f"/org/freedesktop/systemd1/unit/{escaped(unit)}"


def escaped(label: str) -> str:
    """As systemd escapes one element of a path."""
    if not label:
        return "_"
    found = []
    for place, byte in enumerate(label.encode("utf-8", "surrogateescape")):
        sign = chr(byte)
        plain = _PLAIN.match(sign) and not (place == 0 and sign.isdigit())
        found.append(sign if plain else f"_{byte:02x}")
    return "".join(found)


def unescaped(element: str) -> str:
    """The unit of an element of a path."""
    if element == "_":
        return ""
    raw = re.sub(rb"_([0-9a-fA-F]{2})", lambda found: bytes([int(found[1], 16)]), element.encode())
    return raw.decode("utf-8", "replace")[: limits.NAME_CHARACTERS]
