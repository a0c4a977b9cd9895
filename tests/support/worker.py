"""`xmppbus work` in a process of its own, as its users run it; what its commands write is in a file."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.daemon import Daemon, program
from tests.support.waiting import until


class Worker:
    """One worker of a queue. `done` is the file into which the script writes; the script's `$done` is its name."""

    def __init__(self, daemon: Daemon, directory: Path, *arguments: str, script: str, **variables: str) -> None:
        self._daemon = daemon
        self.done = directory / "done"
        self._arguments: Sequence[str] = (*arguments, "--", "sh", "-c", script)
        self._variables = {"done": str(self.done), **variables}
        self._errors = directory / "errors"
        directory.mkdir(parents=True, exist_ok=True)
        self.process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            print(f"the worker said: {self.errors()}")
        if self.process and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def start(self) -> None:
        """Let it begin; it need not have connected yet."""
        with self._errors.open("ab") as errors:
            self.process = await asyncio.create_subprocess_exec(
                *(program(), "work", *self._arguments),
                env={**self._daemon.environment, **self._variables},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                start_new_session=True,
            )

    def send(self, number: signal.Signals) -> None:
        """A signal."""
        assert self.process
        self.process.send_signal(number)

    async def ended(self, timeout: float = 30) -> int:
        """Its exit code, once it has ended."""
        assert self.process
        async with asyncio.timeout(timeout):
            return await self.process.wait()

    def lines(self) -> list[str]:
        """What its commands have written into the file."""
        with contextlib.suppress(FileNotFoundError):
            return self.done.read_text().splitlines()
        return []

    def errors(self) -> str:
        """What it and its commands have said."""
        return self._errors.read_text() if self._errors.exists() else ""


async def until_consumed_by(daemon: Daemon, queue: str, consumers: int) -> None:
    """Until so many consume a queue."""

    async def there() -> bool:
        found = await daemon.run("queue", "info", queue, "--json")
        return found.code == 0 and found.json["consumers"] == consumers

    await until(there, 30, f"{consumers} consumers of {queue}")
