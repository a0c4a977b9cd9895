"""Who may do what at the Unix socket: the kernel says who it is, the config what they may."""

import asyncio
import grp
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.daemon import Daemon, Done

NOBODY = 65534
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")

AS_SOMEBODY_ELSE = """
import os, select, sys
from xmppbus.cli.client import main
groups, sys.argv = [int(each) for each in sys.argv[1].split(",") if each], ["xmppbus", *sys.argv[2:]]
os.setgroups(groups)
os.setgid(65534)
os.setuid(65534)
main()
"""
"""The thin client, which has imported all it needs before it loses the right to read the interpreter's directory."""


@pytest.fixture
def directory() -> Iterator[Path]:
    """One that others may enter; pytest's own is private."""
    with TemporaryDirectory(prefix="xmppbus-roles-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


async def as_nobody(daemon: Daemon, *arguments: str, groups: str = "") -> Done:
    """The command as another user."""
    command = [sys.executable, "-c", AS_SOMEBODY_ELSE, groups, *arguments]
    done = await asyncio.to_thread(
        subprocess.run, command, env=daemon.environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    return Done(done.returncode, done.stdout, done.stderr)


def with_socket(directory: Path, **options: str) -> Daemon:
    """A daemon with these options of `socket:`."""
    return Daemon(directory, config={"socket": {"path": str(directory / "socket"), **options}})


async def test_everybody_may_publish_and_only_administrators_see_events(directory: Path) -> None:
    """The default."""
    async with with_socket(directory) as daemon:
        published = await as_nobody(daemon, "publish", "t", "from nobody")
        assert published.code == 0, published
        for command in (["listen", "--since", "all"], ["get", "#"], ["status"], ["show", published.out.strip()]):
            refused = await as_nobody(daemon, *command)
            assert refused.code == 77
            assert "listen: everyone" in refused.err
            assert refused.out == ""
        for command in (["dead", "list"], ["replay", "#", "--since", "all"]):
            refused = await as_nobody(daemon, *command)
            assert refused.code == 77
            assert "only administrators may" in refused.err
        assert (await daemon.show(published.out.strip()))["event"]["data"] == "from nobody"


async def test_listening_can_be_opened_to_everybody(directory: Path) -> None:
    """But deciding about the dead stays with administrators."""
    async with with_socket(directory, listen="everyone") as daemon:
        await daemon.command("publish", "t", "x")
        assert (await as_nobody(daemon, "listen", "--since", "all", "-n", "1")).code == 0
        assert (await as_nobody(daemon, "status", "--json")).json["alive"]
        assert (await as_nobody(daemon, "dead", "drop", "--all")).code == 77


async def test_publishing_can_be_kept_to_administrators(directory: Path) -> None:
    """Then others can't even connect, and are told why."""
    async with with_socket(directory, publish="admins") as daemon:
        refused = await as_nobody(daemon, "publish", "t", "x")
        assert refused.code == 77
        assert "only administrators" in refused.err
        assert stat.S_IMODE(daemon.socket.stat().st_mode) == 0o660
        assert (await daemon.status())["journal"]["entries"] == 0
    async with with_socket(directory, publish="admins", listen="everyone") as daemon:
        refused = await as_nobody(daemon, "publish", "t", "x")
        assert refused.code == 77
        assert "publish: everyone" in refused.err


async def test_members_of_the_group_administer(directory: Path) -> None:
    """By the groups that the kernel knows of the process."""
    group = grp.getgrgid(4)  # adm, on every Debian
    async with with_socket(directory, publish="admins", group=group.gr_name) as daemon:
        assert daemon.socket.stat().st_gid == group.gr_gid
        assert (await as_nobody(daemon, "dead", "list", groups=str(group.gr_gid))).code == 0
        assert (await as_nobody(daemon, "dead", "list")).code == 77


async def test_one_user_can_not_take_all_connections(directory: Path) -> None:
    """Who is no administrator gets a part of them; others go on."""
    hoard = """
import os, socket, sys
os.setgid(65534); os.setuid(65534)
held = [socket.socket(socket.AF_UNIX) for _ in range(300)]
for each in held: each.connect(sys.argv[1])
print(sum(bool(each.recv(100, socket.MSG_DONTWAIT)) for each in held[256:]) if held[299].recv(1) else 0, flush=True)
sys.stdin.read()
"""
    async with with_socket(directory) as daemon:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", hoard, str(daemon.socket), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert process.stdout
        try:
            assert int(await asyncio.wait_for(process.stdout.readline(), 20)) >= 43
            assert (await daemon.run("publish", "t", "x")).code == 0
            refused = await as_nobody(daemon, "publish", "t", "x")
            assert refused.code == 75
            assert "256 connections open already" in refused.err
        finally:
            process.kill()
            await process.wait()
