"""`xmppbus plot`: the daemon draws, the client that was typed writes the file; text where no file is wanted."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.daemon import Daemon
from tests.support.without_extra import program_without

PNG = b"\x89PNG\r\n\x1a\n"


def latencies() -> bytes:
    """A hundred of two hosts, over the last hours; two that are no numbers."""
    now = datetime.now(UTC)
    lines = [
        {
            "type": "http.latency",
            "id": str(number),
            "key": f"web{number % 2}",
            "time": (now - timedelta(minutes=100 - number)).isoformat(),
            "data": {"ms": 20 + number % 50},
        }
        for number in range(100)
    ]
    wrong = [{"type": "http.latency", "data": data} for data in ({"ms": "fast"}, {})]
    return "\n".join(map(json.dumps, [*lines, *wrong])).encode()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def daemon(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Daemon]:
    """One for all of them: nothing here changes what it holds."""
    async with Daemon(tmp_path_factory.mktemp("bus")) as started:
        await started.command("publish", "--json", "-", "--lines", "--output", "none", input=latencies())
        yield started


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_in_a_terminal_it_is_a_chart_of_blocks(daemon: Daemon) -> None:
    """With the numbers at the left, the time below, the figures, and what could not be drawn; several curves are a line
    each."""
    head, _, *rows, figures = (await daemon.command("plot", "http.#", "--field", "data.ms")).out.splitlines()
    assert head == "http.#  data.ms, the last 24h: 100 values, 1 without the field, 1 not a number"
    blocks = [row for row in rows if "┤" in row or "│" in row]
    assert len(blocks) == 10
    assert re.match(r"6\d(\.\d)? ms ┤ ", blocks[0])  # the mean of what shares the highest column
    assert re.match(r" *2\d(\.\d)? ms ┤▁", blocks[-1])
    assert figures.strip() == "min 20 ms · mean 44.5 ms · max 69 ms · last 69 ms"
    curves = (await daemon.command("plot", "http.#", "--field", "data.ms", "--by", "key", "--title", "Web")).out
    title, _, web0, web1, bad = [line.split("  ")[0] for line in curves.splitlines()] + [""]
    assert (title, web0, web1, bad) == ("Web", "web0", "web1", "")
    assert "\x1b" not in curves


async def test_the_file_is_written_where_it_was_typed(daemon: Daemon, tmp_path: Path) -> None:
    """In the directory and with the rights of who typed it, in the form that its name says; whole, or not at all."""
    asked = ("http.latency", "--field", "data.ms", "--width", "400", "--height", "200")
    done = await daemon.command("plot", *asked, "--out", "sub.png")
    picture = daemon.directory / "sub.png"
    assert picture.read_bytes()[:8] == PNG
    assert stat.S_IMODE(picture.stat().st_mode) == 0o666 & ~_umask()
    assert done.out == ""
    assert "http.latency data.ms, the last 24h: 100 values" in done.err
    for form, begins in (("svg", b"<svg"), ("json", b"{")):
        link = tmp_path / f"link.{form}"
        link.symlink_to(tmp_path / f"real.{form}")
        await daemon.command("plot", *asked, f"--out={link}", "--theme", "dark")
        assert link.is_symlink()
        assert (tmp_path / f"real.{form}").read_bytes().startswith(begins)
    assert sorted(os.listdir(tmp_path)) == ["link.json", "link.svg", "real.json", "real.svg"]


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


async def test_a_picture_goes_into_a_pipe_and_never_onto_a_terminal(daemon: Daemon) -> None:
    """A terminal would be spoilt by it."""
    asked = "xmppbus plot http.latency --field data.ms --out -"
    assert (await daemon.shell(f"{asked} | head -c 4 | od -An -c")).split() == ["211", "P", "N", "G"]
    said = await daemon.shell(f"script -qec '{asked}' /dev/null || test $? = 64")
    assert "a picture is nothing for a terminal; write `--out plot.png`" in said
    shown = await daemon.shell("script -qec 'xmppbus plot http.latency --field data.ms' /dev/null")
    assert "\x1b[36m" in shown
    plain = await daemon.shell("NO_COLOR=1 script -qec 'xmppbus plot http.latency --field data.ms' /dev/null")
    assert "\x1b[36m" not in plain


async def test_json_has_the_points_and_the_figures(daemon: Daemon) -> None:
    """For programs."""
    found = (await daemon.command("plot", "http.latency", "--field", "data.ms", "--by", "key", "--json")).json
    assert (found["values"], found["missing"], found["not_numbers"], found["unit"]) == (100, 1, 1, "ms")
    assert [(each["name"], each["count"], len(each["points"])) for each in found["curves"]] == [
        ("web0", 50, 50),
        ("web1", 50, 50),
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("http.latency", "--field", "data.seconds"), 1, "102 events of http.latency (the last 24h) are without that"),
        (("nothing", "--field", "data.ms", "--since", "all"), 1, "no event of nothing, all there is; begin earlier"),
        (("http.latency", "--field", "da ta"), 64, "such as `data.ms`"),
        (("http.latency", "--field", "data.ms", "--out", "x.gif"), 64, "ends with none of .png, .svg and .json"),
        (("http.latency", "--field", "data.ms", "--since", "soon"), 64, "is no sequence, no time such as"),
        (("http.latency", "--field", "data.ms", "--unit", "x" * 17), 64, "at most 16 characters"),
        (("http.latency",), 64, "--field"),
        (
            ("http.latency", "--field", "data.ms", "--out", "/nowhere/x.png"),
            73,
            "can't write to /nowhere/x.png: No such",
        ),
    ],
)
async def test_what_can_not_be_done_is_said(daemon: Daemon, arguments: tuple[str, ...], code: int, said: str) -> None:
    """With what to do instead, and an exit code for it."""
    done = await daemon.run("plot", *arguments)
    assert done.code == code, done
    assert said in done.err
    assert done.out == ""


async def test_a_full_disk_leaves_nothing_behind(daemon: Daemon) -> None:
    """Half a picture is none."""
    full = daemon.directory / "full.png"
    full.symlink_to("/dev/full")
    done = await daemon.run("plot", "http.latency", "--field", "data.ms", "--out", "full.png")
    assert done.code == 74, done
    assert "No space left on device" in done.err


async def test_without_the_extra_there_is_still_the_chart_in_text(tmp_path: Path) -> None:
    """And a picture is refused with what to install."""
    bus = Daemon(tmp_path / "bus")
    bus.program = program_without(tmp_path / "venv", ("vl-convert-python",))
    async with bus:
        await bus.command("publish", "http.latency", "--json", "-", input=b'{"data": {"ms": 5}}')
        asked = ("plot", "http.latency", "--field", "data.ms")
        assert "min 5 ms" in (await bus.command(*asked)).out
        done = await bus.run(*asked, "--out", "x.png")
        assert done.code == 69
        assert "pip install 'xmppbus[plots]'" in done.err
        assert not (bus.directory / "x.png").exists()
        await bus.command(*asked, "--out", "x.json")
        assert json.loads((bus.directory / "x.json").read_text())["data"]["values"][0]["v"] == 5
