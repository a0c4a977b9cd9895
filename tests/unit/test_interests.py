"""Who wants an event, found without looking at every subscription."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from xmppbus import limits
from xmppbus.event import Event
from xmppbus.fields import SEVERITIES
from xmppbus.people.interests import Interests, urgency
from xmppbus.people.model import Quiet, Subscription
from xmppbus.route import Match

NIGHT = Quiet(start=22 * 60, end=7 * 60)


def event(type_: str = "disk.full", severity: str = "warning") -> Event:
    """An event as far as subscriptions look at it."""
    return Event({"type": type_, "severity": severity})


def wish(owner: str, pattern: str = "#", severity: str = "", **more: object) -> Subscription:
    """A subscription."""
    fields = {"owner": owner, "pattern": pattern, "severity": severity, "created": datetime(2026, 1, 31, tzinfo=UTC)}
    return Subscription(**fields | more)  # type: ignore[arg-type]  # the fields of one, given by name


def owners(found: list[Subscription]) -> set[str]:
    """Whose they are, each once."""
    assert len({each.owner for each in found}) == len(found)
    return {each.owner for each in found}


def test_a_subscription_is_a_pattern_and_a_severity() -> None:
    """As a route's match is."""
    interests = Interests([wish("romeo", "disk.*", ">=warning"), wish("juliet", "#", "info"), wish("nurse", "user.#")])
    assert owners(interests.matching(event())) == {"romeo"}
    assert owners(interests.matching(event(severity="info"))) == {"juliet"}
    assert owners(interests.matching(event("user"))) == {"nurse"}
    assert interests.matching(event("disk.full.again")) == []


def test_of_several_of_one_owner_the_most_urgent_wins() -> None:
    """Every event before a digest, at any hour before quiet hours."""
    every, quiet = wish("romeo", "#", id=4), wish("romeo", "disk.#", quiet=NIGHT, id=3)
    soon, late = wish("romeo", "*.full", digest_seconds=60, id=2), wish("romeo", "disk.*", digest_seconds=900, id=1)
    wanted = [every, quiet, soon, late]
    for index, expected in enumerate(wanted):
        interests = Interests(reversed(wanted[index:]))
        assert interests.matching(event()) == [expected]
        assert interests.most_urgent("romeo", event()) == expected


def test_a_second_one_for_the_same_pattern_takes_the_place_of_the_first() -> None:
    """Also when its severity is another one, and the answer had been looked up."""
    interests = Interests([wish("romeo", "disk.#", ">=critical")])
    assert not interests.matching(event())
    interests.add(wish("romeo", "disk.#", ">=warning"))
    assert owners(interests.matching(event())) == {"romeo"}
    assert len(interests) == len(interests.of("romeo")) == 1


def test_who_leaves_is_told_nothing_more() -> None:
    """At once, and the others are."""
    interests = Interests([wish("romeo"), wish("juliet")])
    assert owners(interests.matching(event())) == {"romeo", "juliet"}
    assert interests.remove("romeo", "#") == wish("romeo")
    assert interests.remove("romeo", "#") is None
    assert owners(interests.matching(event())) == {"juliet"}
    interests.remove("juliet", "#")
    assert (interests.matching(event()), interests.owners(), len(interests)) == ([], [], 0)


def test_any_of_several_severities_is_enough() -> None:
    """As for an incident that was worse than it is; each owner is there once."""
    interests = Interests([wish("romeo", "#", ">=error"), wish("juliet", "#", "info"), wish("romeo", "disk.#")])
    assert owners(interests.matching_any(("user",), ("info", "critical"))) == {"romeo", "juliet"}
    assert owners(interests.matching_any(("disk",), ("info", "critical"))) == {"romeo", "juliet"}
    assert interests.matching_any(("user",), ("warning",)) == []


def test_what_is_remembered_is_bounded() -> None:
    """However many types there are."""
    interests = Interests([wish("romeo")])
    for number in range(limits.MATCHED_TYPES + 10):
        assert interests.matching(event(f"n{number}"))
    assert len(interests._matched) == limits.MATCHED_TYPES


words = st.sampled_from(["a", "b", "*", "#"])
patterns = st.lists(words, min_size=1, max_size=5).map(".".join)
types = st.lists(st.sampled_from("abc"), min_size=1, max_size=5).map(".".join)
rules = st.sampled_from(["", "warning", ">=warning", ">=error"])
subscriptions = st.builds(
    wish,
    st.sampled_from(["romeo", "juliet", "nurse"]),
    patterns,
    rules,
    id=st.integers(1, 1000),
    digest_seconds=st.sampled_from([0, 0, 60]),
    quiet=st.sampled_from([None, NIGHT]),
)


@given(st.lists(st.tuples(st.booleans(), subscriptions), max_size=25), st.lists(types, min_size=1, max_size=4))
def test_the_index_says_what_looking_at_each_says(steps: list[tuple[bool, Subscription]], asked: list[str]) -> None:
    """Whatever is added and removed, in whatever order, and asked in between."""
    interests = Interests()
    kept: dict[tuple[str, str], Subscription] = {}
    for adds, subscription in steps:
        key = (subscription.owner, subscription.pattern)
        if adds:
            interests.add(subscription)
            kept[key] = subscription
        else:
            assert interests.remove(*key) == kept.pop(key, None)
        for type_ in asked:
            for severity in SEVERITIES:
                happened = event(type_, severity)
                expected: dict[str, Subscription] = {}
                for each in kept.values():
                    best = expected.get(each.owner)
                    if Match(each.pattern, each.severity).matches(happened) and (
                        best is None or urgency(each) < urgency(best)
                    ):
                        expected[each.owner] = each
                found = {each.owner: urgency(each) for each in interests.matching(happened)}
                assert found == {owner: urgency(each) for owner, each in expected.items()}
    assert len(interests) == len(kept)


def test_patterns_full_of_hashes_cost_little() -> None:
    """No pattern makes the look-up go back and forth."""
    interests = Interests([wish("romeo", ".".join(["#", "a"] * 30))])
    assert interests.matching(event(".".join(["a"] * 60))) != []
    assert interests.matching(event(".".join(["a"] * 60 + ["b"]))) == []
