"""docs/howto/follow-a-log-file.md: lines of log files through rotations by Debian's logrotate, and through crashes."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.daemon import Daemon, bot_without_a_server
from tests.support.missing import need
from tests.support.pages import ROOT, blocks
from tests.support.waiting import until

PAGE = ROOT / "docs/howto/follow-a-log-file.md"
WAIT = 30.0
LINES, TURNS = 10_000, 20

WRITER = """
import logging.handlers, sys
log = logging.getLogger()
log.addHandler(logging.handlers.WatchedFileHandler(sys.argv[1]))
number = 0
for count in map(int, sys.stdin):
    for number in range(number + 1, number + count + 1):
        log.warning("line %d", number)
    print(number, flush=True)
"""
"""A program that logs as many do: it opens the file anew when it has been renamed."""


class Writer:
    """It writes so many lines when it is told to."""

    def __init__(self, log: Path) -> None:
        command = [sys.executable, "-c", WRITER, str(log)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def begin(self, count: int) -> None:
        """And do not wait."""
        assert self.process.stdin
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()

    async def written(self) -> None:
        """All that it was told to."""
        assert self.process.stdout
        await asyncio.to_thread(self.process.stdout.readline)

    def end(self) -> None:
        """Of the process."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        self.process.wait(WAIT)
        self.process.stdout.close()


class Logrotate:
    """Debian's, with a config of our own."""

    def __init__(self, log: Path, *words: str) -> None:
        self._config = log.with_name("logrotate.conf")
        self._config.write_text(f"{log} {{\nmissingok\nrotate 50\n{chr(10).join(words)}\n}}\n")
        self._config.chmod(0o600)

    async def __call__(self) -> None:
        """Now."""
        state = str(self._config.with_suffix(".state"))
        command = ["/usr/sbin/logrotate", "--force", "--state", state, str(self._config)]
        await asyncio.to_thread(subprocess.run, command, check=True)


def following(*files: dict[str, Any]) -> dict[str, Any]:
    """The config."""
    return {"inputs": {"follow": {"files": list(files)}}}


async def texts(daemon: Daemon, pattern: str = "#") -> list[str]:
    """Of all events, in their order."""
    newest = (await daemon.status())["journal"]["entries"]
    if not newest:
        return []
    status, body = await daemon.request("GET", "/health")
    assert status == 200, body
    found = await daemon.run("listen", pattern, "--since", "all", "--json", "-n", str(newest))
    return [json.loads(line)["event"]["data"]["text"] for line in found.out.splitlines()]


def write(log: Path, text: str) -> None:
    """A file with that in it."""
    log.write_text(text)


async def looks(daemon: Daemon, files: int) -> None:
    """Until so many files are read."""

    async def there() -> bool:
        found = (await daemon.status())["inputs"]["follow"]
        return bool(found["state"] == "up" and found["files"] == files)

    await until(there, WAIT, f"{files} files", poll=0.05)


