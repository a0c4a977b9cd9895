"""A real Alertmanager of Debian's package: own directory, loopback only, told by amtool what fires."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.support.missing import need
from tests.support.ports import free_port
from xmppbus.demo.server_process import ServerProcess

PROGRAM = "prometheus-alertmanager"
SECONDS = 20.0


class Alertmanager:
    """One that runs."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    async def alert(self, *labels: str, **more: str) -> None:
        """An alert fires, or is over (`end`)."""
        options = (f"--{name}={value}" for name, value in more.items())
        command = ("amtool", f"--alertmanager.url={self.url}", "alert", "add", *options, *labels)
        process = await asyncio.create_subprocess_exec(*command)
        assert await process.wait() == 0


@contextlib.asynccontextmanager
async def alertmanager(directory: Path, config: Mapping[str, Any]) -> AsyncIterator[Alertmanager]:
    """Started with this config in a directory that is there, and ended on the way out."""
    need(PROGRAM)
    file, port = directory / "alertmanager.yml", free_port()
    file.write_text(yaml.safe_dump(dict(config)))
    command = [PROGRAM, f"--config.file={file}", f"--storage.path={directory / 'data'}", "--cluster.listen-address="]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--web.external-url=http://monitor.example:9093"]
    process = ServerProcess(command, (port,), directory / "output", os.environ)
    await process.start(SECONDS)
    try:
        yield Alertmanager(port)
    finally:
        await process.stop(5)
