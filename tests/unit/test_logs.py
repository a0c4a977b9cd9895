"""The log: text, JSON and systemd's journal; nobody can write a second line into it, or a secret."""

from __future__ import annotations

import io
import json
import logging
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from xmppbus import limits
from xmppbus.running.logs import Bound, JournalHandler, JsonFormatter, TextFormatter, format_of, handler_of

TOKEN = "xmppbus.website.c2VjcmV0LWMyVmpjbVYwLXNlY3JldC1zZWNyZXQ"
HOSTILE = "a\r\n2026-01-01 CRITICAL xmppbus: forged\x1b[31m\x00\x85\u2028\u202e"


def record(message: str = "said %s", *arguments: object, level: int = logging.WARNING, **fields: Any) -> Any:
    """As a call of the house's makes it."""
    found = logging.LogRecord("xmppbus.deliver", level, __file__, 7, message, arguments, None, "work")
    vars(found).update(fields)
    return found


def failed(error: Exception) -> Any:
    """A record with a traceback."""
    found = record("it failed")
    try:
        raise error
    except Exception:
        found.exc_info = sys.exc_info()
    return found


def test_text_has_the_fields_behind_the_sentence() -> None:
    """Quoted where they are more than a word."""
    line = TextFormatter(coloured=False).format(record("said %s", "it", output="pubsub", place="a b", sequence=4))
    assert line.endswith('WARNING xmppbus.deliver: said it  output=pubsub place="a b" sequence=4')


def test_colours_are_for_terminals_only() -> None:
    """They mark the level, and dim the fields."""
    line = TextFormatter(coloured=True).format(record("said", output="pubsub"))
    assert "\x1b[33mWARNING\x1b[0m" in line
    assert line.endswith("\x1b[2moutput=pubsub\x1b[0m")


@pytest.mark.parametrize("formatter", [TextFormatter(coloured=False), JsonFormatter()], ids=["text", "json"])
def test_a_stranger_can_write_neither_lines_nor_colours(formatter: logging.Formatter) -> None:
    """In the message, in a field, and in what an exception says."""
    for each in (record("said %s", HOSTILE), record("said", place=HOSTILE)):
        line = formatter.format(each)
        assert line.isprintable()
        assert "forged" in line
    for line in formatter.format(failed(ValueError(HOSTILE))).split("\n")[1:]:
        assert line.startswith("  | ")
        assert line.isprintable()


def test_json_is_one_object_a_line() -> None:
    """With the time in UTC, and what the house says itself before what a field could say."""
    found = json.loads(JsonFormatter().format(record("said %s", "it", event_id="e", level_="x", logger="forged")))
    assert found["time"].endswith("+00:00")
    assert (found["level"], found["logger"], found["message"]) == ("warning", "xmppbus.deliver", "said it")
    assert found["event_id"] == "e"
    trace = json.loads(JsonFormatter().format(failed(ValueError("why"))))["exception"]
    assert trace.startswith("Traceback")
    assert trace.endswith("ValueError: why")


def test_tokens_are_left_out_and_long_texts_are_cut() -> None:
    """Whatever they stand in."""
    for each in (record("said %s", TOKEN), record("said", token=TOKEN), failed(ValueError(TOKEN))):
        for formatter in (TextFormatter(coloured=False), JsonFormatter()):
            line = formatter.format(each)
            assert "c2VjcmV0" not in line
            assert "xmppbus.website.***" in line
    long = TextFormatter(coloured=False).format(record("said %s", "x" * 10 * limits.LOG_CHARACTERS))
    assert len(long) < limits.LOG_CHARACTERS + 200
    deep = TextFormatter(coloured=False).format(failed(ValueError("x\n" * 10 * limits.LOG_CHARACTERS)))
    assert len(deep) < 6 * limits.LOG_CHARACTERS


