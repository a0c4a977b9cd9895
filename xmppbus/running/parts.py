"""The ways in and out of a house, and the stations of its routes: made, opened and closed by name, at its start, when a
new config wants others, and at its end.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar

from xmppbus import limits
from xmppbus.config import Config
from xmppbus.config.ways import kind_of
from xmppbus.deliver import Deliverer, output_work, stations_work
from xmppbus.errors import ConfigInvalid
from xmppbus.house import House
from xmppbus.interfaces import Accept, Analyzer, Input, Output
from xmppbus.journal import Journal
from xmppbus.outputs import chat_plane
from xmppbus.outputs.chat import Chat
from xmppbus.outputs.digest import Digest
from xmppbus.outputs.people import ForPeople, people_work
from xmppbus.people.handing_over import ManyDeliverer
from xmppbus.retry import Retry
from xmppbus.route import ESCALATION, QUEUE, STATION
from xmppbus.running.counting import door_of
from xmppbus.web.listener import Table

log = logging.getLogger("xmppbus")

_RESTART = Retry(limits.RESTART_FIRST_SECONDS, limits.RESTART_MOST_SECONDS)

_Part = TypeVar("_Part")

Served = set[tuple[str, str]]
"""`(method, path)` of the HTTP listener."""


@dataclass
class Made:
    """What a config wants, made and not yet opened: everything, and by name what of it is new, and what has to go."""

    config: Config
    outputs: dict[str, Output]
    inputs: dict[str, Input]
    stations: dict[str, Analyzer]
    table: Table | None
    served: dict[str, Served]
    new_outputs: list[str] = field(default_factory=list)
    new_inputs: list[str] = field(default_factory=list)
    old_outputs: list[str] = field(default_factory=list)
    old_inputs: list[str] = field(default_factory=list)


class Parts:
    """Enter it when all that its parts need is open. Leaving closes the doors first, then lets the outputs finish."""

    def __init__(self, house: House, group: asyncio.TaskGroup) -> None:
        self._house = house
        self._group = group
        self._stations: dict[str, Analyzer] = {}  # the deliverer of stations looks here for each event
        self._served: dict[str, Served] = {}
        self._working: dict[str, asyncio.Task[None]] = {}  # deliverers
        self._listening: dict[str, asyncio.Task[None]] = {}
        made = self.make(house.config)
        self.take(made)
        self._first = made

    # --- made ---------------------------------------------------------------------------------------------------------

    def make(self, config: Config) -> Made:
        """Make what a config wants beyond what is there. Raises `ConfigInvalid`; nothing has changed then, nor when
        it returns: `take` it. Nothing else runs meanwhile, so nobody sees the house in between.
        """
        house, web = self._house, self._house.web
        before = house.config, house.outputs, house.inputs, web.table if web else None
        outputs, inputs = _wanted_outputs(house, config), _wanted_inputs(house, config)
        old_outputs = _others(house.outputs, outputs, house.options.outputs, config.options.outputs)
        old_inputs = _others(house.inputs, inputs, house.options.inputs, config.options.inputs)
        made = Made(
            config,
            {name: each for name, each in house.outputs.items() if name not in old_outputs},
            {name: each for name, each in house.inputs.items() if name not in old_inputs},
            self._stations_of(config),
            None,
            dict(self._served),
            old_outputs=old_outputs,
            old_inputs=old_inputs,
        )
        gone = {each for name in (*old_outputs, *old_inputs) for each in made.served.pop(name, set())}
        try:
            house.config, house.outputs, house.inputs = config, made.outputs, made.inputs
            if web:
                web.table = web.table.without(gone)
            for name in sorted(outputs - made.outputs.keys()):
                made.outputs[name] = self._noting(made, "outputs", name, house.registry.outputs[kind_of(name)])
                made.new_outputs.append(name)
            for name in sorted(inputs - made.inputs.keys()):
                made.inputs[name] = self._noting(made, "inputs", name, house.registry.inputs[kind_of(name)])
                made.new_inputs.append(name)
            made.table = web.table if web else None
        finally:
            house.config, house.outputs, house.inputs = before[:3]
            if web and before[3]:
                web.table = before[3]
        return made

    def _noting(self, made: Made, section: str, name: str, make: Callable[[House, Any], Any]) -> Any:
        """Make one, and note what it serves over HTTP: that goes with it."""
        web = self._house.web
        before = set(web.served()) if web else set()
        try:
            part = make(self._house, made.config.way(section, name, self._house.registry))
        except (TypeError, ValueError) as error:
            raise ConfigInvalid(made.config.problem((section, name), f"`{name}` can't be used: {error}")) from error
        if web:
            made.served[name] = set(web.served()) - before
        return part

    def _stations_of(self, config: Config) -> dict[str, Analyzer]:
        """Each station has an analyzer, and so a state, of its own. Those of a route whose `via` is as it was stay."""
        house = self._house
        known = {route.name: route.via for route in house.options.routes}
        found: dict[str, Analyzer] = {}
        for route in config.options.routes:
            for step in range(len(route.via)):
                name = f"{route.name}/{step}"
                if known.get(route.name) == route.via and name in self._stations:
                    found[name] = self._stations[name]
                else:
                    analyzer, options = config.station(route.name, step)
                    found[name] = house.registry.analyzers[analyzer](options)
        return found

    # --- taken --------------------------------------------------------------------------------------------------------

    async def open(self, made: Made) -> None:
        """Enter the new outputs, or none of them: what one raises closes the others again."""
        entered: list[Output] = []
        try:
            for name in made.new_outputs:
                await made.outputs[name].__aenter__()
                entered.append(made.outputs[name])
        except BaseException:
            for each in reversed(entered):
                await _leave(each)
            raise

    def take(self, made: Made) -> None:
        """From now on the house is this one. At once: nobody sees half of it."""
        house = self._house
        house.config = made.config
        _become(house.outputs, made.outputs)
        _become(house.inputs, made.inputs)
        _become(self._stations, made.stations)
        self._served = made.served
        if house.web and made.table:
            house.web.table = made.table

    async def start(self, made: Made, old: Mapping[str, Output]) -> None:
        """Let the new ones work, and those of `old` that have to go finish what they have in hand."""
        left = [self._listening.pop(name) for name in made.old_inputs]
        leaving = [(name, self._working.pop(name)) for name in made.old_outputs]
        for name in made.new_outputs:
            self._work(_deliverer(name, self._house.outputs[name], self._house.journal))
        for name in made.new_inputs:
            self._listen(name)
        for task in (*left, *(each for _, each in leaving)):
            task.cancel()
        if tasks := [*left, *(each for _, each in leaving)]:
            await asyncio.wait(tasks)
        for name, _ in leaving:
            await _leave(old[name])

    def _work(self, deliverer: Deliverer) -> None:
        """A deliverer's crash is the house's."""
        self._working[deliverer.output] = self._group.create_task(deliverer.run())

    def _listen(self, name: str) -> None:
        house = self._house
        self._listening[name] = self._group.create_task(_keep(name, house.inputs[name], door_of(house.bus, name)))

    # --- its life -----------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        house = self._house
        await self.open(self._first)
        work, run = stations_work(self._stations, house.bus), limits.ANALYZER_JOBS * 8
        self._work(Deliverer(STATION, work, house.journal, ready=_always, dice=random.random, run_events=run))
        await self.start(self._first, {})
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await _end(self._listening.values())
        await _end(self._working.values())
        for output in reversed(self._house.outputs.values()):
            await _leave(output)


def _become(present: dict[str, _Part], wanted: Mapping[str, _Part]) -> None:
    """In place, for others hold on to it."""
    present.clear()
    present.update(wanted)


def _wanted_outputs(house: House, config: Config) -> set[str]:
    """Those that a route or `outputs:` names, and what a bot brings with it."""
    addresses = (each for route in config.routes for step in (route.to, *route.escalate) for each in step)
    outputs = {address.output for address in addresses} | {*config.options.outputs}
    outputs.discard(QUEUE)  # nobody brings events there: whoever consumes a queue comes for them
    # Chains of routes that escalate no longer have to end.
    return outputs | {*chat_plane.OUTPUTS, ESCALATION} if house.talk else outputs


def _wanted_inputs(house: House, config: Config) -> set[str]:
    built_in = (
        {"expect", "unix", "spool"}
        | ({"events", "webhooks"} if house.web else set())
        | ({"bot"} if house.talk else set())
    )
    return built_in | {*config.options.inputs}


def _others(
    present: Iterable[str],
    wanted: set[str],
    old: Mapping[str, Mapping[str, Any]],
    new: Mapping[str, Mapping[str, Any]],
) -> list[str]:
    """Those that are not wanted any more, or with other options."""
    return [name for name in present if name not in wanted or old.get(name, {}) != new.get(name, {})]


def _deliverer(name: str, output: Output, journal: Journal) -> Deliverer:
    if isinstance(output, (Chat, Digest)):
        return ManyDeliverer(name, output, journal, dice=random.random)
    work = people_work(output) if isinstance(output, ForPeople) else output_work(output)
    return Deliverer(name, work, journal, ready=output.ready, dice=random.random)


async def _always() -> None:
    """An analyzer needs no server."""


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """One after the other, the last first."""
    for task in reversed([*tasks]):
        task.cancel()
        await asyncio.wait([task])


async def _leave(output: Output) -> None:
    try:
        await output.__aexit__(None, None, None)
    except Exception:  # the house is kept alive: one output's bug must not keep the others open
        log.exception("an output could not be closed")


async def _keep(name: str, one: Input, accept: Accept) -> None:
    """Run an input; a crash starts it again with backoff and never touches the others."""
    attempts = 0
    while True:
        try:
            await one.run(accept)
            return
        except Exception:  # the house is kept alive: one input's bug is not the others'
            attempts += 1
            seconds = _RESTART.decide(attempts, random.random)
            log.exception("the input %s crashed; it starts again in %.1f s", name, seconds, extra={"input": name})
            await asyncio.sleep(seconds)
