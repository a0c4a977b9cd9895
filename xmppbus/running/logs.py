"""The log: one line a record, with its fields, as text for people, as JSON, or as fields of systemd's journal.

Texts hold what strangers send. So control characters are escaped, whatever the form: nobody can write a second line, or
colours, into a log. What looks like a token is left out, and of one sort of line only so many a minute are written.
"""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import sys
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from time import monotonic
from typing import Any, TextIO

from xmppbus import limits

FORMATS = ("text", "json", "journal")
VARIABLE = "XMPPBUS_LOG"
JOURNAL_SOCKET = "/run/systemd/journal/socket"

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_TOKEN = re.compile(r"\bxmppbus\.([A-Za-z0-9_-]{1,64})\.[A-Za-z0-9_-]{20,}")
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
_STYLES = {logging.DEBUG: "2", logging.WARNING: "33", logging.ERROR: "31", logging.CRITICAL: "1;31"}
_PLAIN_VALUE = re.compile(r"[^\s\"=]+")


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """What the caller has given as `extra`: `event_id`, `output`, `place`..., as text or numbers."""
    return {
        name: value if isinstance(value, (int, float)) else shown(str(value))
        for name, value in vars(record).items()
        if name not in _OWN
    }


def shown(text: str) -> str:
    """Text on one line, bounded, without control characters and tokens."""
    if len(text) > limits.LOG_CHARACTERS:
        text = f"{text[: limits.LOG_CHARACTERS]} ({len(text)} characters)"
    if not text.isprintable():
        text = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
    return _TOKEN.sub(r"xmppbus.\1.***", text)


def message_of(record: logging.LogRecord) -> str:
    """What is said; a call with wrong arguments is said as it stands."""
    try:
        return shown(record.getMessage())
    except (TypeError, ValueError):
        return shown(str(record.msg))


def trace_of(record: logging.LogRecord) -> list[str]:
    """The lines of the traceback, if there is one. What an exception says may be anybody's text."""
    if not record.exc_info or not record.exc_info[0]:
        return []
    lines = "".join(traceback.format_exception(*record.exc_info)).splitlines()
    kept, length = list[str](), 0
    for line in reversed(lines):  # the end says what it was
        length += len(line) + 8  # and what stands before it
        if length > limits.LOG_CHARACTERS:
            kept.append("...")
            break
        kept.append(shown(line))
    return kept[::-1]


class TextFormatter(logging.Formatter):
    """`2026-11-21 11:35:26,123 WARNING xmppbus.deliver: what is said  output=pubsub place=ops.disk`."""

    def __init__(self, *, coloured: bool) -> None:
        super().__init__()
        self._coloured = coloured

    def format(self, record: logging.LogRecord) -> str:
        """A line; a traceback has lines of its own, each behind a bar."""
        style = _STYLES.get(record.levelno, "") if self._coloured else ""
        level = f"\x1b[{style}m{record.levelname}\x1b[0m" if style else record.levelname
        line = f"{self.formatTime(record)} {level} {record.name}: {message_of(record)}"
        if fields := " ".join(f"{name}={_value(value)}" for name, value in fields_of(record).items()):
            line += f"  \x1b[2m{fields}\x1b[0m" if self._coloured else f"  {fields}"
        return "\n".join([line, *(f"  | {each}" for each in trace_of(record))])


def _value(value: Any) -> str:
    """As it is where it is one word, else quoted, with quotes and backslashes escaped."""
    text = str(value)
    return text if _PLAIN_VALUE.fullmatch(text) else json.dumps(text, ensure_ascii=False)


