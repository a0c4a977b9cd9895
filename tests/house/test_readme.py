"""The shell examples of the README and of the docs, run as they stand there: they can't rot."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, bot_without_a_server, program
from tests.support.pages import OWN_TESTS, PAGES, ROOT, blocks, name
from tests.support.waiting import until

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
STOCK_ADDRESS = "127.0.0.1:8222"

NOT_HERE = {
    "apt-get install": "it changes the machine; test_demo.py runs the demonstration that it ends with",
    "bash .ci/run": "it runs this test",
    ".venv/bin/": "parts of .ci/run",
    "xmppbus serve &": "it is the daemon of these tests; test_local_bus.py starts it without a config",
    **dict.fromkeys(
        ("export ", "python3 read_node.py", "npm install @xmpp/client", "node read_node.mjs"),
        "test_read_the_nodes.py runs the readers, with accounts of both servers",
    ),
    "xmppbus retract": "it asks first; test_incidents_cli.py answers",
    "python -m tests.benchmarks": "they measure for minutes; tests/unit/test_benchmark_tools.py has their tools",
    "XMPPBUS_CHAOS": "the long forms take hours",
    "sudo ": "systemd is not the first process here; test_units.py and test_systemd.py say what was tried",
    "openssl req": "test_pages_lines.py makes a certificate with it, and a listener that has it",
    "python3 -m venv /opt": "it changes the machine; .ci/run installs in this way, and test_packaging.py the wheel",
    "ln -s /opt": "it changes the machine",
    "docker": "there is no Docker engine here; test_containers.py runs what the containers run",
    "xmppbus init --root": "test_init.py has a machine with a server on it",
}
"""How examples begin that are not run, and why."""

GO_ON = {
    "tail -F app.log": "app.line",
    "xmppbus listen 'disk.#'": "disk.full",
    "xmppbus listen 'user.#'": "user.signup",
}
"""How examples begin that do not end by themselves, and the type of the event that they take or show."""


def examples(page: Path) -> list[str]:
    """The commands of a page's shell blocks, comments and all; a line that ends with a backslash goes on."""
    lines = "".join(text for language, text in blocks(page) if language == "sh").replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def begins(command: str, among: dict[str, str]) -> str | None:
    """Which of those it begins with."""
    return next((start for start in among if command.startswith(start)), None)


WITH_BOT = {ROOT / "docs/howto/incidents.md", ROOT / "docs/howto/chat.md", ROOT / "docs/reference/http.md"}
"""Pages whose examples need one."""

OURS = [page for page in PAGES if examples(page) and "sh" not in OWN_TESTS.get(name(page), {})]
"""Pages whose examples no other test runs."""


@pytest.fixture
async def daemon(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Daemon]:
    """A local bus, in a directory with the files that the examples speak of; with a bot where the page needs it."""
    found = Daemon(tmp_path / "bus")
    http = {"listen": f"127.0.0.1:{found.http_port}"}
    page = getattr(request.node, "callspec", None) and request.node.callspec.params["page"]
    bot = bot_without_a_server(found.directory) if page in WITH_BOT else {}
    found.configure(None, config={"http": http, **bot})
    (found.directory / ".docker").mkdir()
    shutil.copy(ROOT / ".docker/make-secrets.sh", found.directory / ".docker")
    (found.directory / "app.log").write_text("a first line\n")
    (found.directory / "report.pdf").write_bytes(b"%PDF-1.7\n\xff\xfe")
    (found.directory / "Makefile").write_text("deploy:\n\t@echo deployed\n")
    async with found:
        yield found


@pytest.mark.parametrize("page", OURS, ids=name)
async def test_every_shell_example_of_the_docs_works(daemon: Daemon, page: Path) -> None:
    """Line by line, in the order of the page; what can't be run here says why."""
    for command in examples(page):
        if begins(command, NOT_HERE):
            continue
        line = command.replace(STOCK_ADDRESS, f"127.0.0.1:{daemon.http_port}")
        if start := begins(command, GO_ON):
            await seen(daemon, line, GO_ON[start])
            continue
        printed = await daemon.shell(await fill_in(daemon, line))
        if command.startswith("xmppbus token add"):
            daemon.environment["XMPPBUS_TOKEN"] = printed.strip()
        if "> secret" in command:
            assert (daemon.directory / "secret").stat().st_mode & 0o777 == 0o600
            assert len((daemon.directory / "secret").read_text().strip()) >= 32


async def fill_in(daemon: Daemon, command: str) -> str:
    """What an example leaves to its reader: where the bus is, a file for tokens, an event that there is."""
    daemon.environment["XMPPBUS_URL"] = daemon.url
    if command.startswith("xmppbus token "):
        return f"{command} --file {daemon.directory / 'tokens'}"
    if command.startswith("xmppbus show"):
        entry = json.loads((await daemon.command("listen", "--since", "all", "-n", "1", "--json")).out)
        return UUID.sub(entry["id"], command)
    return command


async def seen(daemon: Daemon, command: str, event_type: str) -> None:
    """Run what goes on until it is interrupted, and interrupt it when it has taken or shown an event of that type."""
    environment = {**daemon.environment, "PATH": f"{Path(program()).parent}:{os.environ['PATH']}"}
    output = daemon.directory / "seen"
    with output.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *("/bin/sh", "-c", command),
            env=environment,
            cwd=daemon.directory,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )

    async def done() -> bool:
        assert process.returncode is None, output.read_text()
        if command.startswith("tail"):
            return (await daemon.run("get", event_type, "--since", "all")).code == 0
        await daemon.command("publish", event_type, "now")
        return event_type in output.read_text()

    try:
        await until(done, 20, f"{event_type} from {command!r}")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)  # `tail` in a pipe of a shell without job control ignores SIGINT
        await process.wait()


async def test_what_the_readme_publishes_is_on_the_bus(daemon: Daemon) -> None:
    """Each with what its comment says of it."""
    for command in examples(ROOT / "README.md"):
        if re.match(r"xmppbus publish|make|curl", command):
            await daemon.shell(command.replace(STOCK_ADDRESS, f"127.0.0.1:{daemon.http_port}"))
    events = [
        json.loads(line)["event"]
        for line in (await daemon.command("listen", "#", "--since", "all", "--json", "-n", "4")).out.splitlines()
    ]
    said = {event["type"]: event for event in events}
    assert said["user.signup"]["data"] == "alice joined"
    assert said["deploy.log"]["data"] == "deployed\n"
    assert said["job.backup"]["data"] == "backup done"
    disk = said["disk.full"]
    assert (disk["severity"], disk["key"], disk["status"]) == ("warning", "db1:/", "firing")
