"""The wiring: builds everything from the config, opens inside out, closes outside in. Read it from top to bottom.

Open: journal, HTTP listener, XMPP stream, outputs, deliverers, inputs. Close in reverse: doors first, then what is in
flight gets a grace period, then XMPP; the journal is last.
"""

from __future__ import annotations

import asyncio
import logging
import random
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from xmppbus import limits
from xmppbus.bus import Bus
from xmppbus.config import Config, secret_of
from xmppbus.deliver import Deliverer, output_work, stations_work
from xmppbus.errors import ConfigInvalid, Exit, JournalFailed
from xmppbus.house import House
from xmppbus.inputs import events, spool, unix
from xmppbus.interfaces import Accept, Analyzer, Input
from xmppbus.outputs import pubsub
from xmppbus.plugins import Registry, load
from xmppbus.retry import Retry
from xmppbus.route import STATION
from xmppbus.stores.sqlite import SqliteJournal
from xmppbus.web import Web
from xmppbus.xmpp.component import Stream
from xmppbus.xmpp.stanzas import encoded_size

log = logging.getLogger("xmppbus")

NO_SERVER = (
    "no XMPP server is configured: events are kept, and shown by `xmppbus listen`, but go nowhere else. To add one, "
    "write `xmpp:` into xmppbus.yaml (docs/howto has the lines for each server), then run `xmppbus check`."
)
_RESTART = Retry(limits.RESTART_FIRST_SECONDS, limits.RESTART_MOST_SECONDS)


def now() -> datetime:
    """The house's clock."""
    return datetime.now(UTC)


def offered(config: Config) -> Registry:
    """Everything that inputs, outputs and routes can name: built-ins and plugins, through the same four verbs."""
    registry = Registry()
    for part in (events, spool, unix, pubsub):
        part.register(registry)
    load(registry, config.options.plugins)
    return registry


async def serve(config: Config, started: Callable[[House], None]) -> int:
    """Live until SIGTERM or SIGINT, and return the exit code. `started` is called once every door is open."""
    options = config.options
    registry = offered(config)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    try:
        async with asyncio.TaskGroup() as group, AsyncExitStack() as stack:
            journal = SqliteJournal(
                config.journal_path,
                keep_days=options.journal.keep.days,
                most_bytes=int(options.journal.keep.gib * limits.GIB),
                clock=now,
            )
            await stack.enter_async_context(journal)
            group.create_task(_watch(journal))
            await stack.enter_async_context(_running(_prune(journal)))

            source = options.source or socket.gethostname()
            bus = Bus(journal, config.routes, source=source, size=encoded_size, clock=now)
            house = House(config, now, now(), journal, registry, bus)
            if options.http:
                house.web = Web(options.http, house.health)
            if options.xmpp:
                house.xmpp = Stream(options.xmpp, secret_of(config), dice=random.random)
            else:
                house.notices.append(NO_SERVER)
            stations = _stations(config, registry)
            _build_outputs(house)
            inputs = _build_inputs(house)

            if house.web:
                await stack.enter_async_context(house.web)
            if house.xmpp:
                await stack.enter_async_context(house.xmpp)
            for output in house.outputs.values():
                await stack.enter_async_context(output)
            for deliverer in _deliverers(house, stations):
                await stack.enter_async_context(_running(deliverer.run()))
            for name, one in inputs.items():
                await stack.enter_async_context(_running(_keep(name, one, bus.accept)))
            stack.callback(bus.close)
            started(house)
            await stopping.wait()
            log.info("stopping")
    except* JournalFailed as failed:
        log.critical("the journal failed, and with it the house: %s", failed.exceptions[0])
        return Exit.SOFTWARE
    return Exit.OK


def _build_outputs(house: House) -> None:
    wanted = {address.output for route in house.config.routes for address in route.to} | {*house.options.outputs}
    for name in sorted(wanted):
        if name not in house.registry.outputs:
            raise ConfigInvalid(f"no output is called {name!r}; there are {', '.join(sorted(house.registry.outputs))}")
        house.outputs[name] = house.registry.outputs[name](house, house.options.outputs.get(name, {}))


def _build_inputs(house: House) -> dict[str, Input]:
    wanted = {"unix", "spool", *(["events"] if house.web else []), *house.options.inputs}
    for name in sorted(wanted - set(house.registry.inputs)):
        raise ConfigInvalid(f"no input is called {name!r}; there are {', '.join(sorted(house.registry.inputs))}")
    built = {name: house.registry.inputs[name](house, house.options.inputs.get(name, {})) for name in sorted(wanted)}
    house.inputs.update(built)
    return built


def _stations(config: Config, registry: Registry) -> dict[str, Analyzer]:
    """One analyzer for each step of each route: their windows and counters are their own."""
    found: dict[str, Analyzer] = {}
    for route in config.routes:
        for step, name in enumerate(route.via):
            if name not in registry.analyzers:
                there = ", ".join(sorted(registry.analyzers))
                raise ConfigInvalid(f"route {route.name}: no analyzer is called {name!r}; there are {there}")
            try:
                found[f"{route.name}/{step}"] = registry.analyzers[name](config.via_options(route.name, step))
            except (TypeError, ValueError) as error:
                raise ConfigInvalid(f"route {route.name}: {name}: {error}") from error
    return found


def _deliverers(house: House, stations: dict[str, Analyzer]) -> list[Deliverer]:
    async def always() -> None:
        """An analyzer needs no server."""

    found = [
        Deliverer(name, output_work(output), house.journal, ready=output.ready, dice=random.random)
        for name, output in house.outputs.items()
    ]
    work = stations_work(stations, house.bus)
    run = limits.ANALYZER_JOBS * 8
    found.append(Deliverer(STATION, work, house.journal, ready=always, dice=random.random, run_events=run))
    return found


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Something that runs while the house is open; leaving cancels it and waits until it has left."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(work)
        try:
            yield
        finally:
            task.cancel()


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
            log.exception("the input %s crashed; it starts again in %.1f s", name, seconds)
            await asyncio.sleep(seconds)


async def _watch(journal: SqliteJournal) -> None:
    """The journal's failure is the house's: nothing could be promised any more."""
    await asyncio.shield(journal.failed)


async def _prune(journal: SqliteJournal) -> None:
    while True:
        await journal.prune()
        await asyncio.sleep(limits.PRUNE_SECONDS)
