"""The load of the chaos ring: publishers at three doors who do what careful programs do.

Each numbers its events, sends them in order, and says one that was not answered with yes again under the same name.
What it tried and what it was told goes into the oracle's ledger.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import struct
from bisect import bisect_right
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from time import monotonic
from typing import Any, Protocol

import aiohttp

from tests.support.daemon import Daemon
from tests.support.oracle import Ledger, name_of

AGAIN_SECONDS = 0.02
ANSWER_SECONDS = 20.0
EXIT_OK, EXIT_TRY_AGAIN = 0, 75
HEADER = struct.Struct(">cI")
WORDS = ("disk", "smoke", "ünï", "日本", "<tag>", "&", '"double"', "'single'", "]]>", "tab\tin", "line\r\nbreak", "🚀")

Event = dict[str, Any]
Yes = tuple[Event, dict[str, Any]]  # the event, and the product's {"id", "sequence", ...}


class NotAnswered(Exception):
    """No yes came: the daemon is away, or went away."""


class Publisher:
    """One sender at one door. `sent` has the sequence numbers of its yeses in the order of its events."""

    def __init__(self, name: str, daemon: Daemon, ledger: Ledger, nodes: Sequence[str], per_second: float) -> None:
        self.name = name
        self.daemon = daemon
        self.ledger = ledger
        self.nodes = nodes
        self.per_second = per_second
        self.dice = random.Random(f"{ledger.seed} {name}")
        self.count = 0
        self.sent: list[int] = []
        self.yes_times: list[float] = []
        self.refusals: list[str] = []
        self.later: list[Event] = []  # answered with yes, but not with a sequence: looked up in the end

    def events(self, most: int) -> list[Event]:
        """The next few, and the ledger knows of them."""
        return [self.event() for _ in range(self.dice.randint(1, most))]

    def event(self) -> Event:
        """The next one: its own name, one of the nodes, a text that is hard on quoting."""
        self.count += 1
        text = " ".join(self.dice.choices(WORDS, k=self.dice.randint(1, 40)))
        event = {
            "type": self.dice.choice(self.nodes),
            "source": self.name,
            "id": f"{self.name}-{self.count}",
            "data": f"{self.count}: {text}",
            "datacontenttype": "text/plain",
        }
        self.ledger.attempt(event)
        return event

    def told(self, answers: Sequence[Yes]) -> None:
        """Write the yeses down."""
        self.ledger.accept(answers)
        self.sent += [int(result["sequence"]) for _, result in answers]
        self.yes_times.append(monotonic())

    def refused(self, text: str) -> None:
        """A no to a good event: the test fails in the end."""
        self.refusals.append(f"{self.name}: {text}")

    async def pause(self, ending: asyncio.Event) -> None:
        """Between two sendings; ends early when the load does."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ending.wait(), self.dice.expovariate(self.per_second))

    async def until_yes(self, said_yes: Callable[[], Awaitable[bool]]) -> None:
        """Say it again, as the same events, until the answer is yes."""
        while not await said_yes():  # noqa: ASYNC110  # the daemon that comes back sets no event here
            await asyncio.sleep(AGAIN_SECONDS)

    async def run(self, ending: asyncio.Event) -> None:
        """Send until `ending` is set, and until all that was tried has been answered."""
        raise NotImplementedError

    async def find_later(self) -> list[str]:
        """Enter the daemon's sequence of what was `later` into the ledger; returns the names that it has not taken."""
        missing = []
        for event in self.later:
            found = await self.found(event)
            if found is None:
                missing.append(event["id"])
            else:
                self.ledger.accept([(event, found)])
        return missing

    async def found(self, event: Event) -> dict[str, Any] | None:
        """What the daemon has of an event."""
        return await self.daemon.fetched(*name_of(event))


