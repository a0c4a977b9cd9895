"""The oracle of every chaos test: what was acknowledged, against what the server keeps and what a subscriber saw.

The load generator calls `Ledger.attempt` before it sends an event and `Ledger.accept` after the yes; a yes is written
to a file of its own and fsynced before the call returns. A subscriber (`tests.support.raw`) hands its notifications
over. In the end `judge` compares, by the event's own name `(source, id)` as read out of the payload: neither the item
id's derivation nor any other code of the product is believed.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.raw import Notification
from tests.support.raw_pubsub import Item

JSON_CONTAINER = "{urn:xmpp:json:0}json"
# How long after a fault a repeat may still come from it: the product's own retries and a server's restart.
FAULT_ECHO_SECONDS = 60.0

Name = tuple[str, str]  # (source, id): what CloudEvents calls the event's identity


def body_hash(event: Mapping[str, Any]) -> str:
    """SHA-256 of what an event says: its type and its data, whatever order its fields are written in."""
    said = {key: event[key] for key in ("type", "data", "data_base64") if key in event}
    return hashlib.sha256(json.dumps(said, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def event_in(payload: bytes) -> dict[str, Any]:
    """The event that an item carries as JSON (XEP-0335) inside its Atom entry."""
    found = next(ET.fromstring(payload).iter(JSON_CONTAINER), None)  # noqa: S314  # our own test server's bytes
    if found is None:
        raise ValueError(f"no JSON container in the item: {payload[:300]!r}")
    event: dict[str, Any] = json.loads(found.text or "")
    return event


def name_of(event: Mapping[str, Any]) -> Name:
    """An event's `(source, id)`."""
    return str(event["source"]), str(event["id"])


@dataclass(frozen=True, slots=True)
class Accepted:
    """One acknowledged event."""

    node: str
    sequence: int
    item_id: str
    body: str