def test_a_call_with_wrong_arguments_is_said_as_it_stands() -> None:
    """A mistake in a log call is no reason to lose what it says."""
    assert TextFormatter(coloured=False).format(record("said %d", "text")).endswith("said %d")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[socket.socket]:
    """What systemd's journal listens on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as found:
        found.bind(str(tmp_path / "journal"))
        found.settimeout(5)
        yield found


def received(journal: socket.socket) -> dict[str, str]:
    """One datagram, read as systemd.io/JOURNAL_NATIVE_PROTOCOL says."""
    stream, found = io.BytesIO(journal.recv(1 << 20)), dict[str, str]()
    while line := stream.readline():
        name, equals, value = line.rstrip(b"\n").partition(b"=")
        if not equals:
            value = stream.read(int.from_bytes(stream.read(8), "little"))
            assert stream.read(1) == b"\n"
        found[name.decode()] = value.decode()
    return found


def test_the_journal_gets_fields(journal: socket.socket, tmp_path: Path) -> None:
    """With priorities of syslog, so that `journalctl -p warning EVENT_ID=...` finds them."""
    handler = JournalHandler(str(tmp_path / "journal"))
    handler.handle(record("said %s", HOSTILE, event_id="e", output="pubsub", place="p\nMESSAGE=forged", message_="x"))
    found = received(journal)
    assert (found["PRIORITY"], found["SYSLOG_IDENTIFIER"], found["LOGGER"]) == ("4", "xmppbus", "xmppbus.deliver")
    assert (found["EVENT_ID"], found["OUTPUT"], found["PLACE"]) == ("e", "pubsub", r"p\nMESSAGE=forged")
    assert found["MESSAGE"].startswith(r"said a\r\n2026")
    assert (found["CODE_FILE"], found["CODE_LINE"], found["CODE_FUNC"]) == (__file__, "7", "work")
    levels = {logging.DEBUG: "7", logging.INFO: "6", logging.ERROR: "3", logging.CRITICAL: "2"}
    for level, priority in levels.items():
        handler.handle(record(level=level))
        assert received(journal)["PRIORITY"] == priority
    handler.handle(failed(ValueError("first\nsecond")))
    found = received(journal)
    assert found["EXCEPTION"].split("\n")[-2:] == ["ValueError: first", "second"]
    assert found["MESSAGE"] == "it failed"
    handler.handle(record("x" * 1_000_000, place="y" * 1_000_000))
    assert len(received(journal)["MESSAGE"]) < limits.LOG_CHARACTERS + 40
    handler.close()


def test_a_journal_that_is_behind_holds_nobody_up(journal: socket.socket, tmp_path: Path) -> None:
    """It is told later how much it has missed."""
    handler = JournalHandler(str(tmp_path / "journal"))
    while not handler.lost:
        handler.handle(record("x" * 10_000))
    handler.handle(record())
    assert handler.lost == 2
    received(journal)
    handler.handle(record())
    while (found := received(journal))["MESSAGE"].startswith("x"):
        assert "LOST" not in found
    assert found["LOST"] == "2"
    handler.close()


def test_without_a_journal_the_log_is_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And says why."""
    handler = handler_of("journal", {}, str(tmp_path / "nobody"))
    assert isinstance(handler.formatter, TextFormatter)
    assert "No such file" in capsys.readouterr().err


def test_the_form_is_what_was_asked_for_or_what_fits(tmp_path: Path) -> None:
    """`--log-format`, $XMPPBUS_LOG, and systemd's journal where it reads what we write."""
    with (tmp_path / "output").open("w") as stream:
        found = os.fstat(stream.fileno())
        mine = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        assert format_of(None, {}, stream) == "text"
        assert format_of(None, mine, stream) == "journal"
        assert format_of(None, {"JOURNAL_STREAM": "1:2"}, stream) == "text"
        assert format_of(None, {**mine, "XMPPBUS_LOG": "json"}, stream) == "json"
        assert format_of("text", {**mine, "XMPPBUS_LOG": "json"}, stream) == "text"
    with pytest.raises(ValueError, match="there are text, json, journal"):
        format_of(None, {"XMPPBUS_LOG": "xml"})


def test_one_sort_of_line_cannot_fill_the_disk() -> None:
    """The next minute's first says how many were left out; other sorts, and what ends the house, are not held back."""
    now = 0.0
    bound = Bound(lambda: now)
    assert sum(bound.filter(record(f"by {number}")) for number in range(1_000)) == limits.LOG_LINES
    assert bound.filter(logging.LogRecord("x", logging.INFO, __file__, 8, "another", (), None))
    assert bound.filter(record(level=logging.CRITICAL))
    now = limits.LOG_SECONDS
    later = record()
    assert bound.filter(later)
    assert later.left_out == 1_000 - limits.LOG_LINES
    for number in range(2 * limits.LOG_SORTS):
        bound.filter(logging.LogRecord("x", logging.INFO, __file__, 100 + number, "many", (), None))
    assert len(bound._sorts) <= limits.LOG_SORTS
