"""R7, displays: an event is shown wherever somebody looks, as it happens."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from tests.support.daemon import Daemon, program
from tests.support.event_stream import SOCKET, SSE, EventStream


async def test_r7_an_event_is_on_every_display_and_who_was_away_gets_what_they_missed(tmp_path: Path) -> None:
    """Server-sent events, a WebSocket, and `xmppbus listen --json`."""
    async with Daemon(tmp_path) as daemon:
        listener = await asyncio.create_subprocess_exec(
            *(program(), "listen", "disk.#", "--json", "--since", "all"),
            env=daemon.environment,
            stdout=asyncio.subprocess.PIPE,
        )
        assert listener.stdout is not None
        try:
            async with (
                await EventStream.open(daemon.url, SSE, type="disk.#") as events,
                await EventStream.open(daemon.url, SOCKET, type="disk.#") as socket,
            ):
                await events.next("hello")
                await socket.next("hello")
                await daemon.command("publish", "user.signup", "not for these")
                done = await daemon.command("publish", "disk.full", "/ is 91 % full", "--severity", "warning")
                async with asyncio.timeout(20):
                    line = json.loads(await listener.stdout.readline())
                shown = [await events.next("event"), await socket.next("event")]
                assert [each.members["id"] for each in shown] == [line["id"]] * 2 == [done.out.strip()] * 2
                assert shown[0].members["event"] == shown[1].members["event"] == line["event"]
            await daemon.command("publish", "disk.full", "/ is 97 % full")
            last = shown[0].id
            assert last is not None
            async with (
                await EventStream.open(daemon.url, SSE, {"Last-Event-ID": last}, type="disk.#") as again,
                await EventStream.open(daemon.url, SOCKET, type="disk.#", since=last) as socket,
            ):
                for stream in (again, socket):
                    await stream.next("hello")
                    assert (await stream.next("event")).members["event"]["data"] == "/ is 97 % full"
        finally:
            listener.kill()
            await listener.wait()
