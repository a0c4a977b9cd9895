"""`plot` in a chat, without a server: what is said where there is something to draw, and where there is not."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from tests.support.bot_desk import MEMBER, STRANGER, Scene, scene
from xmppbus.bot.command import Place


async def values(bot: Scene) -> None:
    """One a minute, of two machines."""
    for number in range(8):
        time = (bot.clock() - timedelta(minutes=8 - number)).isoformat()
        await bot.event("build.finished", time=time, subject=f"m{number % 2}", data={"seconds": 10 * number})


async def test_the_curve_is_said_in_a_line(tmp_path: Path) -> None:
    """With its figures; several are a line each. The last day is meant where nothing else is said."""
    async with scene(tmp_path) as bot:
        await values(bot)
        assert await bot.says(MEMBER, "plot build.# data.seconds") == (
            "build.# data.seconds, the last 24h\n▁▂▃▄▅▆▇█ min 0 s · mean 35 s · max 70 s · last 70 s"
        )
        assert await bot.says(MEMBER, "chart build.# data.seconds 5m") == (
            "build.# data.seconds, the last 5m\n▁▃▅▇█ min 30 s · mean 50 s · max 70 s · last 70 s"
        )
        _, first, second = (await bot.says(MEMBER, "Plot build.# data.seconds 2d Subject")).splitlines()
        assert (first.split()[0], second.split()[0]) == ("m0", "m1")


async def test_what_can_not_be_drawn_is_said(tmp_path: Path) -> None:
    """With how it is written, or what to look at."""
    async with scene(tmp_path) as bot:
        await values(bot)
        for said, answer in (
            ("plot build.# data.ms", "I found no number `data.ms` in `build.#`, the last 24h. `list` shows the types"),
            ("plot nothing data.ms 7d", "I found no number `data.ms` in `nothing`, the last 7d."),
            ("plot build.#", "FIELD is missing"),
            ("plot", "PATTERN is missing"),
            ("plot build.# data..x", "'data..x' is no field; write where the number is"),
            ("plot build.# data.seconds 7d colour", "none of `key`, `subject`, `source`, `type`"),
        ):
            assert answer in await bot.says(MEMBER, said), said


async def test_who_may_not_read_may_not_plot(tmp_path: Path) -> None:
    """A curve says what happens here."""
    async with scene(tmp_path) as bot:
        await values(bot)
        assert "I don't know paris@example.net yet" in await bot.says(STRANGER, "plot build.# data.seconds")


async def test_text_of_events_is_only_text(tmp_path: Path) -> None:
    """Also as the name of a curve."""
    async with scene(tmp_path) as bot:
        await bot.event("build.finished", subject="<b>evil</b> \u2066name\u2069 \U0001f680", data={"seconds": 5})
        said = await bot.says(MEMBER, "plot build.# data.seconds 1d subject", place=Place.ROOM)
        assert said.splitlines()[1:] == ["<b>evil</b> name \U0001f680 ▄ min 5 s · mean 5 s · max 5 s · last 5 s"]
