"""The chat plane's tables as the writer thread changes them, within the transaction of one commit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.journal import State
from xmppbus.people.model import Copy, Escalation, Incident, Message, Person, Subscription
from xmppbus.route import PEOPLE_ROUTE, Target
from xmppbus.stores import queries
from xmppbus.stores.ledger import Ledger
from xmppbus.stores.rows import Insertion, milliseconds

SQL = queries.load("people")

_INCIDENTS = Insertion(
    "INSERT INTO incident (key, sequence, status, kept, incident)",
    5,
    "ON CONFLICT (key) DO UPDATE SET sequence = excluded.sequence, status = excluded.status, kept = excluded.kept, "
    "incident = excluded.incident WHERE excluded.sequence > incident.sequence",
)
_MESSAGES = Insertion(
    "INSERT OR IGNORE INTO message (id, sequence, jid, revision, key, sent, received, displayed, bounced, text)", 10
)
_COPIES = Insertion(
    "INSERT INTO copy (key, jid, episode, message_id, sequence, severity)",
    6,
    "ON CONFLICT (key, jid) DO UPDATE SET episode = excluded.episode, message_id = excluded.message_id, "
    "sequence = excluded.sequence, severity = excluded.severity WHERE excluded.sequence >= copy.sequence",
)
_TELLING = ("chat", "digest")
"""Outputs that tell people; a digest of several events has a revision below zero."""
_IDS_AT_ONCE = 256
_RECEIVED = (
    "UPDATE message SET received = ? WHERE received IS NULL AND id IN (" + ",".join("?" * _IDS_AT_ONCE) + ")"  # noqa: S608  # question marks
)


def id_bytes(message_id: str) -> bytes:
    """The id of a message as it is kept; empty for one that is none of ours."""
    if len(message_id) != 36:
        return b""
    try:
        found = bytes.fromhex(message_id.replace("-", ""))
    except ValueError:
        return b""
    return found if len(found) == 16 else b""


def _encoded(thing: msgspec.Struct) -> str:
    return msgspec.json.encode(thing).decode()


# --- who wants what ---------------------------------------------------------------------------------------------------


def subscribe(ledger: Ledger, subscription: Subscription) -> Subscription:
    """Keep it in the place of one of the same owner and pattern."""
    found = {"owner": subscription.owner, "pattern": subscription.pattern}
    everybodys, owners, known = ledger.connection.execute(SQL["subscription_room"], found).fetchone()
    if not known and everybodys >= limits.SUBSCRIPTIONS:
        raise Refused(Code.TOO_MANY, f"there are {everybodys} subscriptions already; an owner can end some")
    if not known and owners >= limits.SUBSCRIPTIONS_OF_ONE:
        raise Refused(Code.TOO_MANY, f"{owners} subscriptions are all that one may have; unsubscribe from some")
    parameters = {**found, "subscription": _encoded(subscription)}
    (number,) = ledger.connection.execute(SQL["subscribe"], parameters).fetchone()
    return msgspec.structs.replace(subscription, id=number)


def unsubscribe(ledger: Ledger, subscriptions: Sequence[int]) -> int:
    """How many there were."""
    return ledger.connection.execute(SQL["unsubscribe"], (json.dumps(list(subscriptions)),)).rowcount


def keep_person(ledger: Ledger, person: Person) -> None:
    """Keep it in the place of what was kept of the same JID."""
    persons, known = ledger.connection.execute(SQL["person_room"], (person.jid,)).fetchone()
    if not known and persons >= limits.PERSONS:
        raise Refused(Code.TOO_MANY, f"{persons} people are known already, which are all that there may be")
    ledger.connection.execute(SQL["keep_person"], (person.jid, _encoded(person)))


def forget_person(ledger: Ledger, jid: str) -> None:
    """Forget it."""
    ledger.connection.execute(SQL["forget_person"], (jid,))


# --- incidents and the ledger -----------------------------------------------------------------------------------------


def keep_incidents(ledger: Ledger, incidents: Sequence[Incident]) -> None:
    """Each unless what is kept of its key is as new."""
    values: list[Any] = []
    for each in incidents:
        values += (each.key, each.sequence, each.status.value, ledger.moment, _encoded(each))
    _INCIDENTS.write(ledger.connection, values)


def handed_over(ledger: Ledger, messages: Sequence[Message], copies: Sequence[Copy]) -> None:
    """Messages once each; copies unless an older one comes late."""
    values: list[Any] = []
    moment, stamp = None, None
    for each in messages:
        if each.sent is not moment:  # one moment for all, as a rule
            moment, stamp = each.sent, each.sent and milliseconds(each.sent)
        values += (
            bytes.fromhex(each.id.replace("-", "")), each.sequence, each.jid, each.revision, each.key, stamp,
            each.received and milliseconds(each.received), each.displayed and milliseconds(each.displayed),
            each.bounced, each.text,
        )  # fmt: skip
    _MESSAGES.write(ledger.connection, values)
    _COPIES.write(ledger.connection, [value for copy in copies for value in copy])


def outdate(ledger: Ledger, copy: Copy) -> None:
    """Unless it has been made anew meanwhile."""
    ledger.connection.execute(SQL["outdate"], copy._asdict())


def received(ledger: Ledger, message_ids: Sequence[str], moment: int) -> None:
    """The first receipt counts."""
    ids = list(filter(None, map(id_bytes, message_ids)))
    for start in range(0, len(ids), _IDS_AT_ONCE):
        part = ids[start : start + _IDS_AT_ONCE]
        part += part[-1:] * (_IDS_AT_ONCE - len(part))  # one statement for every number of them
        ledger.connection.execute(_RECEIVED, (moment, *part))


def displayed(ledger: Ledger, message_ids: Sequence[str], moment: int) -> None:
    """And what the same JID was sent before, and the corrections of it: a marker names the first id, over again."""
    execute = ledger.connection.execute
    for message_id in message_ids:
        if not (id_ := id_bytes(message_id)):
            continue
        jid, sent, key = execute(SQL["seen_until"], (id_,)).fetchone()
        parameters = {"moment": moment, "jid": jid, "sent": sent, "id": id_, "key": key, "message_id": message_id}
        if jid is not None:
            execute(SQL["displayed" if sent is not None else "displayed_undated"], parameters)
        if key and sent is not None:
            execute(SQL["displayed_corrected"], parameters)


def bounced(ledger: Ledger, message_id: str, condition: str, text: str) -> None:
    """Kept with the message."""
    parameters = {"id": id_bytes(message_id), "condition": condition, "text": text[: limits.OUTCOME_CHARACTERS]}
    ledger.connection.execute(SQL["bounced"], parameters)


# --- escalation -------------------------------------------------------------------------------------------------------


def begin_escalation(ledger: Ledger, escalation: Escalation) -> None:
    """Unless it ever was."""
    parameters = {**escalation._asdict(), "due": milliseconds(escalation.due)}
    waiting, known = ledger.connection.execute(SQL["escalation_room"], parameters).fetchone()
    if not known and waiting >= limits.ESCALATIONS:
        raise Refused(Code.TOO_MANY, f"{waiting} escalations wait already; see to some of what they are about")
    ledger.connection.execute(SQL["begin_escalation"], parameters)


def escalate(ledger: Ledger, escalation: Escalation, targets: Sequence[Target], due: int | None) -> bool:
    """One step: its deliveries, and the next one. Whoever had the event already gets it once more."""
    if targets and escalation.key and _somebody_has(ledger, escalation.key):
        return False
    parameters = {**escalation._asdict(), "due": due}
    there = ledger.execute("entry_exists", (escalation.sequence,)).fetchone()
    if not ledger.connection.execute(SQL["move_escalation"], parameters).rowcount:
        return False
    if not there:  # pruned: nothing can be said of it any more
        end_escalations(ledger, escalation.episode)
        return False
    _deliver_again(ledger, escalation.sequence, targets)
    return True


def _somebody_has(ledger: Ledger, key: str) -> bool:
    """Whether an incident fires no more, by what is folded, or by what was accepted and will be folded next."""
    place = ledger.place_of(Target(*PEOPLE_ROUTE.to[0]))
    parameters = {"key": key, "place": place, "most": limits.ONWARD_SLICE}
    (found,) = ledger.connection.execute(SQL["somebody_has"], parameters).fetchone()
    return bool(found)


def end_escalations(ledger: Ledger, episode: str) -> int:
    """How many chains ended."""
    return ledger.connection.execute(SQL["end_escalations"], (episode,)).rowcount


# --- deliveries -------------------------------------------------------------------------------------------------------


def deliver_again(ledger: Ledger, sequence: int, target: Target) -> bool:
    """Back to waiting, or made; False when its entry has been pruned."""
    if not ledger.execute("entry_exists", (sequence,)).fetchone():
        return False
    _deliver_again(ledger, sequence, (target,))
    return True


def send_again(ledger: Ledger, message: Message) -> None:
    """Each event of a message at the places where it has a delivery: a digest is one message about several."""
    told = ledger.connection.execute(SQL["told"], (id_bytes(message.id),)).fetchall()
    again: list[tuple[int, int]] = []
    for (sequence,) in told:
        there = [
            (place, row)
            for output in (reversed(_TELLING) if message.revision < 0 else _TELLING)
            if (place := ledger.place_of(Target(output, message.jid)))
            and (row := ledger.connection.execute(SQL["delivery_at"], (sequence, place)).fetchone())
        ]
        if not there:
            continue
        place, (delivery, state) = there[0]
        ledger.effects.dead -= state == State.DEAD
        # One that waits may be claimed: whoever works it settles what is not there any more, which changes nothing.
        ledger.effects.waiting[place] -= state == State.WAITING
        again.append((delivery, place))
    ledger.wait_again(again)


def _deliver_again(ledger: Ledger, sequence: int, targets: Sequence[Target]) -> None:
    again: list[tuple[int, int]] = []
    for target in targets:
        place = ledger.place_of(target)
        row = ledger.connection.execute(SQL["delivery_at"], (sequence, place)).fetchone()
        if row and row[1] != State.WAITING:
            ledger.effects.dead -= row[1] == State.DEAD
            again.append((row[0], place))
    ledger.wait_again(again)
    ledger.deliver([(sequence, target) for target in targets])


def drop_waiting(ledger: Ledger, target: Target, sequences: Sequence[int] | None, after: int) -> tuple[int, int]:
    """How many of the next slice behind a delivery were dropped, and where to go on (0 at the end)."""
    place = ledger.place_of(target)
    parameters = {
        "place": place,
        "after": after,
        "most": limits.ONWARD_SLICE,
        "sequences": None if sequences is None else json.dumps(list(sequences)),
    }
    number, last = ledger.connection.execute(SQL["drop_reach"], parameters).fetchone()
    dropped = ledger.connection.execute(SQL["drop_waiting"], parameters).rowcount
    if dropped:
        ledger.effects.waiting[place] -= dropped
    return dropped, last if number == limits.ONWARD_SLICE else 0


# --- forgetting -------------------------------------------------------------------------------------------------------


def prune_messages(ledger: Ledger) -> int:
    """A slice of the messages whose entries are gone; how many they were."""
    return ledger.connection.execute(SQL["prune_messages"], {"most": limits.ONWARD_SLICE}).rowcount


def forget_copies(ledger: Ledger, keys: Sequence[str]) -> int:
    """A slice of the copies of some incidents, in order; of how many incidents none are left."""
    left = limits.ONWARD_SLICE
    for number, key in enumerate(keys):
        if left <= 0:
            return number
        forgotten = ledger.connection.execute(SQL["forget_copies"], {"key": key, "most": left}).rowcount
        left -= 1 + forgotten
        if left < 0:
            return number
    return len(keys)


def forget_incidents(ledger: Ledger, keys: Sequence[str]) -> int:
    """A slice of incidents with their copies; how many of them are gone."""
    number = forget_copies(ledger, keys)
    ledger.connection.execute(SQL["forget_incidents"], (json.dumps(list(keys[:number])),))
    return number
