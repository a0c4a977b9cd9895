"""What a JID is told of an event, as a table: what is known, and what is said."""

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.journals import routed
from xmppbus.event import OURS
from xmppbus.journal import Delivery
from xmppbus.people.incidents import RETRACTED
from xmppbus.people.model import Copy, Incident, Message, Status, message_id
from xmppbus.people.telling import (
    NOTHING,
    Saying,
    Shape,
    Told,
    expiry,
    is_retraction,
    key_of,
    retracted_item,
    revision_of,
    take_back,
    tell,
)

ROMEO = "romeo@example.org"
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
FIRST = "11111111-1111-5111-8111-111111111111"
"""The id of the message that Romeo has."""


def delivery(sequence: int, **fields: Any) -> Delivery:
    """An event on its way."""
    event = routed(sequence, **fields).event
    return Delivery(sequence, sequence, event.item_id, event)


def firing(sequence: int, **fields: Any) -> Delivery:
    """An event of the incident `disk`."""
    return delivery(sequence, **{"key": "disk", "status": "firing", "severity": "warning", **fields})


def incident(
    sequence: int, status: Status = Status.FIRING, severity: str = "warning", episode: str = "one"
) -> Incident:
    """The incident `disk`, as it stands after the event with that sequence."""
    return Incident(
        key="disk",
        episode=episode,
        sequence=sequence,
        status=status,
        severity=severity,
        worst=severity,
        type="disk.full",
        summary="disk is full",
        opened=NOON,
    )


def copy(sequence: int, severity: str = "warning", episode: str = "one", message: str = FIRST) -> Copy:
    """What Romeo has of it."""
    return Copy("disk", ROMEO, episode, message, sequence, severity)


NEW = (Saying(Shape.STATE, 0, "disk"),)
CORRECTION = Saying(Shape.STATE, 0, "disk", FIRST)
LINE = Saying(Shape.LINE, 1, was="warning")
EVENT = (Saying(Shape.EVENT, 0),)

TABLE: list[tuple[str, Delivery, Incident | None, Copy | None, tuple[Saying, ...], Copy | None]] = [
    ("an event that is no incident's", delivery(5), None, None, EVENT, None),
    ("a key that has no incident", firing(5, status="resolved"), None, None, EVENT, None),
    ("an incident that the event did not change", firing(5, status="resolved"), incident(3), None, EVENT, None),
    ("the same, said already", firing(5, status="resolved"), incident(3), copy(3), (), None),
    ("a copy that shows it already", firing(5), incident(7), copy(7), (), None),
    ("a copy that shows more than was folded", firing(5), incident(7), copy(8), (), None),
    ("a repeat", firing(7), incident(7), copy(5), (CORRECTION,), copy(7)),
    (
        "an acknowledgement",
        firing(7, status="acknowledged"),
        incident(7, Status.ACKNOWLEDGED),
        copy(5),
        (CORRECTION,),
        copy(7),
    ),
    ("its end", firing(7, status="resolved"), incident(7, Status.RESOLVED), copy(5), (CORRECTION,), copy(7)),
    (
        "a rise",
        firing(7, severity="critical"),
        incident(7, severity="critical"),
        copy(5),
        (CORRECTION, LINE),
        copy(7, "critical"),
    ),
    (
        "a fall, and a rise to what was said before",
        firing(7, severity="error"),
        incident(7, severity="error"),
        copy(5, "critical"),
        (CORRECTION,),
        copy(7, "critical"),
    ),
    (
        "an end at a severity that was never told",
        firing(7, status="resolved"),
        incident(7, Status.RESOLVED, "critical"),
        copy(5),
        (CORRECTION,),
        copy(7),
    ),
    (
        "the end of an episode, in the next one",
        firing(7, status="resolved"),
        incident(9, episode="two"),
        copy(5),
        (Saying(Shape.END, 0, "disk", FIRST),),
        copy(7),
    ),
    (
        "the end of an episode, once it was said",
        firing(7, status="resolved"),
        incident(9, episode="two"),
        copy(7),
        (),
        None,
    ),
]


@pytest.mark.parametrize(
    ("given", "says", "becomes"), [(row[1:4], *row[4:]) for row in TABLE], ids=[r[0] for r in TABLE]
)
def test_what_is_said(
    given: tuple[Delivery, Incident | None, Copy | None], says: tuple[Saying, ...], becomes: Copy | None
) -> None:
    """To somebody whose clients correct."""
    event, stands, has = given
    assert tell(event, ROMEO, stands, has) == Told(says, becomes)


@pytest.mark.parametrize(
    "has", [None, copy(2, episode="before"), copy(6, message="")], ids=["none", "old", "taken back"]
)
def test_whoever_has_no_copy_of_the_episode_gets_a_message_that_becomes_it(has: Copy | None) -> None:
    """Also when the copy is of an earlier episode, or was taken back."""
    event = firing(7)
    told = tell(event, ROMEO, incident(7), has)
    assert told == Told(NEW, copy(7, message=message_id(event.item_id, ROMEO, 0)))


def test_what_is_told_again_has_new_ids() -> None:
    """So that no client takes it for the one that it has, or that came back."""
    assert tell(delivery(5), ROMEO, None, None, revision=10) == Told((Saying(Shape.EVENT, 10),))
    event = firing(7)
    told = tell(event, ROMEO, incident(7), None, revision=14)
    assert told.sayings == (Saying(Shape.STATE, 14, "disk"),)
    assert told.copy is not None
    assert told.copy.message_id == message_id(event.item_id, ROMEO, 14)


