"""What people read in a chat."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from xmppbus import limits
from xmppbus.event import Event
from xmppbus.people.model import Incident, Status
from xmppbus.people.texts import (
    bounded,
    digest_text,
    end_text,
    event_text,
    incident_line,
    incident_text,
    moment_text,
    retraction_text,
    rise_text,
)

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
ROME = ZoneInfo("Europe/Rome")


def event(number: int = 1, **fields: str) -> Event:
    """An event of a disk."""
    name = {"type": "disk.full", "id": str(number), "source": "db1", "time": "2026-01-31T12:00:00Z"}
    return Event({**name, "severity": "warning", "summary": "disk 91 % full", **fields})


def incident(**fields: object) -> Incident:
    """One that fires since noon."""
    given_fields: dict[str, object] = {
        "key": "db1/disk",
        "episode": "1",
        "sequence": 1,
        "status": Status.FIRING,
        "severity": "warning",
        "worst": "warning",
        "type": "disk.full",
        "summary": "disk 91 % full",
        "source": "db1",
        "opened": NOON,
    }
    return Incident(**given_fields | fields)  # type: ignore[arg-type]  # the fields of one, given by name


def said(found: Incident, minutes: float = 0) -> list[str]:
    """Its message in Rome, so many minutes after noon, in lines."""
    return incident_text(found, ROME, NOON + timedelta(minutes=minutes)).split("\n")


def test_an_incident_that_fires() -> None:
    """What is wrong first, as a phone shows it before anybody looks; then what to name it by."""
    assert said(incident()) == ["▲ *firing* disk 91 % full", "disk.full · db1 · db1/disk"]
    assert said(incident(count=4, severity="critical", link="https://example.org/d")) == [
        "‼ *firing* disk 91 % full (×4)",
        "https://example.org/d",
        "disk.full · db1 · db1/disk",
    ]


def test_an_incident_that_somebody_has() -> None:
    """Who, and since when, in the local time of the house."""
    found = incident(status=Status.ACKNOWLEDGED, by="juliet@example.org", acknowledged=NOON + timedelta(minutes=3))
    assert said(found)[:2] == ["▲ *acknowledged* disk 91 % full", "acknowledged by juliet@example.org 13:03"]
    assert said(found, minutes=24 * 60)[1] == "acknowledged by juliet@example.org 2026-01-31 13:03"


def test_an_incident_that_is_over() -> None:
    """After how long, and who had it, or who said so."""
    found = incident(status=Status.RESOLVED, count=2, resolved=NOON + timedelta(minutes=12))
    assert said(found) == ["✔ *resolved* after 12 min: disk 91 % full (×2)", "disk.full · db1 · db1/disk"]
    by_hand = incident(status=Status.RESOLVED, resolved=NOON + timedelta(minutes=12), by="romeo@example.org")
    assert said(by_hand)[1] == "resolved by romeo@example.org"
    had = incident(status=Status.RESOLVED, resolved=NOON + timedelta(hours=3), by="juliet", acknowledged=NOON)
    assert said(had)[:2] == ["✔ *resolved* after 3 h: disk 91 % full", "acknowledged by juliet 13:00"]


def test_flapping_is_said_in_the_message_itself() -> None:
    """And with it that nothing new will come."""
    assert any(line.startswith("it comes and goes") for line in said(incident(flapping=True)))
    over = incident(flapping=True, status=Status.RESOLVED, resolved=NOON)
    assert not any(line.startswith("it comes and goes") for line in said(over))


def test_a_fresh_line_says_how_bad_it_has_become() -> None:
    """Short, as what it is about stands in the message that it follows."""
    worse = incident(severity="critical", summary="disk 99 %\nfull")
    assert rise_text(worse, "warning") == "‼ *now critical* (was warning): disk 99 % full\ndisk.full · db1 · db1/disk"


def test_the_end_of_an_episode_whose_incident_fires_again() -> None:
    """The old message must not go on saying that it fires."""
    text = end_text(event(key="db1/disk", status="resolved", summary="disk 60 % full"))
    assert text.split("\n")[0] == "✔ *resolved* disk 60 % full"
    assert "fires again" in text


def test_what_is_taken_back_is_not_repeated() -> None:
    """A client that can't retract shows this."""
    assert retraction_text(event(summary="secret")) == "taken back: the message about disk.full was a mistake"
    assert retraction_text() == "taken back: it was a mistake"


