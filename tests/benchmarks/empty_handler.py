"""The least an HTTP door in this library can cost: aiohttp's server and a handler that does nothing."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator

from aiohttp import web

from tests.support.ports import free_port, is_open


async def nothing(_request: web.Request) -> web.Response:
    """202 and an empty body."""
    return web.Response(status=202)


async def serve(port: int) -> None:
    """Until killed."""
    application = web.Application()
    application.router.add_post("/v1/events", nothing)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


@contextlib.contextmanager
def empty_handler() -> Iterator[int]:
    """The port of a running one."""
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.empty_handler", str(port)], start_new_session=True
    ) as process:
        try:
            deadline = time.monotonic() + 20
            while not is_open(port):
                if time.monotonic() > deadline:
                    raise TimeoutError("the empty handler did not start")
                time.sleep(0.02)
            yield port
        finally:
            process.terminate()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
