"""R9, the STOMP broker that is as easy to set up as memcached: one option, and stock clients of three languages."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import Daemon, finished
from tests.support.missing import is_missing, need
from tests.support.ports import free_port
from tests.support.stomp_client import StompClient, frame
from tests.support.waiting import until

PHP = r"""<?php
[$_, $port, $command] = $argv;
$stomp = new Stomp("tcp://127.0.0.1:$port", "login", "");
if ($command === "send") {
    $stomp->send($argv[3], $argv[4], ["receipt" => "1", "severity" => "notice"]) or exit(1);
} else {
    $stomp->setReadTimeout(20);
    $stomp->subscribe($argv[3], ["ack" => "client"]);
    fwrite(STDOUT, "ready\n");
    for ($count = 0; $count < (int) $argv[4]; $count++) {
        $frame = $stomp->readFrame();
        fwrite(STDOUT, "$frame->body\n");
        $stomp->ack($frame, ["receipt" => "ack"]) or exit(1);
    }
    if ($stomp->error()) exit(2);
}
"""

PERL = r"""
use strict; use warnings; use Net::Stomp;
$| = 1;
my ($port, $command, $destination, $given) = @ARGV;
my $stomp = Net::Stomp->new({hostname => '127.0.0.1', port => $port});
$stomp->connect({login => 'login', passcode => ''});
if ($command eq 'send') {
    $stomp->send_with_receipt({destination => $destination, body => $given, severity => 'notice'}) or exit 1;
} else {
    $stomp->subscribe({destination => $destination, ack => 'client'});
    print "ready\n";
    for (1 .. $given) {
        my $frame = $stomp->receive_frame({timeout => 20}) or exit 2;
        print $frame->body, "\n";
        $stomp->ack({frame => $frame});
    }
}
$stomp->disconnect;
"""

PYTHON = r"""
import queue, sys
import stomp
port, command, destination, given = sys.argv[1:]
frames = queue.Queue()
class Listener(stomp.ConnectionListener):
    on_message = on_receipt = on_error = lambda self, frame: frames.put(frame)
connection = stomp.Connection12([("127.0.0.1", int(port))], heartbeats=(5000, 5000))
connection.set_listener("", Listener())
connection.connect("login", "", wait=True)
if command == "send":
    connection.send(destination, given, receipt="1", severity="notice")
    sys.exit(0 if frames.get(timeout=20).cmd == "RECEIPT" else 1)
connection.subscribe(destination, id="0", ack="client-individual")
print("ready", flush=True)
for _ in range(int(given)):
    frame = frames.get(timeout=20)
    print(frame.body, flush=True)
    connection.ack(frame.headers["ack"], receipt="ack")
    assert frames.get(timeout=20).cmd == "RECEIPT"
connection.disconnect()
"""

PROGRAMS = {"php": ("php", PHP), "perl": ("/usr/bin/perl", PERL), "python": (sys.executable, PYTHON)}


def need_stock_clients() -> None:
    """Debian's of PHP and Perl; stomp.py is a requirement of the tests."""
    need("php")
    for path, package in (("/usr/share/perl5/Net/Stomp.pm", "libnet-stomp-perl"), ("/etc/php", "php8.2-stomp")):
        if not Path(path).exists():
            is_missing(package, f"apt-get install {package}")


class Stock:
    """A stock client as a process: `send` is done when it has its receipt, `take` acknowledges each event."""

    def __init__(self, language: str, port: int, directory: Path) -> None:
        interpreter, text = PROGRAMS[language]
        script = directory / f"client.{language}"
        script.write_text(text)
        self._command = [shutil.which(interpreter) or interpreter, str(script), str(port)]

    async def send(self, destination: str, text: str) -> None:
        """Publish, and wait for the RECEIPT."""
        done = await finished(await self._start("send", destination, text), None, 30)
        assert done.code == 0, done

    @asynccontextmanager
    async def taking(self, destination: str, count: int) -> AsyncIterator[asyncio.subprocess.Process]:
        """One that is subscribed, until it has had so many."""
        process = await self._start("take", destination, str(count))
        assert process.stdout
        try:
            assert await asyncio.wait_for(process.stdout.readline(), 20) == b"ready\n"
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _start(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *self._command, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )


