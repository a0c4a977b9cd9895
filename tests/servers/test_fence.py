"""The fence: what was written before it is with the server, in the recipients' sessions or kept for them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.servers.talking import bare, messages, person, talking, texts
from tests.support.conversation import log_in
from tests.support.proxy import Proxy
from tests.support.server import Server, ServerFactory
from tests.support.waiting import until
from xmppbus import limits
from xmppbus.xmpp.messages import Message
from xmppbus.xmpp.replies import NoAnswer
from xmppbus.xmpp.talk import Talk

OFFLINE: dict[str, dict[str, Any]] = {"prosody": {"modules": ["offline"]}, "ejabberd": {"modules": {"mod_offline": {}}}}
"""Neither harness keeps messages for who is not there, unless it is told to."""
SOON = 10.0


def write(talk: Talk, to: str, *bodies: str) -> int:
    """Write messages; the session in which they were written."""
    for number, body in enumerate(bodies):
        session = talk.send(Message(talk.full(), body).stanza(to, f"m{number}"))
    return session


async def test_what_was_fenced_reaches_who_is_there_though_we_are_cut_off(server: Server, tmp_path: Path) -> None:
    """All of it, in order, though our stream ends in the moment in which the fence is answered."""
    bodies = [f"number {number}" for number in range(300)]
    async with await person(server) as romeo:
        async with talking(server, tmp_path) as talk:
            session = write(talk, bare(romeo), *bodies)
            await talk.fence(session)
            assert talk._stream._connection is not None
            talk._stream._connection._stream.transport.abort()
        await romeo.until(lambda: len(messages(romeo)) >= len(bodies), SOON)
        assert texts(messages(romeo), "body") == bodies


async def test_what_was_fenced_is_kept_for_who_is_offline(
    own_server: ServerFactory, server_name: str, tmp_path: Path
) -> None:
    """Somebody who logs in the moment the fence is answered has all of it, in order."""
    server = await own_server(server_name, **OFFLINE[server_name])
    bodies = [f"number {number}" for number in range(50)]
    async with talking(server, tmp_path) as talk:
        session = write(talk, "reader@localhost", *bodies)
        await talk.fence(session)
        async with await log_in(server, "reader@localhost") as reader:
            await reader.until(lambda: len(messages(reader)) >= len(bodies), SOON)
            assert texts(messages(reader), "body") == bodies


async def test_one_ping_serves_all_who_wrote_before_it(server: Server, tmp_path: Path) -> None:
    """A hundred wait, two pings go: one for who came first, one for those who came while it was on its way."""
    async with await person(server) as romeo, talking(server, tmp_path) as talk:
        write(talk, bare(romeo), "first")
        await asyncio.gather(*(talk.fence(talk.session) for _ in range(100)))
        assert talk._fence.pings == 1
        await asyncio.wait_for(talk.fence(talk.session), SOON)
        assert talk._fence.pings == 1, "nothing was written since"


async def test_a_fence_of_an_ended_session_is_never_answered(server: Server, tmp_path: Path) -> None:
    """The next session knows nothing of what the last one may have lost."""
    async with (
        Proxy(server.component_port) as proxy,
        await person(server) as romeo,
        talking(server, tmp_path, port=proxy.port) as talk,
    ):
        proxy.to_server.black_hole = True
        session = write(talk, bare(romeo), "lost")
        waiting = [asyncio.create_task(talk.fence(session)), asyncio.create_task(talk.fence(talk.session))]
        await until(lambda: talk._fence.pings, SOON, "the ping")
        proxy.reset()
        proxy.heal()
        for each in waiting:
            with pytest.raises(NoAnswer):
                await asyncio.wait_for(each, SOON)
        await until(lambda: talk.session > session, SOON, "the next session")
        with pytest.raises(NoAnswer):
            await talk.fence(session)
        with pytest.raises(NoAnswer):
            talk.send(b"<presence/>", session)
        write(talk, bare(romeo), "after")
        await asyncio.wait_for(talk.fence(talk.session), SOON)
        await romeo.until(lambda: bool(messages(romeo)), SOON)
        assert texts(messages(romeo), "body") == ["after"]


async def test_who_writes_faster_than_the_server_reads_waits(server: Server, tmp_path: Path) -> None:
    """What is on its way is bounded, and goes on when the server does."""
    body = "x" * 5_000
    async with Proxy(server.component_port) as proxy, talking(server, tmp_path, port=proxy.port) as talk:
        proxy.to_server.stalled = True
        written = 0

        async def write_on() -> None:
            nonlocal written
            for _ in range(600):
                await talk.room()
                talk.send(Message(talk.full(), body).stanza(f"nobody@{server.domain}", "m"))
                written += 1

        writing = asyncio.create_task(write_on())
        await until(lambda: talk._fence.unacknowledged >= limits.TALK_BYTES, SOON, "the bound")
        assert talk._fence.unacknowledged < limits.TALK_BYTES + 2 * len(body)
        stopped = written
        proxy.heal()
        await asyncio.wait_for(writing, SOON)
        assert stopped < written == 600
        await asyncio.wait_for(talk.fence(talk.session), SOON)
        assert talk._fence.unacknowledged == 0


async def test_what_nobody_holds_back_is_bounded_all_the_same(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers wait for nobody: beyond a bound they are refused, until the server reads again."""
    monkeypatch.setattr(limits, "TALK_MOST_BYTES", 100_000)
    async with Proxy(server.component_port) as proxy, talking(server, tmp_path, port=proxy.port) as talk:
        proxy.to_server.stalled = True
        with pytest.raises(NoAnswer):
            write(talk, f"nobody@{server.domain}", *["x" * 9_000] * 100)
        assert talk._fence.unacknowledged < 110_000
        proxy.heal()
        await asyncio.wait_for(talk.fence(talk.session), SOON)
        write(talk, f"nobody@{server.domain}", "x")


async def test_a_server_that_never_answers_leaves_nobody_waiting(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither who waits for the fence nor who waits for room."""
    monkeypatch.setattr(limits, "IQ_SECONDS", 0.3)
    monkeypatch.setattr(limits, "CLOSE_SECONDS", 0.1)
    async with Proxy(server.component_port) as proxy, talking(server, tmp_path, port=proxy.port) as talk:
        proxy.to_server.black_hole = True
        write(talk, f"nobody@{server.domain}", *["x" * 9_000] * (limits.TALK_BYTES // 9_000 + 1))
        for waiting in (talk.fence(talk.session), talk.room()):
            with pytest.raises(NoAnswer):
                await asyncio.wait_for(waiting, SOON)
