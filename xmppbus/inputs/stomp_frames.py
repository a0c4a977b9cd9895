"""Frames of STOMP 1.0, 1.1 and 1.2 (https://stomp.github.io): bytes in, frames out, and back. No I/O.

Lines may end with LF or CR LF in every version, as people who type into a terminal send them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from xmppbus import limits

VERSIONS = ("1.0", "1.1", "1.2")
WITH_BODY = ("SEND", "MESSAGE", "ERROR")
_TRANSACTION = ("BEGIN", "COMMIT", "ABORT")
CLIENT_COMMANDS = frozenset(
    ("CONNECT", "STOMP", "SEND", "SUBSCRIBE", "UNSUBSCRIBE", "ACK", "NACK", *_TRANSACTION, "DISCONNECT")
)
SERVER_COMMANDS = frozenset(("CONNECTED", "MESSAGE", "RECEIPT", "ERROR"))

_UNESCAPED = ("CONNECT", "CONNECTED", "STOMP")  # so that 1.0 can read them, too
_ESCAPES = {
    "": {"\\": " "},  # nobody knows yet what the other side speaks: what each version reads as it is
    "1.0": {},
    "1.1": {"\\": "\\\\", "\n": "\\n", ":": "\\c"},
    "1.2": {"\\": "\\\\", "\n": "\\n", ":": "\\c", "\r": "\\r"},
}
_ESCAPE = {version: str.maketrans(table) for version, table in _ESCAPES.items()}
_MEANT = {version: {code: meant for meant, code in table.items()} for version, table in _ESCAPES.items()}
_ESCAPED = re.compile(r"\\.?", re.DOTALL)
_LINE = str.maketrans("\r\n\0", "   ")
_CONTENT_LENGTH = re.compile(r"[0-9]{1,9}")


class BadFrame(Exception):
    """What came is no frame. Nothing behind it can be read; `receipt` is what its sender calls it, if that is known."""

    def __init__(self, message: str, receipt: str = "") -> None:
        super().__init__(message)
        self.receipt = receipt


@dataclass(slots=True)
class Frame:
    """A command, headers and a body. Of a header that comes twice the first counts (STOMP 1.2)."""

    command: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def get(self, name: str, default: str = "") -> str:
        """A header that may be missing."""
        return self.headers.get(name, default)


class Parser:
    """Feed it bytes, then take frames until there is none. `version` is what has been agreed on; set it between two."""

    def __init__(self, commands: Iterable[str] = CLIENT_COMMANDS, most_body: int = limits.STOMP_BODY_BYTES) -> None:
        self.version = ""
        self._commands = frozenset(commands)
        self._most_body = most_body
        self._buffer = bytearray()
        self._at = 0  # where what has not been read begins
        self._looked = 0  # up to where an end was looked for
        self._frame: Frame | None = None  # its command is there
        self._size = 0  # of its headers
        self._length: int | None = None  # of its body, where it says so
        self._in_body = False

    def feed(self, data: bytes) -> None:
        """What has come."""
        if self._at:
            del self._buffer[: self._at]
            self._looked -= self._at
            self._at = 0
        self._buffer += data

    @property
    def held(self) -> int:
        """Bytes that came and are not part of a frame that was taken."""
        return len(self._buffer) - self._at

    @property
    def has_begun(self) -> bool:
        """Whether a frame has begun and is not whole, once `take` has found no other."""
        return self._frame is not None or self.held > 0

    def take(self) -> Frame | None:
        """The next frame; None where it is not whole yet. Raises `BadFrame`, after which nothing more can be read."""
        while not self._in_body:
            line = self._line()
            if line is None:
                return None
            self._read_line(line)
        body = self._body()
        if body is None:
            return None
        frame, self._frame = self._frame, None
        assert frame is not None  # noqa: S101  # for the type checker: there is no body without a command
        self._size, self._length, self._in_body = 0, None, False
        if body and frame.command not in WITH_BODY:
            raise BadFrame(f"{frame.command} has a body; only SEND may have one", frame.get("receipt"))
        frame.body = body
        return frame

    # --- a line -------------------------------------------------------------------------------------------------------

    def _line(self) -> bytes | None:
        end = self._buffer.find(b"\n", self._looked)
        size = (len(self._buffer) if end < 0 else end) - self._at
        if size > limits.STOMP_LINE_BYTES:
            raise self._bad(f"a line has more than {limits.STOMP_LINE_BYTES} bytes; large things go into the body")
        if end < 0:
            self._looked = len(self._buffer)
            return None
        line = bytes(self._buffer[self._at : end])
        self._at = self._looked = end + 1
        return line.removesuffix(b"\r")

    def _read_line(self, line: bytes) -> None:
        if self._frame is None:
            if line:  # else it is a heart-beat, or the end of line that may stand behind a frame
                self._begin(line)
        elif line:
            self._header(self._frame, line)
        else:
            self._length = self._content_length(self._frame)
            self._in_body = True

    def _begin(self, line: bytes) -> None:
        command = line.decode("ascii", "replace")
        if command not in self._commands:
            raise BadFrame(_no_command(command))
        self._frame = Frame(command)

    def _header(self, frame: Frame, line: bytes) -> None:
        self._size += len(line)
        if len(frame.headers) >= limits.STOMP_HEADERS or self._size > limits.STOMP_HEADER_BYTES:
            most = f"{limits.STOMP_HEADERS} headers, or {limits.STOMP_HEADER_BYTES} bytes of them"
            raise self._bad(f"{frame.command} has more than {most}; large things go into the body")
        try:
            name, colon, value = line.decode().partition(":")
        except UnicodeDecodeError:
            raise self._bad(f"a header of {frame.command} is not UTF-8") from None
        if not colon or not name:
            raise self._bad(f"a header of {frame.command} is no NAME:VALUE; an empty line ends the headers")
        if frame.command in _UNESCAPED or self.version in ("", "1.0"):
            # 1.0 shows headers with a space behind the colon, so what stands around a value is not part of it.
            name, value = name.strip(" \t"), value.strip(" \t")
        else:
            name, value = self._unescaped(name), self._unescaped(value)
        frame.headers.setdefault(name, value)

    def _unescaped(self, text: str) -> str:
        if "\\" not in text:
            return text
        meant = _MEANT[self.version]

        def one(found: re.Match[str]) -> str:
            if found[0] not in meant:
                raise self._bad(f"{found[0]!r} is no escape of STOMP {self.version}; a backslash is written twice")
            return meant[found[0]]

        return _ESCAPED.sub(one, text)

    def _content_length(self, frame: Frame) -> int | None:
        given = frame.headers.get("content-length")
        if given is None or frame.command not in WITH_BODY:
            return None  # a client may send back with an ACK what came with the MESSAGE
        if not _CONTENT_LENGTH.fullmatch(given) or int(given) > self._most_body:
            raise self._bad(f"content-length is {given[:20]!r}; a body has at most {self._most_body} bytes")
        return int(given)

    def _bad(self, message: str) -> BadFrame:
        return BadFrame(message, self._frame.get("receipt") if self._frame else "")

    # --- a body -------------------------------------------------------------------------------------------------------

    def _body(self) -> bytes | None:
        end = self._buffer.find(b"\0", self._looked) if self._length is None else self._at + self._length
        if self._length is None and (len(self._buffer) if end < 0 else end) - self._at > self._most_body:
            raise self._bad(f"a body has at most {self._most_body} bytes")
        if end < 0 or end >= len(self._buffer):
            self._looked = len(self._buffer) if self._length is None else self._at
            return None
        if self._buffer[end]:
            raise self._bad("there is no NUL behind the body; content-length counts bytes, not characters")
        body = bytes(self._buffer[self._at : end])
        self._at = self._looked = end + 1
        return body


def _no_command(command: str) -> str:
    if command.endswith(("HTTP/1.1", "HTTP/1.0")):
        return "this is a STOMP listener, and does not speak HTTP; the address of that one is in `xmppbus status`"
    if command[:1] == "\x16":
        return "this is a STOMP listener without TLS; connect without it, or give it a certificate_file"
    return f"{command[:32]!r} is no command of a STOMP client; a frame ends with a NUL byte, not with a line"


def encode(command: str, headers: Mapping[str, str], body: bytes = b"", version: str = "") -> bytes:
    """A frame. What a version can't say in a header becomes a space; a header whose name it can't say is left out."""
    table = _ESCAPE["1.0" if command in _UNESCAPED else version]
    lines = [command]
    for name, value in headers.items():
        said = _line(name.translate(table))
        # A client of 1.0 would read `content-length ` as that of the frame, and somebody else's words as frames.
        if version > "1.0" or (":" not in name and said == said.strip()):
            lines.append(f"{said}:{_line(value.translate(table))}")
    if command in WITH_BODY:
        lines.append(f"content-length:{len(body)}")
    return b"%b\n\n%b\0" % ("\n".join(lines).encode(errors="replace"), body)


def _line(text: str) -> str:
    return text if text.isprintable() else text.translate(_LINE)
