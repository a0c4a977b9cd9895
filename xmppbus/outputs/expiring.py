"""Nodes that nobody uses go, where their profile says so (`expire`); the next publish makes them again.

Which nodes this bus made, and when it last used each, is in the journal's drawer `nodes`. It is written whenever a node
is looked at, every `limits.NODE_CHECK_SECONDS` while it is used, so after a restart a use may be that much younger than
what was written of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Container, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple, Protocol

from xmppbus import limits
from xmppbus.errors import BusError
from xmppbus.interfaces import Clock
from xmppbus.journal import Kept, PlaceStatus
from xmppbus.options import NodeOptions
from xmppbus.people.durations import duration, lasting
from xmppbus.xmpp import requests
from xmppbus.xmpp.component import Stream
from xmppbus.xmpp.nodes import Node, profile_of
from xmppbus.xmpp.replies import ErrorAnswer, NoAnswer
from xmppbus.xmpp.services.nodes import read_subscriptions

log = logging.getLogger("xmppbus.nodes")

DRAWER = "nodes"
_PUBLISHES = ("owner", "publisher", "publish-only")
"""Affiliations that may publish (XEP-0060 §4.1): what others publish we don't see."""


class _Made(NamedTuple):
    """A node that this bus made: its place, and when it was used last, in seconds since 1970."""

    place: str
    used: float


class Keeping(Protocol):
    """What is needed of a journal here."""

    @property
    def kept(self) -> Kept:
        """Its drawers."""

    async def places(self) -> list[PlaceStatus]:
        """Where something waits."""


