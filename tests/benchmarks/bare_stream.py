"""The least a stream of events can cost in this library: aiohttp's server, and a loop that writes ready-made events.

Nothing is accepted, kept, matched or looked up; all clients get the same bytes. `--together` is how many events are
written in one go. `python -m tests.benchmarks.bare_stream PORT RATE --together 5`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import resource
import subprocess
import sys
import time
from collections.abc import Iterator

from aiohttp import web

from tests.benchmarks.events import event_bytes
from tests.support.ports import free_port, is_open

STREAMS = web.AppKey("streams", list[web.StreamResponse])


async def stream(request: web.Request) -> web.StreamResponse:
    """As long as the client likes."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    await response.write(b": \n\n")
    request.app[STREAMS].append(response)
    await asyncio.Event().wait()
    return response


def frame(number: int) -> bytes:
    """An event as the product writes it, with the time."""
    event = stamped(event_bytes("bench.displays"))
    head = b'event: event\nid: %d\ndata: {"sequence":%d,"id":"0dbb22ef-0c1a-5d5f-9d2c-a33c1ec60f2a","event":'
    return head % (number, number) + event + b"}\n\n"


def stamped(event: bytes) -> bytes:
    """An event whose data begins with when it was sent."""
    return event.replace(b'"data":"', b'"sent":%d,"data":"' % time.time_ns(), 1)


async def write(streams: list[web.StreamResponse], rate: int, together: int) -> None:
    """Events at that rate, so many in one go, to everybody who reads."""
    number, begun = 0, time.monotonic()
    while True:
        data = b"".join(frame(each) for each in range(number, number + together))
        for response in streams:
            transport = response._req.transport if response._req else None
            if transport is not None and not transport.get_write_buffer_size():  # one that does not read stops nobody
                await response.write(data)
        number += together
        await asyncio.sleep(max(0.0, begun + number / rate - time.monotonic()))


async def serve(port: int, rate: int, together: int) -> None:
    """Until killed."""
    application = web.Application()
    application[STREAMS] = []
    application.router.add_get("/v1/stream", stream)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    await write(application[STREAMS], rate, together)


@contextlib.contextmanager
def bare_stream(rate: int, together: int) -> Iterator[tuple[int, int]]:
    """Port and process id of a running one."""
    port = free_port()
    command = [sys.executable, "-m", "tests.benchmarks.bare_stream", str(port), str(rate), "--together", str(together)]
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            deadline = time.monotonic() + 20
            while not is_open(port):
                if time.monotonic() > deadline:
                    raise TimeoutError("the bare stream did not start")
                time.sleep(0.02)  # a port says nothing when it opens: it is asked until it answers
            yield port, process.pid
        finally:
            process.kill()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("rate", type=int)
    parser.add_argument("--together", type=int, default=1)
    given = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(serve(given.port, given.rate, given.together))
