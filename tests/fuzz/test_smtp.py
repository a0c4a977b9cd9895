"""Whatever is said to the SMTP listener is answered with a reply of SMTP's, and harms nobody else."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.house.test_smtp import Mailing

RUNS = int(os.environ.get("FUZZ_RUNS", "300"))
REPLY = re.compile(rb"[2345][0-9]{2}[ -][^\r\n]*\r\n")

WORDS = [b"EHLO a", b"HELO a", b"MAIL FROM:<a@b>", b"MAIL FROM:<>", b"RCPT TO:<disk.full>", b"RCPT TO:<@>", b"DATA"]
WORDS += [b"RSET", b"NOOP", b"QUIT", b"HELP", b"VRFY a", b"EXPN a", b"STARTTLS", b"AUTH PLAIN AGEAYg==", b"AUTH LOGIN"]
WORDS += [
    b".",
    b"",
    b"Subject: a",
    b"MAIL FROM:<a@b> SIZE=9999999999 BODY=8BITMIME SMTPUTF8",
    b"RCPT TO:<a b>",
    b"GET /",
]
WORDS += [b'RCPT TO:<"a\\"b"@c>', b"RCPT TO:<\xff@\xfe>", b"RCPT TO: a..b@c", b"MAIL FROM:a", b"RCPT TO:<a@[1::]>"]

lines = st.one_of(st.sampled_from(WORDS), st.binary(max_size=60), st.just(b"x" * 1_200))
sessions = st.lists(st.tuples(lines, st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b""])), max_size=14)


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailing]:
    """A daemon of its own."""
    import asyncio

    daemon = Mailing(Path(tmp_path_factory.mktemp("bus")))
    asyncio.run(daemon.start())
    yield daemon
    asyncio.run(daemon.stop())


@given(sessions)
@settings(max_examples=RUNS, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_session_is_answered_in_smtps_words(listener: Mailing, session: list[tuple[bytes, bytes]]) -> None:
    """Also in the order in which nobody says them; and the next one is served."""
    content = b"EHLO a\r\n" + b"".join(line + end for line, end in session)
    with contextlib.closing(socket.create_connection(("127.0.0.1", listener.port), timeout=10)) as connection:
        said = b""
        with contextlib.suppress(ConnectionError):
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
            while data := connection.recv(65_536):
                said += data
    assert not re.sub(REPLY, b"", said), said
    log = listener.log()
    assert "Traceback" not in log, log[-3000:]
    assert listener.is_healthy()
