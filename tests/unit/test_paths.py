"""Where things are on a machine."""

import os
from pathlib import Path

import pytest

from xmppbus import paths
from xmppbus.cli.client import socket_paths

USER = {"HOME": "/home/juliet", "XDG_RUNTIME_DIR": "/run/user/1000"}


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who may write neither into /var/lib/xmppbus nor into /run/xmppbus."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "access", lambda *_: False)


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    """The superuser."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)


@pytest.mark.usefixtures("root")
def test_root_keeps_its_state_and_its_socket_where_a_system_service_does() -> None:
    """No variable is needed for a system daemon."""
    assert paths.journal_path({}) == Path("/var/lib/xmppbus/journal.db")
    assert paths.spool_directory({}) == Path("/var/lib/xmppbus/spool")
    assert paths.socket_path({}) == Path("/run/xmppbus/xmppbus.sock")
    assert paths.socket_candidates(USER) == [Path("/run/xmppbus/xmppbus.sock")]


@pytest.mark.usefixtures("user")
def test_a_user_keeps_state_at_home_and_the_socket_in_the_runtime_directory() -> None:
    """A daemon of one's own needs no rights."""
    assert paths.state_directory(USER) == Path("/home/juliet/.local/state/xmppbus")
    assert paths.socket_path(USER) == Path("/run/user/1000/xmppbus.sock")


@pytest.mark.usefixtures("user")
def test_without_a_runtime_directory_the_socket_is_in_the_state_directory() -> None:
    """As in a cron job or a container."""
    assert paths.socket_path({"HOME": "/home/juliet"}) == Path("/home/juliet/.local/state/xmppbus/xmppbus.sock")


def test_whoever_may_write_into_the_system_directories_uses_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user that a systemd unit names, with StateDirectory= and RuntimeDirectory=."""
    monkeypatch.setattr(os, "geteuid", lambda: 999)
    monkeypatch.setattr(os, "access", lambda *_: True)
    assert paths.state_directory(USER) == Path("/var/lib/xmppbus")
    assert paths.socket_path(USER) == Path("/run/xmppbus/xmppbus.sock")


@pytest.mark.usefixtures("user")
def test_the_command_line_tries_ones_own_daemon_before_the_systems() -> None:
    """Both are found without any option."""
    assert paths.socket_candidates(USER) == [
        Path("/run/user/1000/xmppbus.sock"),
        Path("/home/juliet/.local/state/xmppbus/xmppbus.sock"),
        Path("/run/xmppbus/xmppbus.sock"),
    ]


@pytest.mark.parametrize("uid", [0, 1000])
@pytest.mark.parametrize("writable", [True, False])
@pytest.mark.parametrize("environ", [{}, {"XDG_RUNTIME_DIR": "/run/user/0"}, {"XMPPBUS_STATE": "/srv/bus"}])
def test_the_daemons_default_socket_is_among_those_that_the_command_line_tries(
    monkeypatch: pytest.MonkeyPatch, uid: int, writable: bool, environ: dict[str, str]
) -> None:
    """Whoever the daemon runs as, its own user's command line finds it."""
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setattr(os, "access", lambda *_: writable)
    assert paths.socket_path(environ) in paths.socket_candidates(environ)


@pytest.mark.parametrize("uid", [0, 1000])
@pytest.mark.parametrize("writable", [True, False])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"XDG_RUNTIME_DIR": ""},
        {"XMPPBUS_STATE": "/srv/bus"},
        {"XMPPBUS_STATE": "relative"},
        {"XMPPBUS_SOCKET": "/srv/bus.sock"},
        {"XMPPBUS_SOCKET": "relative.sock"},
        {"XDG_STATE_HOME": "/srv/state"},
        {"XDG_STATE_HOME": "relative"},
    ],
)
def test_the_thin_client_looks_where_the_house_says(
    monkeypatch: pytest.MonkeyPatch, uid: int, writable: bool, changes: dict[str, str]
) -> None:
    """It repeats the rule to do without imports."""
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setattr(os, "access", lambda *_: writable)
    for name in ("XMPPBUS_STATE", "XMPPBUS_SOCKET", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in (USER | changes).items():
        monkeypatch.setenv(name, value)
    assert [Path(each) for each in socket_paths()] == paths.socket_candidates(os.environ)


@pytest.mark.usefixtures("user")
def test_variables_come_before_everything_else() -> None:
    """So that a test, or a second bus, can live beside the first."""
    environ = USER | {"XMPPBUS_STATE": "/srv/bus", "XMPPBUS_SOCKET": "/tmp/other.sock"}
    assert paths.spool_directory(environ) == Path("/srv/bus/spool")
    assert paths.socket_path(environ, "/etc/xmppbus/configured.sock") == Path("/tmp/other.sock")
    assert paths.socket_candidates(environ) == [Path("/tmp/other.sock")]


@pytest.mark.usefixtures("user")
def test_the_config_names_the_journal_and_the_socket() -> None:
    """Neither variable is set."""
    assert paths.journal_path(USER, "/srv/journal.db") == Path("/srv/journal.db")
    assert paths.socket_path(USER, "/srv/bus.sock") == Path("/srv/bus.sock")


def test_a_relative_xdg_directory_is_ignored() -> None:
    """As its specification says."""
    environ = USER | {"XDG_CONFIG_HOME": "elsewhere"}
    assert Path("/home/juliet/.config/xmppbus/xmppbus.yaml") in paths.config_candidates(environ)


def test_a_config_is_looked_for_here_then_at_home_then_in_etc() -> None:
    """The order that the reference gives."""
    assert paths.config_candidates(USER | {"XDG_CONFIG_HOME": "/conf"}) == [
        Path("xmppbus.yaml"),
        Path("/conf/xmppbus/xmppbus.yaml"),
        Path("/etc/xmppbus/xmppbus.yaml"),
    ]
