"""Programs at the Unix socket: PUBLISH frames, pipelined, each answered after the commit; and the socket's file."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import Daemon, program
from tests.support.waiting import until
from xmppbus import limits
from xmppbus.inputs import frames
from xmppbus.inputs.frames import Splitter, pack


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    async with Daemon(tmp_path) as started:
        yield started


class Program:
    """One that publishes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._splitter = Splitter(2**24)
        self._found: list[tuple[int, bytes]] = []

    def publish(self, *events: dict[str, Any]) -> None:
        self.writer.write(pack(frames.PUBLISH, b"".join(json.dumps(event).encode() + b"\n" for event in events)))

    async def frame(self) -> tuple[int, bytes]:
        while not self._found:
            data = await asyncio.wait_for(self.reader.read(2**16), 20)
            if not data:
                raise EOFError
            self._found = self._splitter.feed(data)
        return self._found.pop(0)

    async def results(self) -> list[dict[str, Any]]:
        kind, payload = await self.frame()
        assert kind == frames.RESULT, payload
        return [json.loads(line) for line in payload.splitlines()]


@pytest.fixture
async def connected(daemon: Daemon) -> AsyncIterator[Program]:
    """A program's connection."""
    reader, writer = await asyncio.open_unix_connection(daemon.socket)
    yield Program(reader, writer)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def test_each_frame_is_answered_in_order_with_a_line_an_event(daemon: Daemon, connected: Program) -> None:
    """Also an empty one, and one in which everything is wrong."""
    connected.publish(
        {"type": "a.b", "id": "1", "source": "s"}, {"type": "a b"}, {"type": "a.b", "id": "2", "source": "s"}
    )
    connected.publish()
    connected.publish({"type": "a.b", "id": "1", "source": "s"})
    connected.writer.write(pack(frames.PUBLISH, b"not json\n"))
    first, empty, known, bad = [await connected.results() for _ in range(4)]
    assert [each.get("sequence") for each in first] == [1, None, 2]
    assert first[0]["result"] == "new"
    assert first[1]["error"] == {
        "code": "invalid-event",
        "message": "'a b' is not dotted words of A-Z a-z 0-9 _ -, such as user.signup",
        "field": "type",
    }
    assert empty == []
    assert known == [{**first[0], "result": "known"}]
    assert bad[0]["error"]["code"] == "invalid-event"
    assert (await daemon.show(first[2]["id"]))["event"]["id"] == "2"


async def test_a_program_may_send_all_it_has_and_then_read(connected: Program) -> None:
    """Ten thousand frames, half closed behind them."""

    async def send() -> None:
        for number in range(10_000):
            connected.publish({"type": "n", "id": str(number), "source": "s"})
            await connected.writer.drain()
        connected.writer.write_eof()

    async with asyncio.TaskGroup() as group:
        group.create_task(send())
        found = [await connected.results() for _ in range(10_000)]
    assert [each[0]["sequence"] for each in found] == list(range(1, 10_001))
    with pytest.raises(EOFError):
        await connected.frame()


async def test_a_program_that_never_reads_is_not_read_from_for_ever(daemon: Daemon) -> None:
    """And others go on meanwhile."""
    stuck = socket.socket(socket.AF_UNIX)
    with stuck:
        stuck.connect(str(daemon.socket))
        stuck.setblocking(False)
        frame = pack(frames.PUBLISH, b"".join(b'{"type": "n", "data": "%d"}\n' % each for each in range(200)))
        sent = 0

        def push() -> bool:
            nonlocal sent
            try:
                sent += stuck.send(frame)
            except BlockingIOError:
                return True
            return False

        last = 0
        while True:  # until it takes no more for a second
            await until(push, 20, "the daemon to stop reading")
            await daemon.command("publish", "t", "another gets through")
            if sent == last:
                break
            last = sent
        assert sent < 100 * limits.MIB


