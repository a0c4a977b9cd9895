"""Pictures come from a process beside the house: it may crash or hang, and the next picture comes all the same."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from tests.support.waiting import until
from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.plots.chart import Look, chart
from xmppbus.plots.drawing import Drawing
from xmppbus.plots.series import Curve, Point, Series

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script> \u202e'; datum"
CHART = chart(
    Look(HOSTILE, HOSTILE, unit="ms", by="key", width=400, height=200),
    Series([Curve(HOSTILE, [Point(NOW, 1.0, 1.0, 1.0), Point(NOW, 2.0, 2.0, 2.0)], 2, 1.0, 2.0, 1.5, 2.0)], 2),
)


@pytest_asyncio.fixture
async def drawing() -> AsyncIterator[Drawing]:
    """Closed behind the test."""
    made = Drawing()
    yield made
    await made.close()


def process_of(drawing: Drawing) -> asyncio.subprocess.Process:
    process = drawing._process
    assert process is not None
    return process


async def test_a_chart_becomes_a_png_an_svg_and_a_browser_has_what_draws_it(drawing: Drawing) -> None:
    """As large as was asked for; text in it is text; the script is fetched once."""
    png = await drawing.picture(CHART, "png", 1.5)
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert [int.from_bytes(png[at : at + 4], "big") for at in (16, 20)] == [600, 300]
    svg = (await drawing.picture(CHART, "svg")).decode()
    assert svg.startswith("<svg")
    assert "<script" not in svg
    assert "&lt;script&gt;alert(1)" in svg
    bundle = await drawing.bundle()
    assert b"window.vegaEmbed" in bundle
    assert await drawing.bundle() is bundle


async def test_a_crash_costs_one_picture_and_so_does_one_that_hangs(
    drawing: Drawing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next is drawn by a process of its own."""
    assert await drawing.picture(CHART, "svg")
    first = process_of(drawing)
    os.kill(first.pid, signal.SIGSTOP)
    monkeypatch.setattr(limits, "DRAW_SECONDS", 0.1)
    with pytest.raises(Refused, match=r"took more than 0\.1 s"):
        await drawing.picture(CHART, "svg")
    assert first.returncode == -signal.SIGKILL
    monkeypatch.undo()
    assert await drawing.picture(CHART, "svg")
    second = process_of(drawing)
    os.kill(second.pid, signal.SIGSTOP)
    asked = asyncio.create_task(drawing.picture(CHART, "svg"))
    await asyncio.sleep(0)
    second.kill()
    with pytest.raises(Refused, match="has ended") as refused:
        await asked
    assert refused.value.code is Code.NO_PICTURE
    assert await drawing.picture(CHART, "svg")


async def test_nothing_is_fetched_from_anywhere_and_nonsense_is_said(drawing: Drawing) -> None:
    """A specification that names an address is refused by who draws, before anybody is asked; the process goes on."""
    elsewhere: dict[str, Any] = {**CHART, "data": {"url": "http://127.0.0.1:9/data.json"}}
    with pytest.raises(Refused, match="could not be drawn"):
        await drawing.picture(elsewhere, "png")
    assert await drawing.picture(CHART, "svg")


async def test_it_ends_when_no_picture_was_wanted_for_a_while(
    drawing: Drawing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its memory is free."""
    monkeypatch.setattr(limits, "DRAWING_IDLE_SECONDS", 0.01)
    await drawing.picture(CHART, "svg")
    process = process_of(drawing)

    async def ended() -> bool:
        return process.returncode is not None

    await until(ended, 10, "the process to end")
    assert process.returncode == 0


async def test_too_many_are_told_to_wait_and_who_leaves_is_not_drawn_for(
    drawing: Drawing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With when to try again; once the house is being left there are none."""
    monkeypatch.setattr(limits, "DRAWINGS_WAITING", 1)
    first = asyncio.create_task(drawing.picture(CHART, "svg"))
    await asyncio.sleep(0)
    with pytest.raises(Refused, match="try again") as refused:
        await drawing.picture(CHART, "svg")
    assert (refused.value.code, refused.value.retry_after) == (Code.TOO_MANY, 5)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await drawing.close()
    with pytest.raises(Refused, match="stopping"):
        await drawing.picture(CHART, "svg")


async def test_without_the_extra_it_says_what_to_install(drawing: Drawing, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the words that pip takes."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(Refused, match=r"pip install 'xmppbus\[plots\]'") as refused:
        await drawing.picture(CHART, "png")
    assert refused.value.answer.http == 501
