"""R17, Switchboard: shell scripts send their result to XMPP: `publish` from a pipe, `exec`, the same from Python."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

from tests.house.people import answer, talking
from tests.house.subscribers import readers
from tests.support.daemon import Daemon
from tests.support.pages import ROOT, block, blocks
from tests.support.server import Server

PAGE = "docs/howto/cron-and-scripts.md"


async def test_r17_the_output_of_make_goes_through_a_pipe_to_the_subscribers(server: Server, tmp_path: Path) -> None:
    """`make deploy 2>&1 | xmppbus publish deploy.log`: one event with all of it."""
    async with Daemon(tmp_path / "bus", server) as daemon:
        await daemon.command("publish", "deploy.log", "the first one makes the node", "--confirm")
        async with readers(server, "deploy.log") as both:
            line = "(echo building; echo 'installed 3 files' >&2; echo done) 2>&1"
            item_id = (await daemon.shell(f"{line} | xmppbus publish deploy.log --severity notice")).strip()
            event = await both.until_seen(item_id, timeout=10)
        assert event["data"] == "building\ninstalled 3 files\ndone\n"
        assert event["severity"] == "notice"


async def test_r17_a_long_pipe_becomes_an_event_a_line_in_order(server: Server, tmp_path: Path) -> None:
    """`seq 200 | xmppbus publish log.lines --lines`, and each is on its way while the pipe is open."""
    async with Daemon(tmp_path / "bus", server) as daemon:
        await daemon.command("publish", "log.lines", "the first one makes the node", "--confirm")
        async with readers(server, "log.lines") as both:
            ids = (await daemon.shell("seq 200 | xmppbus publish log.lines --lines --output id")).split()
            await both.until_seen(ids[-1], timeout=20)
            for found in (both.expat, both.slixmpp):
                assert [item_id for item_id, _ in found] == ids
                assert [event["data"] for _, event in found] == [str(number) for number in range(1, 201)]


async def test_r17_a_script_knows_by_the_exit_code_what_became_of_its_event(server: Server, tmp_path: Path) -> None:
    """0 delivered, 64 usage, 65 bad event, 75 try again."""
    async with Daemon(tmp_path / "bus", server) as daemon:
        assert (await daemon.run("publish", "deploy.done", "yes", "--confirm")).code == 0
        assert (await daemon.run("publish")).code == 64
        assert (await daemon.run("publish", "not a type", "text")).code == 65
        daemon.kill()
        spooled = await daemon.run("publish", "deploy.done", "later")
        assert spooled.code == 0
        assert "no daemon" in spooled.err
        await daemon.start()
        await daemon.until_nothing_waits(20)
        assert (await daemon.show(spooled.out.strip()))["deliveries"][0]["state"] == "delivered"


async def test_r17_a_command_is_one_message_from_its_beginning_to_its_end(server: Server, tmp_path: Path) -> None:
    """`xmppbus exec -- cmd` posts start, end, exit code, duration and the tail; a failure rings, and the next success
    is its end."""
    async with talking(server, tmp_path, "r17") as (daemon, romeo, _):
        await answer(romeo, "subscribe job.#")

        async def run(code: int) -> None:
            script = f"echo copied 3 files; exit {code}"
            done = await daemon.run("exec", "--type", "job.backup", "--", "sh", "-c", script)
            assert (done.code, done.out) == (code, "copied 3 files\n")

        await run(0)
        first = await romeo.hear()
        assert first.body.startswith("• *under way* backup: started")
        over = await romeo.hear(sort="correction")
        assert over.replaces == first.id
        assert re.match(r"✔ \*over\* after \d+ s: backup: done after \d+ s\n", over.body)
        await run(3)
        second = await romeo.hear()
        assert second.body.startswith("• *under way* backup: started")
        failed = await romeo.hear(sort="correction")
        assert failed.replaces == second.id
        assert failed.body.startswith("✖ *firing* backup: failed with exit code 3 after")
        rings = await romeo.hear()
        assert rings.body.startswith("✖ *now error* (was info): backup: failed with exit code 3")
        lines = (await daemon.command("listen", "job.backup", "--since", "all", "-n", "4", "--json")).out.splitlines()
        ends = [json.loads(line)["event"]["data"] for line in lines][1::2]
        assert [(end["code"], end["text"]) for end in ends] == [(0, "copied 3 files"), (3, "copied 3 files")]
        assert all(end["seconds"] > 0 for end in ends)
        await run(0)
        end = await romeo.hear(sort="correction", like=re.compile(r"✔ \*resolved\*"))
        assert end.replaces == second.id


async def test_r17_the_lines_of_the_page_work(tmp_path: Path) -> None:
    """docs/howto/cron-and-scripts.md: each line for a shell, for cron, and the Python."""
    async with Daemon(tmp_path / "bus") as daemon:
        (daemon.directory / "Makefile").write_text("deploy:\n\t@echo deployed\n")
        for line in "".join(text for kind, text in blocks(ROOT / PAGE) if kind == "sh").splitlines():
            await daemon.shell(line)
        assert (await daemon.command("expect", "list")).out.splitlines()[0].split()[1] == "job.backup"
        bin_ = tmp_path / "bin"
        bin_.mkdir()
        for name in ("restic", "sync-mirror", "check-certificates"):
            (bin_ / name).write_text("#!/bin/sh\necho $0\n")
            (bin_ / name).chmod(0o755)
        daemon.environment["PATH"] = f"{bin_}:{os.environ['PATH']}"
        for line in block(PAGE, "cron").strip().splitlines()[1:]:
            assert re.match(r"[\d*/]+( [\d*]+){4}  +xmppbus exec ", line), "five fields of time, and the command"
            command = line.split(maxsplit=5)[5].replace("/usr/local/bin/", f"{bin_}/").split()
            assert (await daemon.run(*command[1:])).code == 0
        (daemon.directory / "script.py").write_text(block(PAGE, "python"))
        await daemon.shell(f"{sys.executable} script.py 2>&1 || true")
        lines = (await daemon.command("get", "#", "-n", "100", "--json")).out.splitlines()
        said = {
            (event["type"], event.get("summary", "").partition(" after")[0])
            for event in (json.loads(x)["event"] for x in lines)
        }
        assert {("deploy.begun", "version 7 goes out"), ("job.deploy", "deploy: done")} <= said


async def test_r17_from_python_without_a_daemon_too(tmp_path: Path) -> None:
    """A failure is told with its last words, and raises as before; what can't be published now waits in the spool."""
    daemon = Daemon(tmp_path / "bus")
    script = (
        "from xmppbus import job, publish\n"
        "publish('deploy.begun', 'now')\n"
        "with job('nightly import', key='k') as nightly:\n    nightly.say('read 3')\n    raise ValueError('no more')\n"
    )
    (daemon.directory / "script.py").write_text(script)
    assert "ValueError: no more" in await daemon.shell(f"{sys.executable} script.py 2>&1 || true")
    await daemon.start()
    try:
        lines = (await daemon.command("listen", "#", "--since", "all", "-n", "3", "--json")).out.splitlines()
    finally:
        await daemon.stop()
    begun, started, failed = [json.loads(line)["event"] for line in lines]
    assert (begun["summary"], started["summary"]) == ("now", "nightly import: started")
    assert (failed["key"], failed["status"], failed["data"]["text"]) == ("k", "firing", "read 3\nValueError: no more")
    assert failed["type"] == "job.nightly-import"
