"""A process that brings events to many people and says on standard output what the journal has said yes to.

`python -m tests.support.people_load FILE`: `event ID` when one is accepted, `onward ID` when it has gone on to all of
PEOPLE, `told ID PERSON` when a message is in the ledger and settled, `called ID STEP` when an escalation took a step.
It goes on until it is killed.
"""

import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from tests.support.journals import routed, take
from xmppbus import limits
from xmppbus.journal import DELIVERED, Settled
from xmppbus.people.model import Escalation, Message, message_id
from xmppbus.route import Target
from xmppbus.stores.sqlite import SqliteJournal

PEOPLE = [f"p{number}@example.org" for number in range(60)]
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def say(*words: object) -> None:
    """Straight to the pipe: what is killed afterwards has said it."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def escalation(item_id: str, sequence: int, step: int) -> Escalation:
    """The chain of an event."""
    return Escalation("ops", item_id, "", sequence, step, NOW)


async def fan(journal: SqliteJournal) -> None:
    """Events to everybody, and the first step of each one's escalation."""
    targets = tuple(Target("chat", person) for person in PEOPLE)
    for number in count():
        while (await journal.status()).waiting > 3 * len(PEOPLE):
            await journal.changed(timedelta(seconds=1))
        name = f"{os.getpid()}-{number}"
        await journal.append([routed(name, Target("people", "all"))])
        say("event", name)
        run = await take(journal, "people", run=1)
        (delivery,) = run.deliveries
        await journal.people.begin_escalation(escalation(delivery.item_id, delivery.sequence, 0))
        await journal.settle(run, [Settled(delivery.id, DELIVERED, targets)])
        say("onward", name)
        chain = escalation(delivery.item_id, delivery.sequence, 0)
        if await journal.people.escalate(chain, [Target("call", name)], NOW):
            say("called", name, 0)


async def tell(journal: SqliteJournal) -> None:
    """Whatever waits, to whom it is for."""
    while True:
        runs = await journal.claim("chat", 25, 3)
        messages = [
            Message(message_id(each.item_id, run.place, 0), each.sequence, run.place, 0, "", NOW)
            for run in runs
            for each in run.deliveries
        ]
        await journal.people.handed_over(messages, [])
        await journal.settle_many(
            [(run, [Settled(each.id, DELIVERED) for each in run.deliveries], None) for run in runs]
        )
        for run in runs:
            for each in run.deliveries:
                say("told", each.event.id, run.place)
        if not runs:
            await journal.changed(timedelta(seconds=1))


async def main(path: Path) -> None:
    """Until killed."""
    limits.ONWARD_SLICE = 7
    async with SqliteJournal(path) as journal, asyncio.TaskGroup() as tasks:
        tasks.create_task(fan(journal))
        tasks.create_task(tell(journal))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
