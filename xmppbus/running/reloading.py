"""Takes a new config while the bus works: all that may fail comes first, then it holds at once, or the old one stays.

`docs/howto/reload.md` says for people what becomes of what.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import socket
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple, cast
from zoneinfo import ZoneInfo

from xmppbus import limits
from xmppbus.bot.access import Affiliations, affiliations_of
from xmppbus.bot.bot import Bot
from xmppbus.config import Config, load, secret_of, verify
from xmppbus.errors import ConfigInvalid
from xmppbus.house import House
from xmppbus.inputs.unix import UnixInput, group_id
from xmppbus.interfaces import Output
from xmppbus.outputs.chat import Chat
from xmppbus.outputs.chat_plane import PEOPLE, rooms_of_routes
from xmppbus.outputs.digest import Digest
from xmppbus.outputs.escalation import Escalations
from xmppbus.outputs.people import ForPeople
from xmppbus.outputs.pubsub import PubSub
from xmppbus.outputs.room import Room
from xmppbus.people.audience import CHAT, DIGEST, ROOM
from xmppbus.plugins import Registry
from xmppbus.route import STATION, Address, Match, Route, Routes, Target
from xmppbus.running.difference import Change, difference
from xmppbus.running.parts import Made, Parts
from xmppbus.running.systemd import Notifier
from xmppbus.stores.sqlite import SqliteJournal

log = logging.getLogger("xmppbus.reload")

NEEDS_RESTART = "needs a restart: {}. Everything else in the config holds"


class Reloaded(NamedTuple):
    """What a reload came to: the options that have changed, and those that have to wait for a restart."""

    taken: tuple[str, ...]
    restart: tuple[str, ...]
    warnings: tuple[str, ...]


class Reloading:
    """`house.reload`. One at a time; whoever comes meanwhile waits, and has the file read again."""

    def __init__(
        self, house: House, parts: Parts, journal: SqliteJournal, owners: Affiliations, supervisor: Notifier
    ) -> None:
        self._house = house
        self._parts = parts
        self._journal = journal
        self._owners = owners
        self._supervisor = supervisor
        self._turn = asyncio.Lock()
        self._closing = False
        self._loaded = house.clock()
        self._notices: list[str] = list(house.config.warnings)
        self.restart: tuple[str, ...] = ()

    async def __call__(self) -> Reloaded:
        """Read the config again and go by it. Raises `ConfigInvalid`: then nothing has changed. Whoever leaves while it
        goes on leaves no half of it."""
        task = asyncio.create_task(self._whole(), name="reload")
        task.add_done_callback(_look_at)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Wait for the one that goes on, and begin no other: the house is being left."""
        self._closing = True
        async with self._turn:
            pass

    async def _whole(self) -> Reloaded:
        async with self._turn:
            if self._closing:
                raise ConfigInvalid("the daemon is stopping; the next one reads the config when it starts")
            self._supervisor.reloading()
            try:
                return await self._reload()
            except ConfigInvalid as error:
                for line in str(error).splitlines():
                    log.error("the config is not taken, the old one holds: %s", line)
                raise
            except Exception as error:
                log.exception("the config is not taken, the old one holds")
                raise ConfigInvalid(f"a part of the new config could not be opened: {type(error).__name__}: {error}; "
                                    "the old config holds, and the log says more") from error  # fmt: skip
            finally:
                self._supervisor.ready(await standing(self._house))

    def status(self) -> Mapping[str, Any]:
        """For `house.status()`: which file holds, since when, and what of it waits for a restart."""
        config = self._house.config
        return {
            "path": str(config.path.absolute()) if config.path else None,
            "digest": digest_of(config),
            "loaded": self._loaded.isoformat(),
            "restart": list(self.restart),
        }

    async def _reload(self) -> Reloaded:
        house = self._house
        found = await asyncio.to_thread(load, house.config.path, house.config.environ)
        verify(found, house.registry)
        change = difference(house.options, found.options)
        try:
            config = with_own_routes(found.with_options(change.options), house.registry)
            prepared = self._prepare(config)
            made = self._parts.make(config)
        except ConfigInvalid as error:
            if not change.restart:
                raise
            waits = f"{NEEDS_RESTART.partition('.')[0].format(', '.join(change.restart))}, and the rest goes with it"
            raise ConfigInvalid(f"{error}\n{waits}; nothing of it is taken now") from error
        await self._parts.open(made)
        await self._take(made, prepared, change)
        return Reloaded(change.taken, change.restart, config.warnings)

    def _prepare(self, config: Config) -> _Prepared:
        """What may fail in the parts that stay. Raises `ConfigInvalid`."""
        options, web = config.options, self._house.web
        group_id(options.socket.group)
        return _Prepared(
            web=web.prepare(options.http) if web and options.http else None,
            secret=secret_of(config) if options.xmpp else "",
        )

    async def _take(self, made: Made, prepared: _Prepared, change: Change) -> None:
        """Up to the first wait nobody else runs, so the new config holds at once."""
        house, old = self._house, dict(self._house.outputs)
        if prepared.web:
            prepared.web()
        self._parts.take(made)
        if house.xmpp:
            house.xmpp.take_secret(prepared.secret)
        house.bus.routes = house.routes
        house.bus.source = source_of(house.config)
        keep = house.options.journal.keep
        self._journal.keep(days=keep.days, most_bytes=int(keep.gib * limits.GIB))
        cast("UnixInput", house.inputs["unix"]).take(house.options.socket)
        self._tell_outputs(house.outputs)
        self._tell_bot()
        self._say(change)
        for callback in house.on_reload:
            try:
                callback()
            except Exception:  # the house is kept alive: the config holds all the same
                log.exception("somebody could not be told of the new config")
        for route in house.routes:
            for step in range(len(route.via)):
                self._journal.people.wake(Target(STATION, f"{route.name}/{step}"))
        await self._parts.start(made, old)
        if house.rooms and house.options.bot:
            await house.rooms.take(house.options.bot, named=rooms_of_routes(house), owners=self._owners.owners())

    def _tell_outputs(self, outputs: Mapping[str, Output]) -> None:
        options = self._house.options
        for output in outputs.values():
            if isinstance(output, PubSub):
                output.take(options.nodes)
            elif isinstance(output, Escalations):
                output.take(self._house.routes, options.routes)

    def _tell_bot(self) -> None:
        house, bot = self._house, self._house.options.bot
        if bot is None or house.talk is None or house.audience is None or house.budget is None:
            return
        self._owners.take(affiliations_of(bot))
        house.audience.routes = house.routes
        house.budget.change(bot.messages_per_minute)
        house.talk.take(bot)
        cast("Bot", house.inputs["bot"]).take(bot)
        zone = ZoneInfo(bot.time_zone)
        for name in (PEOPLE, CHAT, DIGEST, ROOM):
            cast("ForPeople | Chat | Digest | Room", house.outputs[name]).zone = zone

    def _say(self, change: Change) -> None:
        """To the log, and to `status`."""
        house, config = self._house, self._house.config
        self._loaded, self.restart = house.clock(), change.restart
        waits = NEEDS_RESTART.format(", ".join(change.restart)) if change.restart else ""
        said, self._notices = self._notices, [*config.warnings, *([waits] if waits else [])]
        house.notices[:] = [each for each in house.notices if each not in said]
        house.notices += self._notices
        log.info("the config %s holds; %s", config.path, f"new: {', '.join(change.taken) or 'nothing'}")
        for notice in self._notices:
            if notice not in said:
                log.warning("%s", notice)


