"""Work in lanes: in order in each, side by side in several, bounded in all."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from tests.support.waiting import until
from xmppbus import limits
from xmppbus.xmpp.lanes import Lanes

Work = Callable[[], Awaitable[None]]


def noting(into: list[str], name: str, gate: asyncio.Event | None = None) -> Work:
    """Work that writes down its name, when the gate is open."""

    async def work() -> None:
        if gate is not None:
            await gate.wait()
        into.append(name)

    return work


async def until_idle(lanes: Lanes) -> None:
    """Everything is done."""
    await until(lambda: not lanes.count, 5, "the lanes to be empty")


async def test_a_lane_is_worked_off_in_order_and_does_not_hold_up_another() -> None:
    """Though its first piece takes long."""
    lanes, done, gate = Lanes(), list[str](), asyncio.Event()
    lanes.add("romeo", noting(done, "r1", gate))
    lanes.add("romeo", noting(done, "r2"))
    lanes.add("juliet", noting(done, "j1"))
    assert lanes.is_busy("romeo")
    assert not lanes.is_busy("nurse")
    await until(lambda: bool(done), 5, "something to be done")
    assert done == ["j1"]
    gate.set()
    await until_idle(lanes)
    assert done == ["j1", "r1", "r2"]
    assert not lanes.is_busy("romeo")


async def test_what_fails_is_logged_and_the_next_is_done(caplog: pytest.LogCaptureFixture) -> None:
    """One piece of work is not the others'."""
    lanes, done = Lanes(), list[str]()

    async def fails() -> None:
        raise ValueError("so it goes")

    with caplog.at_level(logging.ERROR):
        lanes.add("romeo", fails)
        lanes.add("romeo", noting(done, "r2"))
        await until_idle(lanes)
    assert done == ["r2"]
    assert "so it goes" in caplog.text


async def test_a_lane_and_all_of_them_have_an_end() -> None:
    """What is too much is not taken, and who brought it is told."""
    lanes, done, gate = Lanes(), list[str](), asyncio.Event()
    lanes.add("romeo", noting(done, "first", gate))
    await asyncio.sleep(0)
    taken = [lanes.add("romeo", noting(done, "more")) for _ in range(limits.LANE_WORK + 5)]
    assert taken.count(True) == limits.LANE_WORK
    others = [lanes.add(f"j{number}", noting(done, "other", gate)) for number in range(limits.LANES_WORK)]
    assert others.count(True) == limits.LANES_WORK - limits.LANE_WORK - 1
    assert lanes.count == limits.LANES_WORK
    gate.set()
    await until_idle(lanes)
    assert lanes.add("romeo", noting(done, "again"))
    await until_idle(lanes)


async def test_closing_leaves_what_is_not_done() -> None:
    """And ends what goes on."""
    lanes, done = Lanes(), list[str]()
    lanes.add("romeo", noting(done, "never", asyncio.Event()))
    lanes.add("romeo", noting(done, "never either"))
    await lanes.close()
    assert done == []
