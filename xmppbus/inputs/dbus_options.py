"""The options of the input `dbus`."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from xmppbus import limits
from xmppbus.dbus import names
from xmppbus.options import EventType, Name, Section

_Text = Annotated[str, Meta(max_length=limits.NAME_CHARACTERS)]
InterfaceName = Annotated[str, Meta(pattern=names.INTERFACE_PATTERN, description="such as `org.example.Disks`")]
MemberName = Annotated[str, Meta(pattern=names.MEMBER_PATTERN, description="such as `Full`")]
ObjectPath = Annotated[str, Meta(pattern=names.PATH_PATTERN, description="such as `/org/example/disks`")]
BusName = Annotated[str, Meta(pattern=names.NAME_PATTERN, description="such as `org.example.Disks`")]
OwnName = Annotated[str, Meta(pattern=names.OWN_NAME_PATTERN, description=f"such as `{names.BUS_NAME}`")]


class DbusSignal(Section, frozen=True, kw_only=True):
    """A match rule, and what signals like it become; every part that is given must hold. In the texts `{arg0}` is the
    first argument, `{NAME}` the one that `arguments` calls so, `{NAME.x}` a value within it."""

    interface: InterfaceName | None = None  # of the signal
    member: MemberName | None = None  # the signal's name
    path: ObjectPath | None = None  # the object that sends it
    path_namespace: ObjectPath | None = None  # this object, or one below it
    sender: BusName | None = None  # who owns this name; without it anybody on the bus can send such a signal
    # What arguments must be, as match rules of D-Bus have it: `arg0` to `arg63`, `arg0path`, `arg0namespace`.
    args: dict[str, _Text] = field(default_factory=dict)
    arguments: list[Name] = field(default_factory=list)  # what the arguments are called in the data, in their order
    type: EventType | None = None  # of the events; interface and member unless it is given
    summary: Name | None = None  # one line for people
    severity: Name = "info"  # a severity, or a text that becomes one
    key: Name | None = None  # the incident's name
    status: Name | None = None  # with a key: `firing` or `resolved`, or a text that becomes one


class DbusInputOptions(Section, frozen=True, kw_only=True):
    """Signals of a message bus become events, and programs publish by a method call ([more](../howto/dbus.md)). Needs
    the extra `dbus`."""

    bus: Name = "system"  # `system`, `session`, or an address such as `unix:path=/run/x/bus`
    signals: Annotated[list[DbusSignal], Meta(max_length=limits.DBUS_RULES)] = field(default_factory=list)  # see below
    # `failed-units`: a unit that fails is an incident `HOST:UNIT` of the type `systemd.unit`, until it has recovered.
    systemd: Literal["failed-units"] | None = None
    # A well-known name to own, such as `internal.xmppbus`: under it programs call `Publish`. None unless it is given.
    name: OwnName | None = None
