"""Whatever is said on a message bus: an event that the door takes, or one of the documented errors."""

from __future__ import annotations

import os
from typing import Any

from dbus_fast import Variant
from hypothesis import given, settings
from hypothesis import strategies as st

from xmppbus.dbus import names
from xmppbus.dbus.rules import MatchRule
from xmppbus.dbus.values import Signal, TooMuch, plain
from xmppbus.errors import Refused
from xmppbus.event import Event
from xmppbus.fields import check, encode_fields
from xmppbus.inputs.dbus_offering import fields_of
from xmppbus.inputs.dbus_options import DbusSignal
from xmppbus.inputs.dbus_signals import SignalRule
from xmppbus.inputs.dbus_units import changed_unit

RUNS = int(os.environ.get("FUZZ_RUNS", "300"))

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
scalars = st.one_of(texts, st.binary(max_size=6), st.integers(-(2**63), 2**64 - 1), st.floats(), st.booleans())
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(texts, st.integers(0, 9)), inner, max_size=4),
        inner.map(lambda value: Variant("v", value, verify=False)),
    ),
    max_leaves=10,
)
bodies = st.lists(values, max_size=5)
UNIT = "org.freedesktop.systemd1.Unit"
RULE = SignalRule(
    DbusSignal(
        member="M",
        args={"arg0": "x"},
        arguments=["one", "two"],
        summary="{one} {arg1.0} {two.x}",
        severity="{one}",
        key="{arg0}",
        status="{two}",
    )
)


@given(bodies)
@settings(max_examples=RUNS * 5)
def test_any_signal_is_a_legal_event(body: list[Any]) -> None:
    """Or has more in it than an event can hold."""
    try:
        event = RULE.event(Signal(":1.1", "/a", "a.b", "M", body))
    except TooMuch:
        return
    assert Event(check(event)).encoded


@given(
    texts, texts, st.dictionaries(st.one_of(texts, st.sampled_from(["id", "data", "key", "tags"])), values, max_size=4)
)
@settings(max_examples=RUNS * 3)
def test_any_call_is_an_event_or_refused(event_type: str, summary: str, fields: dict[str, Any]) -> None:
    """With a code."""
    try:
        assert encode_fields(check(fields_of(event_type, summary, fields)))
    except Refused:
        return


@given(
    st.one_of(bodies, bodies.map(lambda body: [UNIT, *body])),
    texts,
    texts,
    st.sampled_from(["PropertiesChanged", "JobRemoved", "UnitRemoved", "X"]),
)
@settings(max_examples=RUNS * 3)
def test_any_signal_can_be_looked_at(body: list[Any], interface: str, path: str, member: str) -> None:
    """Whoever sends it in systemd's name: what is not as it has to be is no unit."""
    for each in (interface, "org.freedesktop.systemd1.Manager", "org.freedesktop.DBus.Properties"):
        for where in (path, f"/org/freedesktop/systemd1/unit/{path}"):
            changed_unit(Signal(":1.1", where, each, member, body))
            MatchRule(arguments={"arg0": "a", "arg1path": "/a/", "arg0namespace": "a"}).matches(
                Signal(":1.1", where, each, member, body), {}
            )


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
@settings(max_examples=RUNS * 3)
def test_a_unit_comes_back_from_its_object(unit: str) -> None:
    """Whatever it is called."""
    assert names.unescaped(names.escaped(unit)) == unit


@given(st.text(max_size=30))
@settings(max_examples=RUNS * 3)
def test_any_place_is_a_signal_or_a_sentence(place: str) -> None:
    """And what the bus would close the connection over is never sent."""
    try:
        interface, member = names.signal_of(place)
    except ValueError:
        return
    assert "." in interface
    assert member
    assert plain([interface, member])