async def lines(process: asyncio.subprocess.Process, count: int) -> list[str]:
    """So many lines that it prints."""
    assert process.stdout
    return [(await asyncio.wait_for(process.stdout.readline(), 20)).decode().strip() for _ in range(count)]


async def subscribed(daemon: Daemon, count: int) -> bool:
    """Whether so many are, by now: a client without a receipt does not know."""
    return bool((await daemon.status())["inputs"]["stomp"]["subscriptions"] == count)


def stomping(directory: Path, **options: Any) -> tuple[Daemon, int]:
    """A daemon with the one option, on a port of the test's."""
    port = free_port()
    return Daemon(directory, config={"inputs": {"stomp": {"listen": f"127.0.0.1:{port}", **options}}}), port


async def test_r09_stock_clients_share_topics_and_queues(tmp_path: Path) -> None:
    """Each of PHP's, Perl's and Python's sends; a topic reaches all of them, each event of a queue one of them."""
    need_stock_clients()
    daemon, port = stomping(tmp_path / "bus")
    async with daemon, AsyncExitStack() as stack:
        stock = {language: Stock(language, port, tmp_path) for language in PROGRAMS}
        topic = [await stack.enter_async_context(each.taking("/topic/user.signup", 3)) for each in stock.values()]
        queue = [await stack.enter_async_context(each.taking("/queue/mails", 99)) for each in stock.values()]
        await until(lambda: subscribed(daemon, 6), 20, "six subscriptions", poll=0.1)
        for language, each in stock.items():
            await asyncio.gather(each.send("/topic/user.signup", language), each.send("/queue/mails", language))
        for process in topic:
            assert sorted(await lines(process, 3)) == sorted(PROGRAMS)
        await daemon.until_nothing_waits(20)  # all of them are acknowledged
        for process in queue:
            process.terminate()
        printed = [await process.communicate() for process in queue]
        assert sorted(b"".join(out for out, _ in printed).decode().split()) == sorted(PROGRAMS)


async def test_r09_what_stomp_sends_is_an_event_like_any_other_and_a_queue_is_nobodys_else(tmp_path: Path) -> None:
    """`listen` shows it, with its severity; and what the command line publishes reaches STOMP."""
    daemon, port = stomping(tmp_path / "bus")
    async with daemon, StompClient(port) as client:
        await client.connect()
        await client.send("/queue/jobs", b"only of the queue")
        await client.send("/topic/user.signup", b"alice joined", severity="notice")
        shown = json.loads((await daemon.command("listen", "--since", "all", "-n", "1", "--json")).out)
        assert (shown["event"]["data"], shown["event"]["severity"]) == ("alice joined", "notice")
        await client.subscribe("/topic/disk.#")
        await daemon.command("publish", "disk.full", "/ is full", "--severity", "error", "--key", "db1")
        got = await client.message()
        assert (got.body, got["severity"], got["key"]) == (b"/ is full", "error", "db1")
        await client.subscribe("/queue/jobs", id="1")
        assert (await client.message()).body == b"only of the queue"


async def test_r09_a_killed_consumers_events_go_to_another(tmp_path: Path) -> None:
    """And none comes twice that was acknowledged."""
    need_stock_clients()
    daemon, port = stomping(tmp_path / "bus")
    async with daemon, StompClient(port) as client:
        await client.connect()
        async with StompClient(port) as holder:
            await holder.connect()
            await holder.subscribe("/queue/jobs", ack="client-individual")
            for number in range(3):
                await client.send("/queue/jobs", b"%d" % number)
            held = [await holder.message() for _ in range(3)]
            await holder.done("ACK", id=held[1]["ack"])
            async with Stock("perl", port, tmp_path).taking("/queue/jobs", 2) as other:
                await until(lambda: subscribed(daemon, 2), 20, "the other", poll=0.1)
                holder.writer.transport.abort()
                assert await lines(other, 2) == ["0", "2"]
                assert await asyncio.wait_for(other.wait(), 20) == 0  # it has acknowledged both, and gone
        await daemon.until_nothing_waits(20)


