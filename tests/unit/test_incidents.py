"""Events with a key and a status, folded into an incident."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from xmppbus import limits
from xmppbus.event import Event
from xmppbus.fields import SEVERITIES
from xmppbus.people import incidents
from xmppbus.people.incidents import Happened, fold, is_flapping, is_of_incident, moment_of
from xmppbus.people.model import Incident, Status

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
FIRING, ACKNOWLEDGED, RESOLVED = Status.FIRING, Status.ACKNOWLEDGED, Status.RESOLVED


def happened(sequence: int, status: str, *, minutes: float = 0, by: str = "", **fields: str) -> Happened:
    """An event of the incident `disk`, so many minutes after noon."""
    given = {"type": "disk.full", "source": "db1", "severity": "warning", "summary": f"event {sequence}", **fields}
    data = {"data": {"by": by}} if by else {}
    event = Event({"id": str(sequence), "time": "2026-01-31T12:00:00Z", "key": "disk", "status": status} | given | data)
    return Happened(sequence, f"item {sequence}", event, NOON + timedelta(minutes=minutes))


def folded(*happenings: Happened, start: Incident | None = None) -> Incident:
    """What some events come to."""
    incident = reduce(fold, happenings, start)
    assert incident is not None
    return incident


def test_the_first_firing_event_opens_an_incident() -> None:
    """And names its episode."""
    incident = folded(happened(7, FIRING, link="https://example.org/"))
    assert (incident.key, incident.episode, incident.sequence) == ("disk", "item 7", 7)
    assert (incident.status, incident.severity, incident.worst, incident.count) == (FIRING, "warning", "warning", 1)
    assert (incident.type, incident.summary, incident.source) == ("disk.full", "event 7", "db1")
    assert (incident.link, incident.opened) == ("https://example.org/", NOON)


def test_it_takes_a_key_and_a_status() -> None:
    """A key alone makes no incident."""
    assert is_of_incident(happened(1, FIRING).event)
    assert not is_of_incident(Event({"type": "a", "key": "disk"}))


def test_the_end_of_what_nobody_knows_is_an_event_like_any() -> None:
    """Nor is there anything to acknowledge."""
    assert fold(None, happened(1, RESOLVED)) is None
    assert fold(None, happened(1, ACKNOWLEDGED)) is None
    assert fold(None, happened(1, FIRING, type=incidents.UNACKNOWLEDGED)) is None


def test_a_repeat_while_firing_raises_the_counter() -> None:
    """It shows what was said last, in the episode of the first."""
    incident = folded(happened(1, FIRING), happened(2, FIRING, severity="info"), happened(3, FIRING))
    assert (incident.episode, incident.sequence, incident.count, incident.summary) == ("item 1", 3, 3, "event 3")


def test_the_worst_severity_is_remembered() -> None:
    """The last one is the incident's own."""
    incident = folded(happened(1, FIRING), happened(2, FIRING, severity="critical"), happened(3, FIRING))
    assert (incident.severity, incident.worst) == ("warning", "critical")


def test_the_first_acknowledgement_wins() -> None:
    """The second changes nothing at all."""
    first = folded(happened(1, FIRING), happened(2, ACKNOWLEDGED, minutes=3, by="juliet@example.org"))
    assert (first.status, first.by, first.acknowledgements) == (ACKNOWLEDGED, "juliet@example.org", 1)
    assert first.acknowledged == NOON + timedelta(minutes=3)
    assert fold(first, happened(3, ACKNOWLEDGED, minutes=4, by="romeo@example.org")) is first


def test_an_acknowledgement_from_elsewhere_names_its_source() -> None:
    """When it does not say who it was."""
    assert folded(happened(1, FIRING), happened(2, ACKNOWLEDGED, source="pager")).by == "pager"


def test_an_acknowledgement_can_be_taken_back_and_given_again() -> None:
    """Each has a number of its own; the counter of events stays."""
    acknowledged = folded(happened(1, FIRING), happened(2, ACKNOWLEDGED, by="juliet"))
    back = folded(happened(3, FIRING, type=incidents.UNACKNOWLEDGED, by="juliet"), start=acknowledged)
    assert (back.status, back.by, back.acknowledged, back.count, back.sequence) == (FIRING, "", None, 1, 3)
    assert (back.type, back.summary) == ("disk.full", "event 1")
    assert fold(back, happened(4, FIRING, type=incidents.UNACKNOWLEDGED)) is back
    again = folded(happened(5, ACKNOWLEDGED, by="romeo"), start=back)
    assert (again.by, again.acknowledgements) == ("romeo", 2)


def test_what_is_acknowledged_stays_so_when_it_fires_again() -> None:
    """However bad it becomes: the severity says that."""
    incident = folded(
        happened(1, FIRING), happened(2, ACKNOWLEDGED, by="juliet"), happened(3, FIRING, severity="error")
    )
    assert (incident.status, incident.by, incident.severity, incident.count) == (ACKNOWLEDGED, "juliet", "error", 2)


def test_what_is_resolved_by_itself_keeps_who_had_acknowledged() -> None:
    """Whoever resolves it by hand takes their place."""
    acknowledged = folded(happened(1, FIRING), happened(2, ACKNOWLEDGED, by="juliet"))
    alone = folded(happened(3, RESOLVED, minutes=9), start=acknowledged)
    assert (alone.status, alone.by, alone.resolved) == (RESOLVED, "juliet", NOON + timedelta(minutes=9))
    assert alone.acknowledged is not None
    by_hand = folded(happened(3, RESOLVED, by="romeo"), start=acknowledged)
    assert (by_hand.by, by_hand.acknowledged) == ("romeo", None)