def test_what_is_told_again_is_noticed_though_the_copy_shows_it() -> None:
    """A step of an escalation calls somebody who has it; when it is over there is nothing to notice."""
    told = tell(firing(7), ROMEO, incident(7), copy(7), revision=14)
    assert told == Told((Saying(Shape.STATE, 14, "disk", FIRST), Saying(Shape.LINE, 15)), copy(7))
    told = tell(firing(7), ROMEO, incident(9, Status.RESOLVED), copy(9), revision=14)
    (saying,) = told.sayings
    assert (saying.shape, saying.replaces, told.copy) == (Shape.STATE, FIRST, copy(9))


@pytest.mark.parametrize(
    ("event", "stands", "says"),
    [
        (firing(7), incident(7), False),
        (firing(7, severity="error"), incident(7, severity="error"), True),
        (firing(7, status="acknowledged"), incident(7, Status.ACKNOWLEDGED), True),
        (firing(7, status="resolved"), incident(7, Status.RESOLVED), True),
        (firing(7, type="incident.unacknowledged"), incident(7), True),
    ],
    ids=["a repeat", "a rise", "an acknowledgement", "its end", "an acknowledgement taken back"],
)
def test_where_nothing_is_corrected_what_matters_is_a_new_message(
    event: Delivery, stands: Incident, says: bool
) -> None:
    """And what does not matter is left out."""
    told = tell(event, ROMEO, stands, copy(5), corrects=False)
    fresh = Told(NEW, copy(7, stands.severity, message=message_id(event.item_id, ROMEO, 0)))
    assert told == (fresh if says else NOTHING)


def test_the_end_of_an_earlier_episode_is_said_anew_where_nothing_is_corrected() -> None:
    """It is then the copy."""
    event = firing(7, status="resolved")
    made = message_id(event.item_id, ROMEO, 0)
    told = tell(event, ROMEO, incident(9, episode="two"), copy(5), corrects=False)
    assert told == Told((Saying(Shape.END, 0, "disk"),), copy(7, message=made))


def test_a_message_has_a_uuid_for_an_id() -> None:
    """As anybody makes it from the item id, the JID and the revision."""
    for revision in (-1, 0, 1, 12):
        assert message_id(FIRST, ROMEO, revision) == str(uuid.uuid5(uuid.UUID(FIRST), f"{ROMEO}\n{revision}"))


def test_the_same_delivery_has_the_same_ids_as_long_as_it_says_the_same() -> None:
    """A resend is recognised; what tells more than the first time is looked at, and is no resend."""
    event = firing(7)
    told = [tell(event, ROMEO, incident(stands), None) for stands in (7, 8, 9)]
    assert told == [tell(event, ROMEO, incident(stands), None) for stands in (7, 8, 9)]
    assert len({each.sayings[0].revision for each in told}) == 3
    for each in told:
        assert each.copy is not None
        assert each.copy.message_id == message_id(event.item_id, ROMEO, each.sayings[0].revision)


def test_a_message_is_corrected_from_where_it_came_whenever_it_was_told() -> None:
    """Its revision says whether that is the incident's resource."""
    (state, line) = tell(firing(7), ROMEO, incident(9, severity="error"), copy(5)).sayings
    assert (state.revision % 2, line.revision - state.revision) == (0, 1)


def message(made: str, revision: int, key: str = "", bounced: str = "") -> Message:
    """One that Romeo was sent of the entry 5."""
    return Message(made, 5, ROMEO, revision, key, bounced=bounced)


def test_every_message_of_an_entry_is_taken_back_from_where_it_came() -> None:
    """The line about the rise came from the bot itself, and what bounced was never read."""
    sent = [message("c", 0, "disk", "service-unavailable"), message("a", 2, "disk"), message("b", 3, "disk")]
    told = take_back(sent, [copy(5, message="a")])
    assert told == Told(
        (Saying(Shape.RETRACTION, 2, "disk", "", "a"), Saying(Shape.RETRACTION, 3, "", "", "b")), copy(5, message="")
    )


def test_a_correction_is_taken_back_without_its_copy() -> None:
    """What it corrected is another entry's message."""
    assert take_back([message("a", 0, "disk")], [copy(5)]).copy is None


def test_nothing_is_taken_back_from_who_got_nothing() -> None:
    """No message, no retraction."""
    assert take_back([], []) == NOTHING


def test_a_delivery_made_again_has_a_revision_of_its_own() -> None:
    """The same one after a crash: its id is what tells it from the first time."""
    first = delivery(5)
    assert revision_of(first) == 0
    assert revision_of(first._replace(id=9, again=True)) == 18
    assert revision_of(first._replace(id=12, again=True)) == 24


@pytest.mark.parametrize(
    ("fields", "key"),
    [({}, ""), ({"key": "disk"}, ""), ({"key": "disk", "status": "firing"}, "disk")],
)
def test_an_incident_exists_only_with_a_status(fields: dict[str, str], key: str) -> None:
    """And is named by its key."""
    assert key_of(delivery(5, **fields).event) == key


def test_an_event_expires() -> None:
    """With lower-case letters in its time, too."""
    event = delivery(5, expires="2026-01-31t12:00:00z").event
    assert expiry(event, NOON) == event.get("expires")
    assert expiry(event, NOON.replace(hour=11)) == ""
    assert expiry(delivery(5).event, NOON) == ""


def test_only_the_house_takes_events_back() -> None:
    """By its source and type; the item is in the data."""
    event = routed("a", type=RETRACTED, source=OURS, data={"item": FIRST, "by": ROMEO}).event
    assert is_retraction(event)
    assert retracted_item(event) == FIRST
    assert not is_retraction(routed("a", type=RETRACTED).event)
    assert retracted_item(routed("a", type=RETRACTED, source=OURS, data="text").event) == ""
