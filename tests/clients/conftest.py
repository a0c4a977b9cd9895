"""Real clients for tests: each in a terminal of its own, closed when the test ends."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from tests.support.missing import is_missing
from tests.support.raw import RawStream, component
from tests.support.server import MissingServerError, Server
from tests.support.terminal_clients import CLIENTS, TerminalClient

OpenClient = Callable[..., Awaitable[TerminalClient]]


def make_client(name: str, server: Server, jid: str, settings: dict[str, str]) -> TerminalClient:
    """A client that is not started yet. Where it is not installed the test is skipped; in CI it fails."""
    try:
        return CLIENTS[name](server, jid, settings=settings)
    except MissingServerError as error:
        is_missing(name, error)


@pytest_asyncio.fixture
async def open_client() -> AsyncIterator[OpenClient]:
    """`await open_client("poezio", server, jid, {"use_log": "false"})`: logged in, with these settings of its own."""
    opened: list[TerminalClient] = []

    async def open_one(name: str, server: Server, jid: str, settings: dict[str, str] | None = None) -> TerminalClient:
        client = make_client(name, server, jid, settings or {})
        opened.append(client)
        await client.start()
        return client

    yield open_one
    for client in opened:
        client.close()


@pytest.fixture(params=sorted(CLIENTS))
def client_name(request: pytest.FixtureRequest) -> str:
    """ "poezio" and "profanity": a test that asks for this runs once with each."""
    name: str = request.param
    return name


@pytest_asyncio.fixture
async def person(prosody: Server, node: str) -> str:
    """The bare JID of an account that no other test uses, on the shared Prosody."""
    jid = f"{node.rpartition('.')[2]}@{prosody.domain}"
    await prosody.create_account(jid, "person pw")
    return jid


@pytest_asyncio.fixture
async def bus(prosody: Server) -> AsyncIterator[RawStream]:
    """The bot's domain on the shared Prosody, as a bare component: it sends what the test writes, no more."""
    async with await component(prosody.host, prosody.component_port, prosody.component_jid, prosody.secret) as stream:
        yield stream