class Expiring:
    """The nodes that this bus made, and their end. `named` are the places that routes name; `forget` is told of each
    node that has gone."""

    def __init__(
        self,
        stream: Stream,
        journal: Keeping,
        *,
        clock: Clock,
        named: Callable[[], Container[str]],
        forget: Callable[[str], None],
    ) -> None:
        self._stream = stream
        self._journal = journal
        self._clock = clock
        self._named = named
        self._forget = forget
        self._made: dict[str, _Made] = {}
        self._looked: dict[str, int] = {}  # the number of the look in which a node was asked about last
        self._looks = 0
        self._busy: Counter[str] = Counter()
        self._going: dict[str, asyncio.Event] = {}
        self._profiles: Sequence[NodeOptions] = ()
        self._seconds: dict[str, float | None] = {}  # by place: after how long its node goes
        self.gone = 0  # since the start

    async def open(self) -> None:
        """Read which nodes are ours. The time that they were not used goes on from before."""
        now = self._clock().timestamp()
        for name, found in (await self._journal.kept.all(DRAWER)).items():
            if found["service"] == self._stream.service:
                self._made[name] = _Made(found["place"], min(now, found["used"] + limits.NODE_CHECK_SECONDS))

    def take(self, profiles: Sequence[NodeOptions]) -> None:
        """Go by these from now on."""
        self._profiles = profiles
        self._seconds.clear()

    @property
    def count(self) -> int:
        """How many nodes go when nobody uses them."""
        return sum(self._expires_after(each.place) is not None for each in self._made.values())

    async def looked_at(self, node: Node, place: str) -> None:
        """It is there, and about to be used; whoever made it, we or somebody else. Never fails."""
        if not node.made and node.name not in self._made:
            return
        made = _Made(place, self._clock().timestamp())
        try:
            kept = {**made._asdict(), "service": self._stream.service}
            await self._journal.kept.keep(DRAWER, node.name, kept)
        except BusError as error:  # too many nodes, or a full disk
            log.info("node %s: that it is in use can't be kept: %s", node.name, error, extra={"node": node.name})
            if node.name not in self._made:
                return
        self._made[node.name] = made

    @asynccontextmanager
    async def using(self, name: str) -> AsyncIterator[None]:
        """While something is published there it stays; while it is deleted nothing is published."""
        while going := self._going.get(name):
            await going.wait()
        self._busy[name] += 1
        try:
            yield
        finally:
            self._busy[name] -= 1
            if not self._busy[name]:
                del self._busy[name]
            if made := self._made.get(name):
                self._made[name] = made._replace(used=self._clock().timestamp())

    async def run(self) -> None:
        """Look every now and then, until cancelled."""
        while True:
            await asyncio.sleep(limits.NODE_EXPIRE_LOOK_SECONDS)
            try:
                await self.look()
            except (BusError, NoAnswer, ErrorAnswer) as error:  # no session, a full disk: the next look is soon enough
                log.info("nodes that nobody uses are left for now: %s", error)
            except Exception:  # the house is kept alive
                log.exception("can't look for nodes that nobody uses; trying again")

    async def look(self) -> list[str]:
        """Delete those whose time has come, of a bounded number; their names."""
        due = self._due() if self._stream.session else []
        if not due:
            return []
        waiting = {each.place for each in await self._journal.places() if each.output.startswith("pubsub")}
        self._looks += 1
        gone = []
        for name in due[: limits.NODE_EXPIRE_AT_ONCE]:
            self._looked[name] = self._looks
            if self._made[name].place not in waiting and await self._end(name):
                gone.append(name)
        self.gone += len(gone)
        return gone

    def _due(self) -> list[str]:
        """Those that were not used for long enough; first who was not asked about for the longest time."""
        named = self._named()
        due = [name for name, each in self._made.items() if each.place not in named and self._is_due(name)]
        return sorted(due, key=lambda name: (self._looked.get(name, 0), self._made[name].used))

    def _is_due(self, name: str) -> bool:
        made = self._made[name]
        seconds = self._expires_after(made.place)
        unused = self._clock().timestamp() - made.used
        return seconds is not None and unused >= seconds and name not in self._busy

    def _expires_after(self, place: str) -> float | None:
        if place not in self._seconds:
            expire = profile_of(self._profiles, place).expire
            found = duration(expire) if expire else None
            self._seconds[place] = found.total_seconds() if found else None
        return self._seconds[place]

    async def _end(self, name: str) -> bool:
        """Delete a node unless somebody has to do with it; whether it has gone by our doing."""
        if not self._is_due(name):  # used while others were asked about
            return False
        going = self._going[name] = asyncio.Event()
        try:
            try:
                if await self._is_wanted(name):
                    return False
                await self._stream.ask("set", self._stream.service, requests.delete(name))
                deleted = True
            except ErrorAnswer as error:
                log.debug("node %s stays: %s", name, error.reply, extra={"node": name})
                if error.reply.name != "item-not-found":
                    return False
                deleted = False  # somebody else has deleted it
            except NoAnswer:
                self._forget(name)  # it may have gone
                raise
            self._forget(name)
            made = self._made.pop(name)
            self._looked.pop(name, None)
            self._seconds.pop(made.place, None)
            if deleted:
                unused = lasting(self._clock().timestamp() - made.used)
                log.info("node %s is deleted: unused for %s", name, unused, extra={"node": name})
            await self._journal.kept.drop(DRAWER, name)
            return deleted
        finally:
            del self._going[name]
            going.set()

    async def _is_wanted(self, name: str) -> bool:
        """Whether it has a subscriber, or somebody else may publish there. Raises `ErrorAnswer`: nobody can tell."""
        subscriptions = await self._stream.ask("get", self._stream.service, requests.list_subscriptions(name))
        if not requests.has_subscriptions(subscriptions):
            return True  # an answer to something else
        if any(each.state != "none" for each in read_subscriptions(subscriptions, name)):
            return True
        found = await self._stream.ask("get", self._stream.service, requests.list_affiliations(name))
        us = self._stream.options.jid.lower()
        return any(
            jid.partition("/")[0] != us and affiliation in _PUBLISHES
            for jid, affiliation in requests.read_affiliations(found).items()
        )
