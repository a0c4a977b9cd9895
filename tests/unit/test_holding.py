"""Why something is held for somebody, and until when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xmppbus.people.holding import Hold, Why, held, is_away, muted, quiet_hold, quiet_until, window, zone_named
from xmppbus.people.model import Mute, Person, Quiet, Subscription

ROME = ZoneInfo("Europe/Rome")
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
NIGHT = Quiet(start=22 * 60, end=7 * 60, zone="Europe/Rome")


def at(text: str) -> datetime:
    """A moment in UTC: `2026-01-31 12:00`."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def wish(**fields: object) -> Subscription:
    """A subscription of Romeo's to everything."""
    return Subscription(**{"owner": "romeo", "pattern": "#", "created": NOON} | fields)  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-01-31 20:59", None),
        ("2026-01-31 21:00", "2026-02-01 06:00"),  # 22:00 in Rome
        ("2026-02-01 05:59", "2026-02-01 06:00"),
        ("2026-02-01 06:00", None),
        ("2026-07-01 19:59", None),
        ("2026-07-01 20:00", "2026-07-02 05:00"),  # the same wall clock in summer
    ],
)
def test_quiet_hours_go_over_midnight_in_their_own_time_zone(now: str, until: str | None) -> None:
    """Whatever the house's is."""
    assert quiet_until(NIGHT, at(now), UTC) == (at(until) if until else None)


def test_quiet_hours_within_a_day() -> None:
    """A nap, in the house's time zone when they name none."""
    nap = Quiet(start=13 * 60, end=15 * 60)
    assert quiet_until(nap, at("2026-01-31 13:30"), UTC) == at("2026-01-31 15:00")
    assert quiet_until(nap, at("2026-01-31 12:30"), ROME) == at("2026-01-31 14:00")
    assert quiet_until(nap, at("2026-01-31 15:00"), UTC) is None


def test_hours_of_no_length_are_never_quiet() -> None:
    """From ten to ten holds nothing rather than everything."""
    assert quiet_until(Quiet(start=600, end=600), NOON, UTC) is None


@pytest.mark.parametrize(
    ("start", "end", "begins", "ends"),
    [
        ("22:00", "07:00", "2026-03-28 21:00", "2026-03-29 05:00"),  # clocks go forward at 02:00: eight hours
        ("22:00", "07:00", "2026-10-24 20:00", "2026-10-25 06:00"),  # clocks go back at 03:00: ten hours
        ("22:00", "02:30", "2026-03-28 21:00", "2026-03-29 01:30"),  # 02:30 is skipped: with the offset before, 03:30
        ("22:00", "02:30", "2026-10-24 20:00", "2026-10-25 00:30"),  # 02:30 comes twice: the first
        ("02:30", "07:00", "2026-03-29 01:30", "2026-03-29 05:00"),
        ("02:30", "07:00", "2026-10-25 00:30", "2026-10-25 06:00"),
    ],
)
def test_a_night_in_which_the_clocks_change_is_one_night(start: str, end: str, begins: str, ends: str) -> None:
    """Held from its first moment to its last, without a gap, and not before or after."""
    hours = [int(each[:2]) * 60 + int(each[3:]) for each in (start, end)]
    quiet = Quiet(start=hours[0], end=hours[1], zone="Europe/Rome")
    moment, step = at(begins), timedelta(minutes=10)
    assert quiet_until(quiet, moment - step, UTC) is None
    while moment < at(ends):
        assert quiet_until(quiet, moment, UTC) == at(ends), moment
        moment += step
    assert quiet_until(quiet, moment, UTC) is None


@given(
    st.integers(0, 1439),
    st.integers(0, 1439),
    st.integers(0, 40 * 366 * 1440).map(lambda minutes: at("2000-01-01 00:00") + timedelta(minutes=minutes)),
    st.sampled_from(
        ["Europe/Rome", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "UTC"]
    ),
)
def test_quiet_hours_end_within_a_day_or_so(start: int, end: int, now: datetime, zone: str) -> None:
    """And what is told of their end is one moment, however often it is asked."""
    quiet = Quiet(start=start, end=end, zone=zone)
    until = quiet_until(quiet, now, UTC)
    if until is not None:
        assert now < until <= now + timedelta(hours=27)
        assert quiet_until(quiet, now + (until - now) / 2, UTC) == until


