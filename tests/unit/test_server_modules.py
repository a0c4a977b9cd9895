"""`xmppbus server-module`: where it writes, what it leaves alone, and what it says to do next."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from xmppbus.cli.main import run_locally
from xmppbus.errors import Exit
from xmppbus.setup.found import EJABBERD, PROSODY, LocalServer
from xmppbus.setup.machine import read_server
from xmppbus.setup.server_modules import STOCK_PLUGINS, STOCK_URL, Wish, config_lines, directory_of, next_steps


@pytest.fixture(autouse=True)
def own_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bus with tokens on another port."""
    config = tmp_path / "xmppbus.yaml"
    config.write_text(f"http: {{listen: '127.0.0.1:8333', tokens_file: {tmp_path}/tokens}}\n")
    monkeypatch.setenv("XMPPBUS_CONFIG", str(config))
    return config


def asked(capfd: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """What the command says as JSON."""
    assert run_locally(["server-module", *arguments, "--json"]) in (Exit.OK, Exit.CANT_CREATE)
    return json.loads(capfd.readouterr().out)


def test_a_module_is_written_once_and_a_changed_one_is_left_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Also one that an older version has written is written over, as nobody has changed it."""
    to = ["prosody", "--to", str(tmp_path / "modules")]
    path = tmp_path / "modules" / "mod_xmppbus.lua"
    assert asked(capfd, *to, "--dry-run")["files"] == {str(path): "written"}
    assert not path.exists()
    assert asked(capfd, *to)["files"] == {str(path): "written"}
    assert asked(capfd, *to)["files"] == {str(path): "unchanged"}
    path.write_text(path.read_text() + "-- mine\n")
    found = asked(capfd, *to)
    assert "somebody has changed it" in found["files"][str(path)]
    assert found["next"] == []
    assert run_locally(["server-module", *to]) == Exit.CANT_CREATE
    assert "--force" in capfd.readouterr().out
    assert asked(capfd, *to, "--force")["files"] == {str(path): "written"}
    (tmp_path / "file").touch()
    assert "it can't be written" in str(asked(capfd, "ejabberd", "--to", str(tmp_path / "file"))["files"])


def test_it_says_the_lines_and_the_commands_for_this_bus(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Its address and its tokens, and logins if they are wanted."""
    found = asked(capfd, "prosody", "--to", str(tmp_path), "--host", "example.org", "--logins", "--dry-run")
    assert found["lines"].splitlines() == [
        f'plugin_paths = {{ "{tmp_path}" }}   -- in the global part',
        "",
        'VirtualHost "example.org"',
        '    modules_enabled = { "xmppbus" }   -- or add it to a list that is there',
        '    xmppbus_url = "http://127.0.0.1:8333/v1/events"',
        '    xmppbus_token_file = "/etc/prosody/xmppbus.token"',
        '    xmppbus_events = { "signup", "deleted", "login" }',
    ]
    assert found["next"][0].startswith("xmppbus token add prosody 'publish:user.#' | sudo install -m 640 -g prosody ")
    found = asked(capfd, "ejabberd", "--to", str(tmp_path), "--url", "https://bus.example.org/v1/events")
    assert found["lines"].splitlines() == [
        *("modules:", "  mod_xmppbus:", '    url: "https://bus.example.org/v1/events"'),
        '    token_file: "/etc/ejabberd/xmppbus.token"',
    ]
    assert any("module_install mod_xmppbus" in step for step in found["next"])
    again = asked(capfd, "ejabberd", "--to", str(tmp_path))
    assert any("module_upgrade mod_xmppbus" in step for step in again["next"])


def test_without_tokens_nothing_is_said_of_them(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], own_config: Path
) -> None:
    """On loopback nobody needs one. A config that can't be read may want one."""
    own_config.write_text("http: {listen: '[::]:8222', tokens_file: t}\n")
    to = ["ejabberd", "--to", str(tmp_path / "m"), "--dry-run"]
    assert 'url: "http://[::1]:8222/v1/events"' in asked(capfd, *to)["lines"]
    own_config.write_text("http: {listen: '127.0.0.1:8222'}\n")
    found = asked(capfd, *to)
    assert found["lines"] == "modules:\n  mod_xmppbus: {}"
    assert not any("token" in step for step in found["next"])
    for text in ("http: null\n", "nonsense: 1\n"):
        own_config.write_text(text)
        assert "token_file" in asked(capfd, *to)["lines"]


def test_openfire_is_told_where_to_read(capfd: pytest.CaptureFixture[str]) -> None:
    """There is no file for it."""
    assert run_locally(["server-module", "openfire"]) == 0
    assert "docs/howto/sign-ups.md" in capfd.readouterr().out
    assert asked(capfd, "openfire")["files"] == {}


def test_it_goes_where_the_server_looks(tmp_path: Path) -> None:
    """Prosody says so in its config; ejabberd has a directory in its home."""
    (config := tmp_path / "prosody.cfg.lua").write_text('plugin_paths = { "/srv/modules", "own" }\n')
    server = read_server(PROSODY, config)
    assert server.plugin_paths == (Path("/srv/modules"), tmp_path / "own")
    assert directory_of(PROSODY, [server], {}) == Path("/srv/modules")
    assert directory_of(PROSODY, [LocalServer(PROSODY)], {}) == STOCK_PLUGINS
    lines = config_lines(PROSODY, Wish(STOCK_URL, False, False), "a.example", Path("/srv/modules"), [server])
    assert lines.startswith("VirtualHost"), "the path is there already"
    assert directory_of(EJABBERD, [], {}).parts[-2:] == (".ejabberd-modules", "sources")
    assert directory_of(EJABBERD, [], {"CONTRIB_MODULES_PATH": "/opt/modules"}) == Path("/opt/modules/sources")
    assert next_steps(PROSODY, Wish(STOCK_URL, False, False), had_module=True)[-1].endswith("restart prosody")
