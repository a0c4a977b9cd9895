"""`GET /v1/stream`: events as they come, as server-sent events, over a WebSocket, or one a line.

`docs/reference/http.md` describes it for people, `docs/howto/streams.md` shows how it is used.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

import msgspec
from aiohttp import WSMsgType, web
from msgspec import Meta, Struct

from xmppbus import event, limits
from xmppbus.displays.clients import Client, Wanted
from xmppbus.displays.frames import LINES, SOCKET, SSE, UNSUPPORTED, Form
from xmppbus.displays.hub import Hub
from xmppbus.errors import Code, Refused
from xmppbus.interfaces import Clock
from xmppbus.journal import Entry, Journal
from xmppbus.options import Pattern, SeverityRule
from xmppbus.people.durations import beginning
from xmppbus.route import Match
from xmppbus.web import Answer, Request, Web, query_fields
from xmppbus.web.answers import Streamed, stream_head
from xmppbus.web.connection import Streaming

QUERY = "type=PATTERN (as often as you like), severity=SEVERITY or severity=>=SEVERITY, since=SEQUENCE|TIME|all, last=N"


class Query(Struct, frozen=True, kw_only=True):
    """What the query of a stream may say."""

    type: Sequence[Pattern] = ("#",)
    severity: SeverityRule = ""
    since: str | None = None
    last: Annotated[int, Meta(ge=1, le=limits.STREAM_LAST)] | None = None


class Identity(NamedTuple):
    """What a page compares with what it was loaded with: one that differs means that it should load itself again."""

    version: Callable[[], str]
    config: Callable[[], str]


class Stream:
    """Adds its route to the listener."""

    def __init__(self, web_: Web, hub: Hub, journal: Journal, clock: Clock, identity: Identity) -> None:
        self._hub = hub
        self._journal = journal
        self._clock = clock
        self._identity = identity
        self._looking = asyncio.Semaphore(1)
        web_.route("GET", "/v1/stream", self.get, "read")

    async def get(self, request: Request) -> Answer | Streamed | web.StreamResponse:
        """Stream until one side ends it."""
        query = query_of(request.query_text)
        wanted = Wanted(tuple(sorted({*query.type})), query.severity, request.token)
        self._hub.check_room()
        begin = await self._begin(query, wanted, request.headers.get("Last-Event-ID", ""))
        form = _form(request)
        if request.method == "HEAD":
            return Answer(200, b"", b"Content-Type: %b\r\n" % form.name.encode())
        self._hub.check_room()  # others have come meanwhile, or the house is being left
        if form is SOCKET:
            return await self._websocket(request, wanted, begin)
        transport = _transport(request)
        transport.write(stream_head(request, form.name) + self._hello(form, begin))
        client = self._join(request, wanted, form, begin.position)
        try:
            await client.ended
        finally:
            self._leave(request, client)
        return Streamed()

    async def _websocket(self, request: Request, wanted: Wanted, begin: Begin) -> web.StreamResponse:
        """The library shakes hands, answers pings and reads; what is written is shared with others."""
        response = web.WebSocketResponse(compress=False, max_msg_size=limits.STREAM_SAID_BYTES)
        try:
            await response.prepare(request)
        except web.HTTPBadRequest as error:
            raise Refused(Code.USAGE, f"this is no WebSocket handshake (RFC 6455 §4.1): {error.text}"[:200]) from error
        _transport(request).write(self._hello(SOCKET, begin))
        client = self._join(request, wanted, SOCKET, begin.position)
        try:
            while client.is_open:
                said = await response.receive()
                if said.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    client.end(SOCKET.goodbye(UNSUPPORTED))
                elif said.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
                    break
        finally:
            self._leave(request, client)
        return response

    def _join(self, request: Request, wanted: Wanted, form: Form, position: int) -> Client:
        transport = _transport(request)
        kernel = transport.get_extra_info("socket")
        if kernel is not None:
            kernel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, limits.STREAM_SOCKET_BYTES)
        client = self._hub.join(transport, wanted, form, position)
        streaming: Streaming = client
        request.connection.stream = streaming
        return client

    def _leave(self, request: Request, client: Client) -> None:
        request.connection.stream = None
        self._hub.leave(client)

    # --- where it begins ----------------------------------------------------------------------------------------------

    async def _begin(self, query: Query, wanted: Wanted, last_event_id: str) -> Begin:
        newest = (await self._journal.status()).newest
        first = await self._journal.read(0, 1)
        oldest = first[0].sequence if first else newest + 1
        position = await self._position(query, wanted, last_event_id, newest, oldest)
        # One that is ahead of us has seen another journal; the newest is as good a place as any.
        return Begin(min(position, newest), newest, oldest)

    async def _position(self, query: Query, wanted: Wanted, last_event_id: str, newest: int, oldest: int) -> int:
        if last_event_id:
            return _sequence(last_event_id)
        if query.since:
            found = _since(query.since, self._clock())
            if isinstance(found, datetime):
                found = await self._journal.sequence_at(found)
            elif query.since != "all":
                return found
            return max(found, oldest - 1)
        if query.last:
            return max(await self._back(wanted, query.last, newest), oldest - 1)
        return newest

    async def _back(self, wanted: Wanted, count: int, newest: int) -> int:
        """The sequence after which there are `count` events that are wanted, as far as it is looked back for them.

        First over a few, then as far as ever; for one client at a time, as deliveries are read from the journal, too.
        """
        matches = [Match(each, wanted.severity) for each in wanted.types]
        last: deque[int] = deque(maxlen=count)
        for span in (max(4 * count, limits.STREAM_PAGE_EVENTS), limits.LOOK_BACK_EVENTS):
            after = max(0, newest - span)
            last.clear()
            while after < newest and (entries := await self._page(after, matches)):
                last += [e.sequence for e in entries if wanted.admits(e.event.type, e.event.severity)]
                after = entries[-1].sequence
            if len(last) == count or span >= newest:
                break
        return last[0] - 1 if last else newest

    async def _page(self, after: int, matches: Sequence[Match]) -> list[Entry]:
        async with self._looking:
            return await self._journal.read(after, limits.STREAM_PAGE_EVENTS, matches)

    def _hello(self, form: Form, begin: Begin) -> bytes:
        members: dict[str, Any] = {
            "newest": begin.newest,
            "oldest": begin.oldest,
            "time": event.now(self._clock),
            "version": self._identity.version(),
            "config": self._identity.config(),
        }
        return form.message("hello", members, id=begin.position)


class Begin(NamedTuple):
    """Where a stream begins, and what the journal has."""

    position: int
    newest: int
    oldest: int


def query_of(text: str) -> Query:
    """The query of a stream. Raises `Refused` (usage)."""
    found: dict[str, Any] = {}
    for name, value in query_fields(text):
        if name == "type":
            found.setdefault("type", []).append(value)
        elif name in found or name not in Query.__struct_fields__:
            raise Refused(Code.USAGE, f"a query is {QUERY}; not {name[:64]!r}, or not twice")
        else:
            found[name] = value
    try:
        query = msgspec.convert(found, Query, strict=False)
    except msgspec.ValidationError as error:
        raise Refused(Code.USAGE, f"a query is {QUERY}: {error}") from None
    if query.since is not None and query.last:
        raise Refused(Code.USAGE, "`since` says where to begin, and so does `last`: give one of them")
    if query.since is not None:
        _since(query.since, datetime.now(UTC))
    return query


def _since(text: str, now: datetime) -> int | datetime:
    try:
        return beginning(text, now, UTC)
    except ValueError as error:
        raise Refused(Code.USAGE, f"since={error}") from None


def _sequence(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise Refused(Code.USAGE, f"Last-Event-ID is the id of an event that was streamed, not {text[:64]!r}")
    return int(text)


def _form(request: Request) -> Form:
    if "websocket" in request.headers.get("Upgrade", "").lower():
        return SOCKET
    return SSE if "text/event-stream" in request.headers.get("Accept", "").lower() else LINES


def _transport(request: Request) -> Any:
    if request.transport is None:
        raise ConnectionResetError("the client has left")
    return request.transport
