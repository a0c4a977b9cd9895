"""Incidents over HTTP of the installed program, as its users meet it."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.house.test_incidents_cli import FIRING, alone, listed, publish
from tests.support.daemon import Daemon
from tests.support.missing import need


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    async with alone(tmp_path) as started:
        yield started


async def test_what_curl_acknowledges_the_command_line_shows(daemon: Daemon) -> None:
    """With the lines of the documentation."""
    need("curl")
    await publish(daemon, "disk.full", "91 %", *FIRING)

    async def curl(*arguments: str) -> str:
        done = await asyncio.to_thread(
            subprocess.run, ["curl", "-sS", *arguments], capture_output=True, text=True, check=True
        )
        return done.stdout

    (shown,) = json.loads(await curl(f"{daemon.url}/v1/incidents?status=firing&status=acknowledged"))
    assert (shown["key"], shown["status"], shown["summary"]) == ("db1:/var", "firing", "91 %")
    await curl("-X", "POST", f"{daemon.url}/v1/incidents/db1%3A%2Fvar/ack")
    (incident,) = await listed(daemon)
    assert (incident["status"], incident["by"]) == ("acknowledged", "http")
    await curl("--json", '{"by": "juliet"}', f"{daemon.url}/v1/incidents/db1%3A%2Fvar/resolve")
    (incident,) = await listed(daemon, "--status", "resolved")
    assert incident["by"] == "juliet"


async def test_a_page_of_another_site_can_not_acknowledge(daemon: Daemon) -> None:
    """A form needs no permission to post, so it is asked where it comes from."""
    await publish(daemon, "disk.full", "91 %", *FIRING)
    headers = {"Origin": "https://elsewhere.example", "Content-Type": "application/x-www-form-urlencoded"}
    status, _ = await daemon.request("POST", "/v1/incidents/db1%3A%2Fvar/ack", "", headers)
    assert status == 403
    assert (await listed(daemon))[0]["status"] == "firing"


async def test_what_was_acknowledged_over_http_is_so_after_kill_9(tmp_path: Path) -> None:
    """200 means on disk."""
    daemon = alone(tmp_path)
    try:
        await daemon.start()
        await publish(daemon, "disk.full", "91 %", *FIRING)
        status, _ = await daemon.request("POST", "/v1/incidents/db1%3A%2Fvar/ack")
        assert status == 200
        daemon.kill()
        await daemon.start()
        assert (await listed(daemon))[0]["status"] == "acknowledged"
    finally:
        await daemon.stop()


async def test_two_who_acknowledge_at_once_are_one_who_is_first(daemon: Daemon) -> None:
    """By HTTP and on the command line; everybody else is told the same name."""
    await publish(daemon, "disk.full", "91 %", *FIRING)
    path = "/v1/incidents/db1%3A%2Fvar/ack"
    posts = (daemon.request("POST", path, json.dumps({"by": f"person {number}"})) for number in range(10))
    answers, typed = await asyncio.gather(asyncio.gather(*posts), daemon.run("ack", "db1:/var"))
    first = [json.loads(body)["by"] for status, body in answers if status == 200]
    assert len(first) + (typed.code == 0) == 1
    (incident,) = await listed(daemon)
    assert incident["by"] == (first[0] if first else incident["by"])
    assert {status for status, _ in answers} <= {200, 409}
    assert all(f"{incident['by']} was first" in body.decode() for status, body in answers if status == 409)
