"""How many messages a JID may be sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from xmppbus.people.budget import Budget

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_so_many_at_once_and_then_as_many_a_minute() -> None:
    """Ten messages, and one more every six seconds."""
    budget = Budget(10)
    assert [budget.take("romeo", NOON) for _ in range(11)] == [True] * 10 + [False]
    assert budget.seconds("romeo", NOON) == 6.0
    assert not budget.take("romeo", NOON + timedelta(seconds=5))
    assert budget.take("romeo", NOON + timedelta(seconds=6))
    assert budget.seconds("romeo", NOON + timedelta(minutes=5)) == 0.0


def test_each_jid_has_its_own() -> None:
    """One who is flooded takes nothing from the others."""
    budget = Budget(1)
    assert budget.take("romeo", NOON)
    assert budget.take("juliet", NOON)
    assert not budget.take("romeo", NOON)


def test_a_clock_that_was_set_back_gives_nothing_and_takes_nothing() -> None:
    """Who had nothing left has to wait as long as without it, not until the old hour comes again."""
    budget = Budget(20)
    while budget.take("romeo", NOON):
        pass
    earlier = NOON - timedelta(hours=3)
    assert not budget.take("romeo", earlier)
    assert budget.seconds("romeo", earlier) == 3.0
    assert budget.take("romeo", earlier + timedelta(seconds=3))


def test_what_was_sent_all_the_same_is_paid_for_later() -> None:
    """A digest, when its time has come; the debt is bounded."""
    budget = Budget(2)
    for _ in range(50):
        budget.spend("romeo", NOON)
    assert budget.seconds("romeo", NOON) == 90.0


def test_whoever_was_told_nothing_for_longest_is_forgotten() -> None:
    """And has a full budget again; the memory is bounded."""
    budget = Budget(1, most=2)
    for jid in ("romeo", "juliet", "nurse"):
        assert budget.take(jid, NOON)
    assert len(budget) == 2
    assert budget.take("romeo", NOON)
    assert not budget.take("nurse", NOON)


def test_a_clock_that_is_set_back_gives_nothing_and_takes_nothing() -> None:
    """It goes on from the new time."""
    budget = Budget(60)
    for _ in range(60):
        budget.take("romeo", NOON)
    earlier = NOON - timedelta(hours=1)
    assert not budget.take("romeo", earlier)
    assert budget.take("romeo", NOON + timedelta(seconds=2))


@given(st.integers(1, 600), st.lists(st.floats(0, 30, allow_nan=False), max_size=200))
def test_never_more_than_the_budget_in_a_minute(per_minute: int, pauses: list[float]) -> None:
    """In any minute at most twice as many: what was saved, and what came in."""
    budget, now, taken = Budget(per_minute), NOON, []
    for pause in pauses:
        now += timedelta(seconds=pause)
        if budget.take("romeo", now):
            taken.append(now)
    for moment in taken:
        assert sum(moment <= each < moment + timedelta(minutes=1) for each in taken) <= 2 * per_minute
