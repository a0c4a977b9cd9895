"""The fault proxy breaks connections in the ways it promises."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.ports import free_port
from tests.support.proxy import Proxy
from tests.support.waiting import until

TIMEOUT = 5.0


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send everything back."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


@pytest_asyncio.fixture
async def proxy() -> AsyncIterator[Proxy]:
    """A proxy in front of a server that sends everything back."""
    port = free_port()
    listener = await asyncio.start_server(echo, "127.0.0.1", port)
    async with Proxy(port) as started:
        yield started
    listener.close()


class Client:
    """A connection through the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def echoed(self, data: bytes) -> bytes:
        """Send, and return what comes back."""
        self.writer.write(data)
        return await asyncio.wait_for(self.reader.readexactly(len(data)), TIMEOUT)

    async def end(self) -> str:
        """How the connection ended: "RST" or "FIN"."""
        try:
            while await asyncio.wait_for(self.reader.read(65_536), TIMEOUT):
                pass
        except ConnectionResetError:
            return "RST"
        return "FIN"


@pytest_asyncio.fixture
async def client(proxy: Proxy) -> AsyncIterator[Client]:
    """A connection that has passed bytes both ways."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    connected = Client(reader, writer)
    assert await connected.echoed(b"hello") == b"hello"
    yield connected
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def test_a_reset_arrives_as_rst(proxy: Proxy, client: Client) -> None:
    proxy.reset()
    assert await client.end() == "RST"
    assert (proxy.connections, proxy.cuts, proxy.open) == (1, 1, 0)


async def test_a_finish_arrives_as_fin(proxy: Proxy, client: Client) -> None:
    proxy.finish()
    assert await client.end() == "FIN"


@pytest.mark.parametrize("side", ["to_server", "to_bus"])
async def test_a_black_hole_swallows_and_is_reset_when_it_is_healed(proxy: Proxy, client: Client, side: str) -> None:
    getattr(proxy, side).black_hole = True
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await client.echoed(b"lost")
    proxy.heal()
    assert await client.end() == "RST"


@pytest.mark.parametrize("side", ["to_server", "to_bus"])
async def test_a_stalled_direction_goes_on_when_it_is_healed(proxy: Proxy, client: Client, side: str) -> None:
    getattr(proxy, side).stalled = True
    client.writer.write(b"late")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await client.reader.read(1)
    proxy.heal()
    assert await asyncio.wait_for(client.reader.readexactly(4), TIMEOUT) == b"late"


async def test_a_slow_direction_lets_single_bytes_through(proxy: Proxy, client: Client) -> None:
    proxy.to_bus.bytes_per_second = 1
    client.writer.write(b"slow")
    assert await asyncio.wait_for(client.reader.read(100), TIMEOUT) == b"s"
    proxy.heal()
    assert await asyncio.wait_for(client.reader.readexactly(3), TIMEOUT) == b"low"


async def test_latency_delays(proxy: Proxy, client: Client) -> None:
    proxy.to_server.latency = 0.2
    begun = asyncio.get_running_loop().time()
    assert await client.echoed(b"x") == b"x"
    assert asyncio.get_running_loop().time() - begun >= 0.2


async def test_a_cut_in_mid_stanza_lets_only_the_first_bytes_through(proxy: Proxy, client: Client) -> None:
    before = proxy.bytes_to_server
    proxy.to_server.cut_after = 3
    client.writer.write(b"0123456789")
    assert await client.end() == "RST"
    assert proxy.bytes_to_server - before == 3


async def test_an_answer_is_withheld_after_the_server_has_given_it(proxy: Proxy, client: Client) -> None:
    proxy.to_bus.cut_before = b"result"
    client.writer.write(b"<iq type='result'/>")
    assert await client.end() == "RST"
    assert proxy.bytes_to_server == len(b"hello<iq type='result'/>")
    assert proxy.bytes_to_bus == len(b"hello")


async def test_garbage_comes_before_the_next_bytes(proxy: Proxy, client: Client) -> None:
    proxy.to_bus.garbage = b"\x00\xff"
    client.writer.write(b"x")
    assert await asyncio.wait_for(client.reader.readexactly(3), TIMEOUT) == b"\x00\xffx"


async def test_a_refusing_proxy_accepts_again(proxy: Proxy, client: Client) -> None:
    await proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", proxy.port)
    assert await client.echoed(b"still there") == b"still there"
    await proxy.listen()
    _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    await until(lambda: proxy.connections == 2, TIMEOUT, "the second connection")
    writer.close()
    await writer.wait_closed()
