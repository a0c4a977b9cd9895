"""A worker: takes events of a queue, runs a command for each, and says what became of it."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import NamedTuple, Protocol

from xmppbus.cli.working.link import Link, Taken
from xmppbus.cli.working.verdicts import Verdict
from xmppbus.errors import Exit


class Wanted(NamedTuple):
    """What a worker is to do."""

    queue: str
    pattern: str
    jobs: int
    lease: float  # seconds
    attempts: int | None  # how often a command may ask for another try
    most: int | None  # events, after which it ends


class Runner(Protocol):
    """Does something for each event."""

    async def run(self, taken: Taken) -> Verdict:
        """What becomes of it. `OSError` when it can't be done here at all: another gets it, and the worker ends."""

    async def end(self) -> None:
        """End what runs."""


class Worker:
    """One `xmppbus work`, or one `work` of a program."""

    def __init__(self, wanted: Wanted, runner: Runner) -> None:
        self._wanted = wanted
        self._left = wanted.most
        self._runner = runner
        jobs = wanted.jobs if wanted.most is None else min(wanted.jobs, wanted.most)
        arguments = [wanted.queue, "--prefetch", str(jobs), "--lease", str(wanted.lease)]
        if wanted.pattern:
            arguments += ["--pattern", wanted.pattern]
        self._link = Link(arguments, taken=self._take, tell=_tell)
        self._stopping = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken: OSError | None = None  # why the command can't be run
        self._ending: asyncio.Task[None] | None = None

    async def run(self) -> int:
        """The exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        renewing = asyncio.create_task(self._renew())
        try:
            code, said = await self._link.run()
        finally:
            renewing.cancel()
        if self._tasks:
            await self._runner.end()
            await asyncio.wait(self._tasks)
        if said:
            _tell(said)
        if self._broken:
            _tell(f"the command can't be run: {self._broken.strerror}; its event goes to another")
            return Exit.UNAVAILABLE
        return code

    def _take(self, taken: Taken) -> None:
        if self._left is not None and not self._stopping:
            self._left -= 1
        task = asyncio.create_task(self._release(taken) if self._stopping else self._work(taken))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self._left == 0:
            self._stop()

    async def _work(self, taken: Taken) -> None:
        try:
            word, text = await self._runner.run(taken)
        except OSError as error:
            self._broken = error
            self._stop()
            await self._release(taken)
            return
        if not await self._link.settle(taken, word, text) and word != "release":
            _tell(f"{taken.item_id} is done already, or another's: that it was said to {word} it changes nothing")

    async def _release(self, taken: Taken) -> None:
        await self._link.settle(taken, "release")

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._wanted.lease / 3)
            self._link.renew()

    def _stop(self) -> None:
        if not self._stopping:
            self._stopping = True
            self._link.stop()

    def _signalled(self) -> None:
        """The first lets what runs finish, the second ends it."""
        if self._stopping:
            self._ending = asyncio.get_running_loop().create_task(self._runner.end())
            return
        if self._tasks:
            running = "one event" if len(self._tasks) == 1 else f"{len(self._tasks)} events"
            _tell(f"waiting for the work on {running}; once more, and it is ended")
        self._stop()


def _tell(text: str) -> None:
    sys.stderr.write(f"xmppbus: {text}\n")
    sys.stderr.flush()
