"""Whatever comes over the Unix socket is accepted or answered with a documented error, and harms nobody else."""

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.daemon import program
from xmppbus import limits
from xmppbus.errors import ANSWERS, Exit
from xmppbus.inputs import frames
from xmppbus.inputs.frames import Broken, Splitter, pack

EXITS = {value for name, value in vars(Exit).items() if name.isupper()}
CODES = {str(code) for code in ANSWERS}
KINDS = sorted(set(frames.FROM_CLIENTS))
RUNS = int(os.environ.get("FUZZ_RUNS", "300"))

COMMANDS = [b"publish", b"listen", b"get", b"status", b"show", b"dead", b"list", b"retry", b"replay"]
OPTIONS = [b"--since", b"-n", b"--json", b"--lines", b"--help", b"--data", b"--name"]
VALUES = [b"t", b"#", b"-", b"a b", b"all", b"1", b"a=1", b"n", b"\xff"]

words = st.sampled_from([*COMMANDS, *OPTIONS, *VALUES])
payloads = st.one_of(
    words,
    st.binary(max_size=64),
    st.sampled_from([b"1", b"80", b"000", b"111", b"NO_COLOR=1", b"TZ=../../etc", b"{}\n", b'{"type": "t"}\n' * 3]),
)
framed = st.tuples(st.sampled_from(KINDS), payloads).map(lambda each: pack(*each))
typed = st.lists(words, max_size=6).map(
    lambda given: b"".join(
        [pack(frames.VERSION, b"1"), *(pack(frames.ARGUMENT, each) for each in given), pack(frames.GO)]
    )
)
published = st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([b'{"type": "t", "data": 1}'])), max_size=4).map(
    lambda lines: pack(frames.PUBLISH, b"\n".join(lines))
)
conversations = st.lists(st.one_of(framed, typed, published, st.binary(max_size=20)), max_size=12).map(b"".join)


@given(st.binary(max_size=300), st.integers(1, 50))
@settings(max_examples=RUNS * 3)
def test_any_bytes_are_frames_or_broken_however_they_are_cut(data: bytes, step: int) -> None:
    """Whole or in pieces: the same frames, or broken in both."""

    def split(size: int) -> Any:
        splitter = Splitter(200, frames.FROM_CLIENTS)
        found = []
        try:
            for at in range(0, len(data), size):
                found += splitter.feed(data[at : at + size])
        except Broken:
            return "broken"
        return found

    assert split(step) == split(len(data) or 1)


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The socket of a local bus."""
    directory = tmp_path_factory.mktemp("fuzz")
    path = directory / "socket"
    (directory / "xmppbus.yaml").write_text("http: null\n")
    environment = {**os.environ, "XMPPBUS_STATE": str(directory), "XMPPBUS_SOCKET": str(path)}
    command = [program(), "serve", "--config", str(directory / "xmppbus.yaml")]
    log = directory / "log"
    with log.open("wb") as output, subprocess.Popen(command, env=environment, stderr=output) as process:
        deadline = monotonic() + 20
        while b"the bus is up" not in log.read_bytes():
            assert process.poll() is None, log.read_text()
            assert monotonic() < deadline
        yield path
        process.terminate()
        assert process.wait(20) == 0
    assert "Traceback" not in log.read_text(), log.read_text()


def talk(path: Path, data: bytes) -> list[tuple[int, bytes]]:
    """Everything that is answered to these bytes, with nothing behind them."""
    splitter = Splitter(limits.FRAME_BYTES * 2)
    found: list[tuple[int, bytes]] = []
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(path))
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while received := connection.recv(65536):
                found += splitter.feed(received)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it was told to go away, and had more to say
    return found


@given(conversations)
@settings(max_examples=RUNS, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_conversation_ends_with_documented_answers(bus: Path, data: bytes) -> None:
    """Exit codes of sysexits.h, results, refusals with a code; and the next client is served."""
    for kind, payload in talk(bus, data):
        if kind == frames.EXIT:
            assert int(payload) in EXITS
            assert int(payload) != Exit.SOFTWARE
        elif kind == frames.RESULT:
            for line in payload.splitlines():
                answer = json.loads(line)
                assert answer["error"]["code"] in CODES if "error" in answer else answer["result"] in ("new", "known")
        else:
            assert kind in (frames.OUTPUT, frames.ERROR, frames.SURELY, frames.ASK, frames.WATCH)
    good = talk(bus, pack(frames.PUBLISH, b'{"type": "still.alive"}'))
    assert [kind for kind, _ in good] == [frames.RESULT]
