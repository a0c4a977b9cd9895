"""docker-compose.yml, its images' steps and its configs. No engine is needed: the steps run in namespaces."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.container import ROOT, Box, as_compose_does, environment, instructions
from tests.support.missing import need
from tests.support.waiting import until

SOON = 40.0
IMAGE = ROOT / ".docker/Dockerfile"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
USER = 10001


def test_docker_compose_takes_the_file() -> None:
    """Debian's, which is 1.29; no `version:` and no word that only one of 1.29 and 2 knows."""
    need("docker-compose")
    done = subprocess.run(["docker-compose", "config"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(yaml.safe_load(done.stdout)["services"]) == {"prosody", "bus", "publisher", "display"}
    assert "version" not in COMPOSE


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_container_is_confined(name: str) -> None:
    """It can't write its root file system, has no capability and gets none; this machine alone reaches it."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_no_image_runs_as_root_and_every_file_that_is_copied_is_there() -> None:
    """The last USER holds."""
    for dockerfile in (IMAGE, ROOT / ".docker/prosody/Dockerfile"):
        words = instructions(dockerfile)
        assert [rest for word, rest in words if word == "USER"][-1] in (f"{USER}:{USER}", "prosody")
        copied = [rest.split()[:-1] for word, rest in words if word == "COPY" and not rest.startswith("--from")]
        assert all((ROOT / source).exists() for sources in copied for source in sources)


def test_secrets_are_made_once_and_are_nobody_elses(tmp_path: Path) -> None:
    """The second run prints the same token."""
    script = shutil.copy(ROOT / ".docker/make-secrets.sh", tmp_path)
    first, second = (subprocess.run(["sh", script], capture_output=True, check=True).stdout for _ in range(2))
    assert first == second == (tmp_path / "secrets/page_token").read_bytes()
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0
    assert first.strip() not in (tmp_path / "secrets/tokens").read_bytes()


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    """The images' steps have been run, their configs are in place, secrets are made, and it is closed up."""
    need("prosody")
    with Box(tmp_path) as made:
        made.build(IMAGE)
        for source, target in (
            (".docker/xmppbus.yaml", "/etc/xmppbus/xmppbus.yaml"),
            (".docker/prosody/prosody.cfg.lua", "/etc/prosody/prosody.cfg.lua"),
            (".docker/prosody/start.sh", "/opt/start.sh"),
        ):
            made.path(target).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / source, made.path(target))
            made.path(target).chmod(0o644)
        prosody = pwd.getpwnam("prosody")
        made.path("/etc/prosody").chmod(0o755)
        made.path("/var/lib/prosody").mkdir()
        os.chown(made.path("/var/lib/prosody"), prosody.pw_uid, prosody.pw_gid)
        script = shutil.copy(ROOT / ".docker/make-secrets.sh", tmp_path)
        subprocess.run(["sh", script], capture_output=True, check=True)
        shutil.copytree(tmp_path / "secrets", made.path("/run/secrets"))
        made.path("/run/secrets").chmod(0o755)
        made.path("/etc/hosts").write_text("127.0.0.1 localhost prosody bus\n")
        made.close_up()
        yield made


@contextmanager
def running(box: Box, argv: Sequence[str], user: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A container's process."""
    environ = environment(IMAGE) if user == USER else {"PATH": "/usr/bin:/bin"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            box.command(as_compose_does(argv), environ, user), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


async def test_the_images_steps_and_the_set_as_processes(box: Box, tmp_path: Path) -> None:
    """The wheel is built and installed as the Dockerfile says; then server, bus, publisher and display run with the
    configs and the commands of the set, as numbers without a home, and its health checks say yes."""
    image = environment(IMAGE)
    prosody = pwd.getpwnam("prosody").pw_uid

    def healthy(name: str, user: int) -> bool:
        kind, *test = SERVICES[name]["healthcheck"]["test"]
        assert kind == "CMD"
        done = box.run(test, image if user == USER else {"PATH": "/usr/bin:/bin"}, user)
        return done.returncode == 0

    assert box.run(["xmppbus", "--version"], image, USER).stdout.startswith("xmppbus ")
    assert not healthy("bus", USER)
    with ExitStack() as stack:
        logs = {name: tmp_path / f"{name}.log" for name in SERVICES}
        start = ["sh", "/opt/start.sh"]
        stack.enter_context(running(box, start, prosody, logs["prosody"]))
        await until(lambda: healthy("prosody", prosody), SOON, "Prosody", poll=0.2)
        bus = stack.enter_context(running(box, ["xmppbus", "serve"], USER, logs["bus"]))
        await until(lambda: healthy("bus", USER), SOON, "the bus", poll=0.2)
        for name in ("publisher", "display"):
            stack.enter_context(running(box, SERVICES[name]["command"], USER, logs[name]))
        await until(lambda: "demo.load" in logs["display"].read_text(), SOON, "the display", poll=0.1)
        kept = box.run(["xmppbus", "publish", "demo.hello", "from a container", "--confirm"], image, USER)
        assert kept.returncode == 0, (kept, logs["bus"].read_text(), logs["prosody"].read_text())
        await until(lambda: "demo.hello" in logs["display"].read_text(), SOON, "what was just published", poll=0.1)
        token = box.path("/run/secrets/page_token").read_text().strip()
        url = "http://127.0.0.1:8222/v1/events/demo.page"
        for header, status in (("X-None: 1", "401"), (f"Authorization: Bearer {token}", "202")):
            curl = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", header, "-d", "hello", url]
            assert box.run(curl, {"PATH": "/usr/bin"}, USER).stdout == status
        for place in ("/opt/xmppbus/new", "/etc/new", "/usr/new"):
            assert "Read-only" in box.run(["touch", place], {"PATH": "/usr/bin:/bin"}, 0).stderr
        bus.terminate()
        assert bus.wait(20) == 0
