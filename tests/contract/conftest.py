"""Fixtures of the contract tests: each runs once for every implementation."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.journals import MovingClock, OpenJournal
from xmppbus.stores.sqlite import SqliteJournal

JOURNALS = {"sqlite": SqliteJournal}


@pytest.fixture
def clock() -> MovingClock:
    """The clock of `open_journal`'s journals."""
    return MovingClock()


@pytest.fixture(params=sorted(JOURNALS))
def open_journal(request: pytest.FixtureRequest, tmp_path: Path, clock: MovingClock) -> OpenJournal:
    """Opens the test's journal; what was written is there when it is opened again."""
    return partial(JOURNALS[request.param], tmp_path / "journal.db", clock=clock)


@pytest_asyncio.fixture
async def journal(open_journal: OpenJournal) -> AsyncIterator[SqliteJournal]:
    """A new journal, open."""
    opening: AbstractAsyncContextManager[Any] = open_journal()
    async with opening as opened:
        yield opened
