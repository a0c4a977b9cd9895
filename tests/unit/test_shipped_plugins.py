"""The two shipped analyzers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import xmppbus_plugins
from xmppbus.event import Event
from xmppbus_plugins import dedup, throttle

FOLDER = Path(xmppbus_plugins.__file__).parent


class Clock:
    """A monotonic clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(throttle, "monotonic", found)
    monkeypatch.setattr(dedup, "monotonic", found)
    return found


def event(key: str = "db1", **fields: Any) -> Event:
    return Event({"type": "disk.full", "id": "1", "source": "h", "time": "2026-01-31T12:00:00Z", "key": key, **fields})


async def test_throttle_lets_so_many_of_a_key_pass_in_a_window(clock: Clock) -> None:
    """The next that passes says how many were held."""
    analyzer = throttle.Throttle(count=2, seconds=60)
    assert [len(await analyzer.analyze(event())) for _ in range(5)] == [1, 1, 0, 0, 0]
    assert len(await analyzer.analyze(event("db2"))) == 1
    clock.now += 60
    (passed,) = await analyzer.analyze(event())
    assert passed.get("held") == 3
    (passed,) = await analyzer.analyze(event())
    assert passed.get("held") is None


async def test_dedup_holds_the_same_within_a_window(clock: Clock) -> None:
    """What changed passes at once, with the count of those held."""
    analyzer = dedup.Dedup(seconds=60)
    same = event(summary="90 %", status="firing")
    assert [len(await analyzer.analyze(same)) for _ in range(3)] == [1, 0, 0]
    (passed,) = await analyzer.analyze(event(summary="95 %", status="firing"))
    assert passed.get("held") == 2
    clock.now += 60
    assert await analyzer.analyze(event(summary="95 %", status="firing")) == [event(summary="95 %", status="firing")]


@pytest.mark.parametrize("make", [throttle.Throttle, dedup.Dedup])
async def test_their_memory_is_bounded(make: type[throttle.Throttle | dedup.Dedup]) -> None:
    """The keys not seen for longest are forgotten."""
    analyzer = make()
    for number in range(throttle.KEYS + 5):
        await analyzer.analyze(event(str(number)))
    assert len(analyzer.seen) == throttle.KEYS


@pytest.mark.parametrize("name", ["throttle", "dedup"])
def test_a_shipped_analyzer_is_under_forty_lines_and_has_a_page(name: str) -> None:
    """So that people take them as a start."""
    assert len((FOLDER / f"{name}.py").read_text().splitlines()) < 40
    page = Path(__file__).parents[2] / "docs/reference/plugins" / f"{name}.md"
    assert "seconds" in page.read_text()
