"""What `xmppbus show` says of people: who got it, who has seen it, what came back, who acknowledged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from xmppbus.cli.desk import Desk, Names
from xmppbus.cli.local import LocalTerminal
from xmppbus.cli.show import known_lines
from xmppbus.inputs.visitor import Facts, Role
from xmppbus.people.model import Incident, Message, Status
from xmppbus.people.shown import Known

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
DESK = Desk(LocalTerminal(), Facts(environment={"TZ": "UTC"}), Role(1, True, True, True), Names(), None)
INCIDENT = Incident(
    key="db1:/var",
    episode="episode",
    sequence=1,
    status=Status.FIRING,
    severity="warning",
    worst="warning",
    type="disk.full",
    summary="91 %",
    opened=NOON,
)


def at(minutes: int) -> datetime:
    return NOON + timedelta(minutes=minutes)


def test_each_person_has_one_line_with_the_first_of_each() -> None:
    """However many messages they were sent; what came back says why."""
    known = Known(
        [
            Message("1", 1, "romeo@example.org", 0, sent=at(0), received=at(1)),
            Message("2", 1, "nurse@example.org", 0, sent=at(0), bounced="item-not-found", text="no\x1bsuch user"),
            Message("3", 1, "romeo@example.org", 1, sent=at(2), received=at(3), displayed=at(4)),
        ]
    )
    assert list(known_lines(DESK, known)) == [
        "",
        "romeo@example.org  sent 2026-01-31 12:00:00  received 2026-01-31 12:01:00  seen 2026-01-31 12:04:00",
        "nurse@example.org  sent 2026-01-31 12:00:00  came back: item-not-found (nosuch user)",
    ]


def test_an_incident_says_how_it_went() -> None:
    """Who acknowledged it, or resolved it by hand."""
    firing = "incident db1:/var  firing since 2026-01-31 12:00:00"
    acknowledged = {"by": "juliet", "acknowledged": at(5)}
    for changes, more in (
        ({}, ""),
        (acknowledged, "  acknowledged by juliet 2026-01-31 12:05:00"),
        ({"by": "juliet", "resolved": at(9)}, "  resolved by juliet 2026-01-31 12:09:00"),
        ({"resolved": at(9)}, "  resolved 2026-01-31 12:09:00"),
        (
            {**acknowledged, "resolved": at(9)},
            "  acknowledged by juliet 2026-01-31 12:05:00  resolved 2026-01-31 12:09:00",
        ),
    ):
        incident = Incident(**{field: getattr(INCIDENT, field) for field in INCIDENT.__struct_fields__} | changes)
        assert list(known_lines(DESK, Known((), incident))) == ["", firing + more]


def test_of_an_event_that_nobody_was_told_of_nothing_is_said() -> None:
    """Not even an empty line."""
    assert list(known_lines(DESK, Known())) == []