def test_what_is_resolved_can_be_neither_acknowledged_nor_resolved() -> None:
    """The same object comes back: nobody needs to be told."""
    resolved = folded(happened(1, FIRING), happened(2, RESOLVED))
    for status in (ACKNOWLEDGED, RESOLVED):
        assert fold(resolved, happened(3, status)) is resolved
    assert fold(resolved, happened(3, FIRING, type=incidents.UNACKNOWLEDGED)) is resolved


def test_the_next_time_it_fires_is_another_episode() -> None:
    """With a count and a history of its own."""
    incident = folded(happened(1, FIRING), happened(2, RESOLVED, minutes=1), happened(3, FIRING, minutes=30))
    assert (incident.episode, incident.count, incident.resolved) == ("item 3", 1, None)
    assert incident.opened == NOON + timedelta(minutes=30)


def flapping(minutes: float = 0.5) -> Incident:
    """Opened, resolved, opened, resolved, and opened once more."""
    events = (happened(n, RESOLVED if n % 2 else FIRING, minutes=n * minutes) for n in range(10, 15))
    return folded(*events)


def test_what_comes_and_goes_too_often_stays_one_episode() -> None:
    """It is said to be flapping with the fifth change in ten minutes."""
    incident = flapping()
    assert incident.flapping
    assert (incident.status, incident.episode, incident.count) == (FIRING, "item 12", 2)
    resolved = folded(happened(20, RESOLVED, minutes=8), start=incident)
    again = folded(happened(21, FIRING, minutes=9), start=resolved)
    assert (again.episode, again.flapping, again.count, again.status) == ("item 12", True, 3, FIRING)
    assert (again.resolved, again.by) == (None, "")


def test_what_comes_and_goes_slowly_is_not_flapping() -> None:
    """The changes of more than ten minutes ago do not count."""
    assert not flapping(minutes=2.6).flapping


def test_flapping_ends_when_it_has_been_calm() -> None:
    """Ten minutes after the last change, whatever comes then."""
    incident = flapping()
    last = max(incident.changes)
    assert is_flapping(incident, last + timedelta(minutes=9))
    assert not is_flapping(incident, last + timedelta(minutes=10))
    repeat = folded(happened(20, FIRING, minutes=30), start=incident)
    assert (repeat.flapping, repeat.episode, repeat.status) == (False, "item 12", FIRING)
    resolved = folded(happened(20, RESOLVED, minutes=8), start=incident)
    anew = folded(happened(21, FIRING, minutes=30), start=resolved)
    assert (anew.flapping, anew.episode) == (False, "item 21")


def test_a_clock_that_lags_makes_nothing_end_before_it_began() -> None:
    """Sender and house need not agree on what time it is."""
    incident = folded(happened(1, FIRING, minutes=5), happened(2, ACKNOWLEDGED, minutes=3, by="juliet"))
    assert incident.acknowledged == incident.opened == NOON + timedelta(minutes=5)


def test_an_event_from_the_future_has_happened_now() -> None:
    """One that says when it was is believed; what can't be a time in UTC is now."""
    assert moment_of(Event({"time": "2026-01-31T13:00:00+02:00"}), NOON) == NOON - timedelta(hours=1)
    assert moment_of(Event({"time": "2099-01-01T00:00:00Z"}), NOON) == NOON
    assert moment_of(Event({"time": "0001-01-01T00:00:00+09:00"}), NOON) == NOON


happenings = st.lists(
    st.builds(
        lambda status, severity, minutes, by, type_: (status, severity, minutes, by, type_),
        st.sampled_from([str(each) for each in Status]),
        st.sampled_from(SEVERITIES),
        st.floats(0, 120, allow_nan=False),
        st.sampled_from(["", "juliet", "romeo"]),
        st.sampled_from(["disk.full", "disk.full", incidents.UNACKNOWLEDGED]),
    ),
    max_size=30,
)
Rows = list[tuple[str, str, float, str, str]]


def _all(rows: Rows) -> list[Happened]:
    return [
        happened(number, status, severity=severity, minutes=minutes, by=by, type=type_)
        for number, (status, severity, minutes, by, type_) in enumerate(rows, start=1)
    ]


@given(happenings, st.data())
def test_folding_again_what_was_folded_changes_nothing(rows: Rows, data: st.DataObject) -> None:
    """After a crash a run is worked once more from any point."""
    events = _all(rows)
    incident = reduce(fold, events, None)
    assert reduce(fold, events, incident) is incident or incident is None
    back = data.draw(st.integers(0, len(events)))
    for event in events[back:]:
        if incident is not None and event.sequence <= incident.sequence:
            assert fold(incident, event) is incident


@given(happenings)
def test_whatever_comes_an_incident_holds_together(rows: Rows) -> None:
    """Its fields agree with each other after every event."""
    incident: Incident | None = None
    for event in _all(rows):
        before, incident = incident, fold(incident, event)
        if incident is None:
            assert before is None
            continue
        assert incident is before or incident.sequence == event.sequence
        assert len(incident.changes) <= limits.FLAPPING_CHANGES
        assert list(incident.changes) == sorted(incident.changes)
        is_over = incident.status is Status.RESOLVED
        assert (is_over and incidents.is_work(incident)) or not incidents.worse(incident.severity, than=incident.worst)
        assert (incident.resolved is not None) == (incident.status is RESOLVED)
        if incident.status is FIRING:
            assert (incident.acknowledged, incident.by) == (None, "")
        if incident.status is ACKNOWLEDGED:
            assert incident.acknowledged is not None
            assert incident.by
        for moment in filter(None, (incident.acknowledged, incident.resolved)):
            assert moment >= incident.opened
        if before and before.status is ACKNOWLEDGED and event.event.get("status") == ACKNOWLEDGED:
            assert incident is before
