"""`xmppbus expect`: silence becomes an event, and its end, too."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import Daemon
from tests.support.waiting import until


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    async with Daemon(tmp_path / "bus") as started:
        yield started


async def told(daemon: Daemon, count: int) -> list[dict[str, Any]]:
    """Wait for so many events about silence."""
    found: list[dict[str, Any]] = []

    async def enough() -> bool:
        done = await daemon.run("listen", "expect.missed", "--since", "all", "-n", str(count), "--json", timeout=20)
        found[:] = [json.loads(line)["event"] for line in done.out.splitlines()]
        return len(found) == count

    await until(enough, 20, f"{count} events")
    return found


async def test_silence_becomes_an_event_and_its_end_too_over_a_restart(daemon: Daemon) -> None:
    """One key; the end says how long it was, although the daemon was killed meanwhile."""
    await daemon.command("publish", "job.backup", "one")
    added = await daemon.command("expect", "job.backup", "--every", "1s", "--severity", "critical")
    assert added.out == "job.backup is expected every 1 s\n"
    (missed,) = await told(daemon, 1)
    assert (missed["status"], missed["severity"], missed["key"]) == ("firing", "critical", "expect:job.backup")
    assert missed["summary"].startswith("job.backup: never came for 1 s; it is expected every 1 s")
    assert (await daemon.status())["inputs"]["expect"]["missed"] == ["job.backup"]
    daemon.kill()
    spooled = await daemon.run("publish", "job.backup", "two")
    await daemon.start()
    _, back = await told(daemon, 2)
    assert (back["status"], back["key"], back["data"]["item"]) == ("resolved", missed["key"], spooled.out.strip())
    assert "came again after" in back["summary"]
    (known,) = [json.loads(line) for line in (await daemon.command("expect", "list", "--json")).out.splitlines()]
    assert (known["missed"], known["item"]) == (None, spooled.out.strip())


async def test_what_was_published_while_the_daemon_was_away_is_no_silence(daemon: Daemon) -> None:
    """It waits in the spool, and nobody is missed for that."""
    await daemon.command("expect", "beat", "--every", "2s")
    daemon.kill()
    await daemon.run("publish", "beat", "x")

    async def heard() -> bool:
        return bool(json.loads((await daemon.command("expect", "info", "beat", "--json")).out)["last"])

    await daemon.start()
    await until(heard, 20, "the beat")
    assert json.loads((await daemon.command("expect", "info", "beat", "--json")).out)["missed"] is None


async def test_what_is_expected_is_listed_shown_replaced_and_removed(daemon: Daemon) -> None:
    """By name."""
    added = await daemon.command(
        "expect", "add", "disk.*", "--every", "25h", "--grace", "1h", "--key", "db1", "--name", "disks"
    )
    assert added.out == "disks is expected every 25 h + 60 min\n"
    await daemon.command("expect", "disk.*", "--every", "26h", "--key", "db1", "--name", "disks")
    await daemon.command("expect", "--every", "2m", "heartbeat", "--source", "web1")
    lines = (await daemon.command("expect", "list")).out.splitlines()
    assert [line.split()[1] for line in lines] == ["disks", "heartbeat"]
    assert "every 26 h" in lines[0]
    assert "key       db1" in (await daemon.command("expect", "info", "disks")).out
    await daemon.command("expect", "remove", "disks", "heartbeat web1")
    assert (await daemon.command("expect", "list")).out == ""
    unknown = await daemon.run("expect", "info", "disks")
    assert (unknown.code, unknown.out) == (1, "")
    assert "expect list" in unknown.err


async def test_nobody_can_take_the_name_of_what_is_to_be_said(daemon: Daemon) -> None:
    """Else whoever publishes could keep a silence from being heard of, with an event of a type that nobody looks at."""
    made = await daemon.command("expect", "beat", "--every", "3s", "--json")
    name = f"expect/beat/{json.loads(made.out)['since']}"
    await daemon.command("publish", "dull.thing", "nothing", "--source", "xmppbus", "--id", name)
    (missed,) = await told(daemon, 1)
    assert (missed["status"], missed["data"]["expectation"]) == ("firing", "beat")
    assert missed["id"].startswith(f"{name}/")


async def test_what_is_missed_and_removed_is_resolved(daemon: Daemon) -> None:
    """Nobody is left with an alarm about it."""
    await daemon.command("expect", "beat", "--every", "1s")
    await told(daemon, 1)
    await daemon.command("expect", "remove", "beat")
    assert (await told(daemon, 2))[1]["summary"] == "beat: is not expected any more"


@pytest.mark.parametrize(
    "wrong", [["beat"], ["beat", "--every", "0s"], ["beat", "--every", "soon"], ["a b", "--every", "1h"]]
)
async def test_a_wrong_expectation_is_a_usage_error(daemon: Daemon, wrong: list[str]) -> None:
    """Exit 64."""
    assert (await daemon.run("expect", *wrong)).code == 64