def test_an_event_without_a_status_is_a_few_lines() -> None:
    """As everywhere; or as the subscription's template has it."""
    assert event_text(event(data="rm something")) == "▲ disk 91 % full\nrm something\ndisk.full · db1"
    assert event_text(event(), lambda found: f"<{found.type}>\x1b[31m") == "<disk.full>"


def test_a_digest_has_a_line_for_each_incident_as_it_stands() -> None:
    """However often it fired, and what is none once for each different line."""
    key = {"key": "db1/disk", "status": "firing"}
    events = [event(1, **key), event(2, type="user.signup", severity="info", summary="alice joined"), event(3, **key)]
    events += [event(4, type="cron", severity="info", summary="late"), event(5, type="cron", summary="late")]
    events += [event(6, type="cron", severity="info", summary="late")]
    assert digest_text(events, {"db1/disk": incident(count=2)}).split("\n") == [
        "*6 events*",
        "• user.signup alice joined",
        "▲ *firing* disk 91 % full (×2) · db1/disk",
        "▲ cron late",
        "• cron late (×2)",
    ]


def test_a_long_digest_shows_the_most_severe_and_says_how_to_see_the_rest() -> None:
    """In the order in which they happened."""
    events = [event(n, summary=f"event {n}", severity="info") for n in range(57)]
    events[3] = event(3, summary="fire", severity="critical")
    lines = digest_text(events, {}).split("\n")
    assert lines[0] == "*57 events*"
    assert len(lines) == limits.DIGEST_LINES + 2
    assert any("fire" in line for line in lines)
    assert lines[-1] == "and 37 more: `last 57`"


def test_a_long_text_is_cut_with_a_word_on_how_to_see_it() -> None:
    """A code block that was cut is closed, or the word would stand within it."""
    text = event_text(event(data="\n".join(["```", *["x" * 70] * 100, "```"])))
    assert len(text) <= limits.MESSAGE_CHARACTERS
    assert text.endswith(f"\n```\n… cut: `show {event().item_id}` has all of it")
    assert bounded("short", "show 1") == "short"


def test_a_moment_has_its_day_when_it_is_not_today() -> None:
    """Today where the reader is."""
    late = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)
    assert moment_text(late, UTC, late) == "23:30"
    assert moment_text(NOON, ROME, late) == "2026-01-31 13:00"


text_fields = st.fixed_dictionaries({"summary": st.text(max_size=1000), "source": st.text(max_size=300)})


@given(text_fields, st.text(max_size=300), st.text(max_size=300), st.sampled_from(list(Status)))
def test_nothing_of_an_event_commands_a_terminal_or_makes_a_line_of_its_own(
    fields: dict[str, str], key: str, by: str, status: Status
) -> None:
    """No escape, no control, no bidi override; a summary can't forge the line below it; every text is bounded."""
    resolved = NOON if status is Status.RESOLVED else None
    acknowledged = NOON if status is Status.ACKNOWLEDGED else None
    found = incident(**fields, key=key, by=by, status=status, resolved=resolved, acknowledged=acknowledged)
    texts = [incident_text(found, UTC, NOON), rise_text(found, "info")]
    texts += [end_text(event(1, **fields, key=key, status="resolved")), digest_text([event(1, **fields)], {})]
    for text in texts:
        assert len(text) <= limits.MESSAGE_CHARACTERS
        assert not [char for char in text if ord(char) < 32 and char != "\n"]
        assert not set(text) & {"\x1b", "\x7f", "\u202e", "\u2066", "\u2028"}
        assert len(text.split("\n")) <= 4


def test_work_that_goes_on_says_how_far_it_is_and_how_it_ended() -> None:
    """Nothing to be alarmed at fires, and a job counts for itself."""
    job: dict[str, object] = {"severity": "info", "worst": "info", "summary": "backup: 42 %", "count": 7}
    assert incident_line(incident(**job)) == "• *under way* backup: 42 %"
    over: dict[str, object] = {**job, "status": Status.RESOLVED, "resolved": NOON + timedelta(minutes=5)}
    assert incident_line(incident(**over)) == "✔ *over* after 5 min: backup: 42 %"
    assert incident_line(incident(**{**over, "severity": "error"})) == "✖ *over* after 5 min: backup: 42 %"
