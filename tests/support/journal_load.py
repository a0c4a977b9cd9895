"""A process that works a journal and says on standard output what the journal has said yes to.

`python -m tests.support.journal_load FILE append|work`: one line for each event accepted (`yes ID`) and, with `work`,
for each outcome settled (`done ID`), written after the journal's answer. It goes on until it is killed.
"""

import asyncio
import os
import sys
from itertools import count
from pathlib import Path

from tests.support.journals import ids, outcomes, routed
from xmppbus.journal import DELIVERED
from xmppbus.stores.sqlite import SqliteJournal


def say(line: str) -> None:
    """Straight to the pipe: what is killed afterwards has said it."""
    os.write(1, f"{line}\n".encode())


async def append(journal: SqliteJournal, sender: int) -> None:
    """Events one by one and in batches, of 40 types."""
    for number in count():
        batch = [f"{os.getpid()}-{sender}-{number}-{index}" for index in range(1 + number % 3)]
        await journal.append([routed(name, type=f"t.{sender}.n{number % 10}") for name in batch])
        for name in batch:
            say(f"yes {name}")


async def work(journal: SqliteJournal) -> None:
    """Deliver whatever waits, in slices."""
    while True:
        for run in await journal.claim("pubsub", 4, 10):
            settled = outcomes(run, DELIVERED)
            await journal.settle(run, settled[:3], more=True)
            for name in ids(run)[:3]:
                say(f"done {name}")
            await journal.settle(run, settled[3:])
            for name in ids(run)[3:]:
                say(f"done {name}")
        await asyncio.sleep(0)


async def main(path: Path, kind: str) -> None:
    """Load the journal until killed."""
    async with SqliteJournal(path) as journal, asyncio.TaskGroup() as tasks:
        for sender in range(4 if kind == "work" else 1):
            tasks.create_task(append(journal, sender))
        if kind == "work":
            tasks.create_task(work(journal))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