def _look_at(task: asyncio.Task[Reloaded]) -> None:
    """So that what went wrong is not said twice where nobody waits any more; the log has it."""
    if not task.cancelled():
        task.exception()


class _Prepared(NamedTuple):
    web: Any
    secret: str


def with_own_routes(config: Config, registry: Registry) -> Config:
    """With the routes of outputs that say themselves what they want; none of the config's can be called like them."""
    return replace(config, routes=Routes([*config.routes, *(_own_route(*each) for each in registry.matches.items())]))


def _own_route(output: str, match: Match) -> Route:
    return Route(f".{output}", match, (), (Address(output, "all"),))


async def standing(house: House) -> str:
    """One line for `systemctl status`."""
    found = await house.status()
    words = [found["state"], f"{found['journal']['waiting']} waiting", f"{found['journal']['dead']} dead"]
    return ", ".join([*words, *([found["notices"][-1]] if found["config"] and found["config"]["restart"] else [])])


def source_of(config: Config) -> str:
    """The `source` of events that name none."""
    return config.options.source or socket.gethostname()


def digest_of(config: Config) -> str:
    """Of the file as it was read, so that `check` can say whether it has changed since; empty without a file."""
    return hashlib.blake2b(config.document.text, digest_size=16).hexdigest() if config.path else ""