async def test_r09_whatever_had_a_receipt_is_there_after_kill_9(tmp_path: Path) -> None:
    """Killed with receipts outstanding; what was consumed is not there again."""
    daemon, port = stomping(tmp_path / "bus")
    async with daemon:
        yes: set[str] = set()
        with contextlib.suppress(EOFError, ConnectionError):
            async with StompClient(port) as client:
                await client.connect()
                for number in range(3_000):
                    headers = {"destination": f"/queue/{'ab'[number % 2]}", "ce-id": number, "receipt": number}
                    client.raw(frame("SEND", headers, b"x"))
                while True:
                    yes.add((await client.get())["receipt-id"])
                    if len(yes) == 1_000:
                        daemon.kill()
        await daemon.start()
        assert len(yes) >= 1_000
        assert yes <= await consumed(port, ["/queue/a", "/queue/b"], len(yes))
        assert await consumed(port, ["/queue/a", "/queue/b"], 0) == set()


async def consumed(port: int, destinations: Sequence[str], least: int) -> set[str]:
    """The ids of all that is in queues; it is acknowledged."""
    found: set[str] = set()
    async with StompClient(port) as client:
        await client.connect()
        for number, destination in enumerate(destinations):
            await client.subscribe(destination, id=str(number), ack="client", **{"prefetch-count": "1000"})
        with contextlib.suppress(TimeoutError):
            while True:
                got = await client.get(20 if len(found) < least else 0.3)
                assert got["ce-id"] not in found
                found.add(got["ce-id"])
                client.say("ACK", id=got["ack"])
        await client.done("BEGIN", transaction="a frame behind all of them")
    return found


async def test_r09_a_thousand_clients_that_stall_keep_nobody_out(tmp_path: Path) -> None:
    """Half a CONNECT, CONNECT and silence, and MESSAGEs that are never read; from the address of the good ones."""
    daemon, port = stomping(tmp_path / "bus")
    async with daemon, AsyncExitStack() as stack:
        stalled = []
        for number in range(1_000):
            client = StompClient(port)
            await client.__aenter__()
            stack.callback(client.writer.transport.abort)
            stalled.append(client)
            if number % 3 == 0:
                client.raw(b"CONNECT\naccept-version:1.2\n")
            else:
                client.raw(frame("CONNECT", {"accept-version": "1.2"}))
            if number % 3 == 2:
                client.read_no_more()
                client.say("SUBSCRIBE", {"id": "0", "destination": "/topic/big.#"})
        async with StompClient(port) as good:
            await good.connect()
            await good.subscribe("/topic/user.#")
            for number in range(20):
                await good.send(f"/topic/big.{number}", b"x" * 150_000)
            await good.send("/topic/user.signup", b"alice joined")
            assert (await good.message()).body == b"alice joined"
            async with StompClient(port) as another:
                await another.connect()
                await another.send("/topic/user.signup", b"bob joined")
            assert (await good.message()).body == b"bob joined"
            assert (await daemon.request("POST", "/v1/events/user.signup", "eve joined"))[0] == 202
            assert (await good.message()).body == b"eve joined"


async def test_r09_the_daemon_counts_what_came_over_stomp(tmp_path: Path) -> None:
    """Like that of every way in."""
    daemon, port = stomping(tmp_path / "bus")
    async with daemon, StompClient(port) as client:
        await client.connect()
        await client.send("/topic/a")
        _, metrics = await daemon.request("GET", "/metrics")
        counted = [each for each in metrics.decode().splitlines() if 'input="stomp"' in each]
        assert any(each.startswith("xmppbus_events_accepted_total{") and each.endswith(" 1.0") for each in counted), (
            counted
        )
        said = (await daemon.command("status")).out
        assert f"stomp://127.0.0.1:{port}, connections 1" in said


@pytest.mark.parametrize("options", [{"listen": "0.0.0.0:0"}])
async def test_r09_beyond_loopback_without_tokens_it_does_not_start(tmp_path: Path, options: dict[str, str]) -> None:
    """It says where in the config, and what to do."""
    daemon, _ = stomping(tmp_path, **options)
    done = await daemon.run("serve")
    assert done.code == 78
    assert "xmppbus token add" in done.err
    assert "xmppbus.yaml:" in done.err
