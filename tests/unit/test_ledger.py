"""What comes back of messages before they are written down: it is looked at then, and not lost."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.people_nouns import JULIET, NOON, ROMEO, copy, message
from tests.support.waiting import until
from xmppbus import limits
from xmppbus.errors import Refused
from xmppbus.interfaces import Accepted
from xmppbus.people.audience import Audience
from xmppbus.people.ledger import Back, Ledger
from xmppbus.people.model import Message
from xmppbus.route import Routes
from xmppbus.stores.sqlite import SqliteJournal

FIRST = message(1, key="db1")
CORRECTION = message(2, key="db1", sent=NOON + timedelta(seconds=1))


async def nobody(sent: Sequence[Mapping[str, Any]], *, time: str = "") -> list[Accepted | Refused]:
    """Nobody is told anything here: no message comes back."""
    raise AssertionError(f"{sent} at {time}")


@asynccontextmanager
async def working(path: Path) -> AsyncIterator[tuple[SqliteJournal, Ledger]]:
    """A ledger at work, which has the first message."""
    async with SqliteJournal(path / "journal.db") as journal:
        audience = Audience(journal.people, Routes([]), lambda: NOON)
        await audience.open()
        ledger = Ledger(journal.people, audience, accept=nobody, clock=lambda: NOON, dice=lambda: 0.0)
        task = asyncio.create_task(ledger.run())
        await journal.people.handed_over([FIRST], [copy()._replace(message_id=FIRST.id)])
        yield journal, ledger
        task.cancel()


async def kept(journal: SqliteJournal, of: Message) -> Message:
    """What the ledger has of a message."""
    found = await journal.people.message(of.id)
    assert found is not None
    return found


async def test_a_receipt_and_a_marker_wait_for_the_correction_that_is_under_way(tmp_path: Path) -> None:
    """The marker names the first message, and is of the correction all the same."""
    async with working(tmp_path) as (journal, ledger):
        ledger.sending([CORRECTION])
        ledger.hear(Back(ROMEO, received=CORRECTION.id))
        ledger.hear(Back(ROMEO, displayed=FIRST.id))
        assert not ledger.is_idle
        await journal.people.handed_over([CORRECTION], [])
        ledger.sent([CORRECTION])
        await until(lambda: ledger.is_idle, 5, "everything to be written down")
        assert (await kept(journal, CORRECTION)).displayed == NOON
        assert (await kept(journal, FIRST)).displayed == NOON


async def test_what_was_not_sent_after_all_holds_nothing_up(tmp_path: Path) -> None:
    """The session ended; the marker counts for what it names."""
    async with working(tmp_path) as (journal, ledger):
        ledger.sending([CORRECTION])
        ledger.hear(Back(ROMEO, displayed=FIRST.id))
        ledger.sent([CORRECTION])
        await until(lambda: ledger.is_idle, 5, "everything to be written down")
        assert (await kept(journal, FIRST)).displayed == NOON


async def test_what_can_t_be_done_for_one_is_done_for_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owners can't be told of a suspension while the journal is full: the next bounce is written down all the
    same."""
    monkeypatch.setattr(limits, "BOUNCES", 1)
    async with working(tmp_path) as (journal, ledger):
        await journal.people.handed_over([CORRECTION._replace(jid=JULIET)], [])
        ledger.hear(Back(ROMEO, bounced=FIRST.id, condition="gone"))
        ledger.hear(Back(JULIET, bounced=CORRECTION.id, condition="gone"))
        await until(lambda: ledger.is_idle, 5, "everything to be written down")
        assert (await kept(journal, CORRECTION)).bounced == "gone"


async def test_what_waits_is_bounded(tmp_path: Path) -> None:
    """What is beyond it is dropped, and counted."""
    async with working(tmp_path) as (_, ledger):
        ledger.sending([CORRECTION])
        for _number in range(limits.HEARD_WAITING * 2 + 10):
            ledger.hear(Back(ROMEO, displayed=FIRST.id))
        assert ledger.dropped == 10
