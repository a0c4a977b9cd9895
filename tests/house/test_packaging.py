"""Wheel and sdist: built without a network, the same each time, whole, at work on every Python that there is."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from functools import cache
from pathlib import Path, PurePosixPath

import pytest

from tests.support.daemon import Daemon, finished

ROOT = Path(__file__).parents[2]
HOWTO = (ROOT / "docs/howto/packaging.md").read_text()
PYTHONS = ("3.11", "3.12", "3.13")
MOMENT = "1700000000"
EXTRAS = {"omemo", "plots", "watch", "amqp", "dbus", "follow", "redis", "smtp", "webhooks", "test"}
COMPLETION = {
    "bash-completion/completions/xmppbus",
    "zsh/site-functions/_xmppbus",
    "fish/vendor_completions.d/xmppbus.fish",
}
DATA_SUFFIXES = {".sql", ".html", ".js", ".css", ".svg", ".png", ".pot", ".service", ".socket", ".sysusers", ".typed"}
pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="what belongs into a package is what git knows")


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """And it must exit with 0."""
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def without_network() -> list[str]:
    """What stands before a command that must not use the network, where this machine lets us take it away."""
    unshare = ["unshare", "--net", "--map-root-user"]
    allowed = shutil.which("unshare") and subprocess.run([*unshare, "true"], check=False, capture_output=True)
    return unshare if allowed and allowed.returncode == 0 else []


@cache
def everything() -> tuple[str, ...]:
    """What git knows and still is there."""
    return tuple(name for name in run("git", "ls-files", cwd=ROOT).splitlines() if (ROOT / name).is_file())


def tracked(*folders: str) -> list[str]:
    """That of some folders."""
    return [name for name in everything() if name.partition("/")[0] in folders]


def copied(snapshot: Path, directory: Path, umask: int) -> Path:
    """The tree as a clone has it, and as a machine where others worked leaves it: with what is no part of it."""
    for path in snapshot.rglob("*"):
        if path.is_file():
            name = path.relative_to(snapshot)
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, directory / name)
            (directory / name).chmod((0o777 if os.access(path, os.X_OK) else 0o666) & ~umask)
    strays = (
        "xmppbus/__pycache__/app.cpython-311.pyc",
        "plugins/__pycache__/x.pyc",
        ".venv/pyvenv.cfg",
        "dist/old.whl",
    )
    for stray in strays:
        (directory / stray).parent.mkdir(parents=True, exist_ok=True)
        (directory / stray).write_text("stray")
    return directory


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree, as it is when the tests begin."""
    directory = tmp_path_factory.mktemp("snapshot")
    for name in everything():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, directory / name)
    return directory


class Built:
    """A wheel and an sdist in a directory."""

    def __init__(self, directory: Path) -> None:
        (self.wheel,) = directory.glob("*.whl")
        (self.sdist,) = directory.glob("*.tar.gz")

    def hashes(self) -> list[str]:
        """Of both."""
        return [hashlib.sha256(file.read_bytes()).hexdigest() for file in (self.wheel, self.sdist)]


