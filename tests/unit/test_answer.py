"""A command line is answered by the daemon: with real frames, a real journal, and no socket between them."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from socket import socket
from typing import NamedTuple

import pytest

from xmppbus.bus import Bus
from xmppbus.cli.answer import Answerer
from xmppbus.config import load
from xmppbus.house import House
from xmppbus.inputs import frames
from xmppbus.inputs.frames import Splitter
from xmppbus.inputs.terminal import ClientTerminal
from xmppbus.inputs.visitor import Facts, Role
from xmppbus.plugins import Registry
from xmppbus.stores.sqlite import SqliteJournal
from xmppbus.xmpp.stanzas import check_size

ROOT = Role(0, admin=True, publish=True, listen=True)


def now() -> datetime:
    return datetime(2026, 1, 31, 12, tzinfo=UTC)


class Said(NamedTuple):
    """What a client is told."""

    code: int
    out: str
    err: str


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A journal, a bus, and no way out."""
    config = load(None, {"XMPPBUS_STATE": str(tmp_path), "HOME": str(tmp_path)})
    async with SqliteJournal(config.journal_path) as journal:
        bus = Bus(journal, config.routes, source="host", check_size=check_size, clock=now)
        yield House(config, now, now(), journal, Registry(), bus)


async def ask(house: House, *arguments: str, role: Role = ROOT, facts: Facts = Facts()) -> Said:  # noqa: B008  # a tuple: immutable
    """The command, as a client's connection hands it on."""
    sent: list[bytes] = []

    async def drain() -> None:
        """There is nobody to wait for."""

    def duplicate() -> socket:
        raise AssertionError("only durable listeners need another descriptor")

    code = await Answerer(house)(arguments, ClientTerminal(sent.append, drain, duplicate), facts, role)
    found = Splitter(2**24).feed(b"".join(sent))
    out = b"".join(payload for kind, payload in found if kind == frames.OUTPUT).decode()
    return Said(code, out, b"".join(payload for kind, payload in found if kind == frames.ERROR).decode())


async def test_what_comes_while_the_house_is_left_is_spooled(house: House) -> None:
    """A restart of the daemon loses no event of a script that does not try again."""
    house.bus.close()
    said = await ask(house, "publish", "t", "text")
    (file,) = house.config.spool_directory.glob("*.events")
    assert said.code == 0
    assert b'"data":"text"' in file.read_bytes()
    assert "kept in" in said.err


async def test_a_bug_in_a_command_is_exit_70_and_hurts_nobody_else(house: House) -> None:
    """The traceback is in the log, not on the user's screen."""
    del house.journal
    said = await ask(house, "status")
    assert said.code == 70
    assert "report it" in said.err
    assert "Traceback" not in said.err


async def test_help_is_laid_out_for_the_client(house: House) -> None:
    """Not for the daemon's own terminal."""
    narrow = await ask(house, "status", "--help", facts=Facts(width=50))
    assert narrow.code == 0
    assert max(len(line) for line in narrow.out.splitlines()) <= 50


async def test_a_role_is_asked_before_anything_is_read(house: House) -> None:
    """Who may not publish is not asked for standard input."""
    said = await ask(house, "publish", "t", role=Role(1000, admin=False, publish=False, listen=True))
    assert said.code == 77
    assert said.out == ""