class HttpPublisher(Publisher):
    """`POST /v1/events` with one event or a batch."""

    async def run(self, ending: asyncio.Event) -> None:
        """See Publisher."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(ANSWER_SECONDS)) as session:
            while not ending.is_set():
                events = self.events(10)
                await self.until_yes(partial(self._said_yes, session, events))
                await self.pause(ending)

    async def _said_yes(self, session: aiohttp.ClientSession, events: list[Event]) -> bool:
        single = len(events) == 1
        kind = "application/cloudevents" + ("+json" if single else "-batch+json")
        specified = [{"specversion": "1.0", **event} for event in events]
        try:
            async with session.post(
                f"{self.daemon.url}/v1/events",
                data=json.dumps(specified[0] if single else specified),
                headers={"Content-Type": kind},
            ) as answer:
                found = await answer.json() if answer.status < 500 else None
        except (OSError, aiohttp.ClientError, TimeoutError):
            return False
        if found is None:
            return False
        results = [found] if single else found
        if answer.status not in (200, 202) or any("sequence" not in each for each in results):
            self.refused(f"{answer.status} {str(found)[:300]}")
        else:
            self.told(list(zip(events, results, strict=True)))
        return True


class SocketPublisher(Publisher):
    """PUBLISH frames over the Unix socket, several of them unanswered at a time."""

    WINDOW = 4

    async def run(self, ending: asyncio.Event) -> None:
        """See Publisher."""
        unanswered: deque[list[Event]] = deque()
        while unanswered or not ending.is_set():
            with contextlib.suppress(OSError, NotAnswered, asyncio.IncompleteReadError, TimeoutError):
                reader, writer = await asyncio.open_unix_connection(str(self.daemon.socket), limit=2**20)
                try:
                    await self._converse(reader, writer, unanswered, ending)
                finally:
                    writer.close()
            await asyncio.sleep(AGAIN_SECONDS)

    async def _converse(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        unanswered: deque[list[Event]],
        ending: asyncio.Event,
    ) -> None:
        for events in unanswered:  # what was under way when the last connection ended, in the same order
            self._write(writer, events)
        while unanswered or not ending.is_set():
            while len(unanswered) < self.WINDOW and not ending.is_set():
                unanswered.append(self.events(6))
                self._write(writer, unanswered[-1])
            if unanswered:
                self._take(await asyncio.wait_for(self._answer(reader), ANSWER_SECONDS), unanswered)
            await self.pause(ending)

    @staticmethod
    def _write(writer: asyncio.StreamWriter, events: list[Event]) -> None:
        payload = "\n".join(json.dumps(event) for event in events).encode()
        writer.write(HEADER.pack(b"P", len(payload)) + payload)

    @staticmethod
    async def _answer(reader: asyncio.StreamReader) -> list[dict[str, Any]]:
        kind, length = HEADER.unpack(await reader.readexactly(HEADER.size))
        payload = await reader.readexactly(length)
        if kind != b"R":
            raise NotAnswered(payload.decode())
        return [json.loads(line) for line in payload.splitlines()]

    def _take(self, results: list[dict[str, Any]], unanswered: deque[list[Event]]) -> None:
        refusals = [each["error"] for each in results if "error" in each]
        if any(each["code"] in ("closing", "journal-failed", "journal-full") for each in refusals):
            raise NotAnswered(str(refusals))
        events = unanswered.popleft()
        if refusals:
            self.refused(str(refusals)[:300])
        else:
            self.told(list(zip(events, results, strict=True)))


class CommandPublisher(Publisher):
    """`xmppbus publish`, one process an event. What it left in the spool is looked up when the daemon has it."""

    async def run(self, ending: asyncio.Event) -> None:
        """See Publisher."""
        while not ending.is_set():
            event = self.event()
            await self.until_yes(partial(self._said_yes, event))
            await self.pause(ending)

    async def _said_yes(self, event: Event) -> bool:
        done = await self.daemon.run(
            *("publish", event["type"], "-", "--source", event["source"], "--id", event["id"], "--output", "json"),
            input=event["data"].encode(),
        )
        if done.code == EXIT_TRY_AGAIN:
            return False
        if done.code != EXIT_OK:
            self.refused(str(done))
        elif (result := done.json).get("result") == "spooled":
            self.later.append(event)
        else:
            self.ledger.accept([(event, result)])
            self.yes_times.append(monotonic())
        return True


class PublisherKind(Protocol):
    """How a publisher is made."""

    def __call__(
        self, name: str, daemon: Daemon, ledger: Ledger, nodes: Sequence[str], per_second: float, /
    ) -> Publisher: ...


Doors = Mapping[str, tuple[PublisherKind, float]]

DOORS: Doors = {
    "http": (HttpPublisher, 10.0),
    "socket": (SocketPublisher, 15.0),
    "command": (CommandPublisher, 6.0),
}
"""By name, with how often a second each sends: together about 110 events a second, a third of what Prosody can keep."""


class Load:
    """All publishers at once."""

    def __init__(
        self, daemon: Daemon, ledger: Ledger, nodes: Sequence[str], *, doors: Doors, pace: float = 1.0
    ) -> None:
        self.publishers = [make(door, daemon, ledger, nodes, pace * often) for door, (make, often) in doors.items()]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """While this is open they send; leaving waits until all that they tried has been answered."""
        ending = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for each in self.publishers:
                group.create_task(each.run(ending))
            try:
                yield
            finally:
                ending.set()

    def first_yes_after(self, moment: float) -> float | None:
        """When the first yes came that came after that moment (monotonic)."""
        later = [each.yes_times[bisect_right(each.yes_times, moment) :] for each in self.publishers]
        return min((times[0] for times in later if times), default=None)

    async def find_later(self) -> list[str]:
        """See Publisher."""
        return [name for each in self.publishers for name in await each.find_later()]

    def refusals(self) -> list[str]:
        """Good events that were refused: there must be none."""
        return [text for each in self.publishers for text in each.refusals]

    def overtaken(self) -> list[str]:
        """Publishers whose own order the journal did not keep. A spool is taken up later, so there it may be so."""
        return [each.name for each in self.publishers if each.sent != sorted(each.sent)]
