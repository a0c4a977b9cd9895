"""The bounds of SMTP connections, made small: time, bytes, commands, and who has to go when there are too many."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from tests.support.waiting import until
from xmppbus import limits
from xmppbus.inputs.smtp_connection import Connections, Settings

SOON = 10.0
BEGUN = b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<t>\r\nDATA\r\n"

Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Taking:
    """Says yes to every mail."""

    async def handle_DATA(self, _server: Any, _session: Any, _envelope: Any) -> str:  # noqa: N802  # aiosmtpd's name
        """See aiosmtpd."""
        return "250 2.0.0 kept"


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[Connections, int]]:
    """The connections of a listener, and its port."""
    found = Connections()
    make = partial(found.make, Taking(), Settings("here", None, None, False))
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    try:
        yield found, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for each in list(found.open):
            each.end(b"")


async def connected(port: int, said: bytes = b"") -> Client:
    """A client that has been greeted, and has said that."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.wait_for(reader.readline(), SOON)
    writer.write(said)
    return reader, writer


async def in_a_mail(port: int, said: bytes) -> Client:
    """A client that may send its mail, and has sent that of it."""
    reader, writer = await connected(port, BEGUN)
    while not (await asyncio.wait_for(reader.readline(), SOON)).startswith(b"354"):
        pass
    writer.write(said)
    return reader, writer


async def rest(client: Client) -> bytes:
    """All that it is told until it is left."""
    reader, writer = client
    try:
        return await asyncio.wait_for(reader.read(), SOON)
    except ConnectionError:
        return b""
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@pytest.mark.parametrize("said", [b"", b"EHL", b"EHLO a\r\n", BEGUN, BEGUN + b"x"])
async def test_who_takes_too_long_is_told_so(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it stalls."""
    monkeypatch.setattr(limits, "SMTP_SECONDS", 0.2)
    async with listening() as (found, port):
        client = await connected(port, said)
        assert (await rest(client)).splitlines()[-1] == b"421 4.4.2 this took too long; connect again"
        await until(lambda: not found.open, SOON, "it to be counted out")
        assert (found.late, found.held) == (1, 0)


async def test_when_there_are_too_many_the_slowest_has_to_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has finished a command since stays; and while all are at work it is the new one."""
    monkeypatch.setattr(limits, "SMTP_CONNECTIONS", 2)
    monkeypatch.setattr(limits, "SMTP_EVICT_SECONDS", 1_000.0)
    async with listening() as (found, port):
        stalled, busy = await connected(port), await connected(port)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert (await rest((reader, writer))).startswith(b"421 4.3.2 too many connections")
        busy[1].write(b"NOOP\r\n")
        assert (await asyncio.wait_for(busy[0].readline(), SOON)).startswith(b"250")
        monkeypatch.setattr(limits, "SMTP_EVICT_SECONDS", 0.0)
        new = await connected(port, b"NOOP\r\n")
        assert (await rest(stalled)).startswith(b"421 4.3.2 too many connections")
        for client in (busy, new):
            client[1].write(b"QUIT\r\n")
            assert (await rest(client)).endswith(b"221 Bye\r\n")
        assert found.refused == 2


async def test_mails_without_an_end_are_kept_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one connection, and of all together; what is done with is given back."""
    monkeypatch.setattr(limits, "MAIL_BYTES", 20_000)
    async with listening() as (found, port):
        client = await in_a_mail(port, b"x" * 50_000)
        assert (await rest(client)).splitlines()[-1].startswith(b"552 5.3.4")
        monkeypatch.setattr(limits, "SMTP_BUFFER_BYTES", 25_000)
        first = await in_a_mail(port, b"x" * 15_000)
        await until(lambda: found.held >= 15_000, SOON, "the first to be held")
        second = await in_a_mail(port, b"x" * 15_000)
        assert (await rest(second)).splitlines()[-1].startswith(b"452 4.3.1")
        first[1].write(b"\r\n.\r\nNOOP\r\nQUIT\r\n")
        assert (await rest(first)).endswith(b"221 Bye\r\n")
        await until(lambda: not found.held, SOON, "all of it to be given back")


@pytest.mark.parametrize("method", [b"POST", b"PATCH", b"XYZ"])
async def test_a_web_page_ends_with_its_first_line_or_the_second(method: bytes) -> None:
    """Whatever method it has the browser use; what it puts into the body is not read."""
    async with listening() as (_, port):
        said = await rest(await connected(port, method + b" / HTTP/1.1\r\nHost: evil.example:2525\r\n\r\n" + BEGUN))
        assert said.splitlines()[-1].startswith(b"421 4.7.0 this is SMTP")
        assert b"354" not in said


async def test_commands_of_a_connection_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that says the same for ever is left."""
    monkeypatch.setattr(limits, "SMTP_COMMANDS", 3)
    async with listening() as (_, port):
        client = await connected(port, b"NOOP\r\n" * 9)
        assert b"421 4.7.0 NOOP sent too many times" in await rest(client)
