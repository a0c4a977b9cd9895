"""Fixtures of every ring: real servers, started once a session, or one of its own for a test that harms it."""

import sys
from collections.abc import AsyncIterator, Generator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

# The tests import each other as `tests...`, but the product from where it is installed: so the root of the tree goes
# to the end of the path, behind site-packages.
sys.path.append(str(Path(__file__).parent.parent))

from tests.support.ejabberd import Ejabberd
from tests.support.missing import is_missing
from tests.support.prosody import Prosody
from tests.support.server import MissingServerError, Server, ServerFactory, StartedServer

SERVERS: dict[str, type[StartedServer]] = {"prosody": Prosody, "ejabberd": Ejabberd}


def make_server(name: str, directory: Path, **options: Any) -> Server:
    """A server that is not started yet. Where it is not installed the test is skipped; in CI it fails."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return SERVERS[name](directory, **options)
    except MissingServerError as error:
        is_missing(name, error)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def prosody(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """The Prosody that all tests share, with stock settings. They must not stop it or take its rights away."""
    async with make_server("prosody", tmp_path_factory.mktemp("prosody")) as started:
        yield started


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def ejabberd(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """The ejabberd that all tests share. They must not stop it or take its rights away."""
    async with make_server("ejabberd", tmp_path_factory.mktemp("ejabberd")) as started:
        yield started


@pytest.fixture(params=sorted(SERVERS))
def server_name(request: pytest.FixtureRequest) -> str:
    """ "prosody" and "ejabberd": a test that asks for this (or for `server`) runs once on each."""
    name: str = request.param
    return name


@pytest.fixture
def server(request: pytest.FixtureRequest, server_name: str) -> Server:
    """The shared server of that name."""
    started: Server = request.getfixturevalue(server_name)
    return started


@pytest_asyncio.fixture
async def own_server(tmp_path: Path) -> AsyncIterator[ServerFactory]:
    """`await own_server("prosody", kick_old=True)`: a started server that the test may kill, restart and revoke."""
    started: list[Server] = []

    async def start(name: str, **options: Any) -> Server:
        server = make_server(name, tmp_path / f"{name}-{len(started)}", **options)
        started.append(server)
        await server.start()
        return server

    yield start
    for server in started:
        server.kill()  # its data is thrown away, so there is nothing to wait for


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test wrote may hold a lone surrogate on purpose; a report travels from a worker as UTF-8."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture
def node() -> str:
    """A node (and event type) that no other test uses."""
    return f"test.n{uuid4().hex}"