class JsonFormatter(logging.Formatter):
    """One object a line: `time` (RFC 3339, UTC), `level`, `logger`, `message`, `exception`, and the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        found: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message_of(record),
        }
        if trace := trace_of(record):
            found["exception"] = "\n".join(trace)
        return json.dumps({**fields_of(record), **found}, ensure_ascii=False)


class JournalHandler(logging.Handler):
    """systemd's journal, in its own protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): one datagram a record."""

    def __init__(self, path: str = JOURNAL_SOCKET) -> None:
        """Raises OSError when there is no journal."""
        super().__init__()
        self.lost = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        try:
            self._socket.connect(path)
        except OSError:
            self._socket.close()
            raise

    def emit(self, record: logging.LogRecord) -> None:
        """Send it. A journal that is behind holds nobody up: the next record says how many it did not take."""
        fields = [*self._fields(record), *([("LOST", str(self.lost))] if self.lost else [])]
        try:
            self._socket.send(b"".join(_entry(name, value) for name, value in fields))
        except OSError:
            self.lost += 1
        else:
            self.lost = 0

    def _fields(self, record: logging.LogRecord) -> list[tuple[str, str]]:
        found = {
            "MESSAGE": message_of(record),
            "PRIORITY": str(_PRIORITIES.get(record.levelno, 6)),
            "SYSLOG_IDENTIFIER": "xmppbus",
            "LOGGER": record.name,
            "CODE_FILE": record.pathname,
            "CODE_LINE": str(record.lineno),
            "CODE_FUNC": record.funcName or "",
        }
        if trace := trace_of(record):
            found["EXCEPTION"] = "\n".join(trace)
        more = {name.upper(): str(value) for name, value in fields_of(record).items()}
        return [*({**more, **found}).items()]

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()
        super().close()


def _entry(name: str, value: str) -> bytes:
    """`NAME=value`, or with its length in front where a line break is in it."""
    text = value.encode("utf-8", "replace")
    if b"\n" not in text:
        return name.encode() + b"=" + text + b"\n"
    return name.encode() + b"\n" + len(text).to_bytes(8, "little") + text + b"\n"


class Bound(logging.Filter):
    """Lets `limits.LOG_LINES` of one sort through in `limits.LOG_SECONDS`; the next one says how many were left out.

    A sort is a place in the program, so that no text of a stranger makes one. Errors of the whole house always pass.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._sorts: dict[tuple[str, int], tuple[float, int]] = {}  # since when, and how many

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is written."""
        if record.levelno >= logging.CRITICAL:
            return True
        now, sort = self._clock(), (record.pathname, record.lineno)
        since, count = self._sorts.get(sort, (now, 0))
        if now - since >= limits.LOG_SECONDS:
            if count > limits.LOG_LINES:
                record.left_out = count - limits.LOG_LINES
            since, count = now, 0
        if sort not in self._sorts and len(self._sorts) >= limits.LOG_SORTS:
            self._sorts.clear()
        self._sorts[sort] = since, count + 1
        return count < limits.LOG_LINES


def format_of(given: str | None, environ: Mapping[str, str], stream: TextIO | None = None) -> str:
    """`--log-format`, else $XMPPBUS_LOG, else `journal` where systemd's journal reads the error output, else `text`.

    Raises `ValueError` for another word.
    """
    wanted = given or environ.get(VARIABLE)
    if wanted:
        if wanted not in FORMATS:
            raise ValueError(f"${VARIABLE} can't be {wanted!r}: there are {', '.join(FORMATS)}")
        return wanted
    return "journal" if _is_journal(stream or sys.stderr, environ.get("JOURNAL_STREAM", "")) else "text"


def _is_journal(stream: TextIO, named: str) -> bool:
    """$JOURNAL_STREAM is `device:inode` of what systemd has connected (systemd.exec(5)); a pipe behind us is not it."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return bool(named) and f"{found.st_dev}:{found.st_ino}" == named


def handler_of(form: str, environ: Mapping[str, str], journal: str = JOURNAL_SOCKET) -> logging.Handler:
    """What writes that form to the error output, or to the journal; without a journal, text."""
    if form == "journal":
        try:
            return JournalHandler(journal)
        except OSError as error:
            print(f"systemd's journal can't be written to ({error.strerror}); the log is text", file=sys.stderr)
    handler = logging.StreamHandler(sys.stderr)
    is_coloured = sys.stderr.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter(coloured=is_coloured))
    return handler


def begin_log(level: int, given: str | None, environ: Mapping[str, str]) -> None:
    """Log from now on. Raises `ValueError` for an unknown form."""
    handler = handler_of(format_of(given, environ), environ, environ.get("XMPPBUS_JOURNAL_SOCKET") or JOURNAL_SOCKET)
    handler.addFilter(Bound())
    logging.basicConfig(level=level, handlers=[handler])
