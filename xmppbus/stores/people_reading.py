"""What the reader thread is asked about the chat plane. Each function is one short question."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

import msgspec

from xmppbus import limits
from xmppbus.event import Event
from xmppbus.journal import Entry
from xmppbus.people.model import Copy, Escalation, Incident, Message, Person, Status, Subscription, Tally
from xmppbus.route import QUEUE, Match
from xmppbus.stores import rows
from xmppbus.stores.people_writing import SQL, id_bytes
from xmppbus.stores.reader import Matching
from xmppbus.stores.rows import moment_of

T = TypeVar("T")

_ESCAPED = set('"\\')


def _json(connection: sqlite3.Connection, name: str, parameters: Any, type_: type[T]) -> T:
    (packed,) = connection.execute(SQL[name], parameters).fetchone()
    return msgspec.json.decode(packed, type=type_)


def subscriptions(connection: sqlite3.Connection) -> list[Subscription]:
    """All, oldest first."""
    found = _json(connection, "subscriptions", (), list[tuple[int, Subscription]])
    return [msgspec.structs.replace(each, id=number) for number, each in found]


def persons(connection: sqlite3.Connection) -> list[Person]:
    """All."""
    return _json(connection, "persons", (), list[Person])


def tally(connection: sqlite3.Connection) -> Tally:
    """How much there is."""
    subscriptions, people, incidents = connection.execute(SQL["people_tally"]).fetchone()
    return Tally(subscriptions, people, json.loads(incidents))


def incident(connection: sqlite3.Connection, key: str) -> Incident | None:
    """By its key."""
    row = connection.execute(SQL["incident"], (key,)).fetchone()
    return msgspec.json.decode(row[0], type=Incident) if row else None


def incidents(connection: sqlite3.Connection, statuses: Sequence[Status], limit: int) -> list[Incident]:
    """By how they stand, newest first."""
    parameters = {"statuses": json.dumps([each.value for each in statuses]), "limit": limit}
    return _json(connection, "incidents", parameters, list[Incident])


def copies_of(connection: sqlite3.Connection, key: str) -> list[Copy]:
    """Of one incident."""
    return _json(connection, "copies_of", (key,), list[Copy])


def copies(connection: sqlite3.Connection, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Copy]:
    """Of incidents and JIDs."""
    found = _json(connection, "copies", (json.dumps(keys),), list[Copy])
    return {(each.key, each.jid): each for each in found}


def behind(connection: sqlite3.Connection, jid: str) -> list[int]:
    """The newest sequences of incidents about which a JID has a message that says otherwise, oldest first."""
    return _json(connection, "behind", (jid,), list[int])


class _Row(NamedTuple):
    id: str
    sequence: int
    jid: str
    revision: int
    key: str
    sent: int | None
    received: int | None
    displayed: int | None
    bounced: str
    text: str


def _message(row: _Row) -> Message:
    return Message(
        rows.item_id_of(row.id.encode()), row.sequence, row.jid, row.revision, row.key,
        _moment(row.sent), _moment(row.received), _moment(row.displayed), row.bounced, row.text,
    )  # fmt: skip


def _moment(stamp: int | None) -> datetime | None:
    return None if stamp is None else moment_of(stamp)


def message(connection: sqlite3.Connection, message_id: str) -> Message | None:
    """By its id."""
    found = _json(connection, "message", (id_bytes(message_id),), list[_Row])
    return _message(found[0]) if found else None


def messages_of(connection: sqlite3.Connection, sequence: int) -> list[Message]:
    """Of one event, oldest first."""
    return [_message(row) for row in _json(connection, "messages_of", (sequence,), list[_Row])]


def escalations(connection: sqlite3.Connection) -> list[Escalation]:
    """Those that wait, the next due first."""
    found = _json(connection, "escalations", (), list[tuple[str, str, str, int, int, int]])
    return [Escalation(*each[:5], moment_of(each[5])) for each in found]


def waiting(connection: sqlite3.Connection, place: int, limit: int, skip: int) -> list[Entry]:
    """What waits at a place, oldest first."""
    (packed,) = connection.execute(SQL["waiting"], {"place": place, "limit": limit, "skip": skip}).fetchone()
    return [rows.entry_of(rows.entry_fields(row)) for row in packed.split(b"\x1e")] if packed else []


def types(connection: sqlite3.Connection, after: int, until: int) -> list[tuple[str, int, int]]:
    """The types of some entries: how often each, and when last (milliseconds)."""
    return _json(connection, "types", (after, until), list[tuple[str, int, int]])


class SliceBack(NamedTuple):
    """Entries that match, newest first, among `looked_at` down to `scanned`."""

    entries: list[Entry]
    scanned: int
    looked_at: int


Wanted = Callable[[list[bytes]], Entry | None]
"""The entry of a row's fields, if it is wanted."""


def slice_back(connection: sqlite3.Connection, before: int, most: int, limit: int, wanted: Wanted) -> SliceBack:
    """At most `limit` wanted entries among the newest `most` before a sequence."""
    parameters = {"before": before, "limit": min(most, limits.SCAN_EVENTS), "bytes": limits.READ_BYTES}
    looked_at, scanned, packed = connection.execute(SQL["slice_back"], parameters).fetchone()
    found: list[Entry] = []
    for row in packed.split(b"\x1e") if packed else ():
        entry = wanted(rows.entry_fields(row))
        if entry is not None and QUEUE not in entry.event.fields:
            found.append(entry)
            if len(found) == limit:
                break
    return SliceBack(found, scanned or 0, looked_at)


def like(match: Match) -> Wanted:
    """Wants what matches, deciding by type and severity first."""
    matching = Matching((match,))

    def wanted(fields: list[bytes]) -> Entry | None:
        if not matching.may(fields):
            return None
        entry = rows.entry_of(fields)
        return entry if matching.does(entry) else None

    return wanted


def holding(words: Sequence[str]) -> Wanted:
    """Wants what holds all the words, in any case, in its type, summary or text."""
    folded = [word.casefold() for word in words]
    # In JSON these may be written otherwise; all else is there as it is, and most need not be decoded.
    bare = [word for word in folded if word.isprintable() and not _ESCAPED & set(word)]

    def wanted(fields: list[bytes]) -> Entry | None:
        raw = fields[6].decode().casefold()
        if not all(word in raw for word in bare):
            return None
        entry = rows.entry_of(fields)
        said = _said(entry.event)
        return entry if all(word in said for word in folded) else None

    return wanted


def _said(event: Event) -> str:
    return f"{event.type}\n{event.summary}\n{event.text or ''}".casefold()


def incidents_prunable(connection: sqlite3.Connection, before: int) -> list[str]:
    """Incidents that were resolved before a moment (milliseconds), and the oldest beyond what is kept."""
    parameters = {"before": before, "most": limits.SCAN_EVENTS}
    found = _json(connection, "incidents_prunable", parameters, list[str])
    return found + _json(connection, "incidents_excess", {"keep": limits.INCIDENTS}, list[str])


def copies_excess(connection: sqlite3.Connection) -> list[str]:
    """The oldest incidents that have the copies beyond those that are kept."""
    (number,) = connection.execute(SQL["copies_count"]).fetchone()
    found: list[str] = []
    if number > limits.COPIES:
        for key, copies_ in _json(connection, "oldest_copied", (), list[tuple[str, int]]):
            if number <= limits.COPIES:
                break
            found.append(key)
            number -= copies_
    return found
