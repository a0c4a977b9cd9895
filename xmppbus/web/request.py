"""A request whose body has a deadline and bounds, and whose token has scopes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import parse_qsl

from aiohttp import StreamReader, web
from aiohttp.web_protocol import RequestPayloadError

from xmppbus import limits
from xmppbus.errors import Code, Refused
from xmppbus.web.connection import Connection
from xmppbus.web.tokens import Token


class Request(web.BaseRequest):
    """An HTTP request. `variable` is the segment of its path for which the route has one, decoded."""

    variable: str = ""
    rest: str = ""  # the segment behind it, for a route with `/{rest}` at its end, decoded
    query_text: str = ""  # as it was sent, still encoded
    token: Token | None = None  # whose it is; None on a listener that needs none

    def allow_event(self, action: str, fields: Mapping[str, Any]) -> None:
        """The same for an event: for its type, and for its queue if it is of one."""
        if self.token is not None and (lacking := self.token.lacks(action, fields)):
            raise Refused(Code.FORBIDDEN, f"this token may not {action} {lacking[1]}", field=lacking[0])

    @property
    def connection(self) -> Connection:
        """The connection it came on."""
        return cast(Connection, self._protocol)

    def allow(self, action: str, event_type: str) -> None:
        """Raise `Refused` (forbidden) unless the token's scopes cover this type."""
        if self.token is not None and not self.token.may(action, event_type):
            raise Refused(Code.FORBIDDEN, f"this token may not {action} {event_type}", field="type")

    async def body(self) -> bytes:
        """The whole body. Raises `Refused`: payload-too-big, timeout, unsupported-media-type (a content coding)."""
        content = self._payload
        if content.is_eof() and content.exception() is None and "Content-Encoding" not in self.headers:
            # The usual case: it came with the headers, so there is nothing to wait for and nothing to count.
            return content.read_nowait(-1)
        return await self._slow_body(content)

    async def _slow_body(self, content: StreamReader) -> bytes:
        coding = self.headers.get("Content-Encoding", "identity")
        if coding.lower() != "identity":
            raise Refused(Code.MEDIA_TYPE, f"the content coding {coding[:32]!r} is not taken; send it plain")
        if (self.content_length or 0) > limits.HTTP_BODY_BYTES:
            raise _too_big()
        if self.headers.get("Expect", "").lower() == "100-continue" and self.transport is not None:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection = self.connection
        connection.body = content
        body = bytearray()
        try:
            while chunk := await content.readany():
                connection.reserve(len(chunk))
                body += chunk
                if len(body) > limits.HTTP_BODY_BYTES:
                    raise _too_big()
        except RequestPayloadError as error:
            raise Refused(Code.USAGE, f"the body is not framed as its headers say: {error}"[:200]) from error
        finally:
            connection.body = None
            connection.release()
        connection.begun = 0.0
        return bytes(body)


def query_fields(query: str) -> list[tuple[str, str]]:
    """The names and values of a query, in order. Raises `Refused` (usage)."""
    if not query:
        return []
    try:
        return parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=64)
    except ValueError as error:
        raise Refused(Code.USAGE, "the query is not UTF-8 fields, such as ?severity=warning&subject=web1") from error


def _too_big() -> Refused:
    return Refused(Code.TOO_BIG, f"the body is larger than {limits.HTTP_BODY_BYTES} bytes; send it in parts")
