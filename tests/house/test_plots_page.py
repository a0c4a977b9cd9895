"""Every line of `docs/howto/plots.md`, run as somebody would who reads it from top to bottom."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.support.bot_desk import MEMBER, scene
from tests.support.daemon import Daemon
from tests.support.missing import need

PAGE = Path(__file__).parents[2] / "docs/howto/plots.md"


def blocks(language: str) -> list[str]:
    """In order."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.mark.parametrize("program", ["curl", "jq"])
def test_the_programs_of_the_page_are_there(program: str) -> None:
    """They are Debian's."""
    need(program)


async def test_the_command_lines_of_the_page_do_what_it_says(tmp_path: Path) -> None:
    """With the page's own config; the pictures are there in the end, and the figures are those of what was sent."""
    (config,) = blocks("yaml")
    daemon = Daemon(tmp_path / "bus")
    given = yaml.safe_load(daemon.config_file.read_text())
    given["journal"] |= yaml.safe_load(config)["journal"]
    daemon.config_file.write_text(yaml.safe_dump(given))
    async with daemon:
        lines = [f"set -e\n{block.replace('http://127.0.0.1:8222', daemon.url)}" for block in blocks("sh")]
        printed = [await daemon.shell(each) for each in lines]
        for name, begins in (("builds.png", b"\x89PNG"), ("builds.svg", b"<svg")):
            assert (daemon.directory / name).read_bytes().startswith(begins)
        assert '"last": 231.4' in printed[3]
        assert "build.finished  data.seconds, all there is: 4 values" in printed[2]


async def test_the_words_of_the_page_are_understood_by_the_bot(tmp_path: Path) -> None:
    """Each as it stands there."""
    (said,) = blocks("text")
    async with scene(tmp_path) as bot:
        for line in said.splitlines():
            assert (await bot.says(MEMBER, line)).startswith("I found no number `data."), line
