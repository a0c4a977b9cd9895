"""`xmppbus backup`, `restore` and `journal`, as somebody uses them who looks after a bus; the lines of the pages."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, program
from tests.support.keeping import change, content, listed, mode, overwrite

HOWTO = Path(__file__).parents[2] / "docs" / "howto"


def lines_of(page: str) -> list[str]:
    """Every command line of the page, in order."""
    blocks = re.findall(r"```sh\n(.*?)```", (HOWTO / page).read_text(), re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line and not line.startswith("#")]


async def published(daemon: Daemon, *words: str) -> None:
    """An event for each word."""
    batch = [{"specversion": "1.0", "type": "user.signup", "source": "test", "id": word} for word in words]
    headers = {"Content-Type": "application/cloudevents-batch+json"}
    status, _ = await daemon.request("POST", "/v1/events", json.dumps(batch), headers)
    assert status < 300


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    async with Daemon(tmp_path / "bus") as started:
        await published(started, "a", "b", "c")
        yield started


async def test_the_lines_of_the_page_on_backups_work(daemon: Daemon, tmp_path: Path) -> None:
    """In their order: a backup while it runs, a look at it, and back again; what is said is true."""
    lines = lines_of("backup.md")
    assert [line.split()[1] for line in lines if line.startswith("xmppbus")] == [
        *("backup", "journal", "restore", "journal", "journal", "journal", "journal"),
    ]
    backup = tmp_path / "xmppbus.db"
    done = ""
    for line in lines:
        if line == "systemctl stop xmppbus":
            await published(daemon, "after")
            await daemon.stop()
        elif line == "systemctl start xmppbus":
            await daemon.start()
        elif "vacuum" in line:
            await daemon.stop()
            done += await daemon.shell(line)
            await daemon.start()
        else:
            done += await daemon.shell(line.replace("/var/backups/xmppbus.db", str(backup)))
    assert mode(backup) == 0o600
    assert "3 events up to sequence 3" in done
    assert "is whole: 3 events" in done
    assert "New events get sequences above 4." in done
    status = await daemon.status()
    assert (status["journal"]["entries"], status["journal"]["newest"]) == (3, 3)
    await published(daemon, "new")
    assert (await daemon.status())["journal"]["newest"] == 5


async def test_a_journal_that_is_held_is_neither_restored_nor_vacuumed(daemon: Daemon, tmp_path: Path) -> None:
    """75 and what to do; and the daemon goes on."""
    backup = str(tmp_path / "backup.db")
    await daemon.command("backup", backup)
    for arguments in (["restore", backup], ["journal", "vacuum"]):
        done = await daemon.run(*arguments)
        assert done.code == 75
        assert "stop it before you" in done.err
    await published(daemon, "d")
    info = (await daemon.command("journal", "info", "--json")).json
    assert (info["entries"], info["holder"]) == (4, daemon.pid)


async def test_a_damaged_backup_is_not_restored(daemon: Daemon, tmp_path: Path) -> None:
    """65, what is wrong, and the journal is as it was; the same for one of a newer version, and for any other file."""
    backup = tmp_path / "backup.db"
    await daemon.command("backup", str(backup))
    whole = content(backup)
    await daemon.stop()
    before = content(daemon.journal)
    change(backup, "UPDATE entry SET checksum = checksum + 1 WHERE sequence = 2")
    damaged = await daemon.run("restore", str(backup))
    overwrite(backup, whole[:60] + (99).to_bytes(4, "big") + whole[64:])  # user_version, of SQLite's header
    newer = await daemon.run("restore", str(backup))
    overwrite(backup, b"no journal")
    strange = await daemon.run("restore", str(backup))
    gone = await daemon.run("restore", str(tmp_path / "nowhere.db"))
    assert [each.code for each in (damaged, newer, strange, gone)] == [65] * 4
    assert "event 2: it reads otherwise" in damaged.err
    assert "newer xmppbus" in newer.err
    assert content(daemon.journal) == before
    assert not [each for each in listed(daemon.journal.parent) if "before-restore" in each.name]


async def test_a_backup_is_never_overwritten_unasked(daemon: Daemon, tmp_path: Path) -> None:
    """64; with --force it is replaced, and says in JSON what it holds."""
    backup = tmp_path / "backup.db"
    await daemon.command("backup", str(backup))
    again = await daemon.run("backup", str(backup))
    assert again.code == 64
    assert "--force" in again.err
    await published(daemon, "d")
    made = (await daemon.command("backup", str(backup), "--force", "--json")).json
    assert (made["entries"], made["newest"], made["path"]) == (4, 4, str(backup))


async def test_a_check_finds_what_is_damaged(daemon: Daemon) -> None:
    """65 and in plain words; what is wrong with the disk is said before it is needed."""
    await daemon.stop()
    change(daemon.journal, "DELETE FROM name WHERE sequence = 1")
    done = await daemon.run("journal", "check", "--json")
    assert done.code == 65
    assert done.json["findings"] == ["event 1: its name is not kept, so it could be accepted again"]
    shown = await daemon.run("journal", "check")
    assert "is damaged" in shown.out


async def test_pruning_is_the_daemon_s_work_where_one_runs(daemon: Daemon, tmp_path: Path) -> None:
    """And is done without one as well; what waits stays."""
    assert (await daemon.command("journal", "prune", "--json")).json["pruned"] == 0
    other = await daemon.run("journal", "prune", "--config", str(daemon.config_file))
    assert other.code == 64
    shown = await daemon.command("journal", "prune", "--older-than", "0s")
    assert shown.out.startswith("3 events forgotten, 0 left")
    assert (await daemon.run("journal", "prune", "--older-than", "soon")).code == 64
    await published(daemon, "d")
    await daemon.stop()
    assert (await daemon.command("journal", "prune", "--older-than", "0s", "--json")).json["pruned"] == 1
    assert (await daemon.run("journal", "info", "--config", str(tmp_path / "none.yaml"))).code == 78


async def test_a_terminal_sees_how_far_it_is(daemon: Daemon, tmp_path: Path) -> None:
    """A bar that is gone when it is done; elsewhere there is none."""
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(program(), "backup", str(tmp_path / "backup.db")),
        env=daemon.environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=theirs,
    )
    out, _ = await process.communicate()
    os.close(theirs)
    shown = os.read(ours, 10_000).decode()
    os.close(ours)
    assert "100 %" in shown
    assert shown.endswith("\r\x1b[K")
    assert b"3 events" in out


async def test_the_lines_of_the_page_on_upgrades_work(daemon: Daemon, tmp_path: Path) -> None:
    """Before and after; and the way back."""
    lines = lines_of("upgrade.md")
    backup = tmp_path / "before.db"
    for line in lines:
        if "systemctl stop" in line:
            await daemon.stop()
        elif "systemctl start" in line:
            await daemon.start()
        elif line.startswith("pip"):
            continue
        else:
            await daemon.shell(line.replace("/var/backups/before-upgrade.db", str(backup)))
    assert sum(line.startswith("xmppbus") for line in lines) >= 4
    assert (await daemon.status())["journal"]["entries"] == 3
