"""What is said to the bot before it listens, as when it has only just connected."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

import pytest

from tests.support.bot_desk import MEMBER, OUTCAST
from tests.support.bot_wire import BOT, Wire, wire
from xmppbus import limits

MESSAGE = "{jabber:component:accept}message"


def line(text: str, sender: str = MEMBER) -> Element:
    """Typed by somebody."""
    stanza = Element(MESSAGE, {"from": f"{sender}/phone", "to": BOT, "type": "chat", "id": text})
    SubElement(stanza, "{jabber:component:accept}body").text = text
    return stanza


async def heard_after_a_pause(opened: Wire, *early: Element) -> list[str]:
    """The bot's answers to what came while it did not run."""
    await opened.stop()
    opened.arrive(*early)
    await opened.start()
    said = await opened.written()
    return [each.findtext("body") or "" for each in said if each.find("body") is not None]


async def test_what_is_said_while_the_bot_starts_is_answered_in_order(tmp_path: Path) -> None:
    """Nobody has to say it again; an outcast is not answered now either."""
    async with wire(tmp_path) as opened:
        answers = await heard_after_a_pause(opened, line("version"), line("version", OUTCAST), line("whoami"))
    assert [each.split()[0] for each in answers] == ["xmppbus", "You"]


async def test_no_more_of_it_is_kept_than_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest: who repeats himself meant the last."""
    monkeypatch.setattr(limits, "EARLY_HEARD", 1)
    async with wire(tmp_path) as opened:
        answers = await heard_after_a_pause(opened, line("help"), line("version"))
    assert [each.split()[0] for each in answers] == ["xmppbus"]
