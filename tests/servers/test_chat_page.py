"""The conversations that the README and docs/howto/chat.md show are performed, each page from its top to its end."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.server import Server
from tests.support.talk_script import read
from tests.support.talk_stage import Stage

ROOT = Path(__file__).parents[2]
ANYTHING = {"bodeka": "{word}"}
"""What is another each time."""


def blocks(page: Path, language: str) -> list[str]:
    """The page's blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def config(page: Path) -> dict[str, Any]:
    """Its lines for `xmppbus.yaml`, put together as a reader would."""
    found: dict[str, Any] = {"bot": {}, "routes": []}
    for block in blocks(page, "yaml"):
        for name, value in yaml.safe_load(block).items():
            found[name] = {**found[name], **value} if isinstance(value, dict) and name in found else value
    return found


@pytest.mark.parametrize("page", ["README.md", "docs/howto/chat.md"])
async def test_what_the_page_says_of_the_chat_is_what_happens(page: str, server: Server, tmp_path: Path) -> None:
    """With its own config, and accounts of this server in the place of those of example.org."""
    await performed(ROOT / page, server, tmp_path)


async def performed(page: Path, server: Server, directory: Path) -> Stage:
    """The stage, on which the page was performed. Rooms that its config names are there."""
    given, conversation = config(page), blocks(page, "talk")
    given["rooms"] = {each["jid"].partition("@")[0]: {} for each in given["bot"].get("rooms", ())}
    head = [f"{name.title()}: {json.dumps(given[name])}" for name in ("bot", "routes", "rooms")]
    text = re.sub(r"\b([a-z]+)@muc\.example\.org", r"{room_\1}", "\n".join([*head, *conversation]))
    text = re.sub(r"\b([a-z]+)@example\.org", r"{\1}", text)
    for shown, meant in ANYTHING.items():
        text = text.replace(shown, meant)
    script = directory / "page.txt"
    script.write_text(text)
    stage = Stage(server, read(script), directory)
    await stage.perform()
    return stage
