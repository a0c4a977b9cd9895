"""What the daemon and systemd say to each other, without a systemd: a NOTIFY_SOCKET of the test's own, and
systemd-socket-activate."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from tests.support.daemon import Daemon
from tests.support.missing import is_missing
from tests.support.ports import free_port
from tests.support.waiting import until
from xmppbus.running.systemd import Notifier

SOON = 10.0


class Manager:
    """The service manager's end of sd_notify(3)."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(str(path))
        self.told: list[dict[str, str]] = []

    def look(self) -> list[dict[str, str]]:
        """All datagrams so far."""
        while True:
            try:
                datagram = self._socket.recv(65_536).decode()
            except BlockingIOError:
                return self.told
            self.told.append(dict(line.split("=", 1) for line in datagram.split("\n")))

    async def until(self, told: Callable[[dict[str, str]], object], what: str) -> dict[str, str]:
        """The first datagram like that; what came before is forgotten."""
        await until(lambda: any(told(each) for each in self.look()), SOON, what)
        index = next(index for index, each in enumerate(self.told) if told(each))
        found, self.told = self.told[index], self.told[index + 1 :]
        return found

    def close(self) -> None:
        """The end."""
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Any:
    """A socket of its own."""
    found = Manager(tmp_path / "notify")
    yield found
    found.close()


@pytest.fixture
async def daemon(tmp_path: Path, manager: Manager) -> AsyncIterator[Daemon]:  # noqa: ARG001  # it has to be there
    """Told what systemd tells a service of Type=notify with a watchdog."""
    found = Daemon(tmp_path / "bus")
    found.environment |= {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"}
    async with found:
        yield found


async def test_it_says_when_it_is_ready_reloads_lives_and_stops(daemon: Daemon, manager: Manager) -> None:
    """In that order, with a line for `systemctl status`."""
    ready = await manager.until(lambda each: "READY" in each, "READY=1")
    assert ready == {"READY": "1", "STATUS": "up, 0 waiting, 0 dead"}
    fed = await manager.until(lambda each: "WATCHDOG" in each, "WATCHDOG=1")
    assert fed["STATUS"] == "up, 0 waiting, 0 dead"
    os.kill(daemon.pid or 0, signal.SIGHUP)
    reloading = await manager.until(lambda each: "RELOADING" in each, "RELOADING=1")
    assert int(reloading["MONOTONIC_USEC"]) > 0
    await manager.until(lambda each: "READY" in each, "READY=1 after the reload")
    daemon.config_file.write_text("xnpp: {}\n")
    assert (await daemon.run("reload")).code == 78
    await manager.until(lambda each: "RELOADING" in each, "RELOADING=1")
    await manager.until(lambda each: "READY" in each, "READY=1 although the config was not taken")
    await daemon.stop()
    assert (await manager.until(lambda each: "STOPPING" in each, "STOPPING=1"))["STOPPING"] == "1"


async def test_a_process_that_hangs_does_not_feed_the_watchdog(daemon: Daemon, manager: Manager) -> None:
    """Nothing is said for a whole watchdog's time, then again."""
    await manager.until(lambda each: "WATCHDOG" in each, "WATCHDOG=1")
    os.kill(daemon.pid or 0, signal.SIGSTOP)
    try:
        manager.look()
        manager.told.clear()
        begun = monotonic()
        await until(lambda: monotonic() - begun > 0.5, SOON, "more than the watchdog's time to pass")
        assert not manager.look()
    finally:
        os.kill(daemon.pid or 0, signal.SIGCONT)
    await manager.until(lambda each: "WATCHDOG" in each, "WATCHDOG=1 again")


async def test_a_journal_that_does_not_answer_does_not_feed_the_watchdog(tmp_path: Path, manager: Manager) -> None:
    """However well the loop runs: no event could be accepted."""
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "40000"})
    answers = asyncio.Event()
    asked = 0

    async def beat() -> None:
        nonlocal asked
        asked += 1
        await answers.wait()

    async def status() -> str:
        return "up\nREADY=1"

    feeding = asyncio.create_task(notifier.feed(beat, status))
    try:
        await until(lambda: asked > 3, SOON, "it to be asked in vain")
        assert not manager.look()
        answers.set()
        fed = await manager.until(lambda each: "WATCHDOG" in each, "WATCHDOG=1")
        assert fed == {"WATCHDOG": "1", "STATUS": "up?READY=1"}, "nobody says anything else by a text"
    finally:
        feeding.cancel()
        await asyncio.wait([feeding])


async def test_who_is_not_asked_says_nothing(tmp_path: Path, manager: Manager) -> None:
    """No socket, no watchdog, another process's watchdog, a manager that has gone: nothing of it matters."""
    where = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
    for environ in ({}, {"WATCHDOG_USEC": "1000"}, where, {**where, "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}):
        assert Notifier(environ).watchdog_seconds == 0.0
        await Notifier(environ).feed(asyncio.Event().wait, never)
    Notifier({}).ready("up")
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).ready("up")
    assert not manager.look()


async def never() -> str:
    """Nobody asks."""
    raise AssertionError


async def test_systemd_may_open_the_sockets(tmp_path: Path) -> None:
    """The first who connects starts the daemon, and is answered."""
    if not shutil.which("systemd-socket-activate"):
        is_missing("systemd", "systemd-socket-activate")
    found = Daemon(tmp_path / "bus", config={"http": {"listen": "127.0.0.1:1"}})
    path, port = tmp_path / "activated", free_port()
    found.http_port = port
    found.socket = path
    found.environment["XMPPBUS_SOCKET"] = str(path)
    variables = (f"--setenv={name}={found.environment[name]}" for name in ("XMPPBUS_STATE", "PATH"))
    listen = (f"--listen={path}", f"--listen=127.0.0.1:{port}", "--fdname=unix:http")
    found.prefix = ("systemd-socket-activate", *listen, *variables)
    try:
        found.spawn()
        await until(found.answers, SOON, "the socket to be open")
        await until(lambda: "is up" in found.log(), SOON, "the daemon to be started")
        assert (await found.command("publish", "a.b", "text")).code == 0
        assert (await found.request("GET", "/health"))[0] == 200
        inputs = (await found.status())["inputs"]
        assert inputs["unix"]["path"] == str(path)
        assert inputs["events"]["address"] == f"http://127.0.0.1:{port}"
        assert (await found.command("reload")).out == "the config holds; new: nothing\n"
    finally:
        process, found.process = found.process, None
        if process:
            process.terminate()
            await asyncio.to_thread(process.wait, SOON)
    assert path.exists(), "it is systemd's"
