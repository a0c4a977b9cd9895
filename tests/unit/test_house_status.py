"""What `status` says of places that take nothing: which of them are a matter for somebody."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from tests.support.journals import MovingClock, outcomes, routed, stop
from xmppbus.bus import Bus
from xmppbus.house import House
from xmppbus.journal import HELD, Outcome, Verdict
from xmppbus.route import Routes, Target
from xmppbus.stores.sqlite import SqliteJournal


class Up:
    """An output that could deliver."""

    def status(self) -> Mapping[str, Any]:
        return {"state": "up"}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    clock = MovingClock()
    async with SqliteJournal(tmp_path / "journal.db", clock=clock) as journal:
        bus = Bus(journal, Routes([]), source="host", check_size=lambda _: None, clock=clock)
        nothing = cast("Any", None)  # what it is not asked for
        outputs = cast("Any", {"chat": Up(), "digest": Up()})
        yield House(nothing, clock, clock(), journal, nothing, bus, outputs=outputs)


async def halt(house: House, output: str, condition: str) -> None:
    """One event of a minute ago, and a place that takes nothing."""
    await house.journal.append([routed(1, Target(output, "romeo@example.org"))])
    cast("MovingClock", house.clock).move(minutes=1)
    (run,) = await house.journal.claim(output, 1, 1)
    await house.journal.settle(run, outcomes(run, Outcome(Verdict.STOPPED, condition)), stop=stop(3600, condition))


async def test_what_is_held_is_neither_stopped_nor_late(house: House) -> None:
    """It is counted, and the house is up."""
    await halt(house, "digest", HELD)
    status = await house.status()
    assert status["state"] == "up"
    assert status["stopped"] == []
    digest = status["outputs"]["digest"]
    assert digest == {"state": "up", "waiting": 1, "held": 1, "places": 1, "oldest_seconds": None}


async def test_what_is_stopped_is_shown_and_late(house: House) -> None:
    """With its condition, so that somebody can see to it."""
    await halt(house, "chat", "forbidden")
    status = await house.status()
    assert status["state"] == "behind"
    assert [(each["place"], each["condition"]) for each in status["stopped"]] == [("romeo@example.org", "forbidden")]
    assert status["outputs"]["chat"]["oldest_seconds"] == 60
    assert "held" not in status["outputs"]["chat"]


async def test_a_part_that_can_not_say_how_it_is_hides_none_of_the_others(house: House) -> None:
    """And does not end the house, whose state is told to systemd: a plugin has a bug."""

    class Broken(Up):
        def status(self) -> Mapping[str, Any]:
            raise KeyError("state")

    house.outputs["broken"] = house.inputs["broken"] = cast("Any", Broken())
    status = await house.status()
    assert status["outputs"]["chat"]["state"] == "up"
    for part in (status["outputs"]["broken"], status["inputs"]["broken"]):
        assert part["state"] == "unknown"
        assert "KeyError" in part["reason"]
    assert status["state"] == "down"
