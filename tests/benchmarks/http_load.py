"""HTTP requests over kept connections, each answered before its connection sends the next; serialised beforehand.

A small client of our own, so that the server and not the client is the limit; the product and the empty handler meet
the same one.
"""

from __future__ import annotations

import re
import selectors
import socket
import time
from collections.abc import Sequence

READ_BYTES = 65_536
LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)


def request(path: str, media_type: str, body: bytes) -> bytes:
    """One serialised POST."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def post_all(port: int, requests: Sequence[bytes], connections: int) -> float:
    """Send them all, one in flight a connection; seconds from first byte to last answer. Only a yes will do."""
    waiting = iter(requests)
    left = len(requests)
    with selectors.DefaultSelector() as selector:
        opened = [socket.create_connection(("127.0.0.1", port), 30) for _ in range(min(connections, left))]
        try:
            for one in opened:
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(one, selectors.EVENT_READ, (one, bytearray()))
            begun = time.perf_counter()
            for one in opened:
                one.sendall(next(waiting))
            while left:
                for key, _ in selector.select():
                    one, buffer = key.data
                    buffer += read(one)
                    if not complete(buffer):
                        continue
                    buffer.clear()
                    left -= 1
                    following = next(waiting, None)
                    if following is not None:
                        one.sendall(following)
            return time.perf_counter() - begun
        finally:
            for one in opened:
                one.close()


def read(connection: socket.socket) -> bytes:
    """What has arrived; a closed connection is an error here."""
    data = connection.recv(READ_BYTES)
    if not data:
        raise ConnectionError("the server closed a kept connection")
    return data


def complete(answer: bytearray) -> bool:
    """Whether one whole answer has come; raises for any status that is not a yes."""
    head = answer.find(b"\r\n\r\n")
    if head < 0:
        return False
    status = bytes(answer[9:12])
    length = LENGTH.search(answer, 0, head + 2)
    whole = length is not None and len(answer) >= head + 4 + int(length.group(1))
    if status not in {b"200", b"202"} and whole:
        raise ConnectionError(f"refused: {answer[:600].decode(errors='replace')}")
    return whole
