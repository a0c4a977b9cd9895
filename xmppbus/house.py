"""What `app.py` hands to the inputs, the outputs and the command line: the parts of the house, already open."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from functools import partial
from typing import Any, Protocol, cast

from xmppbus import limits
from xmppbus.bus import Bus
from xmppbus.config import Config
from xmppbus.errors import Code, Refused
from xmppbus.interfaces import Clock, Input, Output
from xmppbus.journal import HELD, Entry, Journal, PlaceStatus
from xmppbus.options import Options
from xmppbus.people.acting import Acting
from xmppbus.people.audience import Audience
from xmppbus.people.budget import Budget
from xmppbus.people.durations import beginning
from xmppbus.people.shown import Known, known_of
from xmppbus.people.store import People
from xmppbus.plots.asking import Question, nothing_found
from xmppbus.plots.drawing import Drawing
from xmppbus.plots.series import Series, Told, collect
from xmppbus.plugins import Registry
from xmppbus.queues import Queues
from xmppbus.route import QUEUE, Routes
from xmppbus.web import Web
from xmppbus.xmpp.component import Stream
from xmppbus.xmpp.rooms import Rooms
from xmppbus.xmpp.talk import Talk
from xmppbus.xmpp.upload import Uploads

log = logging.getLogger("xmppbus")


class Reload(Protocol):
    """Takes a new config; see `xmppbus.running.reloading`."""

    async def __call__(self) -> Any:
        """What came of it. Raises `ConfigInvalid`: the old one holds."""

    def status(self) -> Mapping[str, Any]:
        """Which file holds, since when, and what of it waits for a restart."""


@dataclass
class House:
    """The parts, for those who live in it. `xmpp` is None on a local bus, `web` is None where HTTP is switched off."""

    config: Config
    clock: Clock
    started: datetime
    journal: Journal
    registry: Registry
    bus: Bus
    web: Web | None = None
    xmpp: Stream | None = None
    people: People | None = None  # the chat plane's store; None where there is no bot, like the five below
    audience: Audience | None = None  # who wants to hear what
    talk: Talk | None = None  # the bot's JID on the stream
    uploads: Uploads | None = None  # where people fetch its pictures
    rooms: Rooms | None = None  # those that it is in
    budget: Budget | None = None  # of messages to each of them
    ticks: Callable[[], float] = time.monotonic  # a clock that nobody sets, in seconds
    drawing: Drawing = field(default_factory=Drawing)  # charts as pictures
    outputs: dict[str, Output] = field(default_factory=dict)
    inputs: dict[str, Input] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)  # plain words for `serve` and `status`
    listening: Mapping[str, socket.socket] = field(default_factory=dict)  # opened by systemd for us: `unix`, `http`
    reload: Reload | None = None  # takes a new config
    on_reload: list[Callable[[], None]] = field(default_factory=list)  # called, in order, once a new config holds
    queues: Queues = field(init=False)  # open once the journal is

    def __post_init__(self) -> None:
        returning = limits.QUEUE_RETURN_SECONDS
        self.queues = Queues(self.journal, ticks=self.ticks, clock=self.clock, returning_seconds=returning)
        self.bus.queues = self.queues.taking

    @property
    def options(self) -> Options:
        """The config's options."""
        return self.config.options

    @property
    def routes(self) -> Routes:
        """The routes of today."""
        return self.config.routes

    async def status(self) -> dict[str, Any]:
        """Everything that `xmppbus status --json` prints; see docs/reference/status.md."""
        journal = await self.journal.status()
        places = await self.journal.places()
        now = self.clock()
        waiting: dict[str, dict[str, Any]] = {}
        for place in (each for each in places if each.output != QUEUE):  # nobody is late there: consumers come for it
            line = waiting.setdefault(place.output, {"waiting": 0, "oldest_seconds": None, "places": 0})
            line["waiting"] += place.waiting
            line["places"] += 1
            if _is_held(place):
                line["held"] = line.get("held", 0) + place.waiting
            elif place.oldest:
                age = max(0.0, (now - place.oldest).total_seconds())
                line["oldest_seconds"] = max(age, line["oldest_seconds"] or 0.0)
        stopped = [
            {"output": place.output, "place": place.place, "waiting": place.waiting, **place.stop._asdict()}
            for place in places
            if place.stop and not _is_held(place)
        ]
        names = {*self.outputs, *waiting}
        return {
            "alive": True,
            "accepting": journal.accepting and not self.bus.closing,
            "state": self._state(journal.accepting, waiting),
            "since": self.started.isoformat(),
            "notices": list(self.notices),
            "config": dict(self.reload.status()) if self.reload else None,
            "xmpp": dict(self.xmpp.status()) if self.xmpp else None,
            "encryption": self.talk.encryption.status() if self.talk and self.talk.encryption else None,
            "inputs": {name: _said(name, each) for name, each in self.inputs.items()},
            "outputs": {name: self._output(name) | waiting.get(name, {"waiting": 0}) for name in sorted(names)},
            "stopped": stopped,
            "queues": [each._asdict() for each in self.queues.status(places)],
            "journal": journal._asdict(),
        }

    def _output(self, name: str) -> dict[str, Any]:
        output = self.outputs.get(name)
        if output:
            return _said(name, output)
        if name == "via":
            return {"state": "up"}
        return {"state": "missing", "reason": "no such output in the config; what waits for it is held"}

    def _state(self, accepting: bool, waiting: Mapping[str, Mapping[str, Any]]) -> str:
        """One word: `refusing`, `down` (an output can't deliver), `behind` (it can, and something waits), or `up`."""
        if not accepting or self.bus.closing:
            return "refusing"
        if any(self._output(name)["state"] != "up" for name in {*self.outputs, *waiting}):
            return "down"
        behind = any((line["oldest_seconds"] or 0) >= BEHIND_SECONDS for line in waiting.values())
        return "behind" if behind else "up"

    async def health(self) -> str:
        """Empty when the house can accept, else why not (`GET /health`)."""
        journal = await self.journal.status()
        if self.bus.closing:
            return "stopping"
        return "" if journal.accepting else journal.reason