async def entries(daemon: Daemon, count: int) -> None:
    """Until the journal holds so many."""

    async def there() -> bool:
        return bool((await daemon.status())["journal"]["entries"] >= count)

    await until(there, WAIT, f"{count} events", poll=0.05)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where a program logs; logrotate wants a directory that nobody else may write to."""
    need("logrotate")
    (tmp_path / "log").mkdir(mode=0o700)
    return tmp_path / "log/app.log"


async def test_each_line_comes_exactly_once_through_rotations_and_kills(tmp_path: Path, log: Path) -> None:
    """10,000 lines, 20 rotations while they are written, and 10 times `kill -9` at whatever moment that is."""
    config = following({"file": str(log), "type": "app.line"})
    rotate = Logrotate(log, "create")
    async with Daemon(tmp_path / "bus", config=config) as daemon:
        await looks(daemon, 0)
        writer = Writer(log)
        for turn in range(TURNS):
            writer.begin(LINES // TURNS)
            if turn % 2:
                daemon.kill()
                await rotate()
                daemon.spawn()
            else:
                await rotate()
                await daemon.until_ready()
            await writer.written()
        writer.end()
        await daemon.until_ready()
        await entries(daemon, LINES)
        await rotate()
        with log.open("a") as file:
            file.write("the end\n")
        await entries(daemon, LINES + 1)
        found = Counter(await texts(daemon))
        assert found.pop("the end") == 1
        assert found == Counter(f"line {number}" for number in range(1, LINES + 1))
        assert "lines are lost" not in daemon.log()


async def test_a_file_that_is_copied_and_emptied_loses_no_line_that_logrotate_copied(tmp_path: Path, log: Path) -> None:
    """Nor tells one twice, also if the daemon is away meanwhile."""
    config = following({"file": str(log), "type": "app.line"})
    rotate = Logrotate(log, "copytruncate")
    async with Daemon(tmp_path / "bus", config=config) as daemon:
        await looks(daemon, 0)
        writer = Writer(log)
        for turn in range(6):
            if turn % 3 == 2:
                daemon.kill()
            writer.begin(100)
            await writer.written()
            await rotate()
            if turn % 3 == 2:
                await daemon.start()
        writer.begin(100)
        writer.end()
        await entries(daemon, 700)
        assert Counter(await texts(daemon)) == Counter(f"line {number}" for number in range(1, 701))


async def test_a_pattern_of_files_takes_those_that_come_later(tmp_path: Path, log: Path) -> None:
    """Also while the daemon is away; from their first line, and without older parts of one of them."""
    write(log, "not told\n")
    write(log.with_name("app.log.1"), "older\n")
    config = following({"file": str(log.with_name("*.log*")), "type": "app.line"})
    async with Daemon(tmp_path / "bus", config=config) as daemon:
        await looks(daemon, 1)
        with log.open("a") as file:
            file.write("one\n")
        write(log.with_name("web.log"), "two\n")
        await entries(daemon, 2)
        await daemon.stop()
        write(log.with_name("new.log"), "three\n")
        log.with_name("web.log").unlink()
        await daemon.start()
        await entries(daemon, 3)
        write(log.with_name("web.log"), "two\n")
        await entries(daemon, 4)
        assert sorted(await texts(daemon)) == ["one", "three", "two", "two"]


async def test_a_file_that_may_not_be_read_is_said(tmp_path: Path, log: Path) -> None:
    """In `status`, with what to do in the log. A directory can't be read by root either."""
    log = tmp_path / "log"
    async with Daemon(tmp_path / "bus", config=following({"file": str(log), "type": "app.line"})) as daemon:

        async def said() -> bool:
            return "can't read" in (await daemon.status())["inputs"]["follow"].get("reason", "")

        await until(said, WAIT, "the reason")
        assert "on Debian: the group adm" in daemon.log()
        os.rmdir(log)
        write(log, "not told\n")
        await looks(daemon, 1)
        with log.open("a") as file:
            file.write("one\n")
        await entries(daemon, 1)
        assert await texts(daemon) == ["one"]


async def test_the_configs_of_the_page_do_what_it_says(tmp_path: Path, log: Path) -> None:
    """docs/howto/follow-a-log-file.md, all of them together, with its line and its data."""
    configs = [yaml.safe_load(text) for language, text in blocks(PAGE) if language == "yaml"]
    files = [each for config in configs for each in config["inputs"]["follow"]["files"]]
    for each in files:
        each["file"] = str(log.with_name(Path(each["file"]).name))
    ((_, line),) = [each for each in blocks(PAGE) if each[0] == "text"]
    ((_, wanted),) = [each for each in blocks(PAGE) if each[0] == "json"]
    config = {**bot_without_a_server(tmp_path), **following(*files)}
    async with Daemon(tmp_path / "bus", config=config) as daemon:
        await looks(daemon, 0)
        write(log.with_name("auth.log"), line + "nothing of interest\n")
        write(log.with_name("backup.log"), "done\n")
        write(log.with_name("ups.log"), "ups1: on battery\n")
        listening = asyncio.create_task(daemon.shell("xmppbus listen 'backup.#' --since all -n 1"))
        assert "done" in await listening
        await entries(daemon, 3)
        (event,) = json.loads(f"[{(await daemon.run('get', 'login.#', '--json')).out}]")
        event = event["event"]
        assert event["summary"] == "romeo from 192.0.2.7: wrong password"
        assert event["severity"] == "warning"
        expected = json.loads(wanted)
        assert event["data"] == {**expected, "file": str(log.with_name("auth.log"))}
        open_ones = (await daemon.command("incidents", "--json")).out
        assert '"power ups1"' in open_ones
        with log.with_name("ups.log").open("a") as file:
            file.write("ups1: on line\n")

        async def resolved() -> bool:
            return "power ups1" not in (await daemon.command("incidents", "--json")).out

        await until(resolved, WAIT, "the incident to end")
