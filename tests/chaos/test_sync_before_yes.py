"""T2: a yes is on its way only when an fsync has covered the event."""

from __future__ import annotations

import asyncio
import json
import struct
from pathlib import Path
from typing import Any

import pytest

from tests.chaos import trace
from tests.chaos.trace import Call
from tests.support.daemon import Daemon, program

HEADER = struct.Struct(">cI")
SYNC = ("fsync", "fdatasync")
SENDING = ("write", "writev", "sendto", "sendmsg")

pytestmark = pytest.mark.skipif(not trace.works(), reason="strace is missing, or may not trace here")


def event(name: str) -> dict[str, Any]:
    """An event whose id is found again in the bytes that are written."""
    return {"specversion": "1.0", "type": "sync.test", "source": "sync", "id": f"name-{name}-end", "data": "text"}


async def over_the_socket(daemon: Daemon, names: list[str]) -> dict[str, str]:
    """Pipelined frames of one event each; item id by name."""
    reader, writer = await asyncio.open_unix_connection(str(daemon.socket))
    for name in names:
        payload = json.dumps(event(name)).encode()
        writer.write(HEADER.pack(b"P", len(payload)) + payload)
    found = {}
    for name in names:
        _, length = HEADER.unpack(await reader.readexactly(HEADER.size))
        found[name] = json.loads(await reader.readexactly(length))["id"]
    writer.close()
    return found


async def over_http(daemon: Daemon, names: list[str]) -> dict[str, str]:
    """A batch; item id by name."""

    body = json.dumps([event(name) for name in names])
    kind = {"Content-Type": "application/cloudevents-batch+json"}
    status, answer = await daemon.request("POST", "/v1/events", body, kind)
    assert status == 202, answer
    return {name: each["id"] for name, each in zip(names, json.loads(answer), strict=True)}


async def by_command(daemon: Daemon, name: str) -> dict[str, str]:
    """`xmppbus publish`; item id by name."""
    done = await daemon.command("publish", "sync.test", "text", "--source", "sync", "--id", event(name)["id"])
    return {name: done.out.strip()}


def assert_synced(calls: list[Call], name: str, item_id: str, file: str) -> None:
    """The event's bytes were written to the file, then a sync of that file ended, and only then began the yes."""
    token = event(name)["id"]
    written = [call for call in calls if call.name == "pwrite64" and token in call.arguments and file in call.arguments]
    assert written, f"{token} was never written to {file}"
    # The yes is the first bytes to a client that name the item; other writes of them go to files.
    yes = next(
        call for call in calls if call.name in SENDING and item_id in call.arguments and "socket:" in call.arguments
    )
    first = min(call.end for call in written)
    covering = [
        call
        for call in calls
        if call.name in SYNC
        and file in call.arguments
        and not call.failed
        and first < call.begin
        and call.end < yes.begin
    ]
    assert covering, f"no sync of {file} between the write of {token} (line {first}) and the yes (line {yes.begin})"


async def test_every_yes_is_preceded_by_a_sync_that_covers_it(tmp_path: Path) -> None:
    """Over the socket, over HTTP and by command, side by side, so that commits are shared."""
    output = tmp_path / "trace"
    daemon = Daemon(tmp_path / "bus", prefix=trace.command(output))
    async with daemon:
        answers = await asyncio.gather(
            over_the_socket(daemon, [f"socket{number}" for number in range(30)]),
            *(over_http(daemon, [f"http{batch}x{number}" for number in range(4)]) for batch in range(5)),
            *(by_command(daemon, f"command{number}") for number in range(5)),
        )
    items = {name: item_id for answer in answers for name, item_id in answer.items()}
    calls = trace.calls(output)
    for name, item_id in items.items():
        assert_synced(calls, name, item_id, "journal.db-wal")
    syncs = sum(call.name in SYNC and "journal.db-wal" in call.arguments for call in calls)
    print(f"{len(items)} yeses, {syncs} syncs of the log")
    assert len(items) == 55


async def test_what_goes_into_the_spool_is_synced_before_the_command_says_yes(tmp_path: Path) -> None:
    """Without a daemon: the file, then its name in the directory, then the item id on standard output."""
    output = tmp_path / "trace"
    daemon = Daemon(tmp_path / "bus")
    process = await asyncio.create_subprocess_exec(
        *(*trace.command(output), program(), "publish", "sync.test", "text", "--id", "name-spool-end"),
        env=daemon.environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err
    calls = trace.calls(output)
    yes = next(call for call in calls if call.name == "write" and out.decode().strip() in call.arguments[:200])
    written = next(call for call in calls if call.name == "write" and "name-spool-end" in call.arguments)
    syncs = [call for call in calls if call.name in SYNC and written.end < call.begin and call.end < yes.begin]
    named = next(call for call in calls if call.name.startswith(("rename", "link")) and call.begin > written.end)
    assert any(call.end < named.begin for call in syncs), "the file, before it has its name"
    assert any(call.begin > named.end and "/spool>" in call.arguments for call in syncs), "its name in the directory"
