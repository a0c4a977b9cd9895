"""The thin client repeats a few rules of the house without its imports: they must not drift apart."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from xmppbus import paths
from xmppbus.cli import client, main, spooling
from xmppbus.inputs import spool, terminal
from xmppbus.inputs.visitor import role_of
from xmppbus.options import SocketOptions

ENVIRONMENTS: tuple[dict[str, str], ...] = (
    {},
    {"XMPPBUS_SOCKET": "bus.sock"},
    {"XMPPBUS_STATE": "/somewhere/state"},
    {"XDG_RUNTIME_DIR": "/run/user/1000"},
    {"XDG_STATE_HOME": "/home/me/state", "XDG_RUNTIME_DIR": "/run/user/1000"},
    {"XDG_STATE_HOME": "relative"},
)


@pytest.mark.parametrize("environ", ENVIRONMENTS)
@pytest.mark.parametrize("user", [0, 1000])
def test_the_client_looks_where_the_daemon_listens(
    environ: dict[str, str], user: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`client.socket_paths` is `paths.socket_candidates`."""
    for name in ("XMPPBUS_SOCKET", "XMPPBUS_STATE", "XDG_RUNTIME_DIR", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert client.socket_paths() == [str(path) for path in paths.socket_candidates(os.environ)]


def test_what_needs_no_daemon_is_known_to_the_client() -> None:
    """A command that is forgotten there would be asked of a daemon."""
    assert set(client.LOCAL) == {*main.LOCAL_COMMANDS, "--version", "--help", "-h"}
    assert not set(client.LOCAL) & set(main.HOUSE_COMMANDS)


def test_the_client_and_the_daemon_name_the_same_things() -> None:
    """Files of the spool, and variables."""
    assert (spooling.SUFFIX, spooling.SOURCE) == (spool.SUFFIX, spool.SOURCE)
    assert client.ENVIRONMENT == terminal.ENVIRONMENT


def test_the_client_imports_next_to_nothing() -> None:
    """A shell loop pays for each module."""
    code = "import sys; before = set(sys.modules); import xmppbus.cli.client; print(*set(sys.modules) - before)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(found.stdout.split()) == {
        "_socket",
        "xmppbus",
        "xmppbus.cli",
        "xmppbus.cli.client",
        "xmppbus.inputs",
        "xmppbus.inputs.frames",
    }


def test_a_spooling_client_imports_no_event_loop() -> None:
    """asyncio takes 58 ms, slixmpp 123."""
    code = "import sys, xmppbus.cli.publish, xmppbus.cli.spooling, xmppbus.cli.local; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"asyncio", "slixmpp", "aiohttp", "yaml"} & set(found.stdout.split())


def test_the_kernel_says_who_is_at_the_socket() -> None:
    """The daemon's own user administers; so does a member of the group."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        role = role_of(ours, SocketOptions(publish="admins"), None)
    assert (role.uid, role.admin, role.publish, role.listen) == (os.geteuid(), True, True, True)


def test_the_script_is_two_lines_that_pip_can_point_at_an_interpreter() -> None:
    """pip replaces a first line of `#!python`."""
    script = (Path(client.__file__).parent / "xmppbus").read_text()
    assert script.startswith("#!python\n")
    assert "import re" not in script


def test_a_command_runs_in_a_directory_that_was_removed(tmp_path: Path) -> None:
    """Such as the clone from which it was installed."""
    gone = tmp_path / "clone"
    gone.mkdir()
    shell = f'cd "{gone}" && rmdir "{gone}" && exec "{sys.executable}" -m xmppbus check'
    elsewhere = {"HOME": str(tmp_path), "XMPPBUS_STATE": str(tmp_path), "XMPPBUS_SOCKET": str(tmp_path / "none")}
    environ = {**os.environ, **elsewhere}
    done = subprocess.run(["/bin/sh", "-c", shell], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "this is a local bus" in done.stdout
