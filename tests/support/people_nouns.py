"""Nouns of the chat plane as tests make them."""

from datetime import UTC, datetime

from tests.support.journals import routed
from xmppbus.people.model import Copy, Escalation, Incident, Message, Quiet, Status, Subscription, message_id

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
ROMEO, JULIET = "romeo@example.org", "juliet@example.org"
EPISODE = routed("opened").event.item_id


def subscription(owner: str = ROMEO, pattern: str = "disk.#") -> Subscription:
    """As the command makes it."""
    quiet = Quiet(start=22 * 60, end=7 * 60, zone="Europe/Berlin")
    return Subscription(owner=owner, pattern=pattern, severity=">=warning", quiet=quiet, created=NOON)


def incident(key: str = "db1", sequence: int = 1, status: Status = Status.FIRING) -> Incident:
    """An incident after some event."""
    return Incident(
        key=key, episode=EPISODE, sequence=sequence, status=status, severity="error", worst="critical",
        type="disk.full", summary=f"disk {sequence} % full", opened=NOON, changes=(NOON,),
    )  # fmt: skip


def message(sequence: int, jid: str = ROMEO, revision: int = 0, sent: datetime = NOON, key: str = "") -> Message:
    """One that was handed to the server."""
    return Message(message_id(routed(sequence).event.item_id, jid, revision), sequence, jid, revision, key, sent)


def copy(jid: str = ROMEO, sequence: int = 1, key: str = "db1") -> Copy:
    """The message of an incident."""
    return Copy(key, jid, EPISODE, message_id(EPISODE, jid, 0), sequence, "error")


def escalation(step: int = 0, sequence: int = 1, route: str = "ops", due: datetime = NOON) -> Escalation:
    """A chain that begins with an entry."""
    return Escalation(route, routed(sequence).event.item_id, "db1", sequence, step, due)