async def test_more_events_than_a_batch_in_one_frame_are_refused_together(connected: Program) -> None:
    """And the connection goes on."""
    connected.publish(*({"type": "n"} for _ in range(limits.BATCH_EVENTS + 1)))
    connected.publish({"type": "n"})
    assert (await connected.results())[0]["error"]["code"] == "payload-too-big"
    assert (await connected.results())[0]["sequence"] == 1


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"P\xff\xff\xff\xff",
        pack(frames.GO),
        pack(frames.VERSION, b"1") + pack(frames.WIDTH, b"wide") + pack(frames.GO),
        pack(frames.VERSION, b"999") + pack(frames.ARGUMENT, b"publish") + pack(frames.GO),
        pack(frames.PUBLISH, b"{}") + pack(frames.GO),
        pack(frames.CONTENT, b"unasked"),
        pack(frames.VERSION, b"1") + pack(frames.ARGUMENT, b"x") * (limits.COMMAND_ARGUMENTS + 1),
    ],
    ids=["http", "length", "go", "width", "version", "mixed", "content", "arguments"],
)
async def test_what_is_no_frame_of_the_protocol_ends_the_connection_with_a_sentence(
    daemon: Daemon, connected: Program, data: bytes
) -> None:
    """And only that connection."""
    connected.writer.write(data)
    found = []
    with contextlib.suppress(EOFError, ConnectionResetError):
        while True:
            found.append(await connected.frame())
    assert [kind for kind, _ in found if kind != frames.RESULT] == [frames.ERROR, frames.EXIT]
    assert (await daemon.run("publish", "t", "x")).code == 0


async def test_a_client_can_not_make_the_daemon_serve(connected: Program) -> None:
    """Commands that run where they are typed are none of its own."""
    typed = [pack(frames.ARGUMENT, each) for each in (b"serve", b"--config", b"/etc/passwd")]
    connected.writer.write(pack(frames.VERSION, b"1") + b"".join(typed) + pack(frames.GO))
    (kind, said), exit_code = await connected.frame(), await connected.frame()
    assert kind == frames.ERROR
    assert b"No such command 'serve'" in said
    assert exit_code == (frames.EXIT, b"64")


async def test_a_stale_socket_is_replaced_and_a_live_one_is_refused(daemon: Daemon, tmp_path: Path) -> None:
    """Two daemons with journals of their own must not take each other's socket."""
    daemon.kill()
    assert daemon.socket.exists()
    await daemon.start()
    second = Daemon(tmp_path / "second", config={"socket": {"path": str(daemon.socket)}})
    second.environment["XMPPBUS_SOCKET"] = str(daemon.socket)
    second.spawn()
    assert second.process
    assert await asyncio.to_thread(second.process.wait, 20) == 75
    assert f"another daemon answers on {daemon.socket}" in second.log()
    assert (await daemon.run("publish", "t", "x")).code == 0


async def test_a_second_daemon_on_the_same_journal_is_refused(daemon: Daemon, tmp_path: Path) -> None:
    """At once, with exit code 75."""
    second = Daemon(tmp_path / "second", config={"journal": {"path": str(daemon.journal)}})
    second.spawn()
    assert second.process
    assert await asyncio.to_thread(second.process.wait, 20) == 75
    assert str(daemon.journal) in second.log()


async def test_the_socket_goes_with_its_daemon(daemon: Daemon) -> None:
    """So that a publisher spools at once."""
    await daemon.stop()
    assert not daemon.socket.exists()


async def test_what_was_being_published_when_the_daemon_stops_is_answered(daemon: Daemon, connected: Program) -> None:
    """Each event has its result, or the connection ends before it: never a yes that is not on disk."""
    for number in range(3000):
        connected.publish({"type": "n", "id": str(number), "source": "s"})
    await connected.results()
    stopping = asyncio.create_task(daemon.stop())
    answered = 1
    try:
        while await connected.results():
            answered += 1
    except (EOFError, ConnectionResetError):
        pass
    assert await stopping == 0
    await daemon.start()
    assert (await daemon.status())["journal"]["entries"] >= answered


async def test_who_has_not_yet_said_what_it_wants_is_told_that_the_daemon_stops(
    daemon: Daemon, connected: Program
) -> None:
    """And to try again."""
    connected.writer.write(pack(frames.VERSION, frames.PROTOCOL))

    async def there() -> bool:
        return bool((await daemon.status())["inputs"]["unix"]["connections"] == 2)  # and the one that asks

    await until(there, 10, "the connection to be taken")
    await daemon.stop()
    assert await connected.frame() == (frames.ERROR, b"xmppbus: the daemon is stopping\n")
    assert await connected.frame() == (frames.EXIT, b"75")


async def test_a_client_of_no_known_command_gets_help(daemon: Daemon) -> None:
    """Exit 64, and the nearest name."""
    done = await daemon.run("publsh", "t")
    assert done.code == 64
    assert "No such command 'publsh'" in done.err


async def test_a_relative_socket_in_the_environment_is_relative_to_the_user(daemon: Daemon) -> None:
    """As any path is."""
    environment = {**daemon.environment, "XMPPBUS_SOCKET": str(daemon.socket.relative_to(daemon.directory))}
    process = await asyncio.create_subprocess_exec(
        program(), "publish", "t", "x", env=environment, cwd=daemon.directory
    )
    assert await process.wait() == 0
