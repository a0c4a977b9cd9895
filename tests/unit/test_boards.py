"""How a board reads the journal: once for all screens, then only what came since; and within its bounds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.journals import MovingClock, routed
from xmppbus import limits
from xmppbus.bus import Bus
from xmppbus.config import load
from xmppbus.displays.boards import Boards
from xmppbus.displays.stream import Identity
from xmppbus.house import House
from xmppbus.journal import Entry
from xmppbus.options import DisplayOptions, HttpOptions
from xmppbus.plugins import Registry
from xmppbus.route import Match, Routes
from xmppbus.stores.sqlite import SqliteJournal
from xmppbus.web import Web

CONFIG = """\
displays:
  - name: wall
    panels: [{kind: counter, match: "user.#", window: 1h}, {kind: feed, match: user.signup}]
"""


class CountingJournal(SqliteJournal):
    """Knows how many entries were read from it."""

    read_entries = 0

    async def read(self, after: int, limit: int, match: Sequence[Match] = (), *, queues: bool = False) -> list[Entry]:
        """As every journal does."""
        found = await super().read(after, limit, match, queues=queues)
        self.read_entries += len(found)
        return found


class Wall:
    """A board, its journal, and the clock of both."""

    def __init__(self, journal: CountingJournal, clock: MovingClock, boards: Boards, display: DisplayOptions) -> None:
        self.display = display
        self.journal = journal
        self.clock = clock
        self.boards = boards
        self.seconds = 0.0  # of the clock that nobody sets

    async def publish(self, count: int) -> None:
        """So many more sign-ups, now."""
        newest = (await self.journal.status()).newest
        time = self.clock.now.isoformat()
        await self.journal.append([routed(newest + number, time=time) for number in range(count)])

    async def shown(self) -> tuple[int, int, str | None]:
        """What is counted, the lines of the feed, and since when it is counted."""
        found = await self.boards.shown(self.display)
        counter, feed = found["panels"]
        counted = sum(count for _, count in counter["values"]["counts"])
        return counted, len(feed["values"]["lines"]), counter["since"]


@pytest.fixture
async def wall(tmp_path: Path) -> AsyncIterator[Wall]:
    async with opened(tmp_path) as found:
        yield found


@asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[Wall]:
    """A house that needs no more than a journal."""
    clock = MovingClock()
    (directory / "xmppbus.yaml").write_text(CONFIG)
    config = load(directory / "xmppbus.yaml", {"XMPPBUS_STATE": str(directory)})
    journal = CountingJournal(directory / "journal.db", clock=clock)
    async with journal:
        bus = Bus(journal, Routes([]), source="house", check_size=lambda _: None, clock=clock)
        house = House(config, clock, clock(), journal, Registry(), bus)
        web = Web(HttpOptions(listen="127.0.0.1:0"), house.health)
        boards = Boards(house, web, Identity(lambda: "1", lambda: "a"))
        found = Wall(journal, clock, boards, config.options.displays[0])
        house.ticks = lambda: found.seconds
        yield found


async def test_screens_that_are_switched_on_together_cost_one_look(wall: Wall) -> None:
    """And one a second later costs what came since."""
    await wall.publish(300)
    first = await wall.shown()
    assert first == (300, limits.BOARD_FEED_EVENTS, None)
    read = wall.journal.read_entries
    for _ in range(100):
        assert await wall.shown() == first
    assert wall.journal.read_entries == read
    await wall.publish(7)
    wall.seconds += limits.BOARD_FRESH_SECONDS
    assert (await wall.shown())[0] == 307
    assert wall.journal.read_entries == read + 7


async def test_a_board_that_nobody_asked_for_is_read_anew_and_says_the_same(wall: Wall) -> None:
    """Its values are not kept for who has gone."""
    await wall.publish(20)
    first = await wall.shown()
    wall.seconds += limits.BOARD_KEPT_SECONDS
    read = wall.journal.read_entries
    assert await wall.shown() == first
    assert wall.journal.read_entries > read


async def test_what_left_the_window_is_not_read(wall: Wall) -> None:
    """Nor counted."""
    await wall.publish(50)
    wall.clock.move(hours=30)
    await wall.publish(3)
    assert await wall.shown() == (3, 3, None)
    assert wall.journal.read_entries == 6


async def test_a_window_that_holds_too_much_is_read_as_far_as_the_bound_and_says_so(
    wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counts the newest, and says since when."""
    monkeypatch.setattr(limits, "BOARD_READ_EVENTS", 100)
    monkeypatch.setattr(limits, "BOARD_READ_SLICE", 30)
    await wall.publish(150)
    wall.clock.move(minutes=1)
    await wall.publish(150)
    counted, lines, since = await wall.shown()
    assert (counted, lines) == (100, limits.BOARD_FEED_EVENTS)
    assert since == wall.clock.now
    wall.seconds += limits.BOARD_FRESH_SECONDS
    await wall.publish(1)
    assert (await wall.shown())[0] == 101


async def test_a_feed_of_rare_events_is_looked_for_further_back(wall: Wall, monkeypatch: pytest.MonkeyPatch) -> None:
    """First a little, then more, and then as far as the bound."""
    monkeypatch.setattr(limits, "BOARD_LOOK_BACK_EVENTS", 2)
    await wall.publish(5)
    await wall.journal.append([routed(1_000 + number, type="disk.full") for number in range(200)])
    assert await wall.shown() == (5, 5, None)
