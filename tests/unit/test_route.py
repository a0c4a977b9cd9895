"""Routes: patterns, matches and where an event goes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xmppbus.event import Event
from xmppbus.route import Address, Match, Route, Routes, Target, default_route, topic_matches

WORDS = st.lists(st.sampled_from("abc"), min_size=1, max_size=5).map(".".join)
PATTERNS = st.lists(st.sampled_from(["a", "b", "c", "*", "#"]), min_size=1, max_size=5).map(".".join)


def event(type_: str = "disk.full", **fields: str) -> Event:
    return Event({"type": type_, "id": "1", "source": "host", "time": "2026-01-31T12:00:00Z", **fields})


@pytest.mark.parametrize(
    ("pattern", "topic", "matches"),
    [
        ("#", "a.b.c", True),
        ("user.*", "user.signup", True),
        ("user.*", "user", False),
        ("user.*", "user.signup.web", False),
        ("user.#", "user", True),
        ("user.#", "user.signup.web", True),
        ("#.full", "disk.db1.full", True),
        ("#.full", "full", True),
        ("*.#.x", "a.x", True),
        ("*.#.x", "x", False),
        ("user", "username", False),
    ],
)
def test_patterns_are_those_of_amqp(pattern: str, topic: str, matches: bool) -> None:
    """`*` is exactly one word, `#` any number."""
    assert topic_matches(pattern, topic) is matches


@given(PATTERNS, WORDS)
def test_patterns_agree_with_a_regular_expression(pattern: str, topic: str) -> None:
    """Another way to say the same."""
    parts = ["(?:[a-c]\\.)*" if part == "#" else f"{part.replace('*', '[a-c]')}\\." for part in pattern.split(".")]
    assert topic_matches(pattern, topic) is bool(re.fullmatch("".join(parts), topic + "."))


def test_many_hashes_take_no_time() -> None:
    """No backtracking."""
    assert not topic_matches(".".join(["#"] * 60 + ["z"]), ".".join("ab" * 30))


@pytest.mark.parametrize(
    ("match", "matches"),
    [
        (Match(), True),
        (Match(type="disk.#"), True),
        (Match(type="user.#"), False),
        (Match(severity=">=warning"), True),
        (Match(severity=">= critical"), False),
        (Match(severity="error"), True),
        (Match(severity="warning"), False),
        (Match(source="host"), True),
        (Match(source="other"), False),
        (Match(subject="db1"), True),
        (Match(key="k", subject="db1"), False),
    ],
)
def test_every_part_of_a_match_must_hold(match: Match, matches: bool) -> None:
    """Those that are given."""
    assert match.matches(event(severity="error", subject="db1")) is matches


def test_without_a_route_an_event_goes_to_the_node_of_its_type() -> None:
    """`xmppbus publish user.signup` needs no config."""
    assert Routes([default_route("pubsub")]).route(event("user.signup")) == (Target("pubsub", "user.signup"),)


def test_two_routes_to_one_place_make_one_delivery() -> None:
    """However many name it."""
    ops = Route("ops", Match("disk.#"), (), (Address.parse("pubsub"), Address.parse("room:ops@muc.example.org")))
    routes = Routes([default_route("pubsub"), ops])
    assert routes.route(event()) == (Target("pubsub", "disk.full"), Target("room", "ops@muc.example.org"))


def test_a_route_goes_from_station_to_station_and_then_to_its_addresses() -> None:
    """A station is named by its step, so one analyzer can stand on a route twice."""
    route = Route("ops", Match(), ("dedup", "throttle"), (Address("pubsub"),))
    routes = Routes([route])
    assert routes.route(event()) == (Target("via", "ops/0"),)
    assert routes.onward("ops/0", event()) == (Target("via", "ops/1"),)
    assert routes.onward("ops/1", event()) == (Target("pubsub", "disk.full"),)
    assert routes.onward("gone/0", event()) == ()


def test_a_route_called_default_takes_the_built_in_ones_place() -> None:
    """So that everything can be throttled."""
    mine = Route("default", Match(), ("throttle",), (Address("pubsub"),))
    assert Routes([default_route("pubsub"), mine]).route(event()) == (Target("via", "default/0"),)
