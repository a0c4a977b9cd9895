"""The installed wheel is whole: code, SQL, types, shipped plugins, and a command that starts fast."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, program

ROOT = Path(__file__).parents[2]
PLUGINS = {path.stem for path in (ROOT / "plugins").glob("*.py")} - {"__init__"}


@pytest.fixture(scope="module")
def installed() -> metadata.Distribution:
    """What pip installed; a tree that is only linked into the environment has no list of files."""
    found = next(iter(metadata.distributions(name="xmppbus")), None)
    if found is None or not any(file.name == "app.py" for file in found.files or ()):
        pytest.skip("xmppbus is linked, not installed")
    return found


def test_it_brings_every_file_of_the_package_and_the_shipped_plugins(installed: metadata.Distribution) -> None:
    """And the bot's picture, and the catalogue of its texts: whatever is not Python code is easily forgotten."""
    files = {str(file) for file in installed.files or ()}
    ours = {str(path.relative_to(ROOT)) for path in (ROOT / "xmppbus").rglob("*") if path.is_file()}
    ours = {file for file in ours if "__pycache__" not in file}
    assert {Path(file).suffix for file in ours} >= {".py", ".sql", ".typed", ".png", ".pot"}
    plugins = {f"xmppbus_plugins/{name}.py" for name in PLUGINS}
    assert {"throttle", "dedup", "github"} <= PLUGINS
    assert ours | plugins <= files
    assert not [file for file in files if file.startswith("tests/")]


def test_the_shipped_plugins_are_found_by_their_entry_points(installed: metadata.Distribution) -> None:
    """As a stranger's would be."""
    found = {point.name: point.value for point in installed.entry_points if point.group == "xmppbus.plugins"}
    assert found == {name: f"xmppbus_plugins.{name}" for name in PLUGINS}


def test_the_command_runs_in_its_own_environment() -> None:
    """Its first line names the interpreter beside it."""
    script = Path(program())
    assert os.access(script, os.X_OK)
    shebang = script.read_text().splitlines()[0]
    assert Path(shebang.removeprefix("#!")).parent == script.parent


def run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """And it must exit with 0."""
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)


async def test_the_command_is_a_script_of_our_own_that_imports_little(tmp_path: Path) -> None:
    """A shell loop pays for every import; the wrapper of an older pip would bring `re`, a client of its own click."""
    async with Daemon(tmp_path / "bus") as daemon:
        command = [sys.executable, "-X", "importtime", program(), "publish", "user.signup", "alice joined"]
        published = await asyncio.to_thread(run, command, daemon.environment)
        assert (await daemon.show(published.stdout.strip()))["event"]["type"] == "user.signup"
    imported = {line.rpartition("|")[2].strip() for line in published.stderr.splitlines() if "|" in line}
    assert not imported & {"re", "click", "enum", "asyncio", "typing", "json"}


def test_it_runs_as_a_module_too() -> None:
    """For those who have several environments."""
    done = subprocess.run([sys.executable, "-m", "xmppbus", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("xmppbus ")
