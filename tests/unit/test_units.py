"""systemd's units: what systemd-analyze says of them, what is in them, and what happens to those that are there."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.missing import is_missing
from xmppbus import limits
from xmppbus.cli.install_service import write
from xmppbus.cli.main import run_locally
from xmppbus.config import load, secret_of
from xmppbus.errors import Exit
from xmppbus.running.units import Installation, is_untouched, quoted, units

MOST_EXPOSURE = 20  # of 100: `systemd-analyze security` says 2.0
CONFIG = """\
xmpp: {component: bus.example.org, secret_file: secret}
http: {listen: "127.0.0.1:8222", tokens_file: tokens}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A component's, with the files that it names."""
    (tmp_path / "secret").write_text("secret\n")
    (tmp_path / "xmppbus.yaml").write_text(CONFIG)
    return tmp_path / "xmppbus.yaml"


def analyzed(*arguments: str, runtime: Path | None = None) -> str:
    """What systemd-analyze says; it must be content. `runtime` is what a user's manager needs."""
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(runtime)} if runtime else None
    command = ["systemd-analyze", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    except FileNotFoundError as error:
        is_missing("systemd", error)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def made(config: Path, directory: Path, *, user: bool = False, sockets: bool = False) -> list[Path]:
    """The files of an installation whose program is there."""
    found = units(Installation(load(config, {}), Path("/usr/bin/env"), user=user, sockets=sockets))
    for name, text in found.items():
        (directory / name).write_text(text)
    return [directory / name for name in found]


@pytest.mark.parametrize("sockets", [False, True], ids=["plain", "sockets"])
@pytest.mark.parametrize("user", [False, True], ids=["system", "user"])
def test_systemd_takes_the_units(config: Path, tmp_path: Path, user: bool, sockets: bool) -> None:
    """Without a word about them."""
    paths = [str(each) for each in made(config, tmp_path, user=user, sockets=sockets) if each.suffix != ".conf"]
    assert not analyzed("verify", "--user" if user else "--system", "--man=no", *paths, runtime=tmp_path)


def test_the_service_is_hardly_exposed(config: Path, tmp_path: Path) -> None:
    """At most 2.0 of 10."""
    made(config, tmp_path)
    said = analyzed("security", "--offline=true", f"--threshold={MOST_EXPOSURE}", str(tmp_path / "xmppbus.service"))
    print(said.splitlines()[-1])


def test_the_secret_is_a_credential_and_paths_elsewhere_may_be_written(config: Path) -> None:
    """The service's user can't read the file that only root may read, and need not."""
    config.write_text(CONFIG + "journal: {path: /srv/a b/100%/journal.db}\nsocket: {path: /run/bus/x.sock}\n")
    text = units(Installation(load(config, {}), Path("/opt/x y/xmppbus")))["xmppbus.service"]
    assert f"LoadCredential=xmpp_secret:{config.parent}/secret\n" in text
    assert 'ReadWritePaths="/srv/a b/100%%"\nReadWritePaths=/run/bus\n' in text
    assert "Environment=XMPPBUS_SOCKET=/run/bus/x.sock\n" in text
    assert f'ExecStart="/opt/x y/xmppbus" serve --config {config}\n' in text
    assert "ProtectHome=yes\n" in text
    home = units(Installation(load(config, {}), Path("/home/romeo/venv/bin/xmppbus")))["xmppbus.service"]
    assert "ProtectHome=read-only\n" in home, "else systemd could not start it"


def test_a_service_may_give_its_socket_to_a_group(config: Path, tmp_path: Path) -> None:
    """For that it has to be in the group, and one of the system calls that are taken away is given back behind that."""
    assert "SupplementaryGroups" not in units(Installation(load(config, {}), Path("/usr/bin/env")))["xmppbus.service"]
    config.write_text(CONFIG + "socket: {group: adm}\n")
    text = units(Installation(load(config, {}), Path("/usr/bin/env")))["xmppbus.service"]
    assert "SupplementaryGroups=adm\n" in text
    assert text.index("SystemCallFilter=~@privileged\n") < text.index("SystemCallFilter=@chown\n")
    paths = [str(each) for each in made(config, tmp_path) if each.suffix != ".conf"]
    assert not analyzed("verify", "--system", "--man=no", *paths, runtime=tmp_path)
    analyzed("security", "--offline=true", f"--threshold={MOST_EXPOSURE}", str(tmp_path / "xmppbus.service"))


def test_the_unit_gives_as_many_open_files_as_the_daemon_asks_for(config: Path) -> None:
    """Then it need not ask."""
    text = units(Installation(load(config, {}), Path("/usr/bin/xmppbus")))["xmppbus.service"]
    assert f"LimitNOFILE={limits.OPEN_FILES}\n" in text


def test_sockets_have_the_names_by_which_the_daemon_knows_them(config: Path) -> None:
    """And listen where the config says."""
    found = units(Installation(load(config, {}), Path("/usr/bin/xmppbus"), sockets=True))
    assert "ListenStream=/run/xmppbus/xmppbus.sock\nSocketMode=0666\nFileDescriptorName=unix" in found["xmppbus.socket"]
    assert "ListenStream=127.0.0.1:8222\nFileDescriptorName=http" in found["xmppbus-http.socket"]
    assert "Sockets=xmppbus.socket xmppbus-http.socket" in found["xmppbus.service"]
    mine = units(Installation(load(config, {}), Path("/usr/bin/xmppbus"), user=True, sockets=True))
    assert "ListenStream=%t/xmppbus.sock" in mine["xmppbus.socket"]
    assert "User=" not in mine["xmppbus.service"]


def test_systemds_credentials_come_before_the_files_of_the_config(config: Path, tmp_path: Path) -> None:
    """The service's user may read neither file."""
    (tmp_path / "given").mkdir()
    (tmp_path / "given/xmpp_secret").write_text("another\n")
    (tmp_path / "given/tokens").write_text("")
    found = load(config, {"CREDENTIALS_DIRECTORY": str(tmp_path / "given")})
    assert secret_of(found) == "another"
    assert found.options.http
    assert found.options.http.tokens_file == str(tmp_path / "given/tokens")
    plain = load(config, {"CREDENTIALS_DIRECTORY": str(tmp_path)}).options.http
    assert plain
    assert plain.tokens_file == str(tmp_path / "tokens")


def test_words_are_quoted_as_systemd_reads_them() -> None:
    """No specifier, no second word."""
    assert [quoted(each) for each in ("/a/b", "/a b", "/50%", 'a"b')] == ["/a/b", '"/a b"', "/50%%", '"a\\"b"']


def test_a_second_run_changes_nothing_and_nothing_of_a_persons_is_written_over(tmp_path: Path) -> None:
    """A file as it was written may be made anew; one that was changed needs --force."""
    path, first = tmp_path / "units/xmppbus.service", _marked("[Service]\nA=1\n")
    assert write(path, first, force=False, dry_run=True) == "written"
    assert not path.exists()
    assert write(path, first, force=False, dry_run=False) == "written"
    assert write(path, first, force=False, dry_run=False) == "unchanged"
    second = _marked("[Service]\nA=2\n")
    assert write(path, second, force=False, dry_run=False) == "written"
    path.write_text(path.read_text() + "B=mine\n")
    assert write(path, first, force=False, dry_run=False).startswith("somebody has changed it")
    assert path.read_text().endswith("B=mine\n")
    assert write(path, first, force=True, dry_run=False) == "written"
    path.unlink()
    path.mkdir()
    assert write(path, first, force=True, dry_run=False) == "it can't be written: Is a directory"


def _marked(text: str) -> str:
    from xmppbus.running.units import _MARK, _digest

    found = f"{_MARK}{_digest(text)}\n{text}"
    assert is_untouched(found)
    return found


def test_install_service_writes_and_says_what_to_run_next(
    config: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It starts nothing itself."""
    arguments = ["install-service", "--config", str(config), "--directory", str(tmp_path / "units")]
    assert run_locally([*arguments, "--dry-run"]) == 0
    assert "[Service]" in capfd.readouterr().out
    assert not (tmp_path / "units").exists()
    assert run_locally(arguments) == 0
    said = capfd.readouterr().out
    assert f"{tmp_path}/units/xmppbus.service: written\n" in said
    assert "systemd-sysusers\n" in said
    assert f"chgrp xmppbus {config} {tmp_path}/tokens" in said
    assert "systemctl enable --now xmppbus.service" in said
    assert run_locally([*arguments, "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert set(found["files"].values()) == {"unchanged"}
    (tmp_path / "units/xmppbus.service").write_text("mine\n")
    assert run_locally(arguments) == Exit.CANT_CREATE
    assert "next:" not in capfd.readouterr().out
    assert run_locally(["install-service", "--user", "--sockets", "--config", str(config), "--dry-run"]) == 0
    assert "/.config/systemd/user/xmppbus.socket" in capfd.readouterr().out
    config.write_text("xnpp: {}\n")
    assert run_locally(arguments) == 78
    assert f"{config}:1:1" in capfd.readouterr().err


def test_files_of_ways_in_and_out_are_among_those_that_the_daemon_reads(
    config: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A broker's password, wherever it is named; names are relative to the config."""
    broker = "{broker: {password_file: rabbit.password, ca_file: /etc/ssl/rabbit.pem}, queues: [q]}"
    config.write_text(f"{config.read_text()}\ninputs: {{amqp: {broker}}}\n")
    assert run_locally(["install-service", "--config", str(config), "--directory", str(tmp_path / "units")]) == 0
    said = capfd.readouterr().out
    assert f"{tmp_path}/rabbit.password /etc/ssl/rabbit.pem" in said
