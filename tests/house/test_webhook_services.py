"""Real services call the installed program: Alertmanager, Icinga 2 and Monit of Debian, with the lines of the page."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.house.test_incidents_cli import alone, listed
from tests.support.alertmanager import alertmanager
from tests.support.daemon import Daemon, program
from tests.support.missing import need
from tests.support.pages import ROOT, block, blocks
from tests.support.waiting import until
from xmppbus.demo.server_process import ServerProcess

PAGE = "docs/howto/webhooks.md"
SOON = 10.0


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    (tmp_path / "bus").mkdir()
    async with alone(tmp_path / "bus") as started:
        yield started


@asynccontextmanager
async def running(command: list[str], output: Path, environment: dict[str, str] | None = None) -> AsyncIterator[None]:
    """A service that opens no port."""
    process = ServerProcess(command, (), output, environment or dict(os.environ))
    await process.start(SOON)
    try:
        yield
    finally:
        await process.stop(5)


async def stands(daemon: Daemon, key: str, status: str) -> dict[str, Any]:
    """The incident with this key, once it stands so."""
    found: list[dict[str, Any]] = []

    async def look() -> bool:
        found[:] = [each for each in await listed(daemon, "--status", status) if each["key"] == key]
        return bool(found)

    await until(look, SOON, f"{key} {status}; {daemon.log()[-2000:]}", poll=0.1)
    return found[0]


async def test_an_alert_of_alertmanager_is_an_incident_until_it_is_resolved(daemon: Daemon, tmp_path: Path) -> None:
    """With the config of the page, but in seconds instead of minutes; Watchdog beats, and is none."""
    (config,) = [yaml.safe_load(text) for kind, text in blocks(ROOT / PAGE) if kind == "yaml" and "receivers:" in text]
    route, (receiver,) = config["route"], config["receivers"]
    for each in (route, *route["routes"]):
        each |= {"group_wait": "0s", "group_interval": "1s", "repeat_interval": "1s" if "matchers" in each else "4h"}
    hook = receiver["webhook_configs"][0]
    hook["url"] = hook["url"].replace("http://127.0.0.1:8222", daemon.url)
    token = tmp_path / "token"
    token.write_text("not needed on loopback")
    hook["http_config"]["authorization"]["credentials_file"] = str(token)
    labels = ("alertname=InstanceDown", "instance=web1:9100", "severity=critical")
    said = "--annotation=summary=web1:9100 has not answered for more than 5 minutes"
    async with alertmanager(tmp_path, config) as service:
        await service.alert(said, *labels)
        await service.alert("alertname=Watchdog", "severity=none")

        async def key() -> str:
            found = [each for each in await listed(daemon) if each["type"] == "alert.InstanceDown"]
            return found[0]["key"] if found else ""

        await until(key, SOON, "the alert", poll=0.1)
        fingerprint = await key()
        assert re.fullmatch(r"[0-9a-f]{16}", fingerprint)
        incident = await stands(daemon, fingerprint, "firing")
        assert incident["summary"] == "[FIRING] InstanceDown – web1:9100 has not answered for more than 5 minutes"
        assert (incident["severity"], incident["source"]) == ("critical", "http://monitor.example:9093")
        ended = (datetime.now(UTC) - timedelta(seconds=1)).isoformat(timespec="seconds")
        await service.alert(said, f"--end={ended}", *labels)
        assert (await stands(daemon, fingerprint, "resolved"))["resolved"]

        await daemon.command("listen", "alert.Watchdog", "--since", "all", "-n", "2")
    assert [each["type"] for each in await listed(daemon, "--status", "resolved")] == ["alert.InstanceDown"]
    assert await listed(daemon) == []


ICINGA = """
include <itl>
const NodeName = "localhost"
const ZoneName = NodeName
object Endpoint NodeName {}
object Zone ZoneName { endpoints = [ NodeName ] }
object CheckerComponent "checker" {}
object NotificationComponent "notification" {}
object CheckCommand "canary" {
  command = [ "/bin/sh", "-c", "test -e CANARY && echo there || { echo gone; exit 2; }" ]
}
object Host "web1" { check_command = "dummy" }
object Service "backup" {
  host_name = "web1"
  check_command = "canary"
  check_interval = 1
  retry_interval = 1
  max_check_attempts = 1
}
"""


async def test_a_check_of_icinga_is_an_incident_until_it_recovers(daemon: Daemon, tmp_path: Path) -> None:
    """With the notification command of the page."""
    need("icinga2")
    canary, file = tmp_path / "canary", tmp_path / "icinga2.conf"
    canary.touch()
    file.write_text(
        ICINGA.replace("CANARY", str(canary)) + block(PAGE, "icinga").replace("http://127.0.0.1:8222", daemon.url)
    )
    user, group = (await asyncio.to_thread(_whoami)).split()
    command = ["icinga2", "daemon", "-c", str(file), "-D", f"RunAsUser={user}", "-D", f"RunAsGroup={group}"]
    for name in ("DataDir", "LogDir", "CacheDir", "SpoolDir", "InitRunDir"):
        (tmp_path / name).mkdir()
        command += ["-D", f"{name}={tmp_path / name}"]
    output = tmp_path / "icinga2.log"
    async with running([*command, "-D", f"ConfigDir={tmp_path}"], output):
        try:
            await until(lambda: "Activated all objects" in output.read_text(), SOON, "Icinga 2")
        except AssertionError:
            raise AssertionError(output.read_text()[:3000]) from None
        canary.unlink()
        incident = await stands(daemon, "icinga:web1!backup", "firing")
        assert (incident["summary"], incident["severity"]) == ("web1 backup: gone", "critical")
        canary.touch()
        assert (await stands(daemon, "icinga:web1!backup", "resolved"))["resolved"]


def _whoami() -> str:
    import grp
    import pwd

    return f"{pwd.getpwuid(os.getuid()).pw_name} {grp.getgrgid(os.getgid()).gr_name}"


async def test_a_check_of_monit_is_an_incident_until_it_succeeds(daemon: Daemon, tmp_path: Path) -> None:
    """With the script and the lines of the page."""
    need("monit")
    canary, script, file = tmp_path / "canary", tmp_path / "xmppbus.sh", tmp_path / "monitrc"
    canary.touch()
    script.write_text(block(PAGE, "monitsh"))
    script.chmod(0o755)
    lines = (
        block(PAGE, "monit").replace("/var/backups/db.dump", str(canary)).replace("/etc/monit/xmppbus.sh", str(script))
    )
    own = "".join(f"set {name}file {tmp_path / name}\n" for name in ("pid", "state", "id"))
    file.write_text(f"set daemon 1\n{own}{lines}")
    file.chmod(0o600)
    environment = {**daemon.environment, "PATH": f"{Path(program()).parent}:{os.environ['PATH']}"}
    async with running(["monit", "-I", "-c", str(file)], tmp_path / "output", environment):
        await until(lambda: "started" in (tmp_path / "output").read_text(), SOON, "Monit")
        canary.unlink()
        await until(lambda: listed(daemon), SOON, "the incident", poll=0.1)
        (found,) = await listed(daemon)
        assert found["key"].startswith("monit:")
        assert found["key"].endswith(":backup")
        assert found["summary"] == "backup: file doesn't exist"
        canary.touch()
        await stands(daemon, found["key"], "resolved")
