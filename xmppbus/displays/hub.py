"""One tail of the journal for all displays: each event is read, matched and serialised once, however many look on.

What came since the last look is written to each client in one piece; who does not read is left behind, and caught up
with when it reads again. The hub rests as long as it worked, so that a thousand displays take half of the time at most.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self

from xmppbus import limits
from xmppbus.displays.catching import Catching
from xmppbus.displays.clients import Client, Group, Wanted
from xmppbus.displays.frames import GOING_AWAY, POLICY, TRY_LATER, Form, Frame
from xmppbus.displays.ring import Ring
from xmppbus.displays.tail import bites
from xmppbus.errors import Code, Refused
from xmppbus.journal import Entry, Journal
from xmppbus.web.tokens import Token

log = logging.getLogger("xmppbus.displays")


class Hub:
    """Open within `async with`. `holds` says whether who came in with a token, or without one, still would."""

    def __init__(self, journal: Journal, holds: Callable[[Token | None], bool]) -> None:
        self._journal = journal
        self._holds = holds
        self._ring = Ring()
        self._catching = Catching(journal, self._ring)
        self._groups: dict[tuple[Wanted, Form], Group] = {}
        self._count = 0
        self._somebody = asyncio.Event()
        self._writing = asyncio.Lock()  # while a bite is written, nobody is told where the stream stands
        self._tasks: list[asyncio.Task[None]] = []
        self._open = False
        self.behind = 0  # how often a client did not read in time

    # --- life ---------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._open = True
        for work in (self._follow, self._catching.run, self._look_after):
            self._tasks.append(asyncio.create_task(self._keep(work)))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._end_all(GOING_AWAY)

    async def _keep(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """A bug ends the streams, which come back, and nothing else."""
        while True:
            try:
                await work()
            except Exception:  # the house is kept alive: a display's bug is not the others'
                log.exception("displays are started again")
                self._end_all(TRY_LATER)
                await asyncio.sleep(limits.RESTART_FIRST_SECONDS)

    def _end_all(self, code: int) -> None:
        for group in list(self._groups.values()):
            self._end(group, code)
        self._catching.clear()

    def _end(self, group: Group, code: int) -> None:
        for client in list(group.members):
            client.end(group.form.goodbye(code))
            self.leave(client)

    def status(self) -> Mapping[str, Any]:
        """How many look on, how many of them have everything, and how often one was left behind."""
        current = sum(len(group.current) for group in self._groups.values())
        return {"clients": self._count, "current": current, "behind": self.behind}

    # --- clients ------------------------------------------------------------------------------------------------------

    def check_room(self) -> None:
        """Raise `Refused` where there is none for one more."""
        if not self._open:
            raise Refused(Code.CLOSING, "the house is closing; try again", retry_after=1)
        if self._count >= limits.STREAMS:
            message = f"{limits.STREAMS} displays look on already; end some, or try again later"
            raise Refused(Code.TOO_MANY, message, retry_after=30)

    def join(self, transport: asyncio.Transport, wanted: Wanted, form: Form, position: int) -> Client:
        """A client whose head is written, and which gets everything after a position (not above the newest)."""
        group = self._groups.get((wanted, form)) or Group(wanted, form)
        client = Client(transport, group, position, self._catching.add)
        if not self._open:  # it was left while the client shook hands: nobody would ever end it
            client.end(form.goodbye(GOING_AWAY))
            return client
        self._groups[wanted, form] = group
        group.members.add(client)
        self._count += 1
        self._somebody.set()
        self._catching.add(client)
        return client

    def leave(self, client: Client) -> None:
        """It is gone."""
        group = client.group
        if client not in group.members:
            return
        client.lost()
        group.members.discard(client)
        group.current.pop(client, None)
        self._count -= 1
        if not group.members:
            del self._groups[group.wanted, group.form]

    def tell(self, name: str, members: Mapping[str, Any]) -> None:
        """A message that is no event, to everybody."""
        for group in self._groups.values():
            message = group.form.message(name, dict(members))
            for client in list(group.members):
                client.say(message)

    # --- what they get ------------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        """The tail: it begins with the first client, and rests when the last one has gone."""
        while True:
            await self._somebody.wait()
            async with self._writing:
                newest = (await self._journal.status()).newest
                # Nothing is awaited between: who became current there would stand at the new end, and miss the rest.
                demoted = self._demote()
                self._ring.reset(newest)
            for client in demoted:
                self._catching.add(client)
            self._catching.grown()
            async with aclosing(bites(self._journal, self._ring.end)) as found:
                async for entries in found:
                    await self._write(entries)
                    if not self._count:
                        break
            self._somebody.clear()
            if self._count:
                self._somebody.set()

    def _demote(self) -> list[Client]:
        """Whoever is current stands where the ring ends, before that is moved."""
        demoted = [client for group in self._groups.values() for client in group.current]
        for client in demoted:
            client.position = self._ring.end
            client.group.current.clear()
        return demoted

    async def _write(self, entries: list[Entry]) -> None:
        clock = asyncio.get_running_loop().time
        begun = clock()
        async with self._writing:
            end = self._ring.end
            frames = [Frame(entry) for entry in entries]
            self._ring.add(frames)
            # Who becomes current while this is written has it already, so those who are get it are settled first.
            groups = [(group, list(group.current)) for group in self._groups.values() if group.current]
            written = 0
            for group, clients in groups:
                pieces = group.pieces(frames)
                for client in clients if pieces else ():
                    if client not in group.current:
                        continue
                    position = end
                    for piece in pieces:
                        if client.paused:
                            break
                        client.write(piece.data)
                        position = piece.last
                    if client.paused:
                        self._leave_behind(client, self._ring.end if position == pieces[-1].last else position)
                    written += 1
                    if written % limits.STREAM_WRITES == 0:
                        await asyncio.sleep(0)
        self._catching.grown()
        took = clock() - begun
        tick = min(limits.STREAM_TICK_SECONDS, self._count * limits.STREAM_CLIENT_SECONDS)
        await asyncio.sleep(max(took, tick if len(entries) < limits.LISTENER_EVENTS else 0))

    def _leave_behind(self, client: Client, position: int) -> None:
        """It has everything up to a position, and does not read."""
        self.behind += 1
        client.position = position
        client.lost_touch = True
        del client.group.current[client]

    async def _look_after(self) -> None:
        """Keep-alives, and the end of streams whose token has been taken out of its file or has other scopes now, or
        that have none where one is needed now."""
        seconds = 0.0
        while True:
            await asyncio.sleep(limits.STREAM_LOOK_SECONDS)
            for group in list(self._groups.values()):
                if not self._holds(group.wanted.token):
                    self._end(group, POLICY)
            seconds += limits.STREAM_LOOK_SECONDS
            if seconds >= limits.STREAM_KEEP_ALIVE_SECONDS:
                seconds = 0.0
                async with self._writing:
                    self._keep_alive()

    def _keep_alive(self) -> None:
        for group in self._groups.values():
            current, others = group.form.keep_alive(self._ring.end), group.form.keep_alive(None)
            for client in list(group.members):
                if not client.paused:
                    client.write(current if client in group.current else others)