def _said(name: str, part: Input | Output) -> dict[str, Any]:
    """What a part says of itself."""
    try:
        return {"state": "unknown", **part.status()}
    except Exception as error:  # the house is kept alive: a plugin's bug is not the others'
        log.exception("%s can't say how it is", name)
        return {"state": "unknown", "reason": f"it can't say how it is: {type(error).__name__}; see the log"}


def _is_held(place: PlaceStatus) -> bool:
    """Whether what waits there is neither late nor stopped: it waits for its time."""
    return place.stop is not None and place.stop.condition == HELD


BEHIND_SECONDS = 5.0
"""What has waited longer than this is said to be behind; less is on its way."""


def not_found(item_id: str) -> Refused:
    """Nobody knows such an event; the same words at every door."""
    return Refused(Code.NOT_FOUND, f"no event {item_id} in the journal; it never was, or has been pruned")


def people_of(house: House) -> People:
    """The chat plane's store. Raises `Refused` (not-configured) where there is none; the same words at every door."""
    if house.people is None:
        message = (
            "this bus keeps no incidents and knows no people, for it has no bot: write `bot: {}` (and `xmpp:`, if that "
            "is missing) into xmppbus.yaml, and start the daemon again (docs/howto/incidents.md)"
        )
        raise Refused(Code.NOT_CONFIGURED, message)
    return house.people


class _Folds(Protocol):
    """What the output `people` offers to who needs to know how incidents stand."""

    async def folded(self, sequence: int) -> None: ...


def acting_of(house: House) -> Acting:
    """What acknowledges, resolves and retracts for people, at every door. Raises `Refused` (not-configured)."""
    people = people_of(house)
    folds = cast("_Folds", house.outputs["people"])
    return Acting(partial(house.bus.accept, is_ours=True), house.journal, people, house.clock, folds.folded)


async def people_by_now(house: House) -> People:
    """As `people_of`, once everything is folded that was accepted before: whoever publishes and then looks sees it.
    Where that takes long, without it.
    """
    people = people_of(house)
    folds = cast("_Folds", house.outputs["people"])
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limits.FOLD_SECONDS):
            await folds.folded((await house.journal.status()).newest)
    return people


async def known_now(house: House, entry: Entry) -> Known:
    """What the chat plane knows of an event, as of now; nothing where there is no bot."""
    if house.people is None:
        return Known()
    return await known_of(house.journal, await people_by_now(house), entry)


async def series_of(house: House, question: Question, zone: tzinfo | None = None, told: Told | None = None) -> Series:
    """The curves that somebody asks for; times without a zone are of `zone`. Raises `Refused`: usage, payload-too-big,
    item-not-found when there is nothing to draw."""
    try:
        begin = beginning(question.since, house.clock(), zone)
    except ValueError as error:
        raise Refused(Code.USAGE, str(error).rstrip("."), field="since") from None
    after = begin if isinstance(begin, int) else await house.journal.sequence_at(begin)
    series = await collect(house.journal, question.wanted(begin, after), told=told)
    if not series.curves:
        raise Refused(Code.NOT_FOUND, nothing_found(question, series))
    return series
