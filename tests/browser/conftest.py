"""One browser for all tests here, and one bus for those that do it no harm: each test has types and keys of its own."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.support.daemon import Daemon, bot_without_a_server
from tests.support.page_browser import browsing

expect.set_options(timeout=20_000)  # milliseconds, for two busy cores; what is there is seen at once


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Headless Chromium."""
    async with browsing() as found:
        yield found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def bus(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Daemon]:
    """A bus with a bot, so with incidents; its XMPP server is away."""
    directory = tmp_path_factory.mktemp("bus")
    async with Daemon(directory, config=bot_without_a_server(directory)) as daemon:
        yield daemon
