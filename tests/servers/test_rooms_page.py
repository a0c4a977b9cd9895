"""The conversations that docs/howto/rooms.md shows are performed, on servers with the lines that it gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.servers.test_chat_page import ROOT, blocks, performed
from tests.support.administrator import ROOMS
from tests.support.server import ServerFactory

PAGE = ROOT / "docs" / "howto" / "rooms.md"


def with_lines(server_name: str) -> dict[str, Any]:
    """Options of a test's server that make it as the page says."""
    if server_name == "prosody":
        (block,) = blocks(PAGE, "lua")
        return {"lines": block.replace("muc.example.org", ROOMS).splitlines()}
    (block,) = blocks(PAGE, "yml")
    modules = yaml.safe_load(block)["modules"]
    return {"modules": {**modules, "mod_muc": {"host": ROOMS, **modules["mod_muc"]}}}


async def test_what_the_page_says_of_rooms_is_what_happens(
    server_name: str, own_server: ServerFactory, tmp_path: Path
) -> None:
    """Nobody configures the rooms: new ones show who is who, and give messages the names that reactions use."""
    server = await own_server(server_name, **with_lines(server_name))
    (tmp_path / "bus").mkdir()
    stage = await performed(PAGE, server, tmp_path / "bus")
    last = stage.people["juliet"].last
    assert last is not None
    assert stage.house.rooms is not None
    assert len(stage.house.rooms.names) > 0, "the room gives its messages names"
