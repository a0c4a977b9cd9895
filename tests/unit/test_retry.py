"""When a stopped place is tried again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from xmppbus import limits
from xmppbus.retry import Retry


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_retry_waits_between_nothing_and_a_bound_that_doubles(attempts: int, dice: float) -> None:
    """Up to the most, and without overflow after years."""
    seconds = Retry().decide(attempts, lambda: dice)
    assert 0 <= seconds <= min(limits.RETRY_MOST_SECONDS, limits.RETRY_FIRST_SECONDS * 2.0 ** min(attempts - 1, 100))


def test_the_other_sides_wish_is_obeyed() -> None:
    """Retry-After is a floor, not a ceiling."""
    assert Retry().decide(1, lambda: 0.0, retry_after=90) == 90
