"""The wiring: builds everything from the config, opens inside out, closes outside in. Read it from top to bottom.

Open: journal, HTTP listener, XMPP stream, outputs, deliverers, inputs. Close in reverse: doors first, then what is in
flight gets a grace period, then XMPP; the journal is last.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

from xmppbus import limits
from xmppbus.bot import bot
from xmppbus.bot.access import affiliations_of
from xmppbus.config import Config, secret_of, verify
from xmppbus.displays import open_displays
from xmppbus.errors import ConfigInvalid, Exit, JournalFailed
from xmppbus.house import House
from xmppbus.inputs import amqp, dbus, events, expect, follow, redis_streams, smtp, spool, stomp, unix, webhooks
from xmppbus.interfaces import Clock
from xmppbus.outputs import amqp as to_amqp
from xmppbus.outputs import chat_plane, escalation, pubsub
from xmppbus.outputs import dbus as to_dbus
from xmppbus.outputs.chat_plane import open_chat_plane
from xmppbus.people.catalogue import speaking
from xmppbus.plugins import Registry, load
from xmppbus.running.counting import CountedBus
from xmppbus.running.metrics import open_metrics
from xmppbus.running.parts import Parts
from xmppbus.running.reloading import Reloading, source_of, standing, with_own_routes
from xmppbus.running.systemd import Notifier, listening_sockets
from xmppbus.running.watching import HTTP, Watched
from xmppbus.stores.sqlite import SqliteJournal
from xmppbus.web import Web
from xmppbus.xmpp.component import Stream
from xmppbus.xmpp.stanzas import check_size

log = logging.getLogger("xmppbus")

NO_SERVER = (
    "no XMPP server is configured: events are kept, and shown by `xmppbus listen`, but go nowhere else. To add one, "
    "write `xmpp:` into xmppbus.yaml (docs/howto has the lines for each server), then run `xmppbus check`."
)


def now() -> datetime:
    """The house's clock."""
    return datetime.now(UTC)


BUILT_IN = (
    amqp,
    to_amqp,
    dbus,
    to_dbus,
    events,
    expect,
    follow,
    redis_streams,
    smtp,
    spool,
    stomp,
    unix,
    webhooks,
    bot,
    pubsub,
    chat_plane,
    escalation,
)


def built_in() -> Registry:
    """What the house brings with it."""
    registry = Registry()
    for part in BUILT_IN:
        part.register(registry)
    return registry


def offered(config: Config, more: Sequence[Callable[[Registry], None]] = ()) -> Registry:
    """Everything that inputs, outputs and routes can name: built-ins and plugins, through the same four verbs."""
    registry = built_in()
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
        await live(
            config, registry, stopping, started, supervisor=Notifier(os.environ), given=listening_sockets(os.environ)
        )
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
    supervisor: Notifier | None = None,
    given: Mapping[str, socket.socket] | None = None,
) -> None:
    """The whole life of a house, until `stopping` is set. Raises what broke it, in a group.

    `supervisor` is told how it is; `given` are sockets that listen already.
    """
    supervisor = supervisor or Notifier({})
    options = config.options
    config = with_own_routes(config, registry)
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

        bus = CountedBus(journal, config.routes, source=source_of(config), check_size=check_size, clock=clock)
        house = House(config, clock, clock(), journal, registry, bus, ticks=ticks, notices=list(config.warnings))
        house.listening = given or {}
        await stack.enter_async_context(house.queues)
        if options.http:
            house.web = Web(options.http, house.health, house.listening.get("http"))
        if options.xmpp:
            house.xmpp = Stream(options.xmpp, secret_of(config), dice=random.random)
        else:
            house.notices.append(NO_SERVER)
        if options.bot:
            stack.enter_context(speaking(options.bot.language))
        stack.push_async_callback(house.drawing.close)
        owners = affiliations_of(options.bot)
        open_chat_plane(house, journal.people, owners)
        _let_watch(house, bus, journal)
        parts = Parts(house, group)

        if house.web:
            displays = open_displays(house)
            open_metrics(house, house.web, bus.figures, displays.status)
            await stack.enter_async_context(house.web)
            await stack.enter_async_context(displays)
        if house.xmpp:
            await stack.enter_async_context(house.xmpp)
        if house.talk and house.audience and house.rooms:
            await house.audience.open()
            await stack.enter_async_context(house.talk)
            await stack.enter_async_context(house.rooms)
        await stack.enter_async_context(parts)
        house.reload = reloading = Reloading(house, parts, journal, owners, supervisor)
        stack.push_async_callback(reloading.close)
        stack.callback(bus.close)
        started(house)
        with _reloads_by_signal(group, house, stopping):
            supervisor.ready(await standing(house))
            await stack.enter_async_context(_running(group, supervisor.feed(journal.beat, partial(standing, house))))
            await stopping.wait()
        supervisor.stopping()
        log.info("stopping")


def _let_watch(house: House, bus: CountedBus, journal: SqliteJournal) -> None:
    """Whoever looks on is told of what comes in, goes out, and is turned away."""
    bus.watched = Watched(house.clock, journal.on_settled)
    if house.web:
        house.web.on_refused = partial(bus.watched.turned_away, HTTP)


@asynccontextmanager
async def _running(group: asyncio.TaskGroup, work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Something that runs while the house is open; its crash is the house's, and leaving waits until it has left."""
    task = group.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


@contextmanager
def _reloads_by_signal(group: asyncio.TaskGroup, house: House, stopping: asyncio.Event) -> Iterator[None]:
    """SIGHUP takes a new config; what is wrong with it is in the log. When our terminal is closed, it is the end."""
    loop, tasks = asyncio.get_running_loop(), set[asyncio.Task[None]]()
    had_terminal = os.isatty(0)

    async def reload() -> None:
        with suppress(ConfigInvalid):
            if house.reload:
                await house.reload()

    def begin() -> None:
        if had_terminal and not os.isatty(0):
            stopping.set()
            return
        task = group.create_task(reload())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    with suppress(RuntimeError, ValueError):  # a house in a thread of a test has no signals
        loop.add_signal_handler(signal.SIGHUP, begin)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        for task in tasks:
            task.cancel()


async def _watch(journal: SqliteJournal) -> None:
    """The journal's failure is the house's: nothing could be promised any more."""
    await asyncio.shield(journal.failed)


async def _prune(journal: SqliteJournal) -> None:
    while True:
        await journal.prune()
        await asyncio.sleep(limits.PRUNE_SECONDS)
