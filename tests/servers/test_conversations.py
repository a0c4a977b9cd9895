"""What people and the bot say to one another, on both servers: every text in `talk/` is a test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.server import Server
from tests.support.talk_script import read
from tests.support.talk_stage import Stage

TALK = Path(__file__).parent / "talk"


@pytest.mark.parametrize("name", sorted(path.stem for path in TALK.glob("*.txt")))
async def test_they_talk_as_it_is_written(name: str, server: Server, tmp_path: Path) -> None:
    """From the first line to the last."""
    await Stage(server, read(TALK / f"{name}.txt"), tmp_path).perform()
