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
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from xmppbus import limits
from xmppbus.bot import bot
from xmppbus.bot.access import affiliations_of
from xmppbus.bus import Bus
from xmppbus.config import Config, secret_of, verify
from xmppbus.deliver import Deliverer, output_work, stations_work
from xmppbus.errors import Exit, JournalFailed
from xmppbus.house import House
from xmppbus.inputs import events, spool, unix
from xmppbus.interfaces import Accept, Analyzer, Clock, Input, Output
from xmppbus.journal import Journal
from xmppbus.outputs import chat_plane, escalation, pubsub
from xmppbus.outputs.chat import Chat
from xmppbus.outputs.chat_plane import open_chat_plane
from xmppbus.outputs.digest import Digest
from xmppbus.outputs.people import ForPeople, people_work
from xmppbus.people.catalogue import speaking
from xmppbus.people.handing_over import ManyDeliverer
from xmppbus.plugins import Registry, load
from xmppbus.retry import Retry
from xmppbus.route import ESCALATION, STATION, Address, Match, Route, Routes
from xmppbus.stores.sqlite import SqliteJournal
from xmppbus.web import Web
from xmppbus.xmpp.component import Stream
from xmppbus.xmpp.stanzas import check_size

log = logging.getLogger("xmppbus")

NO_SERVER = (
    "no XMPP server is configured: events are kept, and shown by `xmppbus listen`, but go nowhere else. To add one, "
    "write `xmpp:` into xmppbus.yaml (docs/howto has the lines for each server), then run `xmppbus check`."
)
_RESTART = Retry(limits.RESTART_FIRST_SECONDS, limits.RESTART_MOST_SECONDS)


def now() -> datetime:
    """The house's clock."""
    return datetime.now(UTC)


def offered(config: Config, more: Sequence[Callable[[Registry], None]] = ()) -> Registry:
    """Everything that inputs, outputs and routes can name: built-ins and plugins, through the same four verbs."""
    registry = Registry()
    for part in (events, spool, unix, bot, pubsub, chat_plane, escalation):
        part.register(registry)
    load(registry, config.options.plugins)
    for register in more:
        register(registry)
    return registry


async def serve(
    config: Config, started: Callable[[House], None], more: Sequence[Callable[[Registry], None]] = ()
) -> int:
    """Live until SIGTERM or SIGINT, and return the exit code. `started` is called once every door is open."""
    registry = offered(config, more)
    verify(config, registry)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    try:
        await live(config, registry, stopping, started)
    except* JournalFailed as failed:
        log.critical("the journal failed, and with it the house: %s", failed.exceptions[0])
    return Exit.OK if stopping.is_set() else Exit.SOFTWARE


async def live(
    config: Config,
    registry: Registry,
    stopping: asyncio.Event,
    started: Callable[[House], None],
    *,
    clock: Clock = now,
    ticks: Callable[[], float] = time.monotonic,
) -> None:
    """The whole life of a house, until `stopping` is set. Raises what broke it, in a group."""
    options = config.options
    config = replace(config, routes=Routes([*config.routes, *(_own_route(*each) for each in registry.matches.items())]))
    async with asyncio.TaskGroup() as group, AsyncExitStack() as stack:
        journal = SqliteJournal(
            config.journal_path,
            keep_days=options.journal.keep.days,
            most_bytes=int(options.journal.keep.gib * limits.GIB),
            clock=clock,
        )
        await stack.enter_async_context(journal)
        await stack.enter_async_context(_running(group, _watch(journal)))
        await stack.enter_async_context(_running(group, _prune(journal)))

        source = options.source or socket.gethostname()
        bus = Bus(journal, config.routes, source=source, check_size=check_size, clock=clock)
        house = House(config, clock, clock(), journal, registry, bus, ticks=ticks, notices=list(config.warnings))
        if options.http:
            house.web = Web(options.http, house.health)
        if options.xmpp:
            house.xmpp = Stream(options.xmpp, secret_of(config), dice=random.random)
        else:
            house.notices.append(NO_SERVER)
        if options.bot:
            stack.enter_context(speaking(options.bot.language))
        stack.push_async_callback(house.drawing.close)
        open_chat_plane(house, journal.people, affiliations_of(options.bot))
        _build(house)

        if house.web:
            await stack.enter_async_context(house.web)
        if house.xmpp:
            await stack.enter_async_context(house.xmpp)
        if house.talk and house.audience and house.rooms:
            await house.audience.open()
            await stack.enter_async_context(house.talk)
            await stack.enter_async_context(house.rooms)
        for output in house.outputs.values():
            await stack.enter_async_context(output)
        for deliverer in _deliverers(house):
            await stack.enter_async_context(_running(group, deliverer.run()))
        for name, one in house.inputs.items():
            await stack.enter_async_context(_running(group, _keep(name, one, bus.accept)))
        stack.callback(bus.close)
        started(house)
        await stopping.wait()
        log.info("stopping")


def _own_route(output: str, match: Match) -> Route:
    """Of an output that says itself what it wants; no route of the config can be called like it."""
    return Route(f".{output}", match, (), (Address(output, "all"),))


def _build(house: House) -> None:
    """Make every input and output that the config wants; those with HTTP routes add them now, before it opens."""
    options, registry = house.options, house.registry
    outputs = {
        address.output for route in house.routes for addresses in (route.to, *route.escalate) for address in addresses
    } | {*options.outputs}
    if house.talk:
        # Chains of routes that escalate no longer have to end.
        outputs |= {*chat_plane.OUTPUTS, ESCALATION}
    for name in sorted(outputs):
        house.outputs[name] = registry.outputs[name](house, options.outputs.get(name, {}))
    inputs = (
        {"unix", "spool", *options.inputs} | ({"events"} if house.web else set()) | ({"bot"} if house.talk else set())
    )
    for name in sorted(inputs):
        house.inputs[name] = registry.inputs[name](house, options.inputs.get(name, {}))


def _deliverers(house: House) -> list[Deliverer]:
    """One for each output, and one for all stations. Each station has an analyzer, and so a state, of its own."""
    stations: dict[str, Analyzer] = {
        f"{route.name}/{step}": house.registry.analyzers[name](house.config.via_options(route.name, step))
        for route in house.routes
        for step, name in enumerate(route.via)
    }
    work, run = stations_work(stations, house.bus), limits.ANALYZER_JOBS * 8
    found = [Deliverer(STATION, work, house.journal, ready=_always, dice=random.random, run_events=run)]
    return [*found, *(_deliverer(name, output, house.journal) for name, output in house.outputs.items())]


def _deliverer(name: str, output: Output, journal: Journal) -> Deliverer:
    if isinstance(output, (Chat, Digest)):
        return ManyDeliverer(name, output, journal, dice=random.random)
    work = people_work(output) if isinstance(output, ForPeople) else output_work(output)
    return Deliverer(name, work, journal, ready=output.ready, dice=random.random)


async def _always() -> None:
    """An analyzer needs no server."""


@asynccontextmanager
async def _running(group: asyncio.TaskGroup, work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Something that runs while the house is open; its crash is the house's, and leaving waits until it has left."""
    task = group.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


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
