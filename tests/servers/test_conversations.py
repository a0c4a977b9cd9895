"""What people and the bot say to one another, on both servers: every text in `talk/` is a test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.server import Server
from tests.support.talk_script import read
from tests.support.talk_stage import Stage
from xmppbus import limits

TALK = Path(__file__).parent / "talk"


@pytest.mark.parametrize("name", sorted(path.stem for path in TALK.glob("*.txt")))
async def test_they_talk_as_it_is_written(
    name: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first line to the last."""
    for quicker in ("STATUS_SECONDS", "STANDING_LOOK_SECONDS"):  # nobody waits half a minute for a status text
        monkeypatch.setattr(limits, quicker, 0.1)
    await Stage(server, read(TALK / f"{name}.txt"), tmp_path).perform()