@pytest.fixture(scope="module")
def built(snapshot: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """As a packager builds it: first the sdist, and from it the wheel."""
    directory = tmp_path_factory.mktemp("built")
    tree = copied(snapshot, directory / "tree", 0o022)
    (line,) = [each for each in HOWTO.splitlines() if each.startswith("python3 -m build --no-isolation")]
    command = [*without_network(), sys.executable, *line.split()[1:], "--outdir", str(directory / "out")]
    run(*command, cwd=tree, SOURCE_DATE_EPOCH=MOMENT)
    return Built(directory / "out")


def test_two_builds_are_one(built: Built, snapshot: Path, tmp_path: Path) -> None:
    """At another place, at another time, the wheel from the tree and not from the sdist: the same bytes."""
    tree = copied(snapshot, tmp_path / "elsewhere" / "tree", 0o077)
    run(sys.executable, "-m", "hatchling", "build", "-d", tmp_path / "out", cwd=tree, SOURCE_DATE_EPOCH=MOMENT)
    assert Built(tmp_path / "out").hashes() == built.hashes()


def test_the_wheel_has_everything_of_the_program_and_nothing_else(built: Built) -> None:
    """No test, no page of the documentation, no stray file; whatever is not Python is easily forgotten."""
    with zipfile.ZipFile(built.wheel) as wheel:
        names = {name for name in wheel.namelist() if not name.endswith("/")}
    code = {*tracked("xmppbus"), *(name.replace("plugins/", "xmppbus_plugins/", 1) for name in tracked("plugins"))}
    info = f"{built.wheel.name.split('-py3')[0]}.dist-info"
    about = {f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")}
    data = f"{info.removesuffix('dist-info')}data"
    man = {f"{data}/data/share/man/{name.removeprefix('docs/man/')}" for name in tracked("docs") if "/man/" in name}
    assert len(man) > 30
    completion = {f"{data}/data/share/{name}" for name in COMPLETION}
    assert names == code | about | man | completion | {f"{data}/scripts/xmppbus"}
    assert {PurePosixPath(name).suffix for name in code} >= DATA_SUFFIXES
    assert all(not name.startswith("/") and ".." not in name for name in names)


def test_the_sdist_has_what_one_needs_to_build_and_to_test_it(built: Built) -> None:
    """And names no user of the machine that built it."""
    with tarfile.open(built.sdist) as sdist:
        members = sdist.getmembers()
    top = built.sdist.name.removesuffix(".tar.gz")
    names = {member.name.removeprefix(f"{top}/") for member in members if member.isfile()}
    wanted = {*tracked("xmppbus", "plugins", "tests", "docs"), "pyproject.toml", "README.md", "LICENSE", ".gitignore"}
    assert names == wanted | {"PKG-INFO"}
    assert {(member.uid, member.gid, member.uname, member.gname) for member in members} == {(0, 0, "", "")}


def test_the_metadata_name_the_extras_the_script_and_the_plugins(built: Built) -> None:
    """As `pyproject.toml` says; the entry points are how the shipped plugins are found."""
    with zipfile.ZipFile(built.wheel) as wheel:
        info = next(name.rpartition("/")[0] for name in wheel.namelist() if name.endswith("/METADATA"))
        metadata = Parser().parsestr(wheel.read(f"{info}/METADATA").decode())
        points = wheel.read(f"{info}/entry_points.txt").decode()
    assert (metadata["Name"], metadata["License-Expression"]) == ("xmppbus", "MIT")
    assert metadata["Requires-Python"] == ">=3.11"
    assert set(metadata.get_all("Provides-Extra") or ()) == EXTRAS
    named = {each.partition("extra == ")[2].strip("'\"") for each in metadata.get_all("Requires-Dist") or ()}
    assert named - {""} == EXTRAS, "each extra brings something"
    classified = re.findall(r"Python :: (3\.[0-9]+)", "\n".join(metadata.get_all("Classifier") or ()))
    assert tuple(classified) == PYTHONS, "what is claimed is what runs here"
    assert "dedup = xmppbus_plugins.dedup" in points
    assert "throttle = xmppbus_plugins.throttle" in points
    assert f"## {metadata['Version']}" in (ROOT / "docs/changelog.md").read_text()


def interpreter(version: str) -> Path:
    """A Python of that version; a machine without one says so."""
    found = shutil.which(f"python{version}")
    candidates = [Path(found)] if found else []
    candidates += sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python3"))
    for candidate in candidates:
        asked = subprocess.run(
            [candidate, "-c", "import sys, ssl, sqlite3, venv; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=False,
        )
        if asked.stdout.strip() == version:
            return candidate
    pytest.skip(f"this machine has no Python {version}")


@pytest.fixture(params=PYTHONS)
def environment(request: pytest.FixtureRequest, built: Built, tmp_path: Path) -> Iterator[Path]:
    """A clean environment of that Python with the wheel and what it needs, and nothing else but pip."""
    version: str = request.param
    directory = tmp_path / "environment"
    run(interpreter(version), "-m", "venv", directory, cwd=tmp_path)
    # Its own pip: that of an older Python does not run on a newer one.
    pip = (directory / "bin/python", "-m", "pip", "--disable-pip-version-check", "--quiet")
    run(*pip, "install", "--no-compile", built.wheel, cwd=tmp_path)
    yield directory
    shutil.rmtree(directory)


async def test_the_installed_wheel_publishes_and_shows_an_event(environment: Path, tmp_path: Path) -> None:
    """`--version`, `serve`, `publish`, `show`, and SIGTERM; a warning of Python would be an error."""
    program = environment / "bin/xmppbus"
    assert program.read_text().startswith(f"#!{environment}/bin/python"), "the script names the interpreter beside it"
    daemon = Daemon(tmp_path / "bus")
    daemon.program = (str(program),)
    daemon.environment |= {"PYTHONWARNINGS": "error", "PYTHONDONTWRITEBYTECODE": "1"}

    async def command(*arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(
            program,
            *arguments,
            env=daemon.environment,
            cwd=tmp_path,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        done = await finished(process, None, 60)
        assert done.code == 0, f"{arguments}: {done}"
        return done.out

    assert re.match(r"xmppbus 0\.1\.0\b", await command("--version"))
    async with daemon:
        item_id = (await command("publish", "user.signup", "alice joined")).strip()
        assert '"data":"alice joined"' in await command("show", "--json", item_id)
        status, page = await daemon.request("GET", "/")
        assert status == 200
        assert b"<html" in page, "the static files are there"
        assert await daemon.stop() == 0


def test_a_distribution_s_own_steps_put_everything_where_the_page_says(built: Built, tmp_path: Path) -> None:
    """By hand, as debhelper does it: no network, nothing outside the package's own directory."""
    (lines,) = [each for each in re.findall(r"```sh\n(.*?)```", HOWTO, re.DOTALL) if "--root" in each]
    lines = lines.replace("python3 -m", f"{sys.executable} -m").replace("dist/*.whl", str(built.wheel))
    run(
        *without_network(),
        "/bin/sh",
        "-ec",
        lines,
        cwd=tmp_path,
        PYTHONPATH="",
        XMPPBUS_STATE="/var/lib/xmppbus",
        HOME=str(tmp_path),
    )
    package = tmp_path / "debian/xmppbus"
    installed = {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()}
    assert {"/".join(PurePosixPath(name).parts[:2]) for name in installed} == {"usr/bin", "usr/lib", "usr/share"}
    for name in ("usr/bin/xmppbus", "usr/lib/sysusers.d/xmppbus.conf", "usr/lib/systemd/system/xmppbus.service"):
        assert name in HOWTO or PurePosixPath(name).parent.as_posix() in HOWTO
        assert name in installed
    assert (package / "usr/bin/xmppbus").read_text().startswith("#!/usr/bin/python3\n")
    unit = (package / "usr/lib/systemd/system/xmppbus.service").read_text()
    assert re.findall(r"^Exec\w+=(\S+)", unit, re.MULTILINE) == ["/usr/bin/xmppbus"] * 2
    assert "complete" in (package / "usr/share/bash-completion/completions/xmppbus").read_text()
    assert {f"usr/share/{name}" for name in (*COMPLETION, "man/man1/xmppbus.1", "man/man5/xmppbus.yaml.5")} <= installed
    assert str(tmp_path) not in unit, "nothing of where it was built"


def test_the_rules_for_debhelper_are_a_makefile(tmp_path: Path) -> None:
    """What it would run; debhelper itself is not run here."""
    (rules,) = re.findall(r"```make\n(.*?)```", HOWTO, re.DOTALL)
    (tmp_path / "rules").write_text(rules)
    assert "dh build --buildsystem=pybuild" in run("make", "-n", "-f", "rules", "build", cwd=tmp_path)
