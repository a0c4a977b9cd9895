"""Whatever a STOMP client says is answered with frames of the specification, and harms nobody else."""

from __future__ import annotations

import os
import random
import re
import socket
import subprocess
from collections.abc import Iterator
from time import monotonic

import pytest
import yaml

from tests.support.daemon import program
from tests.support.ports import free_port
from xmppbus.errors import Code
from xmppbus.inputs.stomp_frames import SERVER_COMMANDS, Frame, Parser

RUNS = int(os.environ.get("FUZZ_RUNS", "300"))
CODES = {str(code) for code in Code} - {str(Code.FAILED)}

COMMANDS = ["SEND", "SUBSCRIBE", "UNSUBSCRIBE", "ACK", "NACK", "BEGIN", "COMMIT", "ABORT", "DISCONNECT", "CONNECT", "X"]
HEADERS = [
    *("destination:/topic/a", "destination:/topic/#", "destination:/queue/q", "destination:/queue/a b"),
    *("id:0", "id:1", "id:1-1", "id:2-1", "message-id:1-1", "subscription:0", "receipt:r", "destination:x"),
    *("ack:auto", "ack:client", "ack:client-individual", "ack:x", "prefetch-count:1", "prefetch-count:x"),
    *("content-type:application/json", "content-type:application/cloudevents+json", "content-length:2"),
    *("status:firing", "key:k", "source:s", "x-own:\\c\\n\\\\", "bad:\\x", "queue:q", "severity:error"),
    *("accept:application/cloudevents+json", "transaction:t", "transaction:u", "requeue:false"),
]
BODIES = ["", "", "text", "{}", '{"type":"a"}', "[1]", "\ufffe\x1b[31m"]


def conversation(dice: random.Random) -> bytes:
    """CONNECT, mostly, and then anything."""
    version = dice.choice(["1.0", "1.1", "1.2", "1.2", "1.2"])
    found = [f"CONNECT\naccept-version:{version}\n\n\0".encode()] if dice.random() < 0.95 else []
    for _ in range(dice.randrange(8)):
        command = dice.choice(COMMANDS[:8] if dice.random() < 0.9 else COMMANDS)
        headers = "".join(f"{dice.choice(HEADERS)}\n" for _ in range(dice.randrange(6)))
        if command in ("SEND", "SUBSCRIBE") and dice.random() < 0.8:
            headers = dice.choice(HEADERS[:3]) + "\n" + headers
        body = dice.choice(BODIES) if command == "SEND" else ""
        found.append(f"{command}\n{headers}\n{body}\0".encode())
    data = b"".join(found)
    if dice.random() < 0.1:
        at = dice.randrange(len(data) + 1)
        data = data[:at] + dice.randbytes(dice.randrange(4)) + data[at + dice.randrange(3) :]
    return data


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Of a daemon's listener."""
    directory, found = tmp_path_factory.mktemp("stomp"), free_port()
    config, log = directory / "xmppbus.yaml", directory / "log"
    listen = {"stomp": {"listen": f"127.0.0.1:{found}"}}
    config.write_text(yaml.safe_dump({"http": None, "inputs": listen, "socket": {"path": str(directory / "socket")}}))
    environment = {**os.environ, "XMPPBUS_STATE": str(directory)}
    command = [program(), "serve", "--config", str(config)]
    with log.open("wb") as output, subprocess.Popen(command, env=environment, stderr=output) as process:
        deadline = monotonic() + 20
        while b"listening on stomp://" not in log.read_bytes():
            assert process.poll() is None, log.read_text()
            assert monotonic() < deadline
        yield found
        process.terminate()
        assert process.wait(20) == 0
    assert "Traceback" not in log.read_text(), log.read_text()


def talk(port: int, data: bytes) -> list[Frame]:
    """Every frame that is answered, with nothing behind what is said."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while more := connection.recv(65536):
                received += more
        except (BrokenPipeError, ConnectionResetError):
            pass  # it was told to go away, and had more to say
    parser = Parser(SERVER_COMMANDS)
    version = re.search(rb"\nversion:(1\.[012])\n", received)
    parser.version = version[1].decode() if version else "1.2"
    parser.feed(received)
    found = []
    while frame := parser.take():
        found.append(frame)
    return found


def test_any_conversation_is_answered_with_frames_and_documented_codes(port: int) -> None:
    """And the next client is served."""
    seed = os.environ.get("FUZZ_SEED", "1")
    dice = random.Random(seed)
    for number in range(RUNS):
        said = conversation(dice)
        found = talk(port, said)
        context = f"seed {seed}, conversation {number}: {said!r} {found}"
        assert [each.command for each in found].count("ERROR") <= 1, context
        for frame in found:
            if frame.command == "ERROR":
                assert frame is found[-1], context
                assert frame.get("code") in CODES, context
                assert frame.get("message"), context
    good = talk(port, b"CONNECT\n\n\0SEND\ndestination:/topic/still.alive\nreceipt:1\n\n\0")
    assert [frame.command for frame in good] == ["CONNECTED", "RECEIPT"]
