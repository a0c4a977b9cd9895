"""Fixtures of the tests that talk to the servers themselves."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.support.conversation import connect
from tests.support.raw import RawStream
from tests.support.server import Server


@pytest_asyncio.fixture
async def bus(server: Server) -> AsyncIterator[RawStream]:
    """Our component's stream."""
    async with await connect(server) as stream:
        yield stream
