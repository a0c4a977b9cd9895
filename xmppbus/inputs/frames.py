"""Frames of the Unix socket: one byte of kind, four of length (big-endian), the payload. Pure, and quick to import.

`docs/reference/socket.md` describes the conversation. The client of the command line imports this file and nothing
else of the house, so it stays free of imports.
"""

PROTOCOL = b"1"
HEADER_BYTES = 5

# --- a client says what a person typed, and where ---------------------------------------------------------------------
VERSION = ord("V")  # first: the protocol's version
ARGUMENT = ord("A")  # one for each argument of the command line, in order
DIRECTORY = ord("D")  # the client's working directory
WIDTH = ord("W")  # columns of the terminal, decimal
TERMINALS = ord("T")  # three digits, for input, output and error output: 1 is a terminal
ENVIRONMENT = ord("E")  # NAME=VALUE, of the few variables that change how text looks
GO = ord("G")  # no more facts: begin

# --- and answers what it is asked -------------------------------------------------------------------------------------
CONTENT = ord("I")  # some bytes of what was asked for; empty at its end
UNREADABLE = ord("X")  # what was asked for can't be read: why
WRITTEN = ord("C")  # a SURELY frame was written and flushed

# --- the daemon tells a client what to do -----------------------------------------------------------------------------
OUTPUT = ord("o")  # write to standard output
ERROR = ord("e")  # write to standard error
SURELY = ord("c")  # write to standard output, flush, then say WRITTEN
ASK = ord("i")  # send one CONTENT: of the file named here and in an argument, or of standard input when it is empty
INTO = ord("f")  # write to the file named here and in an argument, what OUTPUT brings from now on; done at EXIT 0
WATCH = ord("w")  # end when nobody reads standard output any more
EXIT = ord("x")  # end with this exit code, decimal

# --- a program publishes ----------------------------------------------------------------------------------------------
PUBLISH = ord("P")  # newline-delimited JSON: one event a line, with CloudEvents' field names
RESULT = ord("R")  # the answer to one PUBLISH, in order: one line an event
LOOK = ord("K")  # something was left in the spool just now: look there

FROM_CLIENTS = bytes(
    (
        VERSION,
        ARGUMENT,
        DIRECTORY,
        WIDTH,
        TERMINALS,
        ENVIRONMENT,
        GO,
        CONTENT,
        UNREADABLE,
        WRITTEN,
        PUBLISH,
        LOOK,
    )
)


def pack(kind: int, payload: bytes = b"") -> bytes:
    """One frame."""
    return bytes((kind,)) + len(payload).to_bytes(4, "big") + payload


class Broken(ValueError):
    """Not frames of this protocol; the connection can't be understood any further."""


class Splitter:
    """Splits a stream of bytes into frames; holds at most one unfinished frame."""

    def __init__(self, most: int, kinds: bytes = b"") -> None:
        self._most = most
        self._kinds = kinds
        self._held = bytearray()
        self._needed = HEADER_BYTES  # not worth looking again before so many bytes are there

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """(kind, payload) of each frame that became complete. Raises `Broken` for a kind or a length nobody sends."""
        if self._held:
            self._held += data
            if len(self._held) < self._needed:
                return []
            data = bytes(self._held)
            self._held.clear()
        found: list[tuple[int, bytes]] = []
        position, end = 0, len(data)
        while end - position >= HEADER_BYTES:
            begin = position + HEADER_BYTES
            length = int.from_bytes(data[position + 1 : begin], "big")
            self._check(data[position], length)
            if end - begin < length:
                self._needed = HEADER_BYTES + length
                break
            found.append((data[position], data[begin : begin + length]))
            position = begin + length
        else:
            self._needed = HEADER_BYTES
        if position < end:
            self._held += data[position:]
        return found

    def _check(self, kind: int, length: int) -> None:
        if self._kinds and kind not in self._kinds:
            raise Broken(f"unknown frame kind {bytes((kind,))!r}")
        if length > self._most:
            raise Broken(f"a frame of {length} bytes of at most {self._most}")