class Ledger:
    """What the load generator tried and what it was told; the yeses survive a crash of the generator."""

    def __init__(self, path: Path, seed: int | None = None) -> None:
        self.seed = random.SystemRandom().randrange(2**32) if seed is None else seed
        print(f"seed {self.seed}", flush=True)
        self.dice = random.Random(self.seed)
        self.attempted: dict[Name, str] = {}
        self.accepted: dict[Name, Accepted] = {}
        self.contradictions: list[str] = []
        self.faults: list[float] = []
        self._file = path.open("ab", buffering=0)
        self._write({"seed": self.seed})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def _write(self, *lines: Mapping[str, Any]) -> None:
        self._file.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        os.fdatasync(self._file.fileno())

    def attempt(self, event: Mapping[str, Any]) -> None:
        """Say that this event is about to be sent (again)."""
        self.attempted[name_of(event)] = body_hash(event)

    def accept(self, answers: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> None:
        """Write down (event, result) pairs: the results are the product's `{"id": item id, "sequence": n}`."""
        lines = []
        for event, result in answers:
            name = name_of(event)
            yes = Accepted(event["type"], int(result["sequence"]), str(result["id"]), body_hash(event))
            before = self.accepted.setdefault(name, yes)
            if before != yes:
                self.contradictions.append(f"{name}: first {before}, then {yes}")
            lines.append(
                {"name": name, "node": yes.node, "sequence": yes.sequence, "id": yes.item_id, "body": yes.body}
            )
        if lines:
            self._write(*lines)

    def fault(self, monotonic: float) -> None:
        """Say that something was broken on purpose at this time: a repeat after it is excused."""
        self.faults.append(monotonic)


@dataclass(slots=True)
class Verdict:
    """What the comparison found. Every list but `repeated` has to be empty."""

    seed: int
    accepted: int
    lost: list[Name] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    out_of_order: list[str] = field(default_factory=list)
    repeated: int = 0
    repeated_without_reason: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Nothing lost, invented, changed, overtaken, or repeated without a reason."""
        return not (self.lost or self.extra or self.changed or self.out_of_order or self.repeated_without_reason)

    def __str__(self) -> str:
        counts = (
            f"seed {self.seed}: {self.accepted} accepted, {len(self.lost)} lost, {len(self.extra)} extra, "
            f"{len(self.changed)} changed, {len(self.out_of_order)} out of order, {self.repeated} repeated "
            f"({len(self.repeated_without_reason)} without a reason)"
        )
        examples = [*map(str, self.lost[:5]), *self.extra[:5], *self.changed[:5], *self.out_of_order[:5]]
        return "\n  ".join([counts, *examples, *self.repeated_without_reason[:5]])


@dataclass(slots=True)
class Seen:
    """One sighting of an event: by a subscriber, or among a node's items."""

    node: str
    item_id: str
    event: dict[str, Any]
    monotonic: float | None = None


def judge(
    ledger: Ledger,
    *,
    notified: Sequence[Notification] | None = None,
    kept: Mapping[str, Sequence[Item]] | None = None,
    oldest_first: bool = True,
    notified_is_complete: bool = True,
    kept_is_complete: bool = False,
    dead: Iterable[Name] = (),
) -> Verdict:
    """Compare the ledger with a subscriber's notifications and with the nodes' items.

    `notified_is_complete` is false where the subscriber itself was cut off (a server's restart drops notifications);
    `kept_is_complete` is true where every node keeps all its items. A source that is complete must hold every accepted
    event; with none complete the two together must. `oldest_first` says in which order the service lists items.
    """
    verdict = Verdict(ledger.seed, len(ledger.accepted), changed=list(ledger.contradictions))
    excused = set(dead)
    sightings = [Seen(one.node, one.item_id, event_in(one.payload), one.monotonic) for one in notified_items(notified)]
    listed = [Seen(node, one.item_id, event_in(one.payload)) for node, one in listed_items(kept, oldest_first)]
    sets = [{name_of(one.event) for one in sightings}, {name_of(one.event) for one in listed}]
    must_hold = [
        names
        for names, given, complete in zip(sets, (notified, kept), (notified_is_complete, kept_is_complete), strict=True)
        if given is not None and complete
    ]
    lost = set()
    for names in must_hold or [sets[0] | sets[1]]:
        lost |= set(ledger.accepted) - names - excused
    verdict.lost = sorted(lost, key=lambda name: ledger.accepted[name].sequence)
    for one in (*sightings, *listed):
        check_sighting(ledger, one, verdict)
    check_order(ledger, sightings, verdict, "notified")
    check_order(ledger, listed, verdict, "kept")
    check_repeats(ledger, sightings, verdict)
    return verdict


def notified_items(notified: Sequence[Notification] | None) -> list[Notification]:
    """Notifications without retractions (a service that evicts an item says so)."""
    return [one for one in notified or () if not one.retracted]


def listed_items(kept: Mapping[str, Sequence[Item]] | None, oldest_first: bool) -> list[tuple[str, Item]]:
    """Items with their node, oldest first within each."""
    return [(node, one) for node, items in (kept or {}).items() for one in (items if oldest_first else items[::-1])]


def check_sighting(ledger: Ledger, one: Seen, verdict: Verdict) -> None:
    """What was seen must have been sent, with this content, for this node, under this id."""
    name = name_of(one.event)
    if name not in ledger.attempted:
        verdict.extra.append(f"{name} on {one.node} was never sent")
        return
    if body_hash(one.event) != ledger.attempted[name]:
        verdict.changed.append(f"{name} on {one.node} has another body")
    yes = ledger.accepted.get(name)
    if yes is not None and (yes.node, yes.item_id) != (one.node, one.item_id):
        verdict.changed.append(f"{name}: accepted as {yes.item_id} for {yes.node}, is {one.item_id} on {one.node}")


def check_order(ledger: Ledger, sightings: Iterable[Seen], verdict: Verdict, where: str) -> None:
    """On each node, first sightings are in the order of acceptance."""
    last: dict[str, tuple[int, Name]] = {}
    before: set[tuple[str, Name]] = set()
    for one in sightings:
        name = name_of(one.event)
        yes = ledger.accepted.get(name)
        if yes is None or (one.node, name) in before:
            continue
        before.add((one.node, name))
        newest = last.get(one.node)
        if newest is not None and newest[0] > yes.sequence:
            verdict.out_of_order.append(
                f"{where} on {one.node}: {name} ({yes.sequence}) after {newest[1]} ({newest[0]})"
            )
        else:
            last[one.node] = (yes.sequence, name)


def check_repeats(ledger: Ledger, sightings: Iterable[Seen], verdict: Verdict) -> None:
    """A second notification is allowed only where a fault can have made the first one's outcome unknown."""
    times: defaultdict[tuple[str, Name], list[float]] = defaultdict(list)
    for one in sightings:
        times[one.node, name_of(one.event)].append(one.monotonic or 0.0)
    for (node, name), moments in times.items():
        for first, again in itertools.pairwise(moments):
            verdict.repeated += 1
            # The result that was lost may have been on its way when the notification had already come.
            if not any(first - FAULT_ECHO_SECONDS <= fault <= again for fault in ledger.faults):
                verdict.repeated_without_reason.append(f"{name} on {node} again after {again - first:.3f} s")
