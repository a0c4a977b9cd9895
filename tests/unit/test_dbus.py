"""Of a message bus, without one: match rules, values, names, units, and what signals and calls become."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from dbus_fast import Variant

from xmppbus import limits
from xmppbus.dbus import names
from xmppbus.dbus.rules import MatchRule, check_arguments
from xmppbus.dbus.values import Signal, TooMuch, plain
from xmppbus.errors import Refused
from xmppbus.inputs.dbus import Arrived, build
from xmppbus.inputs.dbus_offering import INTROSPECTION, fields_of
from xmppbus.inputs.dbus_options import DbusInputOptions, DbusSignal
from xmppbus.inputs.dbus_signals import SignalRule
from xmppbus.inputs.dbus_units import changed_unit, event_of

SAID = "signals are dropped ({} so far): they come faster than they are accepted"
SIGNAL = Signal(":1.7", "/org/example/disks/sda", "org.example.Disks", "Full", ["/a/b", "org.example.sda", 97])


@pytest.mark.parametrize(
    ("rule", "matches"),
    [
        (MatchRule(interface="org.example.Disks"), True),
        (MatchRule(interface="org.example.Disk"), False),
        (MatchRule(member="Full"), True),
        (MatchRule(member="Empty"), False),
        (MatchRule(path="/org/example/disks/sda"), True),
        (MatchRule(path="/org/example/disks"), False),
        (MatchRule(path_namespace="/org/example/disks"), True),
        (MatchRule(path_namespace="/org/example/disk"), False),
        (MatchRule(path_namespace="/"), True),
        (MatchRule(sender=":1.7"), True),
        (MatchRule(sender="org.example.Disks"), True),
        (MatchRule(sender="org.example.Others"), False),
        (MatchRule(arguments={"arg0": "/a/b"}), True),
        (MatchRule(arguments={"arg0path": "/a/"}), True),
        (MatchRule(arguments={"arg0path": "/a"}), False),
        (MatchRule(arguments={"arg0namespace": "org"}), False),
        (MatchRule(arguments={"arg1": "org.example"}), False),
        (MatchRule(arguments={"arg2": "97"}), False),
        (MatchRule(arguments={"arg9": ""}), False),
    ],
)
def test_a_signal_is_for_the_rules_that_it_is_like(rule: MatchRule, matches: bool) -> None:
    """As the bus itself compares them."""
    assert rule.matches(SIGNAL, {"org.example.Disks": ":1.7", "org.example.Others": ":1.8"}) is matches


def test_a_namespace_is_this_name_or_one_below_it() -> None:
    """Whole words of it."""
    rule = MatchRule(arguments={"arg0namespace": "org.example"})
    found = [
        rule.matches(SIGNAL._replace(body=[name]), {}) for name in ("org.example", "org.example.x", "org.examples", 7)
    ]
    assert found == [True, True, False, False]


def test_a_rule_is_written_as_the_bus_reads_it() -> None:
    """An apostrophe ends a quotation and stands alone."""
    rule = MatchRule(interface="a.b", path="/x", arguments={"arg0": "it's"})
    assert rule.text() == r"type='signal',interface='a.b',path='/x',arg0='it'\''s'"
    for name in ("arg64", "arg", "arg0x", "sender", "arg1namespace"):
        with pytest.raises(ValueError, match="no filter of arguments"):
            check_arguments({name: "x"})


def test_values_are_what_json_can_say() -> None:
    """Variants without their wrapping, bytes as text where they are text."""
    body = [
        *(Variant("v", Variant("i", 5)), b"/home/romeo\0", b"\xff", float("nan"), True, 2**64 - 1),
        {"a": Variant("as", ["x"]), 7: Variant("(ib)", [1, False])},
    ]
    assert plain(body) == [5, "/home/romeo", {"base64": "/w=="}, None, True, 2**64 - 1, {"a": ["x"], "7": [1, False]}]


def test_values_have_a_bound() -> None:
    """In number, and in how deep they are within one another."""
    assert len(plain(["x"] * (limits.DBUS_VALUES - 1))) == limits.DBUS_VALUES - 1
    with pytest.raises(TooMuch):
        plain(["x"] * limits.DBUS_VALUES)
    deep: Any = 1
    for _ in range(limits.DATA_DEPTH):
        deep = [deep]
    with pytest.raises(TooMuch):
        plain(deep)


def test_what_waits_has_a_bound_and_what_is_dropped_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    """In number and in bytes: a bus does not wait for us."""
    arrived = Arrived()
    for _ in range(limits.DBUS_WAITING + 3):
        arrived.put({"type": "t"})
    assert arrived.dropped == 3
    assert [each.message for each in caplog.records] == [SAID.format(1)], "whoever floods us does not flood the log"
    arrived.accepted(1)
    for _ in range(3):
        arrived.put({"type": "t"})
    assert [each.message for each in caplog.records] == [SAID.format(1), SAID.format(4)]
    arrived = Arrived()
    for _ in range(limits.DBUS_WAITING_BYTES // 100_000 + 2):
        arrived.put({"type": "t", "data": "x" * 100_000})
    assert arrived.dropped == 2


@pytest.mark.parametrize(
    ("unit", "element"),
    [("nginx.service", "nginx_2eservice"), ("0-a@b.mount", "_30_2da_40b_2emount"), ("", "_"), ("é_", "_c3_a9_5f")],
)
def test_units_have_objects_with_escaped_names(unit: str, element: str) -> None:
    """sd_bus_path_encode(3)."""
    assert names.escaped(unit) == element
    assert names.unescaped(element) == unit


def test_what_systemd_says_names_a_unit() -> None:
    """In three ways; and what is of others is nothing."""
    path = names.unit_path("a.service")
    changed: list[Any] = ["org.freedesktop.systemd1.Unit", {"ActiveState": Variant("s", "failed")}, []]
    told = Signal(":1.1", path, "org.freedesktop.DBus.Properties", "PropertiesChanged", changed)
    assert changed_unit(told) == ("a.service", "failed")
    assert changed_unit(told._replace(body=[changed[0], {}, ["ActiveState"]])) == ("a.service", "")
    assert changed_unit(told._replace(body=[changed[0], {}, []])) is None
    assert changed_unit(told._replace(path="/x")) is None
    manager = "org.freedesktop.systemd1.Manager"
    assert changed_unit(Signal("", "/", manager, "JobRemoved", [1, "/", "b.timer", "failed"])) == ("b.timer", "")
    assert changed_unit(Signal("", "/", manager, "UnitRemoved", ["c.mount", "/"])) == ("c.mount", "")
    assert changed_unit(Signal("", "/", manager, "Reloading", [True])) is None


def test_the_same_failure_has_the_same_name() -> None:
    """And its end another one."""
    about = {"Result": "success", "ActiveState": "active"}
    one, two = (event_of("a.mount", about, failed=True, moment="7") for _ in range(2))
    assert one == two
    assert one["summary"] == "a.mount failed"
    assert event_of("a.mount", about, failed=False, moment="7")["id"] != one["id"]


def test_a_signal_without_a_type_is_called_like_its_interface_and_member() -> None:
    """However long they are."""
    assert SignalRule(DbusSignal(member="Full")).event(SIGNAL)["type"] == "org.example.Disks.Full"
    long = SIGNAL._replace(interface="a." * 100 + "a")
    assert len(SignalRule(DbusSignal(member="Full")).event(long)["type"]) <= limits.TYPE_CHARACTERS


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "everything that is said on the bus"),
        ({"args": {"arg0": "x"}}, "everything that is said on the bus"),
        ({"member": "A", "args": {"argx": "x"}}, "no filter"),
        ({"member": "A", "path": "/a", "path_namespace": "/a"}, "given together"),
        ({"member": "A", "arguments": ["path"]}, "in the data already"),
        ({"member": "A", "summary": "{dsk}", "arguments": ["disk"]}, "names 'dsk'; there are disk, arg0"),
        ({"member": "A", "status": "firing"}, "needs a `key`"),
    ],
)
def test_a_mistake_in_a_rule_is_said(options: dict[str, Any], words: str) -> None:
    """At the start, and by `check`."""
    with pytest.raises(ValueError, match=words):
        SignalRule(DbusSignal(**options))


def test_a_call_gives_an_events_fields() -> None:
    """Each of them once."""
    assert fields_of("a.b", "", {"data": Variant("a{sv}", {"n": Variant("i", 1)})}) == {"type": "a.b", "data": {"n": 1}}
    assert fields_of("a.b", "s") == {"type": "a.b", "summary": "s"}
    for twice in ({"type": "x"}, {"summary": "x"}):
        with pytest.raises(Refused, match="given twice"):
            fields_of("a.b", "s", twice)
    with pytest.raises(Refused, match="at most 2000 values"):
        fields_of("a.b", "s", {"data": ["x"] * limits.DBUS_VALUES})
    assert names.BUS_INTERFACE in INTROSPECTION


def test_addresses_and_places_say_what_is_wrong_with_them() -> None:
    """A bus that is not there is a matter of time; one that can't be named is a mistake."""
    assert names.address_of("session", {"XDG_RUNTIME_DIR": "/run/user/7"}) == "unix:path=/run/user/7/bus"
    assert names.address_of("session", {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/x"}) == "unix:path=/x"
    assert names.address_of("system", {}) == "unix:path=/run/dbus/system_bus_socket"
    for bus in ("session", "sistem"):
        with pytest.raises(ValueError, match=r"no session bus|is no bus"):
            names.address_of(bus, {})
    assert names.signal_of("org.example.Disks/Full") == ("org.example.Disks", "Full")
    assert names.signal_of("disk.full") == ("internal.xmppbus.Events", "Event")
    for place in ("Disks/Full", "org.example.Disks/", "/Full", "a.b/c.d", "a.b/0"):
        with pytest.raises(ValueError, match="is no signal"):
            names.signal_of(place)


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line for a shell; and with nothing to do, that."""
    monkeypatch.setitem(sys.modules, "dbus_fast", None)
    monkeypatch.delitem(sys.modules, "xmppbus.dbus.link", raising=False)
    nothing: Any = None
    with pytest.raises(ValueError, match="nothing to do"):
        build(nothing, DbusInputOptions())
    with pytest.raises(ValueError, match=r"pip install 'xmppbus\[dbus\]'"):
        build(nothing, DbusInputOptions(systemd="failed-units"))