def test_what_is_severe_enough_breaks_through() -> None:
    """Critical unless the person says otherwise."""
    night = at("2026-01-31 23:00")
    assert quiet_hold(NIGHT, "error", night, UTC) == Hold(Why.QUIET, at("2026-02-01 06:00"))
    assert quiet_hold(NIGHT, "critical", night, UTC) is None
    assert quiet_hold(Quiet(start=0, end=1439, breaks_through="warning"), "error", night, UTC) is None
    assert quiet_hold(None, "info", night, UTC) is None


def test_a_zone_that_nobody_knows_is_the_house_s() -> None:
    """The time zone database loses a name now and then."""
    assert quiet_until(Quiet(start=600, end=780, zone="Middle/Earth"), NOON, UTC) == NOON + timedelta(hours=1)
    assert zone_named("../etc/passwd") is None
    assert zone_named("Europe") is None
    assert zone_named("UTC") is UTC


@pytest.mark.parametrize("show", ["dnd", "xa", "offline", "awaited"])
def test_whoever_is_away_can_have_the_harmless_wait(show: str) -> None:
    """Below the severity that they chose, and nothing unless they chose one."""
    person = Person(jid="romeo", hold_below="error")
    assert is_away(person, show, "warning")
    assert not is_away(person, show, "error")
    assert not is_away(Person(jid="romeo"), show, "debug")


@pytest.mark.parametrize("show", ["available", "chat", "away", "unknown"])
def test_whoever_is_there_or_may_be_is_told(show: str) -> None:
    """Of whom we see no presence we know nothing, so nothing is held."""
    assert not is_away(Person(jid="romeo", hold_below="critical"), show, "debug")


def test_a_digest_is_gathered_for_a_while() -> None:
    """From its first event."""
    fifteen = wish(digest_seconds=900)
    assert window(fifteen, NOON, 1, NOON) == Hold(Why.DIGEST, NOON + timedelta(minutes=15))
    assert window(fifteen, NOON, 99, NOON + timedelta(minutes=14)) is not None
    assert window(fifteen, NOON, 1, NOON + timedelta(minutes=15)) is None
    assert window(wish(), NOON, 1, NOON) is None


def test_a_digest_waits_for_no_clock_that_was_set_back() -> None:
    """Its first event seems to be still to come: it is told, and not years later."""
    assert window(wish(digest_seconds=900), NOON + timedelta(days=900), 1, NOON) is None


def test_a_digest_is_full_with_so_many_events() -> None:
    """Whichever comes first; by number alone it waits as long as it takes."""
    ten = wish(digest_seconds=900, digest_events=10)
    assert window(ten, NOON, 9, NOON) is not None
    assert window(ten, NOON, 10, NOON) is None
    assert window(ten, NOON, 1, NOON + timedelta(hours=1)) is None
    assert window(wish(digest_events=10), NOON, 9, NOON + timedelta(days=9)) == Hold(Why.DIGEST, None)


def test_of_several_reasons_it_is_the_one_that_ends_last() -> None:
    """A digest within quiet hours comes in the morning; one for somebody who is away when they are back."""
    digest = wish(digest_seconds=900, quiet=NIGHT)
    night = at("2026-01-31 23:00")
    person = Person(jid="romeo", hold_below="critical")
    assert held(digest, person, "info", show="available", now=night, zone=UTC) == Hold(
        Why.QUIET, at("2026-02-01 06:00")
    )
    assert held(digest, person, "info", show="dnd", now=night, zone=UTC) == Hold(Why.PRESENCE, None)
    assert held(digest, person, "info", show="available", now=NOON, zone=UTC) == Hold(
        Why.DIGEST, NOON + timedelta(minutes=15)
    )
    since = NOON - timedelta(minutes=20)
    assert held(digest, person, "info", show="available", now=NOON, zone=UTC, since=since) is None
    assert held(wish(), person, "info", show="unknown", now=NOON, zone=UTC) is None


def test_a_mute_is_for_a_pattern_or_an_incident_and_for_a_while() -> None:
    """Then it is over by itself."""
    person = Person(jid="romeo", mutes=(Mute(pattern="disk.#", until=NOON), Mute(key="db1")))
    before = NOON - timedelta(seconds=1)
    assert muted(person, ("disk.full",), "", before) == person.mutes[0]
    assert muted(person, ("disk.full",), "", NOON) is None
    assert muted(person, ("user", "disk.full"), "", before) == person.mutes[0]
    assert muted(person, ("disk.full",), "db1", before) == person.mutes[1]  # the longest
    assert muted(person, ("user",), "", before) is None
    assert muted(Person(jid="romeo"), ("user",), "db1", before) is None
